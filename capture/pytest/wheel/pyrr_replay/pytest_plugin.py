"""pytest --pyrr: the same session again, under the recorder.

Where pytest is asked for it (--pyrr, on the command line or in addopts, or
PYRR=1 in the environment), its process becomes `pyrr record … -- COMMAND`, with
the command that it was started by, before anything was collected or imported
from the project. There another plugin, which the recorder brings along, tells it
where tests begin and end. Where another program began the session, so that it
can't be started again, the recorder attaches to its process (_within). Where nobody
asks, nothing happens; where the session can't be recorded, a line says why and it
goes on as ever, except for its time limits, which hold all the same (_limits).
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest

MARKER = "pyrr(keep=WHEN, timeout=SECONDS): when to keep the recording of this test, and its time limit"
KEEP = ("always", "timeout", "failure", "never")

# Set for the session that was started again, and for what that starts.
STARTED = "PYRR_SESSION"

# Why the recorder did not record, set by it where it runs the session all the same.
UNRECORDED = "PYRR_UNRECORDED"

# The least limits of address space and of data (ulimit -v and -d, in KiB) under which pyrr works: headroom.Addresses.
LEAST = (("RLIMIT_AS", "-v", 850_000), ("RLIMIT_DATA", "-d", 400_000))

# The limits of a session that is not recorded, and why not, before it is configured.
_limited = []


def pytest_addoption(parser):
    group = parser.getgroup("pyrr", "recordings of tests that hang or fail")
    group.addoption("--pyrr", action="store_true", default=False,
                    help="run the tests under pyrr's recorder, and keep what hangs or fails (or PYRR=1)")
    group.addoption("--pyrr-timeout", metavar="TIME", help="end tests that take longer: 30, 2.5s, 5m")
    group.addoption("--pyrr-keep", metavar="WHEN", choices=KEEP,
                    help="when to keep the recording of a test: failure (default), timeout, always, never")
    group.addoption("--pyrr-dir", metavar="DIR", help="the folder for recordings (default: recordings)")


def pytest_configure(config):
    config.addinivalue_line("markers", MARKER)
    limited = _limited.pop() if _limited else getattr(config, "workerinput", {}).get("pyrr_limit")
    if limited:
        from . import _limits

        if _limits.active is None:  # else a session within a test
            config.pluginmanager.register(_limits.Limits(*limited), "pyrr_limits")


# Around pytest's capturing, which begins in the same hook.
@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_load_initial_conftests(early_config):
    why = os.environ.pop(UNRECORDED, "")
    if not why and _asked(early_config.known_args_namespace):
        why = _start_again(early_config)
        if why:
            print("pyrr: warning: not recorded: " + why, file=sys.stderr)
    if why:
        _limited[:] = [(_limit(early_config), why)]
    yield


def _limit(config):
    """The seconds that a test may take, 0 where there is no limit: as given, or as set
    in the project, which pyrr knows to read."""
    given = config.known_args_namespace.pyrr_timeout
    seconds = 0
    for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h|)", given or ""):
        try:
            seconds += float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "": 1}[unit]
        except ValueError:
            pass
    pyrr = _binary()
    if given or not pyrr:
        return seconds
    try:
        return float(subprocess.check_output([pyrr, "record", "--tell-timeout", "--settings-from=" + str(_root(config))], stderr=subprocess.DEVNULL))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return 0


def _asked(options):
    wanted = os.environ.get("PYRR", "").lower()
    if wanted in ("0", "no", "false", "off"):
        return False
    if not options.pyrr and wanted not in ("1", "yes", "true", "on"):
        return False
    if any(getattr(options, name, False) for name in ("help", "version", "collectonly", "markers", "showfixtures", "show_fixtures_per_test")):
        return False
    return STARTED not in os.environ and "PYTEST_XDIST_WORKER" not in os.environ


def _start_again(config):
    """Becomes the recorder; returns why that is not possible, "" for a good reason."""
    if not sys.platform.startswith("linux"):
        return "pyrr records on Linux only"
    tracer = _tracer()
    if tracer:
        return "" if tracer == "pyrr" else "process %s traces this one" % tracer
    pyrr = _binary()
    if not pyrr:
        return "there is no program pyrr on the PATH"
    few = _few_addresses()
    if few:
        return few
    command, why = _command(config)
    if why and not os.path.exists("/proc/self/mem"):
        return why
    options = config.known_args_namespace
    argv = [pyrr, "record", "--default-keep=failure", "--settings-from=" + str(_root(config))]
    for name, value in (("timeout", options.pyrr_timeout), ("keep", options.pyrr_keep), ("output", options.pyrr_dir)):
        if value is not None:
            argv.append("--%s=%s" % (name, value))
    if why:
        return _from_within(config, argv)
    argv.append("--or-else-run")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    os.environ[STARTED] = "1"
    try:
        os.execv(pyrr, argv + ["--"] + command)
    except OSError as e:
        del os.environ[STARTED]
        return "%s: %s" % (pyrr, e.strerror)


def _few_addresses():
    """Why pyrr can't work under this process's limits of address space and data, "" where it can."""
    try:
        import resource
    except ImportError:
        return ""
    for name, flag, least in LEAST:
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY and limit >> 10 < least:
            return "ulimit %s is %d, and pyrr takes %d" % (flag, limit >> 10, least)
    return ""


def _from_within(config, argv):
    """Lets the recorder attach to this process; returns why it did not."""
    from . import _within

    recorder = _within.Recorder(argv + ["--within", "--pid=%d" % os.getpid()])
    os.environ[STARTED] = "1"
    plugin = recorder.start()
    if plugin is None:
        del os.environ[STARTED]
        return recorder.why or "the recorder could not attach to the process that called pytest.main()"
    if not config.pluginmanager.hasplugin("pyrr_pytest"):
        config.pluginmanager.register(plugin, "pyrr_pytest")
    config.pluginmanager.register(_Session(recorder), "pyrr_session")
    return ""


class _Session:
    """Ends the recording of a session that was recorded from within."""

    def __init__(self, recorder):
        self.recorder = recorder

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        self.recorder.end()
        os.environ.pop(STARTED, None)


def _root(config):
    return getattr(config, "rootpath", None) or config.rootdir


def _tracer():
    """What traces this process: "pyrr", a number of another process, or ""."""
    try:
        with open("/proc/self/status") as f:
            pid = next(line.split()[1] for line in f if line.startswith("TracerPid:"))
        if pid == "0":
            return ""
        with open("/proc/%s/comm" % pid) as f:
            return "pyrr" if f.read().strip() == "pyrr" else pid
    except (OSError, StopIteration):
        return ""


def _command(config):
    """The command that this session was started by, and why there is none."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None) or ""
    spec = getattr(getattr(main, "__spec__", None), "name", "")
    folder, name = os.path.split(file)
    if spec not in ("pytest.__main__", "pytest") and name not in ("pytest", "py.test") and (
        name != "__main__.py" or os.path.basename(folder) != "pytest"
    ):
        by = file or "an interactive Python"
        return None, "%s started this session and can't be started again; pyrr record --keep failure -- COMMAND records it" % by
    try:
        with open("/proc/self/cmdline", "rb") as f:
            command = [os.fsdecode(word) for word in f.read().split(b"\0")[:-1]]
    except OSError as e:
        return None, "/proc/self/cmdline: %s" % e.strerror
    given = [str(arg) for arg in config.invocation_params.args]
    if given and command[-len(given):] != given:
        return None, "its arguments are not those that the process was started with"
    return [sys.executable or command[0]] + command[1:], ""


def _binary():
    beside = os.path.join(sysconfig.get_path("scripts") or "", "pyrr.exe" if os.name == "nt" else "pyrr")
    return beside if os.access(beside, os.X_OK) else shutil.which("pyrr")
