package capture

import (
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/mem"
	"pyrr/internal/sys"
)

// stopsOf counts the stops that a program takes in whose middle is code: it has pipes,
// sockets, a child and a folder, and says in n how often it did what is asked for.
func stopsOf(t *testing.T, python, code string) int {
	t.Helper()
	const begin = `
import os, signal, socket, tempfile, subprocess, sys
r, w = os.pipe()
a, b = socket.socketpair()
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
folder = tempfile.mkdtemp()
n = 0
`
	const end = `
child.stdin.close()
child.wait()
os.rmdir(folder)
sys.exit(5 if n in (0, 300) else 6)
`
	n := 0
	testHook = func(unix.WaitStatus) { n++ }
	if info, said := recordCode(t, python, begin+code+end); info.Status != 5 {
		t.Errorf("%s: status %d, said %q", code, info.Status, said)
	}
	return n
}

// countStops returns stopsOf for a Python, and what it is for no code.
func countStops(t *testing.T) (stops func(code string) int, least int) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	t.Cleanup(func() { testHook = nil })
	stops = func(code string) int { return stopsOf(t, python, code) }
	return stops, min(stops(""), stops(""))
}

// A thread and a child take few stops.
func TestThreadsAndChildrenTakeFewStops(t *testing.T) {
	buffered(t)
	stops, least := countStops(t)
	for _, c := range []struct {
		name, code string
		most       int // stops for each
	}{
		{"thread", "import threading\nfor i in range(300):\n    t = threading.Thread(target=int); t.start(); t.join(); n += 1\n", 12},
		{"child", "for i in range(300):\n    n += subprocess.call(['true']) == 0\n", 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := stops(c.code) - least; got > 300*c.most+200 {
				t.Errorf("%d stops for each", got/300)
			}
		})
	}
}

// Calls that tests often make need no stop: small messages in pipes and sockets that may
// wait, files that are made anew, options, a look at children.
func TestCallsWithoutAStop(t *testing.T) {
	buffered(t)
	withoutAStop(t, []madeOften{
		{"pipe", `
for i in range(300):
    os.write(w, b"x" * 100)
    n += os.read(r, 200) == b"x" * 100
`},
		{"socket that may wait", `
for i in range(300):
    a.sendall(b"x" * 100)
    n += b.recv(200) == b"x" * 100
`},
		{"socket by its descriptor", `
for i in range(300):
    os.write(a.fileno(), b"x" * 100)
    n += os.read(b.fileno(), 200) == b"x" * 100
`},
		{"new file", `
for i in range(300):
    with open(folder + "/f", "w") as f:
        n += f.write("x")
    os.chmod(folder + "/f", 0o600)
    os.unlink(folder + "/f")
`},
		{"option", `
for i in range(300):
    b.setblocking(i % 2)
    b.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100000)
    n += 1
`},
		{"mask", `
for i in range(300):
    n += signal.pthread_sigmask(signal.SIG_BLOCK, {10}) == set()
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
`},
		{"handler", `
for i in range(300):
    n += signal.signal(signal.SIGUSR1, signal.SIG_IGN if i % 2 else signal.SIG_DFL) is not None
`},
		{"new pipe", `
for i in range(300):
    x, y = os.pipe()
    os.write(y, b"z")
    n += os.read(x, 2) == b"z"
    os.close(x)
    os.close(y)
`},
		{"look at a child", `
for i in range(300):
    n += child.poll() is None
`},
	})
}

// So do those on new sockets, and select of what is ready.
func TestNewSocketsWithoutAStop(t *testing.T) {
	buffered(t)
	withoutAStop(t, []madeOften{
		{"new sockets", `
for i in range(300):
    x, y = socket.socketpair()
    x.send(b"z")
    n += y.recv(2) == b"z" and x.getsockname() == y.getpeername() == ""
    x.shutdown(socket.SHUT_WR)
    x.close()
    y.close()
    socket.socket().close()
`},
		{"nobody who connects", `
s = socket.create_server(("127.0.0.1", 0))
s.setblocking(False)
for i in range(300):
    try: s.accept()
    except BlockingIOError: n += 1
`},
		{"select", `
import select
os.write(w, b"x")
for i in range(300):
    n += select.select([r, a], [w], [r], 5) == ([r], [w], []) and select.select([a], [], [], 0) == ([], [], [])
`},
	})
}

// madeOften is code that does something 300 times.
type madeOften struct{ name, code string }

// withoutAStop holds that what is made often takes no stops.
func withoutAStop(t *testing.T, list []madeOften) {
	t.Helper()
	stops, least := countStops(t)
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			if got := stops(c.code); got > least+200 {
				t.Errorf("%d stops more for 300 rounds", got-least)
			}
		})
	}
}

// A send that may wait sends everything or waits, however little room there is, and a
// receive gets what came, also where the peer is slow or gone.
func TestTriedCallsAreWhole(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	const code = `
import os, signal, socket, sys, threading, time
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", 0))
pairs = [socket.socketpair(), (socket.create_connection(server.getsockname()), server.accept()[0])]
short = 0
for a, b in pairs:
    a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    got = [0]
    def drain():
        while data := b.recv(3000):
            got[0] += len(data)
            if got[0] < 50000: time.sleep(0.0005)
    t = threading.Thread(target=drain); t.start()
    for i in range(150):
        short += a.send(b"y" * 2000) != 2000
    a.shutdown(socket.SHUT_WR); t.join()
    if got[0] != 300000: sys.exit("%d bytes came" % got[0])
r, w = os.pipe()
def fill():
    for i in range(100): os.write(w, b"z" * 4000)
    os.close(w)
t = threading.Thread(target=fill); t.start()
size = 0
while data := os.read(r, 5000): size += len(data)
t.join(); os.close(r)
if size != 400000: sys.exit("%d bytes in the pipe" % size)
a, b = socket.socketpair(); b.close()
try: a.send(b"x"); sys.exit("sent to nobody")
except BrokenPipeError: pass
r, w = os.pipe(); os.close(r)
try: os.write(w, b"x"); sys.exit("written to nobody")
except BrokenPipeError: pass
a, b = socket.socketpair(); a.settimeout(0.05)
try: a.recv(1); sys.exit("received from nobody")
except TimeoutError: pass
sys.exit(5 if not short else "%d short sends" % short)
`
	if info, said := recordCode(t, python, code); info.Status != 5 {
		t.Errorf("status %d, said %q", info.Status, said)
	}
}

// As many parts of the address space as the calls area knows hold all shared mappings.
func TestPartsOf(t *testing.T) {
	m := func(start, end uint64) *sharedMap { return &sharedMap{start: start, end: end} }
	const k = 0x1000
	for _, c := range []struct {
		name string
		maps []*sharedMap
		want [inject.SharedParts]mem.Range
	}{
		{"none", nil, [inject.SharedParts]mem.Range{}},
		{"neighbours", []*sharedMap{m(2*k, 3*k), m(k, 2*k)}, [inject.SharedParts]mem.Range{{Addr: k, Len: 2 * k}}},
		{"far apart", []*sharedMap{m(90*k, 91*k), m(k, 2*k)}, [inject.SharedParts]mem.Range{{Addr: k, Len: k}, {Addr: 90 * k, Len: k}}},
		{"more than there are", []*sharedMap{m(k, 2*k), m(10*k, 11*k), m(13*k, 14*k), m(30*k, 31*k), m(50*k, 51*k), m(51*k, 60*k), m(61*k, 62*k)},
			[inject.SharedParts]mem.Range{{Addr: k, Len: k}, {Addr: 10 * k, Len: 4 * k}, {Addr: 30 * k, Len: k}, {Addr: 50 * k, Len: 12 * k}}},
	} {
		if got := partsOf(c.maps); got != c.want {
			t.Errorf("%s: %#x instead of %#x", c.name, got, c.want)
		}
	}
}

// After a wake, calls stop until the woken thread has come, or has not come for long.
func TestComing(t *testing.T) {
	var s slot
	const wake, wait, private = 1, 0, 0x80
	s.woke([6]uint64{0, wake}, 1) // somebody in another process, maybe
	s.woke([6]uint64{0, wait | private}, 1)
	s.woke([6]uint64{0, wake | private}, 0)
	if s.coming != 0 {
		t.Errorf("%d threads are coming although nobody woke them", s.coming)
	}
	s.woke([6]uint64{0, wake | private}, 2)
	if s.came(sys.SYS_READ, [6]uint64{0, wait}, 0); s.coming != 2 {
		t.Errorf("%d threads are coming, but 2 were woken", s.coming)
	}
	s.came(sys.SYS_FUTEX, [6]uint64{0, wait | private}, -int64(unix.ETIMEDOUT))
	s.came(sys.SYS_FUTEX, [6]uint64{0, wait | private}, 0)
	if s.coming != 1 {
		t.Errorf("%d threads are coming after one of 2 came", s.coming)
	}
	if s.woke([6]uint64{0, wake | private}, 1<<31-1); s.coming != maxComing {
		t.Errorf("%d are coming", s.coming)
	}
}

// A thread gives way at the calls for which CPython lets go of the GIL.
func TestLetsGoOfGIL(t *testing.T) {
	for _, nr := range []int{sys.SYS_READ, sys.SYS_WRITE, sys.SYS_POLL, sys.SYS_OPENAT, sys.SYS_WAIT4, sys.SYS_SENDTO} {
		if !inject.LetsGoOfGIL(nr) {
			t.Errorf("call %d keeps it", nr)
		}
	}
	for _, nr := range []int{sys.SYS_FUTEX, sys.SYS_MMAP, sys.SYS_BRK, sys.SYS_GETPID, sys.SYS_CLONE} {
		if inject.LetsGoOfGIL(nr) {
			t.Errorf("call %d lets go of the GIL", nr)
		}
	}
}

// What an attempt would do otherwise than the call itself is not tried: to send an empty
// message, to receive one to where there is no memory, to wait for as much as a low-water
// mark says, and all where a filter of system calls may refuse what is tried with.
func TestTriedCallsAreAsTheyWere(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	for _, c := range []struct{ name, code string }{
		{"an empty message", `
for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    a, b = socket.socketpair(type=kind)
    b.settimeout(2)
    os.write(a.fileno(), b"")
    check(b.recv(10) == b"")
`},
		{"a message that does not fit in memory", `
libc.recv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
for wait in (True, False):
    for take in (lambda fd: libc.recv(fd, 8, 50, 0), lambda fd: libc.read(fd, 8, 50)):
        a, b = socket.socketpair(type=socket.SOCK_DGRAM)
        b.setblocking(wait)
        a.send(b"x" * 50)
        check(take(b.fileno()) == -1 and ctypes.get_errno() == errno.EFAULT)
        b.setblocking(False)
        try: check(not b.recv(50))
        except BlockingIOError: pass
`},
		{"a low-water mark", `
a, b = socket.socketpair()
a.send(b"1"); b.recv(10)
c = b.dup()
c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10)
def feed():
    for i in range(2): a.send(b"12345"); time.sleep(0.2)
for take in (lambda: b.recv(100), lambda: os.read(b.fileno(), 100)):
    t = threading.Thread(target=feed); t.start()
    check(take() == b"1234512345")
    t.join()
`},
		{"a filter of system calls", `
r, w = os.pipe(); a, b = socket.socketpair()
step = lambda code, skip, k: struct.pack("HBBI", code, skip, 0, k)
refused = [5, 16, 20, 72, 262, 327, 328]
code = step(0x20, 0, 0) + b"".join(step(0x15, len(refused) - i, n) for i, n in enumerate(refused)) + step(6, 0, 0x7fff0000) + step(6, 0, 0x50001)
buf = ctypes.create_string_buffer(code)
class Filter(ctypes.Structure): _fields_ = [("n", ctypes.c_ushort), ("p", ctypes.c_void_p)]
check(libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(Filter(len(refused) + 3, ctypes.addressof(buf))), 0, 0) == 0)
for k in range(2):
    for i in range(10):
        os.write(w, b"x"); check(os.read(r, 9) == b"x")
        a.sendall(b"x"); check(b.recv(9) == b"x")
        os.write(a.fileno(), b"x"); check(os.read(b.fileno(), 9) == b"x")
    if k == 0 and (pid := os.fork()): os._exit(os.waitpid(pid, 0)[1] >> 8)
os._exit(5)
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			const begin = `
import ctypes, errno, os, socket, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def check(ok):
    if not ok: os._exit(6)
`
			if info, said := recordCode(t, python, begin+c.code+"\nos._exit(5)\n"); info.Status != 5 {
				t.Errorf("status %d, said %q", info.Status, said)
			}
		})
	}
}

// Which sockets give what there is.
func TestIsStream(t *testing.T) {
	for _, c := range []struct {
		domain, kind, protocol int
		want                   bool
	}{
		{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, 0, true},
		{unix.AF_INET6, unix.SOCK_STREAM | unix.SOCK_NONBLOCK, unix.IPPROTO_TCP, true},
		{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP, false},
		{unix.AF_UNIX, unix.SOCK_SEQPACKET, 0, false},
		{unix.AF_INET, unix.SOCK_DGRAM, 0, false},
		{unix.AF_NETLINK, unix.SOCK_RAW, 0, false},
	} {
		if got := isStream(c.domain, c.kind, c.protocol); got != c.want {
			t.Errorf("%d, %#x, %d: %v", c.domain, c.kind, c.protocol, got)
		}
	}
}

// Each thread that gets the slot makes twelve calls before one stops for those in line:
// the threads of a pool of processes hand on small tasks without a stop for each.
func TestPoolTakesFewStops(t *testing.T) {
	buffered(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	t.Cleanup(func() { testHook = nil })
	const code = `
import multiprocessing, sys
with multiprocessing.get_context("fork").Pool(2) as pool:
    sys.exit(5 if sum(pool.imap_unordered(abs, range(1500))) == 1124250 else 6)
`
	var each []int
	for range 5 {
		n := 0
		testHook = func(unix.WaitStatus) { n++ }
		if info, said := recordCode(t, python, code); info.Status != 5 {
			t.Fatalf("status %d, said %q", info.Status, said)
		}
		each = append(each, n)
	}
	slices.Sort(each)
	t.Log(each)
	if each[2] > 9000 {
		t.Errorf("%d stops for 1,500 tasks", each[2])
	}
}

// buffered skips where all calls stop: in the run of the tests that has it so.
func buffered(t *testing.T) {
	t.Helper()
	if built == "off" {
		t.Skip("each call stops in this build")
	}
}
