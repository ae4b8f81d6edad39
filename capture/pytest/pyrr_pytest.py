"""Tells pyrr's recorder what pytest is doing, by marks (pyrr_marks.py).

Works with pytest 6 and later; is loaded by the entry point beside it, from a folder
that pyrr puts on PYTHONPATH, and leaves no trace of that in the session. What a
session leaves for the next is in pyrr_resume.py, what became of recordings in
pyrr_reasons.py.
"""

import os
import signal
import sys
import threading

import pyrr_interrupt
import pyrr_reasons
import pyrr_resume
import pytest
from pyrr_marks import mark, reason

KEEP = ("always", "timeout", "failure", "never")
MARKER = "pyrr(keep=WHEN, timeout=SECONDS): when to keep the recording of this test, and its time limit"

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
    kept = []  # what the recorder tells of its recordings
    saves = False  # what ran, for a fresh session


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
        mark("session", "controller")
        return
    _hide(config)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(pyrr_interrupt.EXPIRED) == signal.SIG_DFL:
        signal.signal(pyrr_interrupt.EXPIRED, _expired)
        _State.handles = True
    kind = "worker" if hasattr(config, "workerinput") else "start"
    mark("session", kind, "handles" if _State.handles else "")


@pytest.hookimpl(tryfirst=True)
def pytest_collectstart(collector):
    if _mine(collector.config):
        mark("collect", collector.nodeid)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtestloop(session):
    config = session.config
    runs = not session.testsfailed and not getattr(config.option, "collectonly", False)
    if _mine(config) and runs and not config.pluginmanager.hasplugin("dsession"):
        mark("session", "run")
        if not hasattr(config, "workerinput"):
            pyrr_resume.save_items(session)
            if pyrr_resume.is_root():
                pyrr_resume.take_over(session)
                _State.saves = True
    # The loop takes what has failed before it for errors of collection.
    failed, session.testsfailed = (session.testsfailed, 0) if _State.saves else (0, session.testsfailed)
    if failed and session.shouldfail:
        session.items[:] = []  # --maxfail
    yield
    session.testsfailed += failed


@pytest.hookimpl(hookwrapper=True)
def pytest_collection_modifyitems(config, items):
    yield
    if _mine(config) and not config.pluginmanager.hasplugin("dsession"):
        pyrr_resume.leave_out(items)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    if _State.saves and _State.config is not None:
        pyrr_resume.keep_report(_State.config, report)


class _Cut:
    """Ends a test that has failed and will get no report of its teardown: somebody
    left the debugger."""

    @staticmethod
    def pytest_runtest_makereport(item):  # the name in which pyrr looks for the two
        error, phase, said = _State.error, _State.phase, _State.said  # noqa: F841
        if error is not None:
            mark("reason", reason(error))
        _State.item = _State.error = None
        mark("end", _State.outcome, item.nodeid)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_sessionfinish(session):
    config = session.config
    if _mine(config) and _State.item is not None and _State.outcome in ("failed", "timeout"):
        _Cut.pytest_runtest_makereport(_State.item)
    if _mine(config) and not hasattr(config, "workerinput"):
        # Before others write their reports.
        _State.kept = pyrr_reasons.ask()
        pyrr_reasons.tell(config, _State.kept)
    if _mine(config):
        mark("session", "ends")
    yield
    if _mine(config):
        mark("session", "finish")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    if not _mine(terminalreporter.config) or not _State.kept:
        return
    terminalreporter.section("pyrr")
    for kept in _State.kept:
        terminalreporter.line("%s %s" % (kept["outcome"].upper(), kept["test"]))
        for line in pyrr_reasons.sentence(kept):
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
        mark("minds", str(int(signal.SIGALRM)))


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_setup(item):
    if _mine(item.config):
        _State.item, _State.outcome = item, ""
        _State.error, _State.phase, _State.words, _State.said = None, "", "", ""
        _begin_limit(item)
        mark("start", *_limit(item), item.nodeid)
    _live(item, "setup")
    yield
    _over(item)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_call(item):
    _live(item, "call")
    yield
    _over(item)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_teardown(item):
    if _mine(item.config):
        pyrr_interrupt.over()
    _live(item, "teardown")
    yield
    _over(item)


def _live(item, phase):
    if _mine(item.config):
        mark("phase", phase)
        _State.lives = True


def _over(item):
    """Ends a phase: one that was interrupted has heeded that, and its report may take its time."""
    if _mine(item.config):
        _State.lives = False
        if pyrr_interrupt.told():
            mark("phase", "report")


_RANK = {"": 0, "passed": 1, "skipped": 2, "failed": 3, "timeout": 4}


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
            mark("reason", reason(_State.error))
        # pyrr reads these at the mark.
        error, phase, words, said = _State.error, _State.phase, _State.words, _State.said  # noqa: F841
        _State.item = _State.error = None
        _State.words = _State.said = ""
        mark("end", _State.outcome, item.nodeid)


mark("load")  # what is loaded after it is not a test
