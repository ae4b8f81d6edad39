#!/usr/bin/env python3
"""Records programs whose libraries have threads in native code.

    scripts/native-threads.py PYRR PYTHON [RUNS] [LIBRARY...]

PYTHON has the libraries installed. Each program runs natively, on one core too,
and is recorded RUNS times (3), of which each recording is replayed by pyrr
itself. Prints a table in Markdown. The ratio is the median of processor time
while recording, without the replay, over that of the native run on one core.
"""
import os, resource, shutil, statistics, subprocess, sys, tempfile

PROGRAMS = {
    "numpy": "import numpy as np; a = np.ones((700, 700)); print((a @ a)[0, 0])",
    "scipy": "import numpy as np, scipy.linalg as l; a = np.eye(400) * 2; a[0] = 1; print(round(float(l.det(l.inv(a)) * 2.0**399), 6))",
    "scikit-learn": "import numpy as np\nfrom sklearn.cluster import KMeans\nx = np.arange(40000, dtype=float).reshape(-1, 2)\nprint(KMeans(4, n_init=1, random_state=0).fit(x).labels_.shape)",
    "numba": "import numpy as np, numba\n@numba.njit(parallel=True)\ndef f(x):\n    s = 0.0\n    for i in numba.prange(x.size):\n        s += x[i]\n    return s\nprint(f(np.ones(100000)))",
    "polars": "import polars as p; d = p.DataFrame({'a': list(range(20000)), 'b': [i % 7 for i in range(20000)]})\nprint(d.group_by('b').agg(p.col('a').sum()).sort('b')['a'].to_list())",
    "tokenizers": "from tokenizers import Tokenizer, models, trainers, pre_tokenizers\nt = Tokenizer(models.BPE()); t.pre_tokenizer = pre_tokenizers.Whitespace()\nt.train_from_iterator(['the quick brown fox %d' % (i % 9) for i in range(500)], trainers.BpeTrainer(vocab_size=80, show_progress=False))\nprint(len(t.encode_batch(['quick fox'] * 200)))",
    "pyarrow": "import pyarrow as a, pyarrow.compute as c\nt = a.table({'a': range(50000), 'b': [i % 5 for i in range(50000)]})\nprint(sorted(t.group_by('b').aggregate([('a', 'sum')]).to_pydict()['a_sum']))",
    "duckdb": "import duckdb; print(duckdb.sql('select b, sum(a) from (select i a, i % 5 b from range(200000) t(i)) group by b order by b').fetchall())",
    "grpcio": "import grpc\nfrom concurrent.futures import ThreadPoolExecutor\ns = grpc.server(ThreadPoolExecutor(2))\nh = grpc.unary_unary_rpc_method_handler(lambda b, c: b * 2)\ns.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('x', {'y': h}),))\np = s.add_insecure_port('127.0.0.1:0'); s.start()\nwith grpc.insecure_channel(f'127.0.0.1:{p}') as c: print(c.unary_unary('/x/y')(b'ab', timeout=20))\ns.stop(0).wait()",
    "pyzmq": "import zmq, threading\nc = zmq.Context(); a = c.socket(zmq.REP); p = a.bind_to_random_port('tcp://127.0.0.1')\ndef serve():\n    for _ in range(20): a.send(a.recv())\nt = threading.Thread(target=serve); t.start()\nb = c.socket(zmq.REQ); b.connect(f'tcp://127.0.0.1:{p}')\nfor i in range(20): b.send(b'%d' % i); r = b.recv()\nt.join(); print(r)",
    "uvloop": "import asyncio, uvloop\nasync def main():\n    s = await asyncio.start_server(lambda r, w: w.close(), '127.0.0.1', 0)\n    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())\n    print(await r.read(), await asyncio.get_running_loop().run_in_executor(None, sum, range(100)))\nuvloop.run(main())",
    "torch": "import torch; a = torch.ones(500, 500); print((a @ a).sum().item(), torch.get_num_threads() > 0)",
}


def cpu(argv, env, limit=120):
    """Runs a command; returns its output, status and processor time in s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, timeout=limit)
        out, err, status = p.stdout, p.stderr, p.returncode
    except subprocess.TimeoutExpired:
        out, err, status = b"", b"", "no end"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return out, err, status, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    pyrr, python = (os.path.abspath(a) for a in sys.argv[1:3])
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    names = sys.argv[4:] or list(PROGRAMS)
    env = dict(os.environ, PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
    work = tempfile.mkdtemp()
    print("| library | threads | outcome | whole | exact | ratio |\n|---|---:|---|---|---|---:|", flush=True)
    for name in names:
        # The number of threads is read of the process when the program is done.
        program = PROGRAMS[name] + "\nimport sys, os; print(len(os.listdir('/proc/self/task')), file=sys.stderr)"
        one, _, status, native = cpu(["taskset", "-c", "0", python, "-c", program], env)
        if status != 0:
            print(f"| {name} | – | not installed here | – | – | – |", flush=True)
            continue
        want, err, status, _ = cpu([python, "-c", program], env)
        counts = [line for line in err.split(b"\n") if line.isdigit()]  # libraries write there too
        threads = counts[-1].decode() if counts else "–"
        same = whole = exact = 0
        times = []
        for i in range(runs):
            rec = os.path.join(work, f"{i}.pyrr.zip")
            out, err, st, t = cpu([pyrr, "record", "--verify", "none", "--timeout", "100s", "-o", rec, "--", python, "-c", program], env)
            times.append(t / native)
            same += out == want and st == status
            whole += b"recording stopped" not in err and st == status
            if os.path.exists(rec):
                got, _, st, _ = cpu([pyrr, "replay", "--batch", rec], env)
                exact += st == 0 and got == want
                os.unlink(rec)
        print(f"| {name} | {threads} | {same} of {runs} | {whole} of {runs} | {exact} of {runs} | {statistics.median(times):.2f} |", flush=True)
    shutil.rmtree(work)


main()
