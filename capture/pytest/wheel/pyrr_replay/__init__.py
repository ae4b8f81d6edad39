"""pyrr records test runs and replays them exactly. The command is pyrr; in this
package is what `pytest --pyrr` needs (pytest_plugin)."""

import os as _os
import threading as _threading
from contextlib import contextmanager as _contextmanager
from os import access as _access

__all__ = ["region"]

_REGION = b"/dev/null/pyrr/1/region/"
_LONGEST = 3000  # of PATH_MAX
_lock = _threading.Lock()  # whose thread is in a region
_owner = None  # that thread


@_contextmanager
def region(name):
    """Marks what runs inside as a region, for `pyrr record --from-mark NAME`.

    Without the recorder it is two system calls that fail. Only one region of a
    process is recorded at a time: one that begins meanwhile, in it or in another
    thread, is a part of it.
    """
    global _owner
    lock = _lock
    if not lock.acquire(blocking=False):
        yield
        return
    _owner = _threading.get_ident()
    outcome = b"passed"
    label = str(name).encode("utf-8", "backslashreplace").replace(b"\0", b"\\0")[:_LONGEST]
    try:
        _mark(b"begin/" + label)
        yield
    except BaseException:
        outcome = b"failed"
        raise
    finally:
        _mark(b"end/" + outcome + b"/" + label)
        _owner = None
        lock.release()


def _mark(text):
    try:
        _access(_REGION + text, 0)
    except (OSError, ValueError):
        pass


def _forked():
    """Frees a child of the region of a thread that it does not have."""
    global _lock
    if _lock.locked() and _owner != _threading.get_ident():
        _lock = _threading.Lock()


if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_forked)
