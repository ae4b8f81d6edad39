# At each of many points prints, as JSON, the local variables of all frames of
# random functions, made for it: innermost frame first, each a list of [name,
# text, is it an argument]; then reads a byte from standard input.
# Usage: localpoints.py SEED POINTS
import json
import os
import random
import sys

seed, points = int(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
count = 0


class Point:
    def __init__(self, *values):
        for i, v in enumerate(values):
            setattr(self, "abcdefgh"[i], v)


class Slotted:
    __slots__ = ("s", "t")

    def __init__(self, s, t):
        self.s, self.t = s, t


TEXTS = ["", "plain", "it's", 'say "hi"', "both ' and \"", "tab\t nl\n cr\r \x00 \x7f", "ünï", "日本語", "\U0001f40d!", "\udcff", "\xa0\xad", "\\", "x" * 150]


def scalar():
    k = rng.randrange(12)
    if k == 0:
        return rng.choice([0, 1, -1, 255, 256, -5, -6, 2**30 - 1, 2**30, -2**30, 2**60, 2**63, -2**64, 10**30, -10**50])
    if k == 1:
        return rng.randrange(-10**12, 10**12)
    if k == 2:
        return rng.choice([0.0, -0.0, 1.5, 1e16, 1e-5, 123456789.125, float("inf"), float("-inf"), float("nan"), 0.1, 5e-324, 1e22, 1e100])
    if k == 3:
        return rng.random() * 10**rng.randrange(-8, 20)
    if k == 4:
        return rng.choice(TEXTS)
    if k == 5:
        return "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xc0, 0x17f), rng.randrange(0x4e00, 0x4f00)])) for _ in range(rng.randrange(30)))
    if k == 6:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(20)))
    if k == 7:
        return rng.choice([True, False, None, Ellipsis, NotImplemented])
    if k == 8:
        return complex(rng.randrange(-3, 3), rng.randrange(-3, 3))
    if k == 9:
        return rng.choice([int, str, dict, ValueError])
    if k == 10:
        return rng.choice([ValueError("bad", 3), KeyError("k"), OSError()])
    return rng.randrange(-5, 300)


def hashable():
    while True:
        v = scalar()
        # An exception is hashed by address, and its order is then Python's to know.
        if v == v:
            return v


def value(depth=3):
    k = rng.randrange(9) if depth else 0
    n = rng.randrange(5)
    if k == 1:
        return [value(depth - 1) for _ in range(n)]
    if k == 2:
        return tuple(value(depth - 1) for _ in range(n))
    if k == 3:
        d = {hashable(): value(depth - 1) for _ in range(rng.randrange(15))}
        for key in list(d):
            if rng.random() < .2:
                del d[key]
        return d
    if k == 4:
        s = {hashable() for _ in range(rng.randrange(15))}
        for item in list(s):
            if rng.random() < .2:
                s.discard(item)
        return s
    if k == 5:
        return frozenset(hashable() for _ in range(n))
    if k == 6:
        p = Point(*(value(depth - 1) for _ in range(1 + rng.randrange(6))))
        if rng.random() < .3:
            p.__dict__["late"] = value(depth - 1)
        if rng.random() < .3:
            del p.a
            p.a = value(0)
        return p
    if k == 7:
        return Slotted(value(depth - 1), value(depth - 1))
    return scalar()


def text(v):
    """How a value is shown."""
    t = type(v)
    if t is Point:
        return "Point(%s)" % ", ".join("%s=%s" % (k, text(w)) for k, w in vars(v).items())
    if t is Slotted:
        return "Slotted(s=%s, t=%s)" % (text(v.s), text(v.t))
    if t is list:
        return "[%s]" % ", ".join(map(text, v))
    if t is tuple:
        return "(%s%s)" % (", ".join(map(text, v)), "," if len(v) == 1 else "")
    if t is dict:
        return "{%s}" % ", ".join("%s: %s" % (text(k), text(w)) for k, w in v.items())
    if t is set:
        return "{%s}" % ", ".join(map(text, v)) if v else "set()"
    if t is frozenset:
        return "frozenset({%s})" % ", ".join(map(text, v))
    if isinstance(v, BaseException):
        return "%s(%s)" % (t.__name__, ", ".join(map(text, v.args)))
    if t.__name__ in ("function", "generator", "coroutine"):
        return "<%s %s>" % (t.__name__, v.__qualname__)
    if isinstance(v, type):
        return "<class '%s'>" % v.__name__
    return repr(v)


def small(v):
    """Whether it is shown in full."""
    t = text(v)
    return len(t.encode("utf-8", "replace")) < 3000


def fresh(depth=3):
    while True:
        v = value(depth)
        if small(v):
            return v


CODE = compile("""
def stop(out, os=os):
    os.write(1, out)
    os.read(0, 1) or os._exit(1)
""", "stop.py", "exec")
exec(CODE)


def point():
    global count
    count += 1
    frames = []
    f = sys._getframe()
    while f is not None:
        co = f.f_code
        if co.co_filename == "made.py":
            n = co.co_argcount + co.co_kwonlyargcount + bool(co.co_flags & 4) + bool(co.co_flags & 8)
            args = set(co.co_varnames[:n])
            frames.append([[k, text(v), k in args] for k, v in f.f_locals.items() if not (k.startswith("__") and k.endswith("__"))])
        f = f.f_back
    stop(json.dumps({"point": count, "frames": frames}).encode() + b"\n")
    if count >= points:
        os._exit(0)


SHAPES = [
    # What a function is like: its head, and how it goes on.
    "def made(a, b, *args, k=None, **kw):\n  x = fresh(); y = fresh()\n  %s = fresh()\n  go(n)\n  del x\n  return y\n",
    "def made(a, b=1):\n  x = fresh(2)\n  def inner(c):\n    y = b is None\n    b2 = x, 1\n    go(n)\n    return a\n  inner(fresh())\n",
    "def made(a, b):\n  def gen(z):\n    q = fresh()\n    yield q\n    %s = fresh()\n    go(n)\n    yield z\n  for i in gen(fresh()): pass\n",
    "def made(a, b):\n  class C:\n    x = fresh()\n    %s = fresh()\n    go(n)\n",
    "def made(a, b):\n  try:\n    raise ValueError(fresh(2))\n  except ValueError as e:\n    go(n)\n",
    "def made(a, b):\n  r = [0, fresh(2)]\n  for i, v in enumerate(r):\n    if i: go(n)\n",
    "async def co(a):\n  z = fresh()\n  go(n)\ndef made(a, b):\n  c = fresh()\n  try: co(c).send(None)\n  except StopIteration: pass\n",
    "def made(a, /, b, *, k=2):\n  unset = 1\n  del unset\n  x = a\n  go(n)\n",
]


def go(n):
    if n <= 0:
        point()
        return
    src = rng.choice(SHAPES)
    if sys.version_info < (3, 8):
        src = src.replace(" /,", "")
    if "%s" in src:
        src = src % rng.choice(["z", "ünï", "long_name_of_a_variable"])
    ns = {"fresh": fresh, "go": go, "n": n - 1}
    exec(compile(src, "made.py", "exec"), ns)
    ns["made"](fresh(), fresh())


while True:
    go(1 + rng.randrange(6))
