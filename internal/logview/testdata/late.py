"""Opens things, then makes many calls: a recording of it begins among those."""
import os
import socket
import tempfile

folder = tempfile.mkdtemp()
kept = os.open(folder + "/kept", os.O_RDWR | os.O_CREAT)
r, w = os.pipe()
os.set_inheritable(r, True)
left, right = socket.socketpair()
for _ in range(6000):
    os.access("/mark/late", os.F_OK)
os.write(w, b"through the pipe")
os.read(r, 7)
os.access("/mark/end", os.F_OK)
