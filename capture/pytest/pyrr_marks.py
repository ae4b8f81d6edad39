"""The marks by which pyrr's recorder learns what a test runner does: each is an
access(2) of a path below /dev/null, which can't exist. Without a recorder that looks
at system calls, nothing happens.
"""

from posix import access  # tests replace those of os

__unittest = True  # its frames are left out of tracebacks, as unittest's own are
PREFIX = b"/dev/null/pyrr/1/"
LONGEST = 3000  # of PATH_MAX


def mark(*parts):
    path = PREFIX + b"/".join(as_bytes(p) for p in parts)
    try:
        access(path, 0)
    except (OSError, ValueError):
        pass


def as_bytes(text):
    return text.encode("utf-8", "backslashreplace").replace(b"\0", b"\\0")[:LONGEST]


def reason(error):
    """What an exception is and the line where it was raised: tests that fail
    alike have it alike."""
    tb = error.__traceback__
    if tb is None:
        return type(error).__name__
    while tb.tb_next is not None:
        tb = tb.tb_next
    return "%s %s:%d" % (type(error).__name__, tb.tb_frame.f_code.co_filename, tb.tb_lineno)
