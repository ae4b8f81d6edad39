"""Says what expressions come to, and waits."""
import json
import sys


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y


class Slots:
    __slots__ = ("a",)

    def __init__(self):
        self.a = [10, 20, 30]


LIMIT = 12


def last(point, items, table, text, small):
    deep = {"k": [point, {"n": 5}]}
    slots = Slots()
    none = None
    big = 2 ** 70
    half = 0.5
    data = b"abc"
    names = {"x", "y"}
    try:
        raise ValueError("bad", 3)
    except ValueError as e:
        error = e
    said = []
    for e in EXPRESSIONS:
        try:
            said.append([e, repr(eval(e))])
        except Exception:
            said.append([e, None])
    del e
    print(json.dumps(said), flush=True)
    sys.stdin.readline()
    return deep, slots, none, big, half, data, names, error


EXPRESSIONS = [
    "small", "small + 1", "small * -3 // 2", "-7 % 3", "7 // -2", "-7 % -3", "small / 2", "half * 3", "2 - half",
    "point.x", "point.y == 'why'", "point.x > 2 and point.y != ''", "point.x > 2 or nothing", "not point.x",
    "items[0]", "items[-1]", "items[9]", "len(items)", "items[small - 2]", "2 in items", "99 not in items",
    "table['a']", "table[2]", "table['missing']", "'a' in table", "len(table)", "table['a'] == 1",
    "text", "text[1]", "text[-1]", "len(text)", "'ell' in text", "text < 'z'", "text + '!'", "text == \"hello\"",
    "deep['k'][0].x", "deep['k'][1]['n'] * 2", "slots.a[2]", "none is None", "none is not None", "none == None",
    "big", "big > 5", "big == 1180591620717411303424", "LIMIT", "LIMIT == 12.0", "1 < small < 5", "1 < small < 2 < 3",
    "1 < small < 4 < 9", "True", "True and False or small", "small is True", "'x' in names", "'z' in names",
    "error.args[0]", "error.args[1] + 1", "(small + 1) * 2", "1e3", "0x1f", "1_000", "'a\\n'", "sys.maxsize", "Point", "missing",
    "1 / 0", "small.x", "items.append", "text - 1", "half == 0.5", "items == items", "point == point",
]

last(Point(4, "why"), [1, 2, 3], {"a": 1, 2: "two"}, "hello", 3)
