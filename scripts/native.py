#!/usr/bin/env python3
"""Runs the fixtures without pyrr: each must end as its header says, on every interpreter present.

Usage: native.py [-i NAME]... [-n TIMES] [FIXTURE]...

A fixture's header, in comments of the form "# key: value":

    requires: python>=3.12    skipped on older versions; may stand more than once
    requires: numpy           skipped where the module can't be imported
    exit: 139                 the exit status, 128+n for signal n; 0 without
    hangs: yes                never ends by itself: interrupted after a while, ends with 130

and two that are about recording it: follow, incomplete.

Lines of stdout that begin with "~" may differ between two runs; all others may
not, on the same interpreter. Each is run -n times (2) and those are compared.
"""
import argparse
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIXTURES = os.path.join(ROOT, "fixtures")
LIMIT = 60
SLOW = 2.0


def interpreters():
    """Name, version and command of each, as interpreters.sh lists them, and the virtual environment."""
    out = subprocess.run([os.path.join(ROOT, "scripts", "interpreters.sh"), "list"], stdout=subprocess.PIPE, check=True)
    found = []
    for line in out.stdout.decode().splitlines():
        name, version, *command = line.split()
        found.append((name, version, command))
    cache = os.environ.get("PYRR_CACHE", "/var/cache/pyrr")
    for folder in (cache, os.path.expanduser("~/.cache/pyrr")):
        python = os.path.join(folder, "venv-311", "bin", "python")
        if os.path.exists(python):
            found.append(("venv-311", "3.11", [python]))
            break
    return found


def header(path):
    """The keys of a fixture's header comments, each with the list of its values."""
    keys = {}
    with open(path) as f:
        for line in f:
            if line.startswith(("import ", "from ")):
                break
            m = re.match(r"# (requires|exit|hangs): (.+)", line)
            if m:
                keys.setdefault(m.group(1), []).append(m.group(2).strip())
    return keys


def environment():
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE", "LC_"))}
    env["LANG"] = "C.UTF-8"
    return env


importable = {}


def missing(command, version, requirements):
    """The first requirement that an interpreter does not meet, or None."""
    for need in requirements:
        if need.startswith("python>="):
            want = tuple(int(n) for n in need[len("python>="):].split("."))
            if tuple(int(n) for n in version.split(".")[:len(want)]) < want:
                return need
            continue
        key = (tuple(command), need)
        if key not in importable:
            importable[key] = subprocess.run(command + ["-c", "import " + need], env=environment(), stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        if not importable[key]:
            return need
    return None


def run(command, hangs):
    """Status in the shell's manner, stdout, stderr, seconds."""
    began = time.monotonic()
    p = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         start_new_session=True)
    try:
        if hangs:
            try:
                p.communicate(timeout=1.5)
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, err = p.communicate()
        err += b"\n(killed after %d s)" % LIMIT
    status = p.returncode if p.returncode >= 0 else 128 - p.returncode
    return status, out.decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - began


def stable(out):
    return [line for line in out.splitlines() if not line.startswith("~")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", action="append", default=[], metavar="NAME")
    parser.add_argument("-n", type=int, default=2)
    parser.add_argument("fixture", nargs="*")
    args = parser.parse_args()
    paths = [os.path.abspath(p) for p in args.fixture] or sorted(glob.glob(os.path.join(FIXTURES, "*.py")))
    failed = ran = skipped = 0
    for name, version, command in interpreters():
        if args.i and name not in args.i:
            continue
        folder = FIXTURES
        if command[0] == "chroot":
            folder = "/tmp/pyrr-fixtures"
            shutil.rmtree(command[1] + folder, ignore_errors=True)
            shutil.copytree(FIXTURES, command[1] + folder, ignore=shutil.ignore_patterns("__pycache__"))
        for path in paths:
            base = os.path.basename(path)
            keys = header(path)
            lack = missing(command, version, keys.get("requires", []))
            if lack:
                skipped += 1
                continue
            hangs = "hangs" in keys
            want = 130 if hangs else int(keys.get("exit", ["0"])[0])
            first = None
            for _ in range(args.n):
                status, out, err, seconds = run(command + [os.path.join(folder, base)], hangs)
                ran += 1
                why = None
                if status != want:
                    why = "status %d, not %d" % (status, want)
                elif first is not None and stable(out) != first:
                    why = "another output than before:\n" + "\n".join(set(stable(out)) ^ set(first))
                first = stable(out)
                if why:
                    failed += 1
                    print("FAIL %-14s %s: %s\n%s" % (name, base, why, err[-2000:]), flush=True)
                    break
                if seconds > SLOW and not hangs:
                    print("slow %-14s %s: %.1f s" % (name, base, seconds), flush=True)
    print("%d runs, %d failed, %d skipped for what they require" % (ran, failed, skipped))
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
