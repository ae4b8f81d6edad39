# Has locals of every kind and writes, as one line of JSON, what a reader of
# its memory is expected to show of them: [name, text, is it an argument],
# frame by frame, innermost first; then blocks in os.read(0, 1).
import collections
import enum
import json
import os
import sys

expect = []


def want(frame, args, **texts):
    """Expects repr of the frame's locals, where texts has nothing else."""
    expect.append([
        [name, texts.get(name) or repr(value), name in args]
        for name, value in frame.f_locals.items()
    ])






class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y


class Slots:
    __slots__ = ("b", "a", "unset")

    def __init__(self):
        self.a = 1
        self.b = "two"


class SubSlots(Slots):
    __slots__ = ("c", "__dict__")

    def __init__(self):
        super().__init__()
        self.c = None
        self.d = Point(1, 2)


class Many:
    def __init__(self):
        for i in range(40):
            setattr(self, "a%d" % i, i)


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


class Number(enum.IntEnum):
    ONE = 1


class MyInt(int):
    pass


class MyList(list):
    pass


class MyDict(dict):
    pass


class MyStr(str):
    pass


class MyError(Exception):
    pass


class Empty:
    pass


def legacy_str():
    """A str whose characters are still a wchar_t array (not "ready")."""
    if sys.version_info >= (3, 12):
        return None
    import ctypes
    new = ctypes.pythonapi.PyUnicode_FromUnicode
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
    chars = ctypes.pythonapi.PyUnicode_AsUnicode
    chars.restype = ctypes.c_void_p
    chars.argtypes = [ctypes.py_object]
    s = new(None, 3)
    (ctypes.c_wchar * 3).from_address(chars(s))[:] = "\u65e5a\U0001f40d"
    return s


Pair = collections.namedtuple("Pair", "a b")


def numbers():
    zero, one, minus = 0, 1, -1
    small, edge, below, above = 255, 2**30 - 1, -2**30, 2**60
    big, negative_big = 3**200, -7**150
    true, false, none, dots, missing = True, False, None, ..., NotImplemented
    f0, f1, f2, f3, f4 = 0.0, -0.0, 1.5, 1e16, 123456789012345.0
    f5, f6, f7, f8, f9 = 1e-4, 9.99e-5, 1.7976931348623157e308, 5e-324, 0.1
    nan, inf, ninf = float("nan"), float("inf"), float("-inf")
    c1, c2, c3, c4 = 1 + 2j, -2j, 2.5 - 1j, complex(-0.0, 1)
    my_int = MyInt(7)
    red, green, number = Colour.RED, Colour.GREEN, Number.ONE
    want(sys._getframe(), (), my_int="MyInt(7)", red="<Colour.RED: 1>", number="<Number.ONE: 1>")
    last()


def strings(a, b=2, *rest, key="k", **more):
    empty, plain, quote, both = "", "abc", "it's", "it's \"x\""
    control, latin, bmp, astral = "a\n\t\r\x00\x7f\\", "caf\xe9", "\u65e5\u672c", "\U0001f40d!"
    nbsp, surrogate, mixed = "\xa0\xad", "a\udcffb", "\xe9\u65e5\U0001f40d"
    bempty, bplain, bquote = b"", b"abc\x00\xff\n", b"it's"
    long_str, long_bytes = "x" * 500, b"y" * 500
    my_str = MyStr("sub")
    legacy = legacy_str()
    made = "".join([plain, "x" * a])
    want(sys._getframe(), ("a", "b", "rest", "key", "more"), long_str=repr("x" * 200) + "…",
         long_bytes=repr(b"y" * 200) + "…", my_str="MyStr('sub')",
         legacy="'\u65e5a\U0001f40d'" if sys.version_info < (3, 12) else "None")
    numbers()


def containers():
    t0, t1, t2, nested = (), (1,), (1, "a"), ((1, (2, (3,))), [])
    l0, l1 = [], [1, [2, [3]], {"a": {}}]
    d0, d1, d2 = {}, {"a": 1, "b": [1]}, {1: 2, (1, 2): None, "x": "y"}
    deleted = {"a": 1, "b": 2, "c": 3}
    del deleted["b"]
    deleted["a"] = 4
    large = {i: i for i in range(10)}
    for i in range(1000):
        large["k%d" % i] = i
    for i in range(1000):
        del large["k%d" % i]
    s0, s1, s2, f0 = set(), {5}, {"only"}, frozenset([1])
    s3 = {1, 2}
    s3.discard(1)
    many = list(range(100))
    loop = [1]
    loop.append(loop)
    dloop = {}
    dloop["me"] = dloop
    deep = [[[[[[]]]]]]
    pair, my_list, my_dict = Pair(1, "x"), MyList([1]), MyDict(a=1)
    ordered, default = collections.OrderedDict(a=1), collections.defaultdict(list, a=[1])
    want(sys._getframe(), (), many="[" + ", ".join(map(str, range(20))) + ", …]",
         loop="[1, […]]", dloop="{'me': {…}}", deep="[[[[[…]]]]]", pair="Pair(1, 'x')",
         my_list="MyList([1])", my_dict="MyDict({'a': 1})", f0="frozenset({1})",
         ordered="OrderedDict({'a': 1})", default="defaultdict({'a': [1]})")
    strings(1, 2, 3, 4, key="v", z=5)


def objects(self):
    p = Point(1, [2])
    q = Point(Point(1, 2), None)
    p.extra = "late"
    with_dict = Point(3, 4)
    with_dict.__dict__["z"] = 5
    del with_dict.x
    me = Point(1, None)
    me.y = me
    s, sub = Slots(), SubSlots()
    many = Many()
    e1, e2, e3, e4 = ValueError("bad", 3), KeyError("k"), MyError(), OSError(2, "No such file")
    empty = Empty()
    ob = object()
    cls, typ, builtin = Point, int, len
    gen = (i for i in ())
    fun, lam = objects, lambda: 0

    async def coro():
        pass
    co = coro()
    want(sys._getframe(), ("self",),
         self="None", p="Point(x=1, y=[2], extra='late')", q="Point(x=Point(x=1, y=2), y=None)",
         with_dict="Point(y=4, z=5)", me="Point(x=1, y=Point(…))",
         s="Slots(a=1, b='two')", sub="SubSlots(d=Point(x=1, y=2), c=None, a=1, b='two')",
         many="Many(" + ", ".join("a%d=%d" % (i, i) for i in range(20)) + ", …)",
         e3="MyError()", e4="FileNotFoundError(2, 'No such file')",
         empty="<Empty at 0x%x>" % id(empty), ob="<object at 0x%x>" % id(ob),
         cls="<class 'Point'>", typ="<class 'int'>", builtin="<builtin_function_or_method at 0x%x>" % id(builtin),
         gen="<generator objects.<locals>.<genexpr>>", fun="<function objects>",
         lam="<function objects.<locals>.<lambda>>", coro="<function objects.<locals>.coro>",
         co="<coroutine objects.<locals>.coro>")
    containers()
    co.close()


def cells(arg, other):
    loc = [arg]
    unbound = 1
    del unbound

    def inner(x):
        nonlocal loc
        y = x + other
        want(sys._getframe(), ("x",))
        objects(None)
        return loc, arg, y
    want(sys._getframe(), ("arg", "other"), inner="<function cells.<locals>.inner>")
    return inner(1)


def body():
    want(sys._getframe(), ())

    class Inner:
        attr = "a"
        number = 3
        expect.append([["attr", "'a'", False], ["number", "3", False]])
        cells(1, 2)


def generator(n):
    x = n + 1
    want(sys._getframe(), ("n",))
    yield x
    body()


def last():
    print(json.dumps(expect[::-1]), flush=True)
    os.read(0, 1)


g = generator(4)
next(g)
next(g, None)
