# Blocks in os.read(0, 1) in a sub-interpreter, having written the stacks of
# the main interpreter and of that one, [file, function, line] a frame.
import json
import os
import sys

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters


def describe(f):
    out = []
    while f is not None:
        out.append([f.f_code.co_filename, getattr(f.f_code, "co_qualname", f.f_code.co_name), f.f_lineno])
        f = f.f_back
    return out


SCRIPT = """
import json, os, sys
def describe(f):
    out = []
    while f is not None:
        out.append([f.f_code.co_filename, getattr(f.f_code, "co_qualname", f.f_code.co_name), f.f_lineno])
        f = f.f_back
    return out
def inside():
    out = json.dumps([outer, describe(sys._getframe())]).encode() + b'\\n'; (os.write(1, out), os.read(0, 1))
inside()
"""


def run(sid):
    run_it = getattr(interpreters, "run_string")
    stack = json.dumps(describe(sys._getframe())); run_it(sid, "outer = " + stack.replace("null", "None") + SCRIPT)


run(interpreters.create())
