"""Makes descriptors in every way that a State has to follow, then says so."""
import array
import fcntl
import os
import select
import socket
import subprocess
import tempfile
import termios
import threading
import time


def mark(name):
    os.access("/mark/" + name, os.F_OK)


folder = tempfile.mkdtemp()

# A pipe whose reading end only the child keeps.
r, w = os.pipe()
up_r, up_w = os.pipe()
left, right = socket.socketpair()
child = os.fork()
if child == 0:
    os.close(w)
    os.close(up_r)
    left.close()
    os.write(up_w, b"ready")
    data, ancillary, _, _ = right.recvmsg(100, socket.CMSG_SPACE(8))
    os.read(r, 1000)
    os.read(r, 1000)  # waits for ever
    os._exit(0)
os.close(r)
os.close(up_w)
right.close()
os.read(up_r, 100)
passed = os.open(folder + "/passed", os.O_RDWR | os.O_CREAT)
left.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [passed]))])
os.write(w, b"some data")

# A connection within the process, and one that nobody accepts.
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
accepted = []
server = threading.Thread(target=lambda: accepted.append(listener.accept()[0]))
server.start()
client = socket.create_connection(("127.0.0.1", port))
server.join()
client.sendall(b"question")
accepted[0].recv(4)
waiting = socket.create_connection(("127.0.0.1", port))

# An epoll that watches the connection; a copy and a lock of a file.
ep = select.epoll()
ep.register(client, select.EPOLLIN)
copied = os.dup(passed)
fcntl.flock(copied, fcntl.LOCK_EX)

# A program that is not a Python, with an end of a pipe.
sleeper = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE)
poller = threading.Thread(target=lambda: ep.poll(), daemon=True, name="poller")
receiver = threading.Thread(target=lambda: left.recv(10), daemon=True, name="receiver")
poller.start()
receiver.start()


def inside(path, *calls):
    """Waits until a thread is in one of these system calls."""
    while True:
        with open(path + "/syscall") as f:
            if f.read().split()[0] in calls:
                return
        time.sleep(0.01)


inside("/proc/self/task/%d" % poller.native_id, "232", "281")
inside("/proc/self/task/%d" % receiver.native_id, "45")
while fcntl.ioctl(w, termios.FIONREAD, b"1234") != bytes(4):
    time.sleep(0.01)
inside("/proc/%d" % child, "0")
time.sleep(0.3)  # a call that waits is in the log soon
mark("all")
sleeper.kill()
sleeper.wait()
os.kill(child, 9)
os.waitpid(child, 0)
while os.path.exists("/proc/self/task/%d" % receiver.native_id):
    time.sleep(0.01)
# The signal of a child's end may have interrupted the poller, which waits again then.
inside("/proc/self/task/%d" % poller.native_id, "232", "281")
time.sleep(0.3)
mark("reaped")
os._exit(3)
