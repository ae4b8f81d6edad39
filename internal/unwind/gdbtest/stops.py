# Run by gdb: starts a program, lets a timer stop it again and again, and
# writes what gdb sees at each stop to descriptor 3, as a line of JSON; goes on
# when it has read a line from descriptor 4. With a core file (CORE=1) there is
# one such line.
import json
import os

import gdb

REGS = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
KINDS = {gdb.NORMAL_FRAME: "normal", gdb.INLINE_FRAME: "inline", gdb.TAILCALL_FRAME: "tail",
         gdb.SIGTRAMP_FRAME: "signal"}


def setup():
    for cmd in ("pagination off", "width 0", "height 0", "confirm off", "style enabled off",
                "print thread-events off", "debuginfod enabled off", "disable-randomization off",
                "backtrace past-main on", "backtrace past-entry on"):
        try:
            gdb.execute("set " + cmd)
        except gdb.error:
            pass
    gdb.execute("handle SIGPROF stop nopass print", to_string=True)
    gdb.execute("handle SIGALRM stop nopass print", to_string=True)


def mixed_up(frame):
    """The names of arguments for which gdb shows another variable.

    gdb looks an argument up by its name, among all variables of the function's
    block. Those of inner blocks that have no addresses are there too.
    """
    try:
        block = frame.block()
    except RuntimeError:
        return []
    while block.function is None:
        block = block.superblock
    names = [[s.name for s in block if s.is_argument == arg] for arg in (True, False)]
    return sorted(set(names[0]) & set(names[1]))


def stack():
    text = [l for l in gdb.execute("bt", to_string=True).splitlines() if l.startswith("#")]
    frames = []
    f = gdb.newest_frame()
    while f is not None and f.is_valid():
        sal = f.find_sal()
        file = sal.symtab.fullname() if sal.symtab else ""
        frames.append({"kind": KINDS.get(f.type(), str(f.type())), "name": f.name() or "", "pc": f.pc(),
                       "file": file, "line": sal.line if sal.symtab else 0,
                       "mixedUp": mixed_up(f)})
        f = f.older()
    for frame, line in zip(frames, text):
        frame["text"] = line
    return frames


def main():
    setup()
    out = os.fdopen(3, "w")
    if os.environ.get("CORE"):
        gdb.execute("set print entry-values no")
        out.write(json.dumps({"pid": 0, "regs": {}, "frames": stack()}) + "\n")
        out.flush()
        return
    acks = os.fdopen(4)
    gdb.execute("run", to_string=True)
    while gdb.selected_inferior().pid:
        top = gdb.newest_frame()
        regs = {r: int(top.read_register(r)) & (1 << 64) - 1 for r in REGS}
        stop = {"pid": gdb.selected_inferior().pid, "regs": regs, "frames": stack()}
        out.write(json.dumps(stop) + "\n")
        out.flush()
        if not acks.readline():
            break
        gdb.execute("continue", to_string=True)


try:
    main()
finally:
    if not os.environ.get("CORE") and gdb.selected_inferior().pid:
        gdb.execute("kill", to_string=True)
