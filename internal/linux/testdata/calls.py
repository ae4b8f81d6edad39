"""Makes many different system calls from one thread. What each of them writes
into this process is held against the table by TestMemoryDiff."""
import array, ctypes, errno, fcntl, glob, mmap, os, platform, pty, random, resource, select, shutil, signal, socket, sqlite3, ssl, struct
import subprocess, sys, tempfile, termios, time, tty, uuid, zlib, json, selectors, asyncio, logging, pwd, grp, locale, getpass, decimal


def attempt(f, *args):
    try:
        return f(*args)
    except (OSError, AttributeError, ValueError) as e:
        return e


def files(d):
    p = os.path.join(d, "f")
    with open(p, "wb+") as f:
        f.write(os.urandom(100000))
        f.flush()
        f.seek(0)
        f.read(1000)
        fd = f.fileno()
        os.pread(fd, 77, 3)
        os.preadv(fd, [bytearray(10), bytearray(20)], 5)
        os.readv(fd, [bytearray(10), bytearray(20)])
        os.writev(fd, [b"a", b"bc"])
        os.fstat(fd), os.stat(p), os.lstat(p), os.statvfs(p), os.fstatvfs(fd)
        os.fsync(fd), os.fdatasync(fd), os.ftruncate(fd, 5000), os.truncate(p, 4000)
        attempt(os.posix_fallocate, fd, 0, 9000)
        attempt(os.posix_fadvise, fd, 0, 0, 3)
        for a in (fcntl.F_GETFD, fcntl.F_GETFL, fcntl.F_GETOWN):
            fcntl.fcntl(fd, a)
        fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        attempt(os.setxattr, p, "user.a", b"v" * 50)
        attempt(os.getxattr, p, "user.a"), attempt(os.listxattr, p), attempt(os.removexattr, p, "user.a")
        with open(p + "2", "wb") as g:
            os.sendfile(g.fileno(), fd, 3, 100)
            attempt(os.copy_file_range, fd, g.fileno(), 10, 0, 0)
        m = mmap.mmap(fd, 4096)
        m[0:3] = b"xyz"
        m.flush()
        m.close()
    os.symlink(p, p + "l"), os.readlink(p + "l"), os.link(p, p + "h"), os.rename(p + "h", p + "i")
    os.listdir(d), list(os.scandir(d)), os.getcwd(), os.access(p, os.R_OK), os.chmod(p, 0o600), os.utime(p)
    os.mkdir(p + "d"), os.rmdir(p + "d"), os.mkfifo(p + "p"), os.unlink(p + "p")
    shutil.copy(p, p + "c"), shutil.rmtree(tempfile.mkdtemp())
    r, w = os.pipe()
    os.write(w, b"x" * 100), os.read(r, 10), os.set_blocking(r, False)
    os.get_inheritable(r), os.isatty(r), os.dup(r)
    attempt(os.splice, r, w, 10) if hasattr(os, "splice") else None
    if hasattr(os, "memfd_create"):
        os.close(os.memfd_create("m"))
    if hasattr(os, "eventfd"):
        os.eventfd_read(os.eventfd(3))
    con = sqlite3.connect(p + ".db")
    con.execute("pragma journal_mode=wal").fetchall(), con.execute("create table t(a)"), con.execute("insert into t values(1)"), con.commit()
    con.close()


def network():
    a, b = socket.socketpair()
    a.send(b"hello"), b.recv(3), b.recv_into(bytearray(10))
    a.sendmsg([b"x", b"y"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1]))])
    b.recvmsg(10, 100), a.getsockname(), a.getpeername(), a.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    a.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    l = socket.create_server(("127.0.0.1", 0))
    c = socket.create_connection(l.getsockname(), timeout=2)
    s, _ = l.accept()
    s.settimeout(0.01)
    attempt(s.recv, 10)
    c.sendall(b"z" * 100000), s.recv(1 << 16, socket.MSG_PEEK), s.recvmsg_into([bytearray(5), bytearray(500)])
    for o in (socket.TCP_INFO, socket.TCP_NODELAY):
        attempt(s.getsockopt, socket.IPPROTO_TCP, o, 256)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", 0)), u.sendto(b"12345", u.getsockname()), u.recvfrom(3), u.setblocking(False), attempt(u.recvfrom, 3)
    v = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    attempt(v.bind, ("::1", 0)), v.getsockname()
    attempt(socket.if_nameindex), attempt(socket.getaddrinfo, "localhost", 80), socket.gethostname(), attempt(socket.gethostbyname, "localhost")
    for req in (0x8913, 0x8915, 0x891B, 0x8921, 0x8927, 0x8933):
        attempt(fcntl.ioctl, u, req, struct.pack("40s", b"lo"))
    uuid.getnode(), uuid.uuid1()
    select.select([b], [a], [a], 0.001)
    p = select.poll()
    p.register(a), p.register(b), p.poll(1)
    for sel in (selectors.EpollSelector, selectors.PollSelector, selectors.SelectSelector):
        with sel() as x:
            x.register(a, 3), x.register(b, 3), x.select(0.001)
    fcntl.ioctl(s, termios.FIONREAD, b"0000")
    ssl.create_default_context()


def system():
    os.uname(), os.times(), os.getloadavg(), os.sysconf("SC_NPROCESSORS_ONLN"), os.sched_getaffinity(0), os.getgroups(), os.getresuid(), os.getresgid()
    attempt(os.sched_rr_get_interval, 0), os.sched_getparam(0), os.getpriority(0, 0), os.cpu_count()
    for r in range(5):
        resource.getrlimit(r)
    resource.prlimit(0, resource.RLIMIT_NOFILE), resource.getrusage(resource.RUSAGE_SELF)
    for c in range(8):
        attempt(time.clock_gettime, c), attempt(time.clock_getres, c)
    time.sleep(0.001)
    signal.setitimer(signal.ITIMER_PROF, 1000), signal.setitimer(signal.ITIMER_PROF, 0), signal.getitimer(signal.ITIMER_REAL)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.kill(os.getpid(), signal.SIGUSR2), signal.sigpending(), signal.sigtimedwait([signal.SIGUSR2], 1), attempt(signal.sigtimedwait, [signal.SIGUSR2], 0)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN), signal.getsignal(signal.SIGUSR1)
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    os.waitpid(pid, 0)
    for call in (lambda p: os.wait4(p, 0), lambda p: os.waitid(os.P_PID, p, os.WEXITED)):
        pid = os.fork()
        if pid == 0:
            os._exit(3)
        call(pid)
    attempt(os.waitpid, -1, 0)
    subprocess.run(["/bin/echo", "x"], stdout=subprocess.PIPE)
    subprocess.run("exit 3", shell=True)
    master, slave = pty.openpty()
    termios.tcgetattr(slave), termios.tcsetattr(slave, termios.TCSANOW, termios.tcgetattr(slave)), attempt(os.get_terminal_size, slave)
    attempt(os.ttyname, slave), attempt(os.tcgetpgrp, slave), fcntl.ioctl(slave, termios.TIOCOUTQ, b"0000"), tty.setraw(slave)
    libc = ctypes.CDLL(None)
    buf = ctypes.create_string_buffer(4096)
    libc.prctl(16, buf), libc.prctl(2, buf), libc.prctl(37, buf), libc.capget(struct.pack("II", 0x20080522, 0), buf), libc.getcpu(buf, None)
    libc.getrandom(buf, 100, 0), libc.sysinfo(buf), libc.sigaltstack(None, buf), libc.mincore(libc.getpid and None, 0, buf)
    pwd.getpwuid(0), grp.getgrgid(0), locale.setlocale(locale.LC_ALL, ""), platform.platform(), attempt(getpass.getuser)
    random.seed(), glob.glob("/proc/self/*"), open("/proc/self/maps").read(), open("/proc/self/status").read()


async def tasks():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*server.sockets[0].getsockname())
    await r.read()
    w.close()
    server.close()
    await asyncio.sleep(0.001)


def main():
    with tempfile.TemporaryDirectory() as d:
        os.chdir(d)
        files(d)
        os.chdir("/")
    network()
    system()
    asyncio.run(tasks())
    print("done")


main()
