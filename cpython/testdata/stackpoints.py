# Goes through random chains of Python activations. At the end of each chain it
# writes, as one line of JSON, the stacks that the interpreter itself sees, of
# this thread and of the others, and then blocks in os.read(0, 1) until told to
# go on: a reader of the process's memory must see the same.
#
# Arguments: seed, number of points, number of other threads.
import asyncio
import collections
import contextlib
import dis
import functools
import gc
import json
import os
import random
import re
import sys
import tempfile
import threading
import time
import types
import weakref

try:
    import ctypes
except ImportError:
    ctypes = None

seed, points, nthreads = map(int, sys.argv[1:4])
sys.setrecursionlimit(5000)
HAS_COLUMNS = sys.version_info >= (3, 11)
NO_RANGES = "no_debug_ranges" in sys._xoptions


class Hook:
    """A chain: how it goes on and what ends it."""

    def __init__(self, rng, last):
        self.rng, self.last = rng, last
        self.loop_running = False


known = {}


def positions(co):
    if co.co_filename != __file__:
        return list(co.co_positions())  # to keep co would keep its address
    if co not in known:
        known[co] = list(co.co_positions())
    return known[co]


def describe(f):
    out = []
    while f is not None:
        co = f.f_code
        e = {
            "file": co.co_filename.encode("utf-8", "backslashreplace").decode(),
            "func": getattr(co, "co_qualname", co.co_name).encode("utf-8", "backslashreplace").decode(),
            "line": f.f_lineno or 0,
            "instr": f.f_lasti,
        }
        if HAS_COLUMNS:
            _, end, col, ecol = positions(co)[f.f_lasti // 2]
            e["endline"] = end or 0
            e["col"] = 0 if col is None else col + 1
            e["endcol"] = 0 if ecol is None else ecol + 1
        out.append(e)
        f = f.f_back
    return out


def native(ident):
    for t in threading.enumerate():
        if t.ident == ident:
            return t.native_id, t.name
    return 0, ""


# ---- the main thread's end of a chain

CODE = compile("""
def stop(out, frame, os=os):
    os.write(1, out)
    os.read(0, 1) or os._exit(1)
    return frame
""", "stop.py", "exec")
exec(CODE)
STOP_LINE = 4


def calls(f):
    # CALL…, and PRECALL in 3.11, which when specialised makes the call itself.
    return [i.offset for i in dis.get_instructions(f) if "CALL" in i.opname]


def expected_stop():
    # The frame that reads can't describe itself meanwhile.
    e = {"file": "stop.py", "func": "stop", "line": STOP_LINE}
    if HAS_COLUMNS:
        e.update(endline=STOP_LINE, col=0 if NO_RANGES else 5, endcol=0 if NO_RANGES else 18)
    return e


STOP = expected_stop()
count = 0


def handling():
    e = sys.exc_info()[1]
    return "" if e is None else repr(e)


def point(h):
    global count
    count += 1
    wait_for_others()
    stacks = []
    me = threading.get_ident()
    current = sys._current_frames()
    for ident, f in current.items():
        tid, name = native(ident)
        frames = describe(f)
        if ident == me:
            # It is about to call stop().
            frames[0].update(line=CALL_LINE)
            del frames[0]["instr"]
            if HAS_COLUMNS:
                frames[0].update(endline=CALL_LINE, col=0 if NO_RANGES else 5,
                                 endcol=0 if NO_RANGES else 20)
            frames.insert(0, STOP)
        stacks.append({"ident": ident, "tid": tid, "name": name, "frames": frames})
    del f, current
    out = json.dumps({"point": count, "pid": os.getpid(), "handling": handling(), "stacks": stacks}).encode() + b"\n"
    stop(out, None); CALL_LINE_HERE = 1
    if count >= points:
        os._exit(0)


CALL_LINE = next(i for i, s in enumerate(open(__file__, encoding="utf-8"), 1) if s.endswith("CALL_LINE_HERE = 1\n"))

# ---- the other threads' end of a chain: blocked in os.read on a pipe

workers = []


def idle(w):
    os.read(w.r, 1)
    w.woken += 1


IDLE = calls(idle)


class Worker(threading.Thread):
    def __init__(self, n):
        super().__init__(name="wörker-%d" % n, daemon=True)
        self.rng = random.Random(seed * 1000 + n)
        self.r, self.w = os.pipe()
        self.woken = 0

    def run(self):
        while True:
            h = Hook(self.rng, lambda h: idle(self))
            go(h, self.rng.randrange(1, 15))


def wait_for_others():
    """Moves one worker on, and waits until all are inside os.read."""
    if workers and count > 1:
        w = rng.choice(workers)
        woken = w.woken
        os.write(w.w, b"x")
        while w.woken == woken:
            time.sleep(.0001)
    while True:
        fs = sys._current_frames()
        tops = [fs.get(w.ident) for w in workers]
        if all(f is not None and f.f_code is idle.__code__ and f.f_lasti in IDLE for f in tops):
            return
        time.sleep(.0001)


# ---- kinds of activations; each goes on with go(h, n)

kinds = []


def kind(f):
    kinds.append(f)
    return f


def go(h, n):
    if n <= 0:
        h.last(h)
        return
    while True:
        k = h.rng.choice(kinds)
        if getattr(k, "ok", lambda h: True)(h):
            break
    k(h, n - 1)


@kind
def plain(h, n):
    x = 1
    go(h, n)
    return x


@kind
def positional(h, n, *args, a=1, **kw):
    if not args:
        return positional(h, n, 1, 2, a=2, b=3)
    go(*(h, n), **{})


@kind
def lam(h, n):
    (lambda x: go(h, n))(1)


@kind
def closure(h, n):
    y = [n]

    def inner():
        nonlocal y
        go(h, y[0])
        y = y + [1]
    inner()


@kind
def generator(h, n):
    def gen():
        yield 1
        go(h, n)
        yield 2
    g = gen()
    next(g)
    next(g)


@kind
def for_generator(h, n):
    def gen(k):
        for i in range(3):
            yield (
                i,
                go(h, n) if i == k else None,
            )
    for x in gen(h.rng.randrange(3)):
        pass


@kind
def yield_from(h, n):
    def inner():
        yield 1
        go(h, n)
        yield 2

    def outer():
        yield from inner()
    list(outer())


@kind
def sent(h, n):
    def gen():
        x = yield
        go(h, x)
        yield
    g = gen()
    g.send(None)
    g.send(n)


@kind
def thrown(h, n):
    def gen():
        try:
            yield
        except KeyError:
            go(h, n)
        yield
    g = gen()
    next(g)
    g.throw(KeyError("x"))


@kind
def closed(h, n):
    def gen():
        try:
            yield
        finally:
            go(h, n)
    g = gen()
    next(g)
    g.close()


@kind
def coroutine(h, n):
    class Wait:
        def __await__(self):
            go(h, n)
            yield 1

    async def leaf():
        await Wait()

    async def mid():
        return await leaf()
    c = mid()
    c.send(None)
    c.close()


@kind
def async_generator(h, n):
    async def agen():
        yield 1
        go(h, n)
        yield 2

    async def main():
        async for _ in agen():
            pass
        async with Ctx(h, None):
            pass
    try:
        main().send(None)
    except StopIteration:
        pass


class Ctx:
    def __init__(self, h, n):
        self.h, self.n = h, n

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        pass

    def __enter__(self):
        if self.n is not None and self.h.rng.random() < .5:
            go(self.h, self.n)
            self.n = None

    def __exit__(self, *exc):
        if self.n is not None:
            go(self.h, self.n)
        return True


@kind
def aio(h, n):
    async def task():
        await asyncio.sleep(0)
        go(h, n)

    async def main():
        t = asyncio.ensure_future(task())
        await asyncio.gather(t, asyncio.sleep(0))
    h.loop_running = True
    try:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    finally:
        h.loop_running = False


aio.ok = lambda h: not h.loop_running


@kind
def with_enter(h, n):
    with Ctx(h, n) as c, Ctx(h, None):
        raise ValueError("in with")


@kind
def with_contextlib(h, n):
    @contextlib.contextmanager
    def cm():
        yield go(h, n)
    with cm():
        pass


@kind
def except_block(h, n):
    try:
        try:
            {}["missing"]
        except KeyError as e:
            raise RuntimeError("wrapped") from e
    except RuntimeError:
        go(h, n)


@kind
def finally_block(h, n):
    def f():
        try:
            raise IndexError(n)
        finally:
            go(h, n)
    try:
        f()
    except IndexError:
        pass


@kind
def class_body(h, n):
    class C:
        x = 1
        go(h, n)
        y = 2


@kind
def init(h, n):
    class C:
        __slots__ = ("a",)

        def __init__(self, a):
            self.a = a
            go(h, a)

    def make(k):
        return C(k)
    for _ in range(12):  # warm up, so that the call is specialised
        C.__init__, keep = (lambda self, a: None), C.__init__
        make(n)
        C.__init__ = keep
    make(n)


class Warm:
    def __init__(self, h, n):
        if n is not None:
            go(h, n)


def make_warm(h, n):
    return Warm(h, n)


@kind
def init_warm(h, n):
    for _ in range(20):
        make_warm(h, None)
    make_warm(h, n)


@kind
def new_and_meta(h, n):
    class Meta(type):
        def __new__(mcs, name, bases, ns, **kw):
            go(h, n)
            return super().__new__(mcs, name, bases, ns)

    class C(metaclass=Meta, key=1):
        pass


@kind
def init_subclass(h, n):
    class Base:
        def __init_subclass__(cls, **kw):
            super().__init_subclass__()
            go(h, n)

    class C(Base):
        pass


@kind
def super_method(h, n):
    class A:
        def f(self, k):
            go(h, k)

    class B(A):
        def f(self, k):
            return super().f(k)
    B().f(n)


@kind
def prop(h, n):
    class C:
        @property
        def p(self):
            return go(h, n)
    C().p


class WarmProp:
    hook = None

    @property
    def p(self):
        if self.hook:
            h, n = self.hook
            go(h, n)


def read_p(o):
    return o.p


@kind
def prop_warm(h, n):
    o = WarmProp()
    for _ in range(20):
        read_p(o)
    o.hook = h, n
    read_p(o)


@kind
def getattr_hook(h, n):
    class C:
        def __getattr__(self, name):
            go(h, n)
            return 1
    C().whatever


@kind
def descriptor(h, n):
    class D:
        def __get__(self, obj, owner=None):
            go(h, n)

        def __set_name__(self, owner, name):
            self.name = name

    class C:
        d = D()
    C.d


class Num:
    def __init__(self, h, n):
        self.h, self.n = h, n

    def __add__(self, o):
        return go(self.h, self.n)

    def __lt__(self, o):
        go(self.h, self.n)
        return True

    def __getitem__(self, i):
        return go(self.h, self.n)

    def __hash__(self):
        go(self.h, self.n)
        return 1

    def __bool__(self):
        go(self.h, self.n)
        return True

    def __iter__(self):
        go(self.h, self.n)
        return iter(())

    def __contains__(self, x):
        go(self.h, self.n)
        return True

    def __call__(self, *a):
        return go(self.h, self.n)

    def __format__(self, spec):
        go(self.h, self.n)
        return ""

    def __del__(self):
        pass


@kind
def dunder(h, n):
    o = Num(h, n)
    which = h.rng.randrange(9)
    if which == 0:
        o + 1
    elif which == 1:
        o < 2
    elif which == 2:
        o[3]
    elif which == 3:
        {o: 1}
    elif which == 4:
        if o:
            pass
    elif which == 5:
        for _ in o:
            pass
    elif which == 6:
        1 in o
    elif which == 7:
        o(1,
          2)
    else:
        f"{o:x}"


@kind
def finalizer(h, n):
    class F:
        def __del__(self):
            go(h, n)
    f = F()
    del f


@kind
def weak(h, n):
    class O:
        pass
    o = O()
    r = weakref.ref(o, lambda _: go(h, n))
    del o
    return r


@kind
def collected(h, n):
    # In 3.11 a collection can start while a frame's cells are being made:
    # the interpreter hides such a frame from the callback.
    def callback(phase, info):
        if not done and threading.get_ident() == me:
            done.append(1)
            go(h, n)

    def many_cells(a, b, c):
        return lambda: (a, b, c)
    done, me, keep = [], threading.get_ident(), []
    gc.callbacks.append(callback)
    old = gc.get_threshold()
    gc.set_threshold(1 + h.rng.randrange(6))
    for i in range(20):
        keep.append(many_cells(i, i, [i]))
    gc.set_threshold(*old)
    gc.callbacks.remove(callback)


def decorate(f):
    @functools.wraps(f)
    def wrapper(*a, **kw):
        return f(*a, **kw)
    return wrapper


@kind
@decorate
@decorate
def decorated(h, n):
    go(h, n)


@kind
def partial(h, n):
    functools.partial(go, h)(n)


@kind
def cached(h, n):
    @functools.lru_cache(None)
    def f(k):
        return go(h, k)
    f(n)


@kind
def sort_key(h, n):
    sorted([1], key=lambda _: go(h, n) or 0)


@kind
def mapped(h, n):
    list(map(lambda x: go(h, n), [1]))


@kind
def reduced(h, n):
    functools.reduce(lambda a, b: go(h, n), [1, 2])


@kind
def substituted(h, n):
    re.sub("x", lambda m: go(h, n) or "", "axb")


@kind
def json_default(h, n):
    json.dumps({"a": h}, default=lambda o: go(h, n))


@kind
def comprehension(h, n):
    return [go(h, n) for i in range(2) if i
            and True]


@kind
def dict_comprehension(h, n):
    return {i: {go(h, n)
                for j in (1,)}
            for i in (1,)}


@kind
def genexpr(h, n):
    return sum(
        (go(h, n) or 0)
        for i in
        (1,)
    )


FILES = ["pl\xe4in.py", "\u65e5\u672c\u8a9e.py", "\U0001f40d/\u00e9.py", "bad\udcff.py", "<string>", "a" * 300 + ".py"]
if "perf" in sys._xoptions:
    FILES.remove("bad\udcff.py")  # writing the perf map fails on it


@kind
def executed(h, n):
    name = h.rng.choice(["f", "f\xe9", "\u51fd\u6570", "\U00020000x"])
    pad = "\n" * h.rng.choice([0, 3, 126, 127, 128, 129, 255, 300, 70000])
    src = "def %s(h, n):\n  x = 1%s\n  (\n\n  go(\n  h,%s\n  n))\n%s(h, n)\n" % (name, pad, pad, name)
    exec(compile(src, h.rng.choice(FILES), "exec"), {"go": go, "h": h, "n": n})


@kind
def evaluated(h, n):
    eval("go(h, n)")


@kind
def same_place(h, n):
    # Code objects made, freed and made again, likely at the same addresses.
    for i in range(3):
        exec(compile("i\ngo(h, n) if i == %d else None\n" % h.rng.randrange(3), "again%d.py" % h.rng.randrange(10), "exec"),
             {"go": go, "h": h, "n": n if i == 2 else -1, "i": i} if i == 2 else {"i": None})


LONG = "def longer(h, n):\n  x = (%s)\n  y = [%s]\n  return go(h, n), x\n" % (
    " + ".join(["n"] * 400), ",\n".join("n + %d" % i for i in range(400)))
exec(compile(LONG, "long.py", "exec"))
kinds.append(longer)

WIDE = "def wide(h, n):\n  return %s, go(h, n)\n" % ", ".join("n%s" % (" " * 20) for i in range(30))
exec(compile(WIDE, "wide.py", "exec"))
kinds.append(wide)


@kind
def while_loop(h, n):
    i = 0
    while i < 3:
        i += 1
        if i == 2:
            go(h, n)
        else:
            continue
    else:
        i = 0


@kind
def backwards(h, n):
    for i in (
            1,
            2):
        x = (
            i,
        )
        if i == 2: go(h, n); x = None


@kind
def many_args(h, n):
    def f(a, b, c, d, e, *rest, k, **kw):
        go(
            a,
            kw[
                "z"
            ],
        )
    f(h, 1,
      2, 3,
      4, 5, k=1,
      z=n)


@kind
def tuple_made(h, n):
    P = collections.namedtuple("P", "a b")

    class Q(P):
        def __new__(cls, a):
            go(h, a)
            return super().__new__(cls, a, 1)
    Q(n)


@kind
def method_object(h, n):
    m = types.MethodType(lambda self, k: go(self, k), h)
    m(n)


@kind
def recursion(h, n):
    def down(k):
        if k:
            return down(k - 1) + 1
        go(h, n)
        return 0
    down(h.rng.randrange(12))


@kind
def imported(h, n):
    with tempfile.TemporaryDirectory() as d:
        name = "mod_%d" % h.rng.randrange(10**9)
        with open(os.path.join(d, name + ".py"), "w") as f:
            f.write("# a module\nimport builtins\n\nbuiltins._hook()\n")
        sys.path.insert(0, d)
        import builtins
        keep = getattr(builtins, "_hook", None)
        builtins._hook = lambda: go(h, n)
        try:
            __import__(name)
        finally:
            sys.path.remove(d)
            sys.modules.pop(name, None)
            builtins._hook = keep


imported.ok = lambda h: h.last is point  # builtins._hook is shared


if ctypes:
    @kind
    def c_callback(h, n):
        cb = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: go(h, n) or 0)
        cb(1)


@kind
def traced(h, n):
    def tracer(frame, event, arg):
        return tracer if h.rng.random() < .5 else None
    old = sys.gettrace()
    sys.settrace(tracer)
    try:
        go(h, n)
    finally:
        sys.settrace(old)


@kind
def in_tracer(h, n):
    def tracer(frame, event, arg):
        if frame.f_code is target.__code__ and event == "line" and not done:
            done.append(1)
            go(h, n)
        return tracer

    def target():
        a = 1
        return a
    done = []
    old = sys.gettrace()
    sys.settrace(tracer)
    try:
        target()
    finally:
        sys.settrace(old)


@kind
def in_profiler(h, n):
    def profiler(frame, event, arg):
        if frame.f_code is target.__code__ and not done:
            done.append(1)
            sys.setprofile(None)
            go(h, n)

    def target():
        return len("a")
    done = []
    sys.setprofile(profiler)
    target()
    sys.setprofile(None)


rng = random.Random(seed)
for i in range(nthreads):
    w = Worker(i)
    workers.append(w)
    w.start()
while True:
    go(Hook(rng, point), rng.randrange(0, 40))
