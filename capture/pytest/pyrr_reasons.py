"""What became of the recordings of tests that failed, in pytest's reports: the recorder
is asked once, when all tests ran.
"""

import json
import os
import socket
from time import monotonic  # tests replace that of time

# Where the recorder tells what became of recordings, once it keeps one.
REASONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reasons")
PATIENCE = 300  # seconds for finishing recordings

_Socket = socket.socket  # tests replace that, too


def ask():
    """Asks the recorder for what it kept: dicts with test, outcome, recording, reason."""
    if not os.path.exists(REASONS):
        return []
    until = monotonic() + PATIENCE
    answer = b""
    try:
        with _Socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE)
            s.connect(REASONS)
            while monotonic() < until:
                part = s.recv(1 << 16)
                if not part:
                    return json.loads(answer.decode())
                answer += part
    except (OSError, ValueError):
        pass  # the recorder names them itself when all has ended
    return []


def sentence(kept, reason="reason"):
    """What is said of a recording, in one line each; "plain" is without values."""
    return ([kept[reason]] if kept[reason] else []) + ["recorded in " + kept["recording"]]


def _real(kept, text):
    """A text that names the recording as it was to be called: it is another file where it
    could not be packed."""
    base, dot, suffix = kept["recording"].rpartition(".pyrr.")
    return text.replace(base + ".pyrr.zip", kept["recording"]) if dot and suffix != "zip" else text


def _pairs(all_kept, failures):
    """Each recording with what is reported of it: failures(test) are a test's, in order. Of
    one that was run again there are recordings of each attempt, and a failure of the last."""
    by_test = {}
    for kept in all_kept:
        by_test.setdefault(kept["test"], []).append(kept)
    for test, of in by_test.items():
        found = failures(test)
        for kept, failure in zip(of[max(0, len(of) - len(found)):], found):
            yield kept, failure


def _tell_reports(config, all_kept):
    """Adds the reasons to the reports of the failed tests, which are printed later."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None:
        return
    failed = terminal.stats.get("failed", []) + terminal.stats.get("error", [])

    def failures(test):
        return [r for r in failed if getattr(r, "nodeid", None) == test and not any(name == "pyrr" for name, _ in r.sections)]

    for kept, report in _pairs(all_kept, failures):
        report.sections.append(("pyrr", "\n".join(sentence(kept))))
        if isinstance(report.longrepr, str):
            report.longrepr = _real(kept, report.longrepr)
            if kept["reason"] and " by pyrr " in report.longrepr:
                report.longrepr = "Timeout: %s\n%s" % (kept["reason"], report.longrepr)
        else:
            _tell_failure(report.longrepr, kept)


def _tell_failure(longrepr, kept):
    """Adds the reason, if there is one, to the failure that the recorder caused: in its
    text, and first in the line of the short summary."""
    reason = kept["reason"]
    crash = getattr(longrepr, "reprcrash", None)
    if crash is None or " by pyrr " not in str(crash.message):
        return
    crash.message = "Timeout: " + reason if reason else _real(kept, crash.message)
    lines = longrepr.reprtraceback.reprentries[-1].lines
    for n, line in enumerate(lines):
        if line.startswith("E ") and " by pyrr " in line:
            lines[n] = _real(kept, line)
            if reason:
                indent = line[: len(line) - len(line[1:].lstrip())]
                lines.insert(n + 1, indent + reason)
            break


def _tell_junit(config, all_kept):
    """Adds the reasons to the JUnit report, before it is written."""
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ != "LogXML":
            continue
        from _pytest.junitxml import mangle_test_address

        bad = []
        for case in [reporter.to_xml() for reporter in plugin.node_reporters_ordered]:
            element = next((e for e in case if e.tag in ("failure", "error")), None)
            if element is not None:
                bad.append((case, element))

        def failures(test):
            names = mangle_test_address(test)
            if plugin.prefix:
                names.insert(0, plugin.prefix)
            where = (".".join(names[:-1]), names[-1])
            return [(case, e) for case, e in bad if (case.get("classname"), case.get("name")) == where]

        for kept, (case, element) in _pairs(all_kept, failures):
            _tell_case(case, element, kept)


def _tell_case(case, bad, kept):
    if bad.text:
        bad.text = _real(kept, bad.text)
    if bad.get("message"):
        bad.set("message", _real(kept, bad.get("message")))
    if kept["reason"]:
        bad.set("message", "%s: %s" % ("Timeout" if kept["outcome"] == "timeout" else "pyrr", kept["plain"]))
    out = next((e for e in case if e.tag == "system-out"), None)
    if out is None:
        out = type(case)("system-out")
        case.append(out)
    out.text = (out.text + "\n" if out.text else "") + "\n".join(["pyrr:"] + sentence(kept, "plain"))


def _tell_html(config, all_kept):
    """Adds the reasons to the rows of pytest-html, before it writes its report."""
    from html import escape

    for plugin in config.pluginmanager.get_plugins():
        data = getattr(getattr(plugin, "_report", None), "data", None)
        if not isinstance(data, dict) or "tests" not in data:
            continue

        def failures(test):
            return [row for row in data["tests"].get(test, ()) if row.get("result") in ("Failed", "Error")]

        for kept, row in _pairs(all_kept, failures):
            row["log"] = escape("\n".join(["pyrr:"] + sentence(kept, "plain"))) + "\n\n" + row.get("log", "")


def tell(config, all_kept):
    """Adds the reasons to the reports that others write."""
    for report in (_tell_reports, _tell_junit, _tell_html):
        try:
            report(config, all_kept)
        except Exception:  # of another pytest; the section at the end has it all
            pass
