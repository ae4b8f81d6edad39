"""Opens things, then makes many calls: a recording of it begins among those."""
import os
import select
import socket
import tempfile

folder = tempfile.mkdtemp()
kept = os.open(folder + "/kept", os.O_RDWR | os.O_CREAT)
r, w = os.pipe()
os.set_inheritable(r, True)
left, right = socket.socketpair()
waiting = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(waiting.getsockname())
taken, _ = waiting.accept()
later = socket.create_connection(waiting.getsockname())
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))
poll = select.epoll()
poll.register(taken, select.EPOLLIN)
for _ in range(6000):
    os.access("/mark/late", os.F_OK)
os.write(w, b"through the pipe")
os.read(r, 7)
os.access("/mark/end", os.F_OK)
