"""Tells pyrr's recorder what pytest is doing.

Each mark is an access(2) of a path below /dev/null, which can't exist: without
a recorder that looks at system calls, nothing happens. Works with pytest 6 and
later; is loaded by the entry point beside it, from a folder that pyrr puts on
PYTHONPATH, and leaves no trace of that in the session.
"""

import json
import os
import signal
import socket
import sys
import threading
from posix import access, close, getppid, open as open_fd, write  # tests replace those of os
from time import monotonic

import pyrr_interrupt
import pytest

MARK = b"/dev/null/pyrr/1/"
LONGEST = 3000  # of PATH_MAX

KEEP = ("always", "timeout", "failure", "never")
MARKER = "pyrr(keep=WHEN, timeout=SECONDS): when to keep the recording of this test, and its time limit"

# Where the recorder tells what became of recordings, once it keeps one.
REASONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reasons")
PATIENCE = 300  # seconds for finishing recordings

# Where a test does not let itself be interrupted its process is ended, and the
# recorder runs the tests behind it in a fresh session. Each session leaves the ids
# of its tests and the reports of those that ran; the fresh one takes them over.
# RECORDER holds the number of the process whose child may do so, RESUME what ran.
HERE = os.path.dirname(os.path.abspath(__file__))
RECORDER = os.path.join(HERE, "recorder")
RESUME = os.path.join(HERE, "resume")
REPORTS = os.path.join(HERE, "reports")
ITEMS = os.path.join(HERE, "items.")

# Functions of pytest that call a test or a fixture.
INSIDE = ("runtest", "call_fixture_func")


class _State:
    config = None  # of the outermost session of this process
    item = None  # the test between its marks
    outcome = ""
    error = None  # what it failed with first, and in which phase
    phase = ""
    words = ""  # what pytest says of one that failed without an exception
    said = ""  # of one with an exception: that with its message
    handles = False  # EXPIRED has its handler
    lives = False  # a phase of the test runs: what is raised then is the test's failure
    Socket = socket.socket  # tests replace that, too
    kept = []  # what the recorder tells of its recordings
    saves = False  # what ran, for a fresh session
    reports = []  # of the test that runs, as lines


def _mark(*parts):
    path = MARK + b"/".join(_bytes(p) for p in parts)
    try:
        access(path, 0)
    except (OSError, ValueError):
        pass


def _bytes(text):
    return text.encode("utf-8", "backslashreplace").replace(b"\0", b"\\0")[:LONGEST]


def _mine(config):
    return config is not None and config is _State.config


def _hide(config):
    """Takes back what made pytest find this file."""
    here = os.path.dirname(os.path.abspath(__file__))
    while here in sys.path:
        sys.path.remove(here)
    path = os.environ.get("PYTHONPATH")
    if path is not None:
        rest = [p for p in path.split(os.pathsep) if p != here]
        if rest:
            os.environ["PYTHONPATH"] = os.pathsep.join(rest)
        else:
            del os.environ["PYTHONPATH"]


def _expired(signum, frame):
    """Interrupts a test whose time is up. Between its phases pytest makes reports, and
    what is raised there would end the session."""
    __tracebackhide__ = True
    if _State.lives:
        pyrr_interrupt.interrupt(frame)


def _begin_limit(item):
    hypothesis = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    pyrr_interrupt.begin(pyrr_interrupt.Timeout if hypothesis else pytest.fail.Exception, INSIDE)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if _State.config is not None:
        return  # a session within a test
    _State.config = config
    if not config.pluginmanager.hasplugin("pyrr"):  # which does the same
        config.addinivalue_line("markers", MARKER)
    listed = getattr(config.pluginmanager, "_plugin_distinfo", None)
    if isinstance(listed, list):
        me = sys.modules[__name__]
        listed[:] = [entry for entry in listed if entry[0] is not me]


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    if _mine(config):
        _State.config = None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    config = session.config
    if not _mine(config):
        return
    if config.pluginmanager.hasplugin("dsession"):
        # xdist's controller runs no test, and hands its path on to the workers.
        _mark("session", "controller")
        return
    _hide(config)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(pyrr_interrupt.EXPIRED) == signal.SIG_DFL:
        signal.signal(pyrr_interrupt.EXPIRED, _expired)
        _State.handles = True
    kind = "worker" if hasattr(config, "workerinput") else "start"
    _mark("session", kind, "handles" if _State.handles else "")


@pytest.hookimpl(tryfirst=True)
def pytest_collectstart(collector):
    if _mine(collector.config):
        _mark("collect", collector.nodeid)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtestloop(session):
    config = session.config
    runs = not session.testsfailed and not getattr(config.option, "collectonly", False)
    if _mine(config) and runs and not config.pluginmanager.hasplugin("dsession"):
        _mark("session", "run")
        if not hasattr(config, "workerinput"):
            _save_items(session)
            if _is_root():
                _take_over(session)
                _State.saves = True
    # The loop takes what has failed before it for errors of collection.
    failed, session.testsfailed = (session.testsfailed, 0) if _State.saves else (0, session.testsfailed)
    if failed and session.shouldfail:
        session.items[:] = []  # --maxfail
    yield
    session.testsfailed += failed


def _is_root():
    """Whether this process is the recorded command itself."""
    try:
        with open(RECORDER) as f:
            return int(f.read()) == getppid()
    except (OSError, ValueError):
        return False


def _save_items(session):
    try:
        with open(ITEMS + str(os.getpid()), "w") as f:
            json.dump([_bytes(item.nodeid).decode("utf-8", "replace") for item in session.items], f)
    except OSError:
        pass  # another user's session


def _resumed():
    """What ran in the sessions before, None where there were none."""
    if not os.path.exists(RESUME) or not _is_root():
        return None
    try:
        with open(RESUME, encoding="utf-8") as f:
            return set(json.load(f))
    except (OSError, ValueError):
        return None


@pytest.hookimpl(hookwrapper=True)
def pytest_collection_modifyitems(config, items):
    yield
    if not _mine(config) or config.pluginmanager.hasplugin("dsession"):
        return
    ran = _resumed()
    if ran is not None:
        items[:] = [item for item in items if _bytes(item.nodeid).decode("utf-8", "replace") not in ran]


def _take_over(session):
    """Reports what ran in the sessions before as if it had run in this one."""
    if _resumed() is None:
        return
    hook, reports, last = session.config.hook, [], None
    try:
        with open(REPORTS, encoding="utf-8") as f:
            for line in f:
                data = json.loads(line)
                for name in ("longrepr", "location"):  # JSON has no tuples
                    if isinstance(data.get(name), list):
                        data[name] = tuple(data[name])
                report = hook.pytest_report_from_serializable(config=session.config, data=data)
                if report is not None:
                    reports.append(report)
    except (OSError, ValueError, TypeError):
        pass  # those before it
    session.testscollected += len({report.nodeid for report in reports})
    for report in reports:
        if report.nodeid != last:
            hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
        last = report.nodeid
        hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
            last = None


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    if not _State.saves or _State.config is None:
        return
    try:
        data = _State.config.hook.pytest_report_to_serializable(config=_State.config, report=report)
        _State.reports.append(json.dumps(data) + "\n")
    except Exception:  # of another plugin's making
        data = {"$report_type": "TestReport", "nodeid": report.nodeid, "location": report.location, "keywords": {}, "when": report.when,
                "outcome": report.outcome, "longrepr": str(report.longrepr or "") or None, "duration": report.duration}
        _State.reports.append(json.dumps(data) + "\n")
    if report.when == "teardown":
        lines, _State.reports = _State.reports, []
        try:
            fd = open_fd(REPORTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                write(fd, "".join(lines).encode())
            finally:
                close(fd)
        except OSError:
            pass


def _ask():
    """Asks the recorder for what it kept: dicts with test, outcome, recording, reason."""
    if not os.path.exists(REASONS):
        return []
    until = monotonic() + PATIENCE
    answer = b""
    try:
        with _State.Socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE)
            s.connect(REASONS)
            while monotonic() < until:
                part = s.recv(1 << 16)
                if not part:
                    return json.loads(answer.decode())
                answer += part
    except (OSError, ValueError):
        pass  # the recorder names them itself when all has ended
    return []


def _sentence(kept):
    """What is said of a recording, in one line each."""
    return ([kept["reason"]] if kept["reason"] else []) + ["recorded in " + kept["recording"]]


def _tell_reports(config):
    """Adds the reasons to the reports of the failed tests, which are printed later."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None:
        return
    for kept in _State.kept:
        for report in terminal.stats.get("failed", []) + terminal.stats.get("error", []):
            if getattr(report, "nodeid", None) != kept["test"] or any(name == "pyrr" for name, _ in report.sections):
                continue
            report.sections.append(("pyrr", "\n".join(_sentence(kept))))
            if kept["reason"] and isinstance(report.longrepr, str):
                if " by pyrr " in report.longrepr:
                    report.longrepr = "Timeout: %s\n%s" % (kept["reason"], report.longrepr)
            elif kept["reason"]:
                _tell_failure(report.longrepr, kept["reason"])
            break


def _tell_failure(longrepr, reason):
    """Adds the reason to the failure that the recorder caused: in its text, and first
    in the line of the short summary."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is None or " by pyrr " not in str(crash.message):
        return
    crash.message = "Timeout: " + reason
    lines = longrepr.reprtraceback.reprentries[-1].lines
    for n, line in enumerate(lines):
        if line.startswith("E ") and " by pyrr " in line:
            indent = line[: len(line) - len(line[1:].lstrip())]
            lines.insert(n + 1, indent + reason)
            break


def _tell_junit(config):
    """Adds the reasons to the JUnit report, before it is written."""
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ != "LogXML":
            continue
        from _pytest.junitxml import mangle_test_address

        cases = [reporter.to_xml() for reporter in plugin.node_reporters_ordered]
        for kept in _State.kept:
            names = mangle_test_address(kept["test"])
            if plugin.prefix:
                names.insert(0, plugin.prefix)
            where = (".".join(names[:-1]), names[-1])
            for case in cases:
                bad = next((e for e in case if e.tag in ("failure", "error")), None)
                if (case.get("classname"), case.get("name")) == where and bad is not None:
                    cases.remove(case)
                    _tell_case(case, bad, kept)
                    break


def _tell_case(case, bad, kept):
    if kept["reason"]:
        bad.set("message", "%s: %s" % ("Timeout" if kept["outcome"] == "timeout" else "pyrr", kept["reason"]))
    out = next((e for e in case if e.tag == "system-out"), None)
    if out is None:
        out = type(case)("system-out")
        case.append(out)
    out.text = (out.text + "\n" if out.text else "") + "\n".join(["pyrr:"] + _sentence(kept))


def _tell_html(config):
    """Adds the reasons to the rows of pytest-html, before it writes its report."""
    from html import escape

    for plugin in config.pluginmanager.get_plugins():
        data = getattr(getattr(plugin, "_report", None), "data", None)
        if not isinstance(data, dict) or "tests" not in data:
            continue
        for kept in _State.kept:
            for row in data["tests"].get(kept["test"], ()):
                if row.get("result") in ("Failed", "Error"):
                    row["log"] = escape("\n".join(["pyrr:"] + _sentence(kept))) + "\n\n" + row.get("log", "")
                    break


class _Cut:
    """Ends a test that has failed and will get no report of its teardown: somebody
    left the debugger."""

    @staticmethod
    def pytest_runtest_makereport(item):  # the name in which pyrr looks for the two
        error, phase, said = _State.error, _State.phase, _State.said  # noqa: F841
        if error is not None:
            _mark("reason", _reason(error))
        _State.item = _State.error = None
        _mark("end", _State.outcome, item.nodeid)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_sessionfinish(session):
    config = session.config
    if _mine(config) and _State.item is not None and _State.outcome in ("failed", "timeout"):
        _Cut.pytest_runtest_makereport(_State.item)
    if _mine(config) and not hasattr(config, "workerinput"):
        # Before others write their reports.
        _State.kept = _ask()
        for tell in (_tell_reports, _tell_junit, _tell_html):
            try:
                tell(config)
            except Exception:  # of another pytest; the section at the end has it all
                pass
    yield
    if _mine(config):
        _mark("session", "finish")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    if not _mine(terminalreporter.config) or not _State.kept:
        return
    terminalreporter.section("pyrr")
    for kept in _State.kept:
        terminalreporter.line("%s %s" % (kept["outcome"].upper(), kept["test"]))
        for line in _sentence(kept):
            terminalreporter.line("    " + line)


def _limit(item):
    """The seconds of the test's own time limit, and the flags of its start mark."""
    limit, flags = "", []
    marker = item.get_closest_marker("timeout")
    if marker is not None:
        limit = _seconds(marker.args[0] if marker.args else marker.kwargs.get("timeout"))
    if item.config.pluginmanager.hasplugin("timeout"):
        flags.append("minded")  # by pytest-timeout
    marker = item.get_closest_marker("pyrr")
    if marker is not None:
        if _seconds(marker.kwargs.get("timeout")):
            limit, flags = _seconds(marker.kwargs["timeout"]), []
        if marker.kwargs.get("keep") in KEEP:
            flags.append("keep=" + marker.kwargs["keep"])
    return limit, ",".join(flags)


def _seconds(value):
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return ""


@pytest.hookimpl(hookwrapper=True, optionalhook=True)
def pytest_timeout_set_timer(item):
    yield
    if _mine(item.config) and callable(signal.getsignal(signal.SIGALRM)):
        _mark("minds", str(int(signal.SIGALRM)))


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_setup(item):
    if _mine(item.config):
        _State.item, _State.outcome = item, ""
        _State.error, _State.phase, _State.words, _State.said = None, "", "", ""
        _begin_limit(item)
        _mark("start", *_limit(item), item.nodeid)
        _mark("phase", "setup")
        _State.lives = True
        yield
        _over()
    else:
        yield


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_call(item):
    if _mine(item.config):
        _mark("phase", "call")
        _State.lives = True
        yield
        _over()
    else:
        yield


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_teardown(item):
    if _mine(item.config):
        pyrr_interrupt.over()
        _mark("phase", "teardown")
        _State.lives = True
        yield
        _over()
    else:
        yield


def _over():
    """Ends a phase: one that was interrupted has heeded that, and its report may take its time."""
    _State.lives = False
    if pyrr_interrupt.told():
        _mark("phase", "report")


_RANK = {"": 0, "passed": 1, "skipped": 2, "failed": 3, "timeout": 4}


def _reason(error):
    """What an exception is and the line where it was raised: tests that fail
    alike have it alike."""
    tb = error.__traceback__
    if tb is None:
        return type(error).__name__
    while tb.tb_next is not None:
        tb = tb.tb_next
    return "%s %s:%d" % (type(error).__name__, tb.tb_frame.f_code.co_filename, tb.tb_lineno)


def _said(result):
    """The exception with its message as pytest shows it: what its str() gave."""
    try:
        return str(result.get_result().longrepr.reprcrash.message)
    except BaseException:  # of another plugin, or a report without a place
        return ""


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    result = yield
    if not _mine(item.config) or _State.item is not item:
        return
    try:
        report = result.get_result()
        if pyrr_interrupt.told() and call.when == "call" and report.outcome == "passed":
            # It went on after its interrupt, to its end.
            report.outcome, report.longrepr = "failed", "Timeout: " + pyrr_interrupt.told()
        outcome = report.outcome
    except BaseException:
        outcome = "failed"
    if call.excinfo is not None and outcome == "failed" and item.config.pluginmanager.hasplugin("timeout"):
        value = call.excinfo.value
        if isinstance(value, pytest.fail.Exception) and str(value).startswith("Timeout") and "pyrr" not in str(value):
            outcome = "timeout"  # pytest-timeout's words
    if _RANK.get(outcome, 0) > _RANK[_State.outcome]:
        _State.outcome = outcome
    if outcome in ("failed", "timeout") and call.excinfo is not None and _State.error is None:
        _State.error, _State.phase = call.excinfo.value, call.when
        _State.said = _said(result)
    elif outcome == "failed" and call.excinfo is None:
        # Of pytest's own: a strict xfail that passes.
        _State.words = str(getattr(result.get_result(), "longrepr", ""))
    if call.when == "teardown":
        if _State.outcome == "failed" and _State.error is not None:
            _mark("reason", _reason(_State.error))
        # pyrr reads these at the mark.
        error, phase, words, said = _State.error, _State.phase, _State.words, _State.said  # noqa: F841
        _State.item = _State.error = None
        _State.words = _State.said = ""
        _mark("end", _State.outcome, item.nodeid)


_mark("load")  # what is loaded after it is not a test
