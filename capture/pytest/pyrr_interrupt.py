"""Interrupts a test whose time is up, each time in another way: frameworks catch what
a test raises, and go on. The handler of the recorder's signal calls interrupt(). The
wheel has a copy, for limits where nothing is recorded.
"""

import os
import sys
from posix import readlink  # tests replace those of os

__unittest = True  # its frames are left out of tracebacks, as unittest's own are
MARK = b"/dev/null/pyrr/1/"

# What the recorder sends when a test's time is up, and again while it goes on.
EXPIRED = 60


class Timeout(BaseException):
    """Ends a test that went on after its first interrupt, or would take that for a
    failure to look into (hypothesis runs what failed again)."""


Timeout.__module__ = "builtins"  # shown without it


class _State:
    first = None  # makes what is raised first
    inside = ()  # the names of functions that catch what a test raises
    tries = 0  # how often the test was interrupted
    cancelled = False  # by its framework
    raised = None  # what it was interrupted with first
    why = ""
    before = None  # the trace function of others
    traced = False
    lines = 0  # of the test until it is interrupted


def begin(first, inside):
    """Begins a test. first makes an exception of a text, inside are the names of the
    functions that call the test and catch what it raises."""
    over()
    _State.first, _State.inside = first, inside
    _State.tries, _State.cancelled, _State.raised = 0, False, None


def over():
    """Ends what is left of the interrupts, before the test is torn down."""
    if _State.traced:
        _State.traced = False
        sys.settrace(_State.before)
        _State.before = None


def told():
    """What the test was told, None where it was not interrupted."""
    return _State.why if _State.tries else None


def interrupt(frame, why=None):
    """Interrupts the test. frame is where it is; why is asked of the recorder, where
    nobody says it."""
    __tracebackhide__ = True
    if why is None:
        try:
            why = os.fsdecode(readlink(MARK + b"why"))
        except OSError:
            return  # not from the recorder
    _State.tries += 1
    _State.why = why
    if not _State.cancelled and (_cancel_trio() or _cancel_twisted(frame)):
        _State.cancelled = True
        return
    if _State.raised is None:
        _State.raised = _State.first("Timeout: " + why)
        _end_trio(frame, _State.raised)
        raise _State.raised
    if _handled(_State.raised):
        # What the test does in a finally, or behind a with, has a second time.
        if _State.tries == 2:
            return
    error = Timeout(why)
    _end_trio(frame, error)
    if _State.tries > 2:
        _trace(frame)  # nothing between this and the raise has a line that counts
    raise error


def _cancel_trio():
    """Has trio cancel its main task, if it waits for something itself: what is raised
    there ends trio without the tasks' cleaning up."""
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    try:
        if _runs(lowlevel.current_task):
            return False
        nursery = lowlevel.current_root_task().child_nurseries[-1]
        lowlevel.current_trio_token().run_sync_soon(nursery.cancel_scope.cancel)
    except Exception:  # it does not run here, or is another trio
        return False
    return True


def _runs(current_task):
    try:
        return current_task() is not None
    except RuntimeError:
        return False


def _cancel_twisted(frame):
    """Has Twisted's reactor stop, if it waits for something itself: it logs what is
    raised there, and goes on. It can be run again after that."""
    reactor = sys.modules.get("twisted.internet.reactor")
    if reactor is None or not frame.f_globals.get("__name__", "").startswith("twisted.internet."):
        return False
    try:
        if not reactor.running:
            return False
        reactor.callFromThread(_cancel_deferred(frame) or reactor.crash)
    except Exception:
        return False
    return True


def _cancel_deferred(frame):
    """What cancels the Deferred that a test waits for, here or in another greenlet:
    trial takes a stopped reactor for Ctrl-C, and the reactor of pytest-twisted is to
    run on for the tests behind."""
    greenlet = sys.modules.get("greenlet")
    other = getattr(greenlet.getcurrent().parent, "gr_frame", None) if greenlet else None
    for frame in (frame, other):
        while frame is not None:
            if (frame.f_globals.get("__name__"), frame.f_code.co_name) in _WAIT and "d" in frame.f_locals:
                return frame.f_locals["d"].cancel
            frame = frame.f_back
    return None


_WAIT = {("twisted.trial._asynctest", "_wait"), ("pytest_twisted", "blockon"), ("pytest_twisted", "blockon_default")}


def _end_trio(frame, error):
    """Ends trio's run, where a frame that it waits in is going to be left: no other
    could begin."""
    while frame is not None:
        if frame.f_code.co_name == "run" and frame.f_globals.get("__name__") == "trio._core._run":
            gen = frame.f_locals.get("gen")
            if gen is not None and not gen.gi_running:
                try:
                    gen.throw(error)
                except BaseException:  # of trio: an internal error
                    pass
            return
        frame = frame.f_back


def _trace(frame):
    """Has a later line of the test interrupted too: one of the handler, where one
    catches what is raised now. A trace function raises but once, and lines of the
    way to that handler come first, so it is another line each time."""
    if not _within(frame):
        return
    _State.lines = _State.tries - 3
    if not _State.traced:
        _State.before, _State.traced = sys.gettrace(), True
    while frame is not None and frame.f_code.co_name not in _State.inside:
        frame.f_trace = _next_line
        frame = frame.f_back
    sys.settrace(_next_line)


def _next_line(frame, event, arg):
    if event not in ("call", "line"):
        return _next_line
    if _within(frame):
        if _State.lines == 0:
            raise Timeout(_State.why)  # which ends the tracing
        _State.lines -= 1
        return _next_line
    over()  # the test is left
    return None


def _handled(error):
    """Whether what was interrupted is handling that error."""
    now, seen = sys.exc_info()[1], 0
    while now is not None and seen < 100:
        if now is error:
            return True
        now, seen = now.__context__, seen + 1
    return False


def _within(frame):
    """Whether a frame is below the functions that catch what a test raises."""
    while frame is not None:
        if frame.f_code.co_name in _State.inside:
            return True
        frame = frame.f_back
    return False
