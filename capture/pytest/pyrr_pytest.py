"""Tells pyrr's recorder what pytest is doing.

Each mark is an access(2) of a path below /dev/null, which can't exist: without
a recorder that looks at system calls, nothing happens. Works with pytest 6 and
later; is loaded by the entry point beside it, from a folder that pyrr puts on
PYTHONPATH, and leaves no trace of that in the session.
"""

import os
import signal
import sys
import threading
from posix import access, readlink  # tests replace those of os

import pytest

MARK = b"/dev/null/pyrr/1/"
LONGEST = 3000  # of PATH_MAX

# What the recorder sends when a test's time is up.
EXPIRED = 60


class _State:
    config = None  # of the outermost session of this process
    item = None  # the test between its marks
    outcome = ""
    error = None  # what it failed with first, and in which phase
    phase = ""
    handles = False  # EXPIRED has its handler


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
    __tracebackhide__ = True
    if _State.item is None:
        return
    try:
        why = os.fsdecode(readlink(MARK + b"why"))
    except OSError:
        return  # not from the recorder
    pytest.fail("Timeout: " + why)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if _State.config is not None:
        return  # a session within a test
    _State.config = config
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
    if threading.current_thread() is threading.main_thread() and signal.getsignal(EXPIRED) == signal.SIG_DFL:
        signal.signal(EXPIRED, _expired)
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
    yield


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if _mine(session.config):
        _mark("session", "finish")


def _limit(item):
    """The seconds of the timeout marker, and whether pytest-timeout minds it."""
    limit = ""
    marker = item.get_closest_marker("timeout")
    if marker is not None:
        value = marker.args[0] if marker.args else marker.kwargs.get("timeout")
        try:
            limit = repr(float(value))
        except (TypeError, ValueError):
            pass
    return limit, "minded" if item.config.pluginmanager.hasplugin("timeout") else ""


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_setup(item):
    if _mine(item.config):
        _State.item, _State.outcome = item, ""
        _State.error, _State.phase = None, ""
        _mark("start", *_limit(item), item.nodeid)
        _mark("phase", "setup")
    yield


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_call(item):
    if _mine(item.config):
        _mark("phase", "call")
    yield


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_teardown(item):
    if _mine(item.config):
        _mark("phase", "teardown")
    yield


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


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    result = yield
    if not _mine(item.config) or _State.item is not item:
        return
    try:
        outcome = result.get_result().outcome
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
    if call.when == "teardown":
        if _State.outcome == "failed" and _State.error is not None:
            _mark("reason", _reason(_State.error))
        # pyrr reads these two at the mark.
        error, phase = _State.error, _State.phase  # noqa: F841
        _State.item = _State.error = None
        _mark("end", _State.outcome, item.nodeid)
