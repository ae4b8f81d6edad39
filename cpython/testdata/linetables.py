# Writes, one line of JSON each, the line tables of many code objects and what
# the interpreter reads in them: for each instruction [offset, line, end line,
# column, end column], a run of equal ones once; 0 for none, columns from 1.
import dis
import glob
import json
import os
import sys

HAS_COLUMNS = sys.version_info >= (3, 11)


def positions(code):
    n = len(code.co_code)
    if HAS_COLUMNS:
        for i, (line, end, col, ecol) in enumerate(code.co_positions()):
            yield [2 * i, line or 0, end or 0, 0 if col is None else col + 1, 0 if ecol is None else ecol + 1]
    elif hasattr(code, "co_lines"):
        for start, end, line in code.co_lines():
            for i in range(start, end, 2):
                yield [i, line or 0, 0, 0, 0]
    else:
        starts = dict(dis.findlinestarts(code))
        line = code.co_firstlineno
        for i in range(0, n, 2):
            line = starts.get(i, line)
            yield [i, line, 0, 0, 0]


def walk(code):
    runs = []
    for p in positions(code):
        if not runs or runs[-1][1:] != p[1:]:
            runs.append(p)
    table = code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab
    print(json.dumps({"name": code.co_name, "table": table.hex(), "first": code.co_firstlineno,
                      "length": len(code.co_code), "runs": runs}))
    for c in code.co_consts:
        if hasattr(c, "co_code"):
            walk(c)


for path in sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "[a-d]*.py"))):
    with open(path, "rb") as f:
        walk(compile(f.read(), path, "exec"))
# What real sources seldom have: long jumps both ways, long instructions, wide
# columns, lines without code.
for gap in (1, 126, 127, 128, 129, 254, 255, 256, 70000):
    for width in (1, 10, 100, 300):
        walk(compile("def f(x):\n" + "\n" * gap + "  y = (x" + "\n" * gap + "\n  )\n  z = [\n" + " " * width
                     + ",".join(["x"] * width) + "]\n  for i in y:\n" + "\n" * gap
                     + "    if i: break\n  else:\n    return " + "+".join(["z"] * width) + "\n", "<gap>", "exec"))
