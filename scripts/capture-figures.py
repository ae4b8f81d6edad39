#!/usr/bin/env python3
"""Measures what recording test by test costs; writes docs/capture.md.

Native and recorded runs take turns, so that a busy moment of the machine falls
on both; the tables hold medians of their ratios. Uses the environment and the
source packages of suites.py.

    capture-figures.py [--rounds N] [--output FILE]
"""

import importlib.util
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
PYRR = HERE / "bin/pyrr"
spec = importlib.util.spec_from_file_location("suites", HERE / "scripts/suites.py")
suites = importlib.util.module_from_spec(spec)
spec.loader.exec_module(suites)

LIGHT = "test/test_retry.py test/test_collections.py test/test_fields.py test/test_filepost.py test/test_exceptions.py test/test_compatibility.py test/test_queue_monkeypatch.py test/test_proxymanager.py test/test_poolmanager.py test/test_ssl.py test/test_http2_connection.py test/test_connection.py"

IMAGES = """
import pytest, time
keep = [bytearray(4096) for _ in range(25600)]  # 100 MB
for b in keep:
    b[0] = 1

@pytest.mark.parametrize("n", range(20))
def test_one(n):
    time.sleep(0.16)  # longer than tests that share an image
    keep[n][1] = n
"""

# What the kernel alone takes for that: an image is a fork.
FORK = """
import os, statistics, time
keep = [bytearray(4096) for _ in range(25600)]
for b in keep:
    b[0] = 1
times = []
for n in range(20):
    began = time.perf_counter()
    if (pid := os.fork()) == 0:
        os._exit(0)
    times.append(time.perf_counter() - began)
    os.waitpid(pid, 0)
    time.sleep(0.05)
    keep[n][1] = n
print(f"{statistics.median(times) * 1e3:.1f}ms")
"""

HTTP = """
import socket
import requests

def test_http(url):
    assert requests.get(url("/status/200")).status_code == 200
    a, b = socket.socketpair()
    a.recv(1)  # hangs
"""

THOUSAND = """
import os
import pytest

@pytest.mark.parametrize("n", range(1000))
def test_one(n):
    fd = os.open("/dev/urandom", os.O_RDONLY)
    for _ in range(40 if n % 250 == 100 else 1):
        os.read(fd, 1 << 20 if n % 250 == 100 else 1 << 12)  # four of them log 40 MB
    os.close(fd)
"""


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def timed(argv, cwd):
    began = time.perf_counter()
    r = subprocess.run([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, errors="replace", env=dict(os.environ, PYTHONPATH="src", PYTHONDONTWRITEBYTECODE="1", CI=""))
    return time.perf_counter() - began, r.stdout


def pytest_argv(python, *words):
    return [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]


def ratio(argv, cwd, out, rounds):
    """The native time, the ratio of the recorded one, and how many tests pass."""
    record = [PYRR, "record", "--keep", "timeout", "--timeout", "120", "-o", out, "--"]
    natives, ratios, text = [], [], ""
    for _ in range(rounds):
        native, text = timed(argv, cwd)
        recorded, other = timed([*record, *argv], cwd)
        natives.append(native)
        ratios.append(recorded / native)
        if re.findall(r"\d+ (?:passed|failed)", text) != re.findall(r"\d+ (?:passed|failed)", other):
            sys.exit(f"other outcomes:\n{text[-800:]}\n{other[-800:]}")
    passed = re.search(r"(\d+) passed", text)
    return statistics.median(natives), statistics.median(ratios), passed.group(1) if passed else "0"


def size_of(folder):
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                pass
    return total


def disk(argv, cwd, out):
    """The most that is on the disk at a time, while argv is recorded."""
    most, stop = [0], threading.Event()

    def look():
        while not stop.wait(0.01):
            most[0] = max(most[0], size_of(out))

    thread = threading.Thread(target=look)
    thread.start()
    _, text = timed([PYRR, "record", "--keep", "timeout", "--timeout", "120", "-o", out, "--", *argv], cwd)
    stop.set()
    thread.join()
    return most[0], size_of(out), text


def finish_step(argv, cwd, out):
    """The size of what is kept of a test that hangs, and the time between the end
    of its session and pyrr's own."""
    p = subprocess.Popen([str(a) for a in (PYRR, "record", "--keep", "timeout", "--timeout", "3s", "-o", out, "--", *argv)], cwd=cwd, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ, CI=""))
    ended = 0
    for line in p.stdout:
        if re.search(r"\d+ failed", line):
            ended = time.perf_counter()
    p.wait()
    took = time.perf_counter() - ended
    (zip_file,) = out.glob("*.pyrr.zip")
    return zip_file.stat().st_size, took


STORM = """
import pytest

@pytest.mark.parametrize("i", range(1000))
def test_equal(i):
    assert {"a": i}["a"] == -1
"""


def storm(argv, cwd, rounds):
    """What 1,000 equal failures cost: the ratios of processor time, of all processes,
    with nothing kept and with what is kept of failures by default."""

    def worked(*words):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _, said = timed([*words, *argv], cwd)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if "1000 failed" not in said:
            sys.exit(said[-2000:])
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    never, kept = [], []
    for n in range(rounds):
        native = worked()
        never.append(worked(PYRR, "record", "--keep", "never", "--") / native)
        kept.append(worked(PYRR, "record", "--keep", "failure", "-o", cwd / f"storm{n}", "--") / native)
    return statistics.median(never), statistics.median(kept)


MANY = """
import pytest, time

@pytest.mark.parametrize("i", range(3000))
def test_one(i):
    if i % 600 == 300:
        time.sleep(60)
"""


def below(pid):
    """A process and those that it made, and they."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += below(int(child))
    except OSError:
        pass  # it has ended
    return found


def memory(argv, cwd, out):
    """The most bytes that pyrr's own processes have in memory at a time, and what it said."""
    p = subprocess.Popen([str(a) for a in (PYRR, "record", "--keep", "timeout", "--timeout", "3s", "-o", out, "--", *argv)], cwd=cwd, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ, CI=""))
    return watched(p, resident)


def resident(pid):
    """The bytes that a process of pyrr's own has in memory, 0 of any other."""
    if not os.path.samefile(f"/proc/{pid}/exe", PYRR):
        return 0
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def share(pid):
    """The bytes that a process has in memory, of what it shares its part."""
    return int(re.search(r"(?m)^Pss: +(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()).group(1)) << 10


def watched(p, size):
    """The most that the processes of a program have together at a time, by a function of their ids, and what it said."""
    most = 0

    def watch():
        nonlocal most
        while p.poll() is None:
            now = 0
            for pid in below(p.pid):
                try:
                    now += size(pid)
                except (AttributeError, OSError):
                    pass  # it has ended
            most = max(most, now)
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = p.communicate()[0]
    watcher.join()
    return most, said


HEAP = """
import time
big = bytearray(400 << 20)
for i in range(0, len(big), 4096): big[i] = 1

def test_rewrites():
    for i in range(0, len(big), 4096): big[i] = 2
    time.sleep(2)
"""


def heap(argv, cwd, limit=0):
    """The most bytes that all processes have in memory at a time, what is shared counted
    once, while argv runs, in a control group of limit bytes if that is not 0, and what
    they say. None where no such group can be made (version 1 is needed)."""
    group = None
    if limit:
        own = re.search(r"(?m)^\d+:memory:(.*)$", pathlib.Path("/proc/self/cgroup").read_text())
        try:
            group = pathlib.Path(tempfile.mkdtemp(prefix="pyrr-figures-", dir="/sys/fs/cgroup/memory" + own.group(1)))
            (group / "memory.limit_in_bytes").write_text(str(limit))
        except (AttributeError, OSError):
            return None
        argv = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', group / "cgroup.procs", *argv]
    p = subprocess.Popen([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    most, said = watched(p, share)
    for _ in range(100):
        try:
            group and group.rmdir()
            break
        except OSError:
            time.sleep(0.05)  # the kernel takes a moment to let go of it
    if "1 passed" not in said:
        sys.exit(said[-2000:])
    return most, said


def heaps(argv, cwd):
    """The rows of a test that rewrites a large heap."""
    record = [PYRR, "record", "--keep", "timeout", "--timeout", "60s", "-o", cwd / "heap", "--", *argv]
    rows = [f"| a test that rewrites a heap of 400 MB: memory of all processes, natively | {heap(argv, cwd)[0] / 1e6:.0f} MB | |\n",
            f"| and recorded, where memory is free: the copy that the recording begins from is there too | {heap(record, cwd)[0] / 1e6:.0f} MB | |\n"]
    if short := heap(record, cwd, 550 << 20):
        rows.append(f"| and in a control group of 550 MiB, four fifths of which it needs natively: the test passes{', and a line says that it is not recorded' if 'memory is short' in short[1] else ''} | {short[0] / 1e6:.0f} MB | |\n")
    return rows


def main():
    rounds, target = int(option("--rounds", "5")), option("--output", HERE / "docs/capture.md")
    suites.CACHE.mkdir(parents=True, exist_ok=True)
    python = suites.environment()
    urllib3 = suites.source(next(s for s in suites.SUITES if s.name == "urllib3"), python)
    work = pathlib.Path(tempfile.mkdtemp(prefix="pyrr-capture-"))
    try:
        rows, text = [], []
        http = work / "http_suite"
        shutil.copytree(HERE / "fixtures/http_suite", http)
        alone = ["-p", "no:xdist", "-p", "no:timeout", "-W", "ignore"]
        for name, argv, cwd, limit in [
            ("HTTP clients against a server", pytest_argv(python, *alone, http), work, 1.4),
            ("urllib3's unit tests, CPU-light", pytest_argv(python, *alone, *LIGHT.split()), urllib3, 1.4),
            ("the HTTP tests, xdist -n 2", pytest_argv(python, "-p", "no:timeout", "-W", "ignore", "-n", "2", http), work, 1.6),
            ("urllib3's, xdist -n 2", pytest_argv(python, "-p", "no:timeout", "-W", "ignore", "-n", "2", *LIGHT.split()), urllib3, 1.6),
        ]:
            native, cost, passed = ratio(argv, cwd, work / "out", rounds)
            rows.append(f"| {name} | {passed} | {native:.2f} s | {cost:.2f} | ≤ {limit} |\n")
            print(rows[-1], end="", flush=True)
        (work / "test_images.py").write_text(IMAGES)
        _, said = timed([PYRR, "record", "--keep", "timeout", "--image-times", "-o", work / "out", "--",
                         *pytest_argv(python, *alone, work / "test_images.py")], work)
        images = re.search(r"(\d+) images, median (\S+), 90 % within (\S+), at most (\S+)", said)
        median = re.sub(r"(\.\d)\d*", r"\1", images.group(2))
        text.append(f"| the program stands still for an image of a process of 100 MB (median of {images.group(1)}) | {median} | ≤ 3 ms |\n")
        _, fork = timed([python, "-c", FORK], work)
        text.append(f"| a fork alone of a Python process of 100 MB, without pyrr | {fork.strip()} | |\n")
        (http / "test_late.py").write_text(HTTP)
        conftest = http / "conftest.py"
        conftest.write_text(conftest.read_text().replace("assert len(items) == TESTS", "assert True"))  # it holds that all run
        sizes, times = [], []
        for n in range(rounds):
            size, took = finish_step(pytest_argv(python, *alone, http), work, work / f"kept{n}")
            sizes.append(size)
            times.append(took)
        text.append(f"| the recording of an HTTP test that hangs after 51 others, packed | {statistics.median(sizes) / 1e6:.1f} MB | ≤ 5 MB |\n")
        text.append(f"| from the end of its session to that of pyrr: cut, verified, indexed, packed | {statistics.median(times):.1f} s | ≤ 3 s |\n")
        (work / "test_thousand.py").write_text(THOUSAND)
        most, left, said = disk(pytest_argv(python, *alone, work / "test_thousand.py"), work, work / "disk")
        if "1000 passed" not in said:
            sys.exit(said[-2000:])
        text.append(f"| 1,000 tests, of which four read 40 MB each: the most on the disk at a time | {most / 1e6:.0f} MB | the largest test |\n")
        text.append(f"| and when they are over | {left / 1e6:.0f} MB | 0 |\n")
        (work / "test_many.py").write_text(MANY)
        most, said = memory(pytest_argv(python, *alone, work / "test_many.py"), work, work / "many")
        if "5 failed, 2995 passed" not in said:
            sys.exit(said[-2000:])
        text.append(f"| 3,000 tests of which 5 hang and are kept: what pyrr's own processes have in memory at most | {most / 1e6:.0f} MB | ≤ 200 MB |\n")
        (work / "test_heap.py").write_text(HEAP)
        text += heaps(pytest_argv(python, *alone, work / "test_heap.py"), work)
        (work / "test_large.py").write_text(HEAP.replace("sleep(2)", "sleep(60)"))
        runs = [memory(pytest_argv(python, *alone, work / "test_large.py"), work, work / f"large{n}") for n in range(3)]
        if not all("1 failed" in said for _, said in runs):
            sys.exit(runs[0][1][-2000:])
        text.append(f"| a test with such a heap that hangs and is kept: what pyrr's own processes have in memory at most (median of 3) | {statistics.median(most for most, _ in runs) / 1e6:.0f} MB | ≤ 64 MB |\n")
        (work / "test_storm.py").write_text(STORM)
        never, kept = storm(pytest_argv(python, *alone, work / "test_storm.py"), work, rounds)
        text.append(f"| 1,000 equal failures, nothing kept: processor time of all processes, to native | {never:.2f} | |\n")
        text.append(f"| and with `--keep failure`, which keeps the first 3 | {kept:.2f} | ≤ 2 |\n")
        print("".join(text))
        pathlib.Path(target).write_text(HEADER.format(rounds=rounds, cores=os.cpu_count()) + "".join(rows) + MORE + "".join(text))
    finally:
        shutil.rmtree(work, ignore_errors=True)


HEADER = """# What recording test by test costs

Written by `make capture-figures`, on {cores} cores; medians of {rounds} rounds in which
the native and the recorded run took turns. *recorded* is the time of the whole
run under `pyrr record --keep timeout`, nothing of which is kept, to the native one.

| suite | tests | native | recorded | to reach |
|---|---:|---:|---:|---:|
"""

MORE = """
| what | measured | to reach |
|---|---:|---:|
"""

if __name__ == "__main__":
    main()
