# Writes where each instruction of stop() is in the source, [line, end line,
# column, end column] with columns from 1, and blocks in os.read(0, 1) in it.
import json
import os


def stop(fd):
    for i in range(2):
        try:
            x = (os.read(fd, 1) or
                 os.write(1,
                          b"")) + (
                lambda: None)()
        except TypeError as e:
            del e
    return x


def positions(code):
    if not hasattr(code, "co_positions"):
        return []
    return [[p[0] or 0, p[1] or 0, 0 if p[2] is None else p[2] + 1, 0 if p[3] is None else p[3] + 1]
            for p in code.co_positions()]


out = (json.dumps(positions(stop.__code__)) + "\n").encode()
os.write(1, out)
stop(0)
