"""Tells pyrr's recorder what unittest is doing, by the same marks as the plugin of
pytest (pyrr_marks.py). Used by `python -m unittest`, unittest.main(), Django's
`manage.py test` and what else runs TestCase.run(); under pytest its own plugin does it.
"""

import atexit
import os
import signal
import sys
import threading
from importlib.util import module_from_spec, spec_from_file_location

__unittest = True  # its frames are left out of tracebacks, as unittest's own are

# Functions of unittest that call a part of a test, and catch what it raises.
INSIDE = ("_callTestMethod", "_callSetUp", "_callTearDown", "_callCleanup")


def _load(name):
    """Loads a module beside this one: the path may be another by now."""
    spec = spec_from_file_location(name, os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pyrr_interrupt = _load("pyrr_interrupt")
_marks = _load("pyrr_marks")
mark, reason = _marks.mark, _marks.reason


class _State:
    pid = 0  # of the process whose session has begun
    test = None  # between its marks
    error = None  # what it failed with first
    telling = 0  # calls that tell a result of a failure: what is raised there ends the run


def _other():
    """Whether pytest runs the tests, or they are tests within a test."""
    plugin = sys.modules.get("pyrr_pytest")
    return _State.test is not None or plugin is not None and plugin._State.config is not None


def _expired(signum, frame):
    if _State.test is not None and not _State.telling:
        pyrr_interrupt.interrupt(frame)


def _begin():
    """Begins the session of this process, once: workers are forks."""
    if _State.pid == os.getpid():
        return
    worker = _State.pid != 0
    _State.pid = os.getpid()
    handles = ""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(pyrr_interrupt.EXPIRED) in (signal.SIG_DFL, _expired):
        signal.signal(pyrr_interrupt.EXPIRED, _expired)
        handles = "handles"
    mark("session", "worker" if worker else "start", handles)
    mark("session", "run")
    if not worker:
        atexit.register(_finish)


def _finish():
    if _State.pid == os.getpid():
        mark("session", "finish")


class _Watched:
    """Notes what a result is told of failures, for as long as a test runs."""

    NAMES = ("addError", "addFailure", "addSubTest")

    def __init__(self, result):
        self.result = result

    def __enter__(self):
        for name in self.NAMES:
            method = getattr(self.result, name, None)
            if method is not None:
                setattr(self.result, name, self.noting(method, name != "addSubTest"))

    def noting(self, method, ends):
        def told(*args):
            err = args[-1]
            if _State.error is None and isinstance(err, tuple) and len(err) == 3 and isinstance(err[1], BaseException):
                _State.error = err[1]
            _State.telling += 1
            if ends and pyrr_interrupt.told():
                mark("phase", "report")  # it has heeded that
            try:
                return method(*args)
            finally:
                _State.telling -= 1

        return told

    def __exit__(self, *exc):
        for name in self.NAMES:
            self.result.__dict__.pop(name, None)


def pytest_runtest_makereport(name):
    """The end of a test; pyrr reads these two variables at the mark, in a function
    of this name."""
    error, phase = _State.error, "call"  # noqa: F841
    outcome = "passed"
    if error is not None:
        outcome = "failed"
        if not str(error).startswith("Timeout: recorded by pyrr"):
            mark("reason", reason(error))
    _State.test = _State.error = None
    mark("end", outcome, name)


def _caught(test, result):
    """Has a test fail that caught its interrupt and went on to its end."""
    told = pyrr_interrupt.told()
    if told and _State.error is None and hasattr(test, "failureException"):
        result.addFailure(test, (AssertionError, AssertionError("Timeout: " + told), None))


def _marked(test, name, result, call):
    if result is None or _other():
        return call()
    _begin()
    _State.test, _State.error, _State.telling = test, None, 0
    pyrr_interrupt.begin(getattr(test, "failureException", AssertionError), INSIDE)
    mark("start", "", "", name)
    mark("phase", "call")
    try:
        with _Watched(result):
            returned = call()
            _caught(test, result)
            return returned
    finally:
        pyrr_interrupt.over()
        pytest_runtest_makereport(name)


def watch():
    """Puts the marks around the tests, and around what classes and modules set up and
    tear down, where there is something."""
    from unittest import case
    from unittest import suite

    run = case.TestCase.run

    def run_marked(self, result=None):
        return _marked(self, self.id(), result, lambda: run(self, result))

    run_marked.__wrapped__, run_marked.__name__, run_marked.__qualname__, run_marked.__doc__ = run, "run", run.__qualname__, run.__doc__
    case.TestCase.run = run_marked

    def around(name, part, plain):
        method = getattr(suite.TestSuite, name)

        def marked(self, test, result):
            cls = _class_of(name, test, result)
            if cls is None or plain(cls):
                return method(self, test, result)
            return _marked(cls, "%s.%s.%s" % (cls.__module__, cls.__qualname__, part), result, lambda: method(self, test, result))

        marked.__wrapped__, marked.__name__ = method, name
        setattr(suite.TestSuite, name, marked)

    def inherits(part):
        own = getattr(case.TestCase, part).__func__
        return lambda cls: getattr(getattr(cls, part, None), "__func__", own) is own

    around("_handleClassSetUp", "setUpClass", inherits("setUpClass"))
    around("_tearDownPreviousClass", "tearDownClass", inherits("tearDownClass"))
    around("_handleModuleFixture", "setUpModule", lambda cls: not hasattr(sys.modules.get(cls.__module__), "setUpModule"))


def _class_of(name, test, result):
    """The class that a step is about, None where it does nothing."""
    last, now = getattr(result, "_previousTestClass", None), test.__class__
    if name == "_tearDownPreviousClass":
        return last if isinstance(last, type) and last is not now else None
    if last is now or name == "_handleModuleFixture" and getattr(last, "__module__", None) == now.__module__:
        return None
    return now
