#!/usr/bin/env python3
"""Adopts pyrr in seven packages as a stranger would: a new virtual environment, `pip
install` of the wheel, and `pytest --pyrr` in the unpacked source. Into one test file of
each go a test that hangs and one that fails. Held is that

- each test ends as without pyrr, by JUnit, and so do the exit status and the last line;
- exactly the two leave a recording, and the session's end where that hangs as well, and the
  report says why the one hung;
- `pyrr open` finds the lines that were put in.

The first one, start to end, becomes the example in docs/adopting.md.

    adopt.py [--only NAME,…] [--no-doc]
"""
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import hashlib
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("PYRR_CACHE", "/var/cache/pyrr")) / "adopt"

Project = collections.namedtuple("Project", "name version sha256 tests file hang fail says limit status", defaults=["10s", 1])

# The hangs are of seven kinds, each in the words of a test that somebody might have
# written; LINE marks what the sentence has to name.
TWO_LOCKS = '''

def test_transfer_between_accounts():
    import threading

    checking, savings, both = threading.Lock(), threading.Lock(), threading.Barrier(2)

    def move(first, second):
        with first:
            both.wait()
            with second:  # LINE
                pass

    there = threading.Thread(target=move, args=(checking, savings), name="there", daemon=True)
    back = threading.Thread(target=move, args=(savings, checking), name="back", daemon=True)
    there.start(), back.start()
    there.join(), back.join()
'''
QUEUE = '''

def test_worker_answers():
    import queue, threading

    jobs, answers = queue.Queue(), queue.Queue()

    def worker():
        for job in iter(jobs.get, None):
            answers.put(job["value"] * 2)

    threading.Thread(target=worker, name="worker", daemon=True).start()
    jobs.put({"val": 1})
    assert answers.get() == 2  # LINE
'''
SOCKET = '''

def test_server_greets():
    import socket

    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    peer, _ = server.accept()
    assert client.recv(100) == b"hello"  # LINE
'''
ASYNC = '''

def test_event_is_set():
    import asyncio

    async def main():
        ready = asyncio.Event()
        await ready.wait()  # LINE

    asyncio.run(main())
'''
CHILD = '''

def test_child_ends():
    import subprocess, sys

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    child.wait()  # LINE
'''
POOL = '''

def test_sum_of_branches():
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="summing")

    def total(tree):
        branches = [pool.submit(total, branch) for branch in tree if isinstance(branch, list)]
        return sum(leaf for leaf in tree if not isinstance(leaf, list)) + sum(b.result() for b in branches)  # LINE

    assert pool.submit(total, [1, [2, 3]]).result() == 6
'''
CONDITION = '''

def test_stock_is_refilled():
    import threading

    refilled, stock = threading.Condition(), []

    def refill():
        while len(stock) < 3:
            stock.append("tea")

    threading.Thread(target=refill, name="refill").start()
    with refilled:
        while len(stock) != 2:
            refilled.wait()  # LINE
'''
FAIL = '''

def test_totals():
    prices = {"tea": 3, "milk": 2}
    total = sum(prices.values())
    assert total == 6, "the receipt is wrong"  # FAIL
'''

PROJECTS = [
    Project("pluggy", "1.7.0", "d1eaa46ebb595891b860ab086b4d09c8588af65ebd4361b8e8f4bb8920b90ba8",
            "testing", "testing/test_tracer.py", TWO_LOCKS, FAIL, r"Deadlock: there waits for lock savings \(\S+:LINE\), held by back, which waits for lock checking \(\S+:LINE\), held by there"),
    Project("iniconfig", "2.3.1", "67f4b9c50da0dedf52af349e7749a80a9057a5031199791b906c3bb3ae878960",
            "testing", "testing/test_iniconfig.py", SOCKET, FAIL, r"MainThread waits for data from the connection .*\(\S+:LINE\)"),
    Project("idna", "3.20", "a7db850025b95ded1eae8a46181a1a6c56c92c96f0e2b005d9ff8dc0210cab44",
            "tests/test_idna_codec.py", "tests/test_idna_codec.py", QUEUE, FAIL, r"MainThread waits for .*[qQ]ueue answers .*\(\S+:LINE\)"),
    Project("more_itertools", "11.2.1", "cbf08fd0af284dc69718b9b76a8e6203df624d70209ea511e4219d350c856f63",
            "tests/test_recipes.py", "tests/test_recipes.py", ASYNC, FAIL, r"waits for .*ready.*\(\S+:LINE\)",
            "60s"),  # one of its tests computes for some seconds
    Project("itsdangerous", "2.2.0", "e0050c0b7da1eea53ffaf149c0cfbb5c6e2e2b69c4bef22c81fa6eb73e5f6173",
            "tests/test_itsdangerous/test_signer.py", "tests/test_itsdangerous/test_signer.py", CHILD, FAIL, r"MainThread waits for .*\(\S+:LINE\)"),
    Project("tomlkit", "0.15.2", "83e32755ba1d20d9340bd069ee97e9f6232ba2346b63ffcba425de01f7e327a6",
            "tests/test_api.py", "tests/test_api.py", POOL, FAIL, r'Deadlock: the only worker of pool "summing" waits \(\S+:LINE\) for jobs that are queued in the same pool', "20s",
            124),  # the pool's worker, which still waits, keeps the interpreter from its end
    Project("tabulate", "0.10.0", "e2cfde8f79420f6deeffdeda9aaec3b6bc5abce947655d17ac662b126e48a60d",
            "test/test_output.py", "test/test_output.py", CONDITION, FAIL, r"MainThread waits for condition refilled .*\(\S+:LINE\)", "20s"),
]


def run(argv, **kwargs):
    kwargs.setdefault("timeout", 900)
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **kwargs)


def must(argv, **kwargs):
    done = run(argv, **kwargs)
    if done.returncode:
        sys.exit("adopt.py: %s ended with %d:\n%s" % (" ".join(map(str, argv)), done.returncode, done.stdout))
    return done.stdout


def environment(work):
    """A new virtual environment with pytest and the wheel, as pip makes it."""
    must([HERE / "scripts/packages/build.sh", "0.1.0", work / "dist"], env=dict(os.environ, PYRR_PACK_FAST="1"))
    venv = work / "venv"
    python = shutil.which("python3.11") or sys.executable
    must([python, "-m", "venv", venv])
    pip = [venv / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    # pytest alone, as pinned for the tests: a project says itself what else it wants.
    pins = (HERE / "fixtures/pytest_suite/requirements.txt").read_text().replace("\\\n", " ")
    wanted = work / "requirements.txt"
    wanted.write_text("".join(l + "\n" for l in pins.splitlines() if re.match(r"(pytest|pluggy|iniconfig|packaging|pygments)==", l)))
    must(pip + ["--require-hashes", "-r", wanted])
    must(pip + ["--no-index"] + list((work / "dist").glob("*.whl")))
    return venv


def source(project, work):
    """Unpacks the source package afresh, held against its checksum."""
    store = CACHE
    store.mkdir(parents=True, exist_ok=True)
    archive = store / f"{project.name}-{project.version}.tar.gz"
    if not archive.exists():
        must([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:",
              "-d", store, f"{project.name}=={project.version}"])
    have = hashlib.sha256(archive.read_bytes()).hexdigest()
    if have != project.sha256:
        sys.exit(f"adopt.py: {archive} is not what is pinned: {have}")
    with tarfile.open(archive) as t:
        t.extractall(work, filter="data")
    return work / f"{project.name}-{project.version}"


def outcomes(junit, but):
    found = {}
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        if case.get("name") != but:
            found[case.get("classname"), case.get("name")] = next((k for k in ("failure", "error", "skipped") if case.find(k) is not None), "passed")
    return found


def adopt(project, venv, work, bad):
    """Returns what a user sees."""
    folder = source(project, work)
    file = folder / project.file
    text = file.read_text() + project.hang + project.fail
    file.write_text(re.sub("  # (LINE|FAIL)$", "", text, flags=re.M))
    lines = text.splitlines()
    line = next(n for n, l in enumerate(lines, 1) if l.endswith("# LINE"))
    failing = next(n for n, l in enumerate(lines, 1) if l.endswith("# FAIL"))
    name = re.search(r"def (test_\w+)", project.hang).group(1)
    env = dict(os.environ, PYTHONPATH=str(folder / "src") if (folder / "src").is_dir() else str(folder), PATH=f"{venv}/bin:{os.environ['PATH']}", PYTHONDONTWRITEBYTECODE="1")
    for gone in ("CI", "PYTEST_ADDOPTS", "PYRR", "COLUMNS"):
        env.pop(gone, None)

    def check(ok, what):
        print("  %s %s" % ("ok  " if ok else "BAD ", what), flush=True)
        if not ok:
            bad.append("%s: %s" % (project.name, what))

    plain = [f"{venv}/bin/pytest", "-q", "-p", "no:cacheprovider", project.tests]
    native = run(plain + ["--junitxml=native.xml", "-k", f"not {name}"], cwd=folder, env=env)
    recorded = run(plain + ["--junitxml=recorded.xml", "--pyrr", "--pyrr-timeout", project.limit], cwd=folder, env=env)
    want, have = outcomes(folder / "native.xml", name), outcomes(folder / "recorded.xml", name)
    check(want == have and len(want) > 5, "%d tests end as without pyrr" % len(want))
    check(native.returncode == 1 and recorded.returncode == project.status, "exit status %d, without pyrr %d" % (recorded.returncode, native.returncode))
    said = recorded.stdout
    counts = [collections.Counter({how: int(n) for n, how in re.findall(r"(\d+) (failed|passed|skipped|xfailed|xpassed|errors?)", re.findall(r"^\d+ failed.* in .*s", out, re.M)[-1].split(" in ")[0])}) for out in (native.stdout, said)]
    check(counts[0] + collections.Counter(failed=1) == counts[1], "the last line has one failure more: %s" % dict(counts[1]))
    report = said[said.rfind(" pyrr ="):]
    pattern = project.says.replace("LINE", str(line))
    why = re.search(r"^TIMEOUT .*\n +(.*)", report, re.M)
    check(re.search(pattern, report) is not None, "the report says why: %s" % (why and why.group(1)))
    recordings = sorted((folder / "recordings").glob("*"))
    left = sorted(re.sub(r"-[^-]*\.pyrr\.zip$", "", re.sub(r"^test_\w+\.", "", r.name)) for r in recordings)
    after = ["after_the_last_test"] if project.status == 124 else []
    check(left == sorted(after + [name, "test_totals"]), "recordings: " + ", ".join(r.name for r in recordings))
    case = next(c for c in ElementTree.parse(folder / "recorded.xml").getroot().iter("testcase") if c.get("name") == name)
    check(case.find("failure") is not None and re.search(pattern, case.find("failure").get("message")) is not None, "JUnit says why")
    opened = run([f"{venv}/bin/pyrr", "open", "recordings", "test_totals"], cwd=folder, env=env)
    check(opened.returncode == 0 and opened.stdout.startswith("AssertionError: the receipt is wrong") and f":{failing} in test_totals" in opened.stdout, "the failure is explained")
    for r in recordings:
        exact = run([f"{venv}/bin/pyrr", "replay", "--batch", r], cwd=folder, env=dict(env, CI="true"))
        check(exact.returncode == 0, "%s replays exactly" % r.name)
    hung = run([f"{venv}/bin/pyrr", "open", "recordings", name], cwd=folder, env=dict(env, COLUMNS="80"))
    if bad:
        print(said[-3000:], opened.stdout, hung.stdout, sep="\n")
    return report, hung.stdout


def document(project, report, hung):
    """Puts the first project's screens into docs/adopting.md."""
    path = HERE / "docs/adopting.md"
    text = path.read_text()
    begin, end = "<!-- adopt.py begins -->\n", "<!-- adopt.py ends -->\n"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    def block(s):
        return "".join("    " + l.rstrip() + "\n" if l.strip() else "\n" for l in s.strip("\n").splitlines())
    report = "=" * 37 + report.lstrip("=")
    shown = block("$ pip install pyrr-replay\n$ pytest --pyrr --pyrr-timeout 10s\n…\n" + report)
    hung = re.sub(r"\n+pyrr: hint.*", "", hung)
    # Of the threads the first.
    hung = hung[:hung.index("\nthread 3")].rstrip() + "\n…\n"
    shown += "\nand then\n\n" + block("$ pyrr open recordings test_transfer\n" + hung)
    path.write_text(before + begin + shown + end + after)


def main(argv):
    only = argv[argv.index("--only") + 1].split(",") if "--only" in argv else None
    bad = []
    with tempfile.TemporaryDirectory(prefix="adopt-") as work:
        work = pathlib.Path(work)
        venv = environment(work)
        for n, project in enumerate(PROJECTS):
            if only and project.name not in only:
                continue
            print("%s %s" % (project.name, project.version), flush=True)
            seen = adopt(project, venv, work, bad)
            if n == 0 and not bad and "--no-doc" not in argv:
                document(project, *seen)
    for line in bad:
        print("adopt.py: " + line)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
