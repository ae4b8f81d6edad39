"""What sessions of one recorded command leave for the next, of pytest alone.

Where a test does not let itself be interrupted its process is ended, and the
recorder runs the tests behind it in a fresh session. Each session leaves the ids of
its tests and the reports of those that ran; the fresh one takes them over.
"""

import json
import os
from posix import close, getppid, open as open_fd, write  # tests replace those of os

from pyrr_marks import as_bytes

# In the folder of this file. RECORDER holds the number of the process whose child
# may leave and take over, RESUME what ran.
HERE = os.path.dirname(os.path.abspath(__file__))
RECORDER = os.path.join(HERE, "recorder")
RESUME = os.path.join(HERE, "resume")
REPORTS = os.path.join(HERE, "reports")
ITEMS = os.path.join(HERE, "items.")

_reports = []  # of the test that runs, as lines


def _id(item):
    return as_bytes(item.nodeid).decode("utf-8", "replace")


def is_root():
    """Whether this process is the recorded command itself."""
    try:
        with open(RECORDER) as f:
            return int(f.read()) == getppid()
    except (OSError, ValueError):
        return False


def save_items(session):
    try:
        with open(ITEMS + str(os.getpid()), "w") as f:
            json.dump([_id(item) for item in session.items], f)
    except OSError:
        pass  # another user's session


def _ran():
    """What ran in the sessions before, None where there were none."""
    if not os.path.exists(RESUME) or not is_root():
        return None
    try:
        with open(RESUME, encoding="utf-8") as f:
            return set(json.load(f))
    except (OSError, ValueError):
        return None


def leave_out(items):
    """Leaves out of a session what ran in those before."""
    ran = _ran()
    if ran is not None:
        items[:] = [item for item in items if _id(item) not in ran]


def take_over(session):
    """Reports what ran in the sessions before as if it had run in this one."""
    if _ran() is None:
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


def keep_report(config, report):
    """Leaves the reports of a test for a fresh session, once it is over."""
    try:
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        _reports.append(json.dumps(data) + "\n")
    except Exception:  # of another plugin's making
        data = {"$report_type": "TestReport", "nodeid": report.nodeid, "location": report.location, "keywords": {}, "when": report.when,
                "outcome": report.outcome, "longrepr": str(report.longrepr or "") or None, "duration": report.duration}
        _reports.append(json.dumps(data) + "\n")
    if report.when == "teardown":
        lines = "".join(_reports).encode()
        del _reports[:]
        try:
            fd = open_fd(REPORTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                write(fd, lines)
            finally:
                close(fd)
        except OSError:
            pass
