# File objects over pipes and sockets with bytes that were not flushed, and without; prints as
# JSON for each its id, its descriptor and how many bytes lie in it, then blocks in os.read(0, 1).
import io
import json
import os
import socket
import sys

out, keep = [], []


def add(f, fd, count):
    keep.append(f)
    out.append([id(f), fd, count])


def pipe(mode, **how):
    fd = os.pipe()[1]
    return os.fdopen(fd, mode, **how), fd


text, fd = pipe("w")
text.write("hello")
text.write("é\n")
add(text, fd, 8)
both, fd = pipe("w")
both.write("a" * 100)
both.buffer.write(b"b" * 20)
add(both, fd, 120)
add(both.buffer, fd, 20)
flushed, fd = pipe("w")
flushed.write("hello")
flushed.flush()
add(flushed, fd, 0)
lines, fd = pipe("w", buffering=1)
lines.write("hello\n")
add(lines, fd, 0)
lines.write("rest")
add(lines, fd, 4)
empty, fd = pipe("w")
add(empty, fd, 0)
raw, fd = pipe("wb")
raw.write(b"1234567")
add(raw, fd, 7)
again, fd = pipe("wb")
again.write(b"12345")
again.flush()
again.write(b"123")
add(again, fd, 3)
full, fd = pipe("wb", buffering=16)
full.write(b"x" * 10)
full.write(b"y" * 10)
add(full, fd, 10)
nothing, fd = pipe("wb", buffering=0)
nothing.write(b"12")
add(nothing, fd, 0)
sock, other = socket.socketpair()
for mode in "w", "rw", "wb", "rwb":
    f = sock.makefile(mode)
    f.write("four" if "b" not in mode else b"four")
    add(f, sock.fileno(), 4)
    if mode == "rw":
        f.flush()
        add(f, sock.fileno(), 0)
keep += [sock, other]
path = "/tmp/pyrr-filepoints-%d" % os.getpid()
changed = open(path, "w+b")
os.unlink(path)
changed.write(b"abcdef")
changed.seek(0)
changed.read(2)
add(changed, changed.fileno(), 0)
changed.write(b"zz")
add(changed, changed.fileno(), 2)
out = {t[0]: t for t in out}  # the last of each
print(json.dumps(list(out.values())))
sys.stdout.flush()
os.read(0, 1)
