"""Records the tests of this process from where it is: for a session of pytest that
another program began, so that it can't be started again under the recorder. That
attaches to this process instead, and lets it go when the session is over.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys

# prctl(2): with Yama, only those named by this may attach (ptrace_scope 1).
_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)


def _paths():
    """The sys.path that pytest-xdist hands to its workers, as it was when that was
    imported; None without it."""
    paths = getattr(sys.modules.get("xdist.plugin"), "_sys_path", None)
    return paths if isinstance(paths, list) else None


class Recorder:
    """The recorder of this process, from start() to end()."""

    def __init__(self, argv):
        self.argv = argv
        self.pid = 0
        self.owner = os.getpid()
        self.says = None
        self.folder = ""
        self.plugin = None
        self.why = ""  # it did not attach

    def start(self):
        """Waits until the recorder has attached; returns the plugin by which pytest
        tells it where tests begin and end, None where it did not attach: why says
        what kept it from that, or it has said so itself."""
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)
        except (OSError, AttributeError):
            pass
        reads, writes = os.pipe()
        try:
            # No child of this process: tests may wait for all that it has.
            subprocess.call(["/bin/sh", "-c", '"$0" "$@" &'] + self.argv, stdin=subprocess.DEVNULL, stdout=writes, start_new_session=True)
        finally:
            os.close(writes)
        self.says = os.fdopen(reads, "rb", buffering=0)
        line = b""
        while not line.endswith(b"\n"):
            part = self.says.read(1)
            if not part:
                self.says.close()
                return None
            line += part
        pid, self.folder = line.decode("utf-8", "surrogateescape").rstrip("\n").split(" ", 1)
        if pid == "-":
            self.why = self.folder
            self.says.close()
            return None
        self.pid = int(pid)
        for name in os.listdir(self.folder):
            if name.startswith("pyrr_"):
                sys.modules.pop(os.path.splitext(name)[0], None)  # of a session before this one
        # The plugin takes it back, but where there are workers, which get it.
        sys.path.insert(0, self.folder)
        if _paths() is not None:
            _paths().insert(0, self.folder)
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = self.folder + (os.pathsep + path if path else "")
        import pyrr_pytest

        self.plugin = pyrr_pytest
        return pyrr_pytest

    def end(self):
        """Tells the recorder that the tests are over, and waits for the recordings."""
        if self.owner != os.getpid() or self.says.closed:
            return
        if not select.select([self.says], [], [], 0)[0]:  # else it has ended
            try:
                os.kill(self.pid, signal.SIGTERM)
            except OSError:
                pass
        while self.says.read(4096):
            pass
        self.says.close()
        self.plugin._hide(None)
        if _paths() is not None and self.folder in _paths():
            _paths().remove(self.folder)
        expired = self.plugin.pyrr_interrupt.EXPIRED
        if signal.getsignal(expired) is self.plugin._expired:
            signal.signal(expired, signal.SIG_DFL)
