"""Locks bytes of a file in several processes, and waits for what another has."""
import fcntl
import os
import struct
import tempfile
import time

folder = tempfile.mkdtemp()
name = folder + "/data"


def inside(pid, *calls):
    while True:
        with open("/proc/%d/syscall" % pid) as f:
            if f.read().split()[0] in calls:
                return
        time.sleep(0.01)


def held(at, n, kind=fcntl.LOCK_EX):
    fd = os.open(name, os.O_RDWR | os.O_CREAT)
    fcntl.lockf(fd, kind, n, at)
    return fd


whole = held(0, 100)
fcntl.lockf(whole, fcntl.LOCK_UN, 10, 40)  # 0 to 40 and 50 to 100 are left
shared = os.open(name + "2", os.O_RDWR | os.O_CREAT)
fcntl.lockf(shared, fcntl.LOCK_EX)
os.close(os.open(name + "2", os.O_RDONLY))  # closing any descriptor of it unlocks
r, w = os.pipe()
child = os.fork()
if child == 0:
    fd = held(45, 5)  # free
    other = os.open(name + "2", os.O_RDWR)
    fcntl.lockf(other, fcntl.LOCK_EX)
    ranged = os.open(name, os.O_RDWR)
    fcntl.fcntl(ranged, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 40, 5, 0))  # F_OFD_SETLK
    os.write(w, b"x")
    fcntl.lockf(fd, fcntl.LOCK_EX, 0, 90)  # waits for its maker
    os._exit(0)
os.read(r, 1)
inside(child, "72")
time.sleep(0.3)
os.access("/mark/waits", os.F_OK)
os.kill(child, 9)
os.waitpid(child, 0)
os.access("/mark/over", os.F_OK)
