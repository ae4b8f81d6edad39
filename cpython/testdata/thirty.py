# Blocks in os.read(0, 1) below 30 frames, each of a code object and a file of
# its own with some 40 lines, as stacks of real programs are.
import os
import sys

ns = {"os": os, "f0": None}
for i in range(28):
    src = "def f%d(n):\n%s  return %s\n" % (
        i, "".join("  x%d = n + %d\n" % (k, k) for k in range(40)),
        "f%d(n + 1)" % (i - 1) if i else "(os.write(1, b'ready\\n'), os.read(0, 1))[1:]")
    exec(compile(src, "/usr/lib/python3/dist-packages/some_package/module_%d.py" % i, "exec"), ns)


def main():
    ns["f27"](1)


main()
