# Runs a program under sys.monitoring (3.12 and later) and writes how often each of its
# functions began and each of its lines: monitor.py PROGRAM OUT.
import sys, json, threading
mon = sys.monitoring
E = mon.events
calls, lines = {}, {}
lock = threading.Lock()  # without a GIL two threads may count at once
def on_start(code, off):
    if code.co_filename == FILE:
        k = code.co_qualname
        with lock:
            calls[k] = calls.get(k, 0) + 1
def on_line(code, line):
    if code.co_filename == FILE:
        k = "%s:%d" % (code.co_qualname, line)
        with lock:
            lines[k] = lines.get(k, 0) + 1
FILE = sys.argv[1]
src = open(FILE).read()
co = compile(src, FILE, "exec")
mon.use_tool_id(3, "t")
mon.register_callback(3, E.PY_START, on_start)
mon.register_callback(3, E.LINE, on_line)
mon.set_events(3, E.PY_START | E.LINE)
g = {"__name__": "__main__"}
exec(co, g)
mon.set_events(3, 0)
json.dump({"calls": calls, "lines": lines}, open(sys.argv[2], "w"), indent=1, sort_keys=True)
