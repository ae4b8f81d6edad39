#!/usr/bin/env python3
"""Runs the tests of well-known packages under `pyrr record --keep timeout`.

For each suite: the tests natively and recorded, and the two JUnit reports held
against each other; then with a line that hangs put into one test, whose
recording has to be the only one, to replay exactly in another folder without a
network and with the tests moved away, and to name that line in `pyrr bt`.
Writes their lines of docs/suites.md, with the build; the others stay.

    suites.py [--only NAME,…] [--quick]    --quick leaves out the full runs

PostgreSQL and Redis are started for the suites that need them (Debian's packages
postgresql and redis-server, which root installs here).
"""

import ast
import collections
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("PYRR_CACHE", "/var/cache/pyrr")) / "suites"
LIMIT = 3600

# drop are files of the source package that hide what is installed, service is a server
# that the tests need, and threads whether native threads run in them.
Suite = collections.namedtuple("Suite", "name version sha256 args hang drop service threads", defaults=("", None, False))

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
    Suite("cachetools", "8.0.2", "30ac523adfc118b51d2b2e7bad8a0ddb31370dfe2700c7f10ca224f36ccf81e0",
          "tests", "tests/test_keys.py::CacheKeysTest::test_hashkey"),
    Suite("itsdangerous", "2.2.0", "e0050c0b7da1eea53ffaf149c0cfbb5c6e2e2b69c4bef22c81fa6eb73e5f6173",
          "tests", "tests/test_itsdangerous/test_timed.py::TestTimestampSigner::test_max_age"),
    Suite("werkzeug", "3.1.9", "55ca7c70a75689be937aa27f8ff4b018f06ff4838fc73045560bf0f5a1291060",
          "tests -o filterwarnings=ignore --ignore=tests/test_serving.py --ignore=tests/middleware/test_http_proxy.py", "tests/test_urls.py::test_iri_support"),
    Suite("lmdb", "3.0.0", "06dda0723545e14d56ac7dcd6f582d9922c2ed5e16f1c3f8d0e670a96ec2ee65",
          "tests", "tests/package_test.py::PackageExportsTest::test_exports", "lmdb/__init__.py"),
    Suite("watchfiles", "1.3.0", "99aee4a07847c06820765fd7b1b49ceac4f3f711ccb7d104655a33231de1c207",
          "tests -W ignore", "tests/test_rust_notify.py::test_does_not_exist", "watchfiles/__init__.py", threads=True),
    Suite("numexpr", "2.14.2", "e7144e83ea9e581f2273e0304f15836736c4e470e2bd2e378ce617662a1ca278",
          "numexpr/tests", "numexpr/tests/test_numexpr.py::test_strings::test_compare_copy", "numexpr/__init__.py", threads=True),
    Suite("zstandard", "0.25.0", "7713e1179d162cf5c7906da876ec2ccb9c3a9dcbdffef0cc7f70c3667a205f0b",
          "tests", "tests/test_estimate_sizes.py::TestSizes::test_decompression_size", "zstandard/__init__.py", threads=True),
    Suite("pyzmq", "27.3.0", "bbedb3d1d99babc625f1dd9d7438acefd442b36b75073fd6bc1ef7c0a4b96d56",
          "tests --ignore=tests/test_cython.py --ignore=tests/test_mypy.py", "tests/test_version.py::TestVersion::test_pyzmq_version", "zmq/__init__.py", threads=True),
    Suite("psycopg2", "2.9.13", "d36784fc2dae69523ba4b79c7d1d1b4d6e83e87836874f111262f4db940b16a6",
          "tests", "tests/test_cursor.py::CursorTests::test_empty_query", service="postgresql"),
    Suite("redis", "8.1.0", "6e1a19beef9225c83efd689c7e6b7da2d5215b1f42cd13b7fc3714d0a09c7b25",
          " ".join("tests/test_%s.py" % p for p in "lock connection_pool pipeline pubsub encoding monitor scripting multiprocessing".split()),
          "tests/test_lock.py::TestLock::test_lock", "redis/__init__.py", service="redis"),
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
    if suite.drop:
        (folder / suite.drop).unlink()
    return folder


def free(port):
    """Waits until a server answers at the port."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    sys.exit(f"nothing answers at port {port}")


@contextlib.contextmanager
def service(name):
    """Runs a database of its own, with nothing in it, and gives what the tests have to
    know of it: their environment and further arguments."""
    if name is None:
        yield {}, []
        return
    run(["bash", "-c", '. scripts/lib.sh; apt_install "$@"', "-", *{"postgresql": ["postgresql"], "redis": ["redis-server"]}[name]], cwd=HERE, check=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pyrr-suite-"))
    try:
        if name == "redis":
            server = subprocess.Popen(["redis-server", "--port", "56379", "--save", "", "--dir", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            env, args, port = {}, ["--redis-url=redis://localhost:56379/0"], 56379
        else:
            tools = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
            shutil.chown(folder, "postgres")
            other = {"user": "postgres", "cwd": folder} if os.geteuid() == 0 else {"cwd": folder}
            run([tools / "initdb", "-D", folder / "db", "-A", "trust", "-U", "postgres"], check=True, stdout=subprocess.DEVNULL, **other)
            server = subprocess.Popen([tools / "postgres", "-D", folder / "db", "-p", "54329", "-k", folder, "-c", "max_prepared_transactions=10"],
                                      stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **other)
            port = 54329
            free(port)
            run([tools / "createdb", "-h", folder, "-p", port, "-U", "postgres", "psycopg2_test"], check=True)
            env, args = {"PSYCOPG2_TESTDB_HOST": "localhost", "PSYCOPG2_TESTDB_PORT": str(port), "PSYCOPG2_TESTDB_USER": "postgres"}, []
        try:
            free(port)
            yield env, args
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tests(suite, folder, python, junit, words, record=(), server=({}, ())):
    more, args = server
    argv = [*record, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:timeout",
            f"--junitxml={junit}", *words, *args]
    env = dict(os.environ, PYTHONPATH="src", PYTHONDONTWRITEBYTECODE="1", **more)
    return run(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def outcomes(junit):
    found = collections.Counter()
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        how = next((k for k in ("failure", "error", "skipped") if case.find(k) is not None), "passed")
        found[case.get("classname"), case.get("name"), how] += 1
    return found


def same_outcomes(suite, folder, python, pyrr, out, server):
    """Returns the number of tests, and those that end otherwise when recorded."""
    natives = [CACHE / f"{suite.name}.native.xml", CACHE / f"{suite.name}.again.xml"]
    recorded = CACHE / f"{suite.name}.recorded.xml"
    words = suite.args.split()
    native = tests(suite, folder, python, natives[0], words, server=server)
    if native.returncode not in (0, 1):
        sys.exit(f"{suite.name} without pyrr: status {native.returncode}\n{native.stdout[-2000:]}")
    got = tests(suite, folder, python, recorded, words,
                [pyrr, "record", "--keep", "timeout", "--timeout", "120", "-o", out, "--"], server)
    (CACHE / f"{suite.name}.txt").write_text(got.stdout)
    want, have = outcomes(natives[0]), outcomes(recorded)
    differing = {k[:2] for k in (want - have) + (have - want)}
    if differing:
        # What differs between two native runs too says nothing.
        tests(suite, folder, python, natives[1], words, server=server)
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


def hang(suite, folder, python, pyrr, out, server):
    """Returns what is to be said of the recording of a test that hangs."""
    file, line = inject(folder, suite.hang)
    shutil.rmtree(out, ignore_errors=True)
    got = tests(suite, folder, python, CACHE / "hang.xml", [suite.hang.split("::")[0], "-W", "ignore"],
                [pyrr, "record", "--keep", "timeout", "--timeout", "10", "-o", out, "--"], server)
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
gone, and whether `pyrr bt` names the line. Behind the name stands what the tests
have: native threads, or a database, started for them.

Written by `make suites`; each line names the build that it is of.

| suite | tests | differing | hang: packed | verified | replays elsewhere | line named | build |
|---|---:|---:|---:|---|---|---|---|
"""


def write(rows):
    """Puts the lines of suites into the document, in place of those of before."""
    document = HERE / "docs/suites.md"
    kept = {line.split()[1]: line for line in document.read_text().splitlines() if re.match(r"\| [a-z]", line) and not line.startswith("| suite")}
    kept.update(rows)
    lines = [kept[s.name] for s in SUITES if s.name in kept]
    total = sum(int(line.split("|")[2]) for line in lines)
    notes = document.read_text().partition(" tests in all.\n")[2]  # what differs, by hand
    document.write_text(HEADER + "".join(line + "\n" for line in lines) + f"\n{total} tests in all.\n{notes}")


def main():
    only = None
    if "--only" in sys.argv:
        only = sys.argv[sys.argv.index("--only") + 1].split(",")
    CACHE.mkdir(parents=True, exist_ok=True)
    python = environment()
    pyrr = HERE / "bin/pyrr"
    build = run(["git", "describe", "--always", "--exclude", "*"], cwd=HERE, stdout=subprocess.PIPE, text=True).stdout.strip() or "not kept"
    bad = 0
    for suite in SUITES:
        if only and suite.name not in only:
            continue
        print("==", suite.name, suite.version, flush=True)
        folder, out = source(suite, python), CACHE / "out" / suite.name
        count, differing = "-", "-"
        with service(suite.service) as server:
            if "--quick" not in sys.argv:
                count, differing = same_outcomes(suite, folder, python, pyrr, out, server)
                bad += differing
            size, *good = hang(suite, folder, python, pyrr, out, server)
        bad += good.count("no") + good.count("-")
        what = ", native threads" if suite.threads else {"postgresql": ", PostgreSQL", "redis": ", Redis", None: ""}[suite.service]
        row = f"| {suite.name} {suite.version}{what} | {count} | {differing} | {size} | {' | '.join(good)} | {build} |"
        print("  ", row, flush=True)
        if "--quick" not in sys.argv:
            write({suite.name: row})
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
