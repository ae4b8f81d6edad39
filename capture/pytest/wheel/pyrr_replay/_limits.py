"""Ends tests at their time limits where nothing is recorded: the limit was asked for,
and a machine that does not let itself be traced is no reason to hang.

The kernel's timers do it, so that there is no thread more than without pyrr, and what
a test does with signal.alarm() is its own affair. A test that does not let itself be
interrupted is ended with its process, after the stacks of all threads were written.
"""

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import traceback

import pytest

GRACE = 5.0  # seconds from the first interrupt to the end of the process
AGAIN = (2.0, 3.5, 3.75, 4.0, 4.25, 4.5)  # and when it is interrupted again
EXPIRED, HARD = 60, 61  # real-time signals that nobody uses

# Functions of pytest that call a test or a fixture.
INSIDE = ("runtest", "call_fixture_func")

# Folders of what calls tests, which is left out of stacks.
_PLUMBING = tuple(os.path.dirname(sys.modules[name].__file__) + os.sep for name in ("_pytest", "pluggy") if name in sys.modules)

_MONOTONIC = 1  # CLOCK_MONOTONIC
_TO_PROCESS, _TO_THREAD = 0, 4  # SIGEV_SIGNAL, SIGEV_THREAD_ID

active = None  # of the outermost session of this process


class _Event(ctypes.Structure):
    """struct sigevent, for a signal."""

    _fields_ = [("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int), ("tid", ctypes.c_int), ("rest", ctypes.c_char * 44)]


class _Times(ctypes.Structure):
    """struct itimerspec."""

    _fields_ = [("every", ctypes.c_long), ("every_ns", ctypes.c_long), ("first", ctypes.c_long), ("first_ns", ctypes.c_long)]


def _library():
    for name in (None, "librt.so.1"):  # where it is before glibc 2.34
        try:
            library = ctypes.CDLL(name)
            library.timer_create
            return library
        except (OSError, AttributeError, TypeError):
            pass
    return None


class _Timer:
    """One that sends a signal to the main thread, or to the process."""

    def __init__(self, library, signo, notify):
        self.library, self.id = library, ctypes.c_void_p()
        event = _Event(signo=signo, notify=notify, tid=os.getpid())
        if library.timer_create(_MONOTONIC, ctypes.byref(event), ctypes.byref(self.id)):
            raise OSError("timer_create")

    def set(self, seconds):
        """Has the signal sent after a time; not at all after 0."""
        if seconds:
            seconds = max(seconds, 1e-6)
        times = _Times(first=int(seconds), first_ns=int(seconds % 1 * 1e9))
        self.library.timer_settime(self.id, 0, ctypes.byref(times), None)


class _Timers:
    """Interrupts the main thread, and ends the process where that does not help."""

    def __init__(self, stderr, expired):
        library = _library()
        if library is None or threading.current_thread() is not threading.main_thread() or signal.getsignal(EXPIRED) != signal.SIG_DFL:
            raise OSError("no timers")
        self.library, self.pid, self.timers = library, 0, ()
        signal.signal(EXPIRED, expired)
        # Written by C code, whatever holds the interpreter; then the signal ends the process.
        faulthandler.register(HARD, file=stderr, all_threads=True, chain=True)

    def set(self, soft, hard):
        if self.pid != os.getpid():  # a child of fork has none
            self.pid = os.getpid()
            self.timers = [_Timer(self.library, EXPIRED, _TO_THREAD), _Timer(self.library, HARD, _TO_PROCESS), _Timer(self.library, signal.SIGKILL, _TO_PROCESS)]
        for timer, seconds in zip(self.timers, (soft, hard, hard and hard + 1)):
            timer.set(seconds)

    def close(self):
        self.set(0, 0)
        signal.signal(EXPIRED, signal.SIG_DFL)
        faulthandler.unregister(HARD)


class _Watchdog:
    """Where there are no such timers: the process ends at the limit."""

    def __init__(self, stderr):
        self.stderr = stderr

    def set(self, soft, hard):
        if soft:
            faulthandler.dump_traceback_later(soft, exit=True, file=self.stderr)
        elif not hard:
            faulthandler.cancel_dump_traceback_later()

    def close(self):
        self.set(0, 0)


class Limits:
    """A plugin of pytest. seconds is the limit of each test, 0 for none; why says what
    keeps the tests from being recorded."""

    def __init__(self, seconds, why):
        global active
        active = self
        self.seconds, self.why = seconds, why
        self.limit, self.test, self.lives, self.tries = 0, "", False, 0
        self.stderr = os.dup(2)  # not what pytest captures
        try:
            from . import pyrr_interrupt

            self.interrupts, self.timers = pyrr_interrupt, _Timers(self.stderr, self.expired)
        except (ImportError, OSError, AttributeError, ValueError):
            self.interrupts, self.timers = None, _Watchdog(self.stderr)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        global active
        self.timers.close()
        os.close(self.stderr)
        active = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node):  # of pytest-xdist
        node.workerinput["pyrr_limit"] = [self.seconds, self.why]

    @pytest.hookimpl(tryfirst=True, hookwrapper=True)
    def pytest_runtest_setup(self, item):
        self.limit, self.test, self.tries = self.of(item), item.nodeid, 0
        if self.interrupts:
            hypothesis = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
            self.interrupts.begin(self.interrupts.Timeout if hypothesis else pytest.fail.Exception, INSIDE)
        self.timers.set(self.limit, self.limit and self.limit + GRACE)
        self.lives = True
        yield
        self.over()

    @pytest.hookimpl(tryfirst=True, hookwrapper=True)
    def pytest_runtest_call(self):
        self.lives = True
        yield
        self.over()

    @pytest.hookimpl(tryfirst=True, hookwrapper=True)
    def pytest_runtest_teardown(self):
        if self.interrupts:
            self.interrupts.over()
        self.lives = True
        yield
        self.over()
        self.timers.set(0, 0)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call):
        result = yield
        report = result.get_result()
        if self.tries and call.when == "call" and report.outcome == "passed":
            # It went on after its interrupt, to its end.
            report.outcome, report.longrepr = "failed", "Timeout: " + self.words()

    def over(self):
        """Ends a phase. A test that was interrupted has heeded that, and its teardown
        may take its time."""
        self.lives = False
        if self.tries:
            self.timers.set(0, GRACE)

    def of(self, item):
        """The limit of a test: of its marker, or of all."""
        marker = item.get_closest_marker("pyrr")
        own = _seconds(marker.kwargs.get("timeout")) if marker is not None else 0
        if own:
            return own
        marker = item.get_closest_marker("timeout")
        if marker is None:
            return self.seconds
        if item.config.pluginmanager.hasplugin("timeout"):
            return 0  # pytest-timeout's to mind
        return _seconds(marker.args[0] if marker.args else marker.kwargs.get("timeout")) or self.seconds

    def words(self):
        return "not recorded by pyrr, after %gs" % self.limit

    def expired(self, signum, frame):
        """Interrupts the test, and has that done again: frameworks catch what it raises."""
        __tracebackhide__ = True
        if not self.lives:
            self.timers.set(0.1, GRACE)  # between phases pytest makes reports
            return
        if self.tries == 0:
            self.dump(frame)
        elapsed = AGAIN[self.tries - 1] if self.tries else 0
        self.tries += 1
        if self.tries <= len(AGAIN):
            self.timers.set(AGAIN[self.tries - 1] - elapsed, GRACE - elapsed)
        self.interrupts.interrupt(frame, self.words())

    def dump(self, frame):
        """Writes where the threads are, into the test's captured output."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        lines = ["pyrr: %s took longer than %gs, and was not recorded: %s; its threads:\n" % (self.test, self.limit, self.why)]
        for ident, top in sys._current_frames().items():
            if ident == threading.get_ident():
                top = frame
            lines.append("\n%s:\n" % names.get(ident, "thread %d" % ident))
            lines.extend(traceback.format_list(_own(traceback.extract_stack(top))))
        try:
            sys.stderr.write("".join(lines))
        except (OSError, ValueError, AttributeError):
            pass


def _own(stack):
    """Those frames of a stack that are the test's, all where it has none."""
    for i in range(len(stack) - 1, -1, -1):
        if stack[i].filename.startswith(_PLUMBING):
            return stack[i + 1:] or stack
    return stack


def _seconds(value):
    try:
        return max(float(value), 0)
    except (TypeError, ValueError):
        return 0
