#!/usr/bin/env python3
"""Runs the tests of well-known packages under `pyrr record --keep timeout`.

For each suite: the tests natively and recorded, and the two JUnit reports held
against each other; then with a line that hangs put into one test, whose
recording has to be the only one, to replay exactly in another folder without a
network and with the tests moved away, and to name that line in `pyrr bt`.
Writes docs/suites.md.

    suites.py [--only NAME,…] [--quick]    --quick leaves out the full runs
"""

import ast
import collections
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("PYRR_CACHE", "/var/cache/pyrr")) / "suites"
LIMIT = 3600

Suite = collections.namedtuple("Suite", "name version sha256 args hang")

PYTEST_PARTS = (
    "code python/raises.py python/approx.py python/collect.py python/metafunc.py python/integration.py test_mark.py "
    "test_mark_expression.py test_assertion.py test_assertrewrite.py test_capture.py test_collection.py test_config.py test_doctest.py "
    "test_main.py test_monkeypatch.py test_nodes.py test_parseopt.py test_pathlib.py test_recwarn.py test_reports.py test_runner.py "
    "test_skipping.py test_stash.py test_terminal.py test_tmpdir.py test_unittest.py"
)

SUITES = [
    Suite("urllib3", "2.8.0", "63bf2ead4c879426ebf22ef2a781eeb4aa3b4ae798a0435506f8687fd5bb9b63",
          "test --ignore=test/with_dummyserver -W ignore", "test/test_retry.py::TestRetry::test_string"),
    Suite("requests", "2.34.2", "f288924cae4e29463698d6d60bc6a4da69c89185ad1e0bcc4104f584e960b9ed",
          "tests -W ignore", "tests/test_structures.py::TestCaseInsensitiveDict::test_list"),
    Suite("flask", "3.1.3", "0ef0e52b8a9cd932855379197dd8f94047b359ca0a78695144304cb45f87c9eb",
          "tests --ignore=tests/test_cli.py", "tests/test_config.py::test_config_from_pyfile"),
    Suite("httpx", "0.28.1", "75e98c5f16b0f35b567856f597f06ff2270a374470a5c2392242528e3e3e42fc",
          "tests -W ignore", "tests/test_decoders.py::test_gzip"),
    Suite("pytest", "9.2.0", "97c4f3b1f3c7414aa36465e09b8220f1d03627993bd51b1282e193753c80557b",
          " ".join("testing/" + p for p in PYTEST_PARTS.split()), "testing/test_monkeypatch.py::test_setitem"),
]

HANG = "__import__('time').sleep(600)  # hangs"


def run(argv, **kwargs):
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, timeout=LIMIT, **kwargs)


def environment():
    venv = CACHE / "venv"
    want = (HERE / "fixtures/suites/requirements.txt").read_text()
    stamp = venv / ".stamp"
    if not stamp.exists() or stamp.read_text() != want:
        shutil.rmtree(venv, ignore_errors=True)
        run([sys.executable, "-m", "venv", venv], check=True)
        run([venv / "bin/pip", "install", "-q", "--no-deps", "--require-hashes", "--disable-pip-version-check",
             "-r", HERE / "fixtures/suites/requirements.txt"], check=True)
        stamp.write_text(want)
    return venv / "bin/python"


def source(suite, python):
    """Unpacks the source package afresh and returns its folder."""
    store = CACHE / "packages"
    store.mkdir(exist_ok=True)
    archive = store / f"{suite.name}-{suite.version}.tar.gz"
    if not archive.exists():
        run([python, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", suite.name,
             "-d", store, f"{suite.name}=={suite.version}"], check=True)
    if (have := hashlib.sha256(archive.read_bytes()).hexdigest()) != suite.sha256:
        archive.unlink()
        sys.exit(f"{archive} was not what is pinned: {have}")
    folder = CACHE / "work" / f"{suite.name}-{suite.version}"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as t:
        t.extractall(folder.parent, filter="data")
    return folder


def tests(suite, folder, python, junit, words, record=()):
    argv = [*record, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:timeout",
            f"--junitxml={junit}", *words]
    env = dict(os.environ, PYTHONPATH="src", PYTHONDONTWRITEBYTECODE="1")
    return run(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def outcomes(junit):
    found = collections.Counter()
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        how = next((k for k in ("failure", "error", "skipped") if case.find(k) is not None), "passed")
        found[case.get("classname"), case.get("name"), how] += 1
    return found


def same_outcomes(suite, folder, python, pyrr, out):
    """Returns the number of tests, and those that end otherwise when recorded."""
    natives = [CACHE / f"{suite.name}.native.xml", CACHE / f"{suite.name}.again.xml"]
    recorded = CACHE / f"{suite.name}.recorded.xml"
    words = suite.args.split()
    tests(suite, folder, python, natives[0], words)
    got = tests(suite, folder, python, recorded, words,
                [pyrr, "record", "--keep", "timeout", "--timeout", "120", "-o", out, "--"])
    (CACHE / f"{suite.name}.txt").write_text(got.stdout)
    want, have = outcomes(natives[0]), outcomes(recorded)
    differing = {k[:2] for k in (want - have) + (have - want)}
    if differing:
        # What differs between two native runs too says nothing.
        tests(suite, folder, python, natives[1], words)
        again = outcomes(natives[1])
        differing -= {k[:2] for k in (want - again) + (again - want)}
    for name in sorted(differing):
        print("   differs:", *name)
    for line in got.stdout.splitlines():
        if line.startswith("pyrr:"):
            print("  ", line)
    return sum(want.values()), len(differing)


def inject(folder, test):
    """Puts a line that hangs into a test; returns its file and number."""
    file, *names = test.split("::")
    path = folder / file
    node = ast.parse(path.read_text())
    for name in names:
        node = next(n for n in node.body if getattr(n, "name", None) == name)
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1:
        first = node.body[1]  # the line above is a docstring
    lines = path.read_text().splitlines(keepends=True)
    lines.insert(first.lineno - 1, " " * first.col_offset + HANG + "\n")
    path.write_text("".join(lines))
    return path.name, first.lineno


def hang(suite, folder, python, pyrr, out):
    """Returns what is to be said of the recording of a test that hangs."""
    file, line = inject(folder, suite.hang)
    shutil.rmtree(out, ignore_errors=True)
    got = tests(suite, folder, python, CACHE / "hang.xml", [suite.hang.split("::")[0], "-W", "ignore"],
                [pyrr, "record", "--keep", "timeout", "--timeout", "10", "-o", out, "--"])
    kept = sorted(out.glob("*.pyrr.zip"))
    named = re.findall(r"^pyrr: timeout: (.*)$", got.stdout, re.M)
    if len(kept) != 1 or named != [suite.hang.split("[")[0]]:
        print(got.stdout[-2000:])
        return f"kept {len(kept)}: {named}", "-", "-", "-"
    size = f"{kept[0].stat().st_size / 1e6:.1f} MB"
    verified = "yes" if re.search(r"^pyrr: recorded .*, verified$", got.stdout, re.M) else "no"
    away = folder.with_name(folder.name + ".away")
    shutil.rmtree(away, ignore_errors=True)
    folder.rename(away)
    alone = ["unshare", "-n"] if os.geteuid() == 0 else []
    replay = run([*alone, pyrr, "replay", "--batch", kept[0]], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    bt = run([*alone, pyrr, "bt", kept[0]], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if replay.returncode:
        print(replay.stdout[-2000:])
    return (size, verified, "yes" if replay.returncode == 0 else "no", "yes" if f"{file}:{line}" in bt.stdout else "no")


HEADER = """# Real suites under the recorder

The tests of these packages, from their source packages, natively and under
`pyrr record --keep timeout`: how many there are, and how many end otherwise
when recorded (those that vary between two native runs left out). Then a line
that sleeps for ten minutes is put into one test. The last columns are of the
recording that is kept of exactly that test: its size, whether it was verified,
whether it replays in another folder, without a network and with the tests
gone, and whether `pyrr bt` names the line.

Written by `make suites`.

| suite | tests | differing | hang: packed | verified | replays elsewhere | line named |
|---|---:|---:|---:|---|---|---|
"""


def main():
    only = None
    if "--only" in sys.argv:
        only = sys.argv[sys.argv.index("--only") + 1].split(",")
    CACHE.mkdir(parents=True, exist_ok=True)
    python = environment()
    pyrr = HERE / "bin/pyrr"
    rows, bad, total = [], 0, 0
    for suite in SUITES:
        if only and suite.name not in only:
            continue
        print("==", suite.name, suite.version, flush=True)
        folder, out = source(suite, python), CACHE / "out" / suite.name
        count, differing = "-", "-"
        if "--quick" not in sys.argv:
            count, differing = same_outcomes(suite, folder, python, pyrr, out)
            bad += differing
            total += count
        size, *good = hang(suite, folder, python, pyrr, out)
        bad += good.count("no") + good.count("-")
        rows.append(f"| {suite.name} {suite.version} | {count} | {differing} | {size} | {' | '.join(good)} |\n")
        print("  ", rows[-1].strip(), flush=True)
    if not only and "--quick" not in sys.argv:
        (HERE / "docs/suites.md").write_text(HEADER + "".join(rows) + f"\n{total} tests in all.\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
