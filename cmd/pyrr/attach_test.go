//go:build linux && amd64

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/keeping"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/setup"
)

// attachHead is what programs that are attached to begin with: they say that they
// run, work until they are told to end, and say whether all went well.
const attachHead = `
import os, sys, threading, time
def told():
    sys.stdin.read()
    over.set()
over = threading.Event()
threading.Thread(target=told, daemon=True).start()
print("begun", flush=True)
`

// attachPrograms are each in the middle of something different whenever pyrr attaches.
var attachPrograms = []struct{ name, code string }{
	{"threads", `
import queue
q, done = queue.Queue(5), []
def work():
    while (x := q.get()) is not None:
        done.append(x * x)
        time.sleep(0.0005)
threads = [threading.Thread(target=work) for _ in range(6)]
[t.start() for t in threads]
n = 0
while not over.is_set():
    q.put(n)
    n += 1
[q.put(None) for _ in threads]
[t.join() for t in threads]
assert sorted(done) == [i * i for i in range(n)]
`},
	{"asyncio", `
import asyncio
async def serve(r, w):
    while line := await r.readline():
        w.write(line.upper())
        await w.drain()
    w.close()
async def client(port, k):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    n = 0
    while not over.is_set():
        w.write(b"c%d %d\n" % (k, n))
        assert await r.readline() == b"C%d %d\n" % (k, n)
        n += 1
    w.close()
async def main():
    s = await asyncio.start_server(serve, "127.0.0.1", 0)
    await asyncio.gather(*[client(s.sockets[0].getsockname()[1], k) for k in range(4)])
    s.close()
asyncio.run(main())
`},
	{"children", `
import subprocess
n = 0
while not over.is_set():
    assert subprocess.run(["/bin/echo", str(n)], capture_output=True, text=True).stdout == "%d\n" % n
    pid = os.fork()
    if pid == 0:
        os._exit(n % 200)
    assert os.waitpid(pid, 0)[1] >> 8 == n % 200
    n += 1
`},
	// A thread that was being made when pyrr came registers them later, and must not fail then.
	{"restartable sequences", `
import ctypes, errno
libc, kept, wrong = ctypes.CDLL(None, use_errno=True), [], set()
def register():
    kept.append(ctypes.create_string_buffer(128))
    at = (ctypes.addressof(kept[-1]) + 63) & ~63
    if libc.syscall(334, ctypes.c_void_p(at), 32, 0, 0x53053053) != 0:
        wrong.add(ctypes.get_errno())
register()
natively = wrong.copy()
while not over.is_set():
    t = threading.Thread(target=register); t.start(); t.join()
assert wrong <= natively, wrong
`},
	{"waits", `
import select, socket
a, b = socket.socketpair()
p, e = select.poll(), select.epoll()
p.register(a, 1)
e.register(b, 1)
def lasts(least, f):
    t = time.monotonic()
    f()
    took = time.monotonic() - t
    assert least <= took, took
while not over.is_set():
    lasts(.028, lambda: p.poll(30))
    lasts(.028, lambda: e.poll(.03))
    lasts(.02, lambda: time.sleep(.02))
    lasts(.019, lambda: threading.Event().wait(.02))
    b.send(b"hi")
    assert a.recv(10) == b"hi"
`},
	// Long calls without the GIL: the program is mostly in the middle of one.
	{"pbkdf2", `
import hashlib
def derive():
    return hashlib.pbkdf2_hmac("sha256", b"a password", b"salt", 40000)
want, done = derive(), []
def work():
    while not over.is_set():
        assert derive() == want` + inTwoThreads},
	{"numpy", `
import numpy
a = numpy.random.default_rng(7).random((300, 300))
want, done = a @ a, []
def work():
    while not over.is_set():
        assert numpy.array_equal(a @ a, want)` + inTwoThreads},
	{"imports and signals", `
import importlib, signal
got = 0
def rung(*_):
    global got
    got += 1
signal.signal(signal.SIGALRM, rung)
signal.setitimer(signal.ITIMER_REAL, .003, .003)
while not over.is_set():
    for m in [m for m in sys.modules if m.split(".")[0] in ("json", "email", "xml")]:
        del sys.modules[m]
    for m in "json email.message xml.dom.minidom".split():
        importlib.import_module(m)
signal.setitimer(signal.ITIMER_REAL, 0)
assert got > 1
`},
}

// inTwoThreads is the end of a program with a function work that does one thing again and again.
const inTwoThreads = `
        done.append(1)
threads = [threading.Thread(target=work) for _ in range(2)]
[t.start() for t in threads]
while not over.is_set():
    time.sleep(.001)
[t.join() for t in threads]
assert len(done) > 1
`

// living is a program that is running.
type living struct {
	cmd    *exec.Cmd
	in     io.Closer
	lines  *bufio.Scanner
	stderr bytes.Buffer
	inside int // the program's process, where the command only starts it
}

// attachTail is what these programs end with.
const attachTail = "print('ok', flush=True)\n"

// live starts a program and waits until it says that it runs.
func live(t *testing.T, python, code string) *living {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.py")
	if err := os.WriteFile(path, []byte(attachHead+code+attachTail), 0o666); err != nil {
		t.Fatal(err)
	}
	return liveBy(t, exec.Command(python, path))
}

// liveBy is live for a program that a command starts.
func liveBy(t *testing.T, cmd *exec.Cmd) *living {
	t.Helper()
	p := &living{cmd: cmd}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	p.in, p.lines = in, bufio.NewScanner(out)
	if !p.lines.Scan() || p.lines.Text() != "begun" {
		t.Fatalf("it said %q\n%s", p.lines.Text(), p.stderr.String())
	}
	return p
}

func (p *living) pid() string {
	if p.inside != 0 {
		return fmt.Sprint(p.inside)
	}
	return fmt.Sprint(p.cmd.Process.Pid)
}

// ends tells the program to end, and checks that it ends well.
func (p *living) ends(t *testing.T) {
	t.Helper()
	p.in.Close()
	said := ""
	for p.lines.Scan() {
		said = p.lines.Text()
	}
	if err := p.cmd.Wait(); err != nil || said != "ok" {
		t.Errorf("the program that pyrr attached to: %v, it printed %q\n%s", err, said, p.stderr.String())
	}
}

func pyrrCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Args[0] = "pyrr"
	return cmd
}

// attached records a living program and checks that the recording is exact.
func attached(t *testing.T, p *living, args ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.pyrr.zip")
	out, err := pyrrCommand(append([]string{"record", "--pid", p.pid(), "-o", path}, args...)...).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(", verified")) {
		t.Errorf("%v\n%s", err, out)
	}
	return path
}

// TestAttach records programs that run already, in the midst of what they do, at random
// moments: the recordings are exact, and the programs end as if nothing had happened. Half
// of them are attached to twice. PYRR_ATTACHES says how many times in all, in turns; a table
// then says of each program how it went (make attaches).
func TestAttach(t *testing.T) {
	probe.Require(t)
	pythons := slices.DeleteFunc(testInterpreters(), func(python string) bool {
		return strings.Contains(python, "/3.6.") || strings.Contains(python, "/3.7.") // whose instructions are not counted
	})
	if len(pythons) == 0 {
		t.Skip("there is no Python")
	}
	all, _ := strconv.Atoi(os.Getenv("PYRR_ATTACHES"))
	rounds := max(1, (all+2*len(attachPrograms)-1)/(2*len(attachPrograms))) // of up to two
	table := "| in the midst of | attaches | outcome other than native | recordings not exact |\n|---|---|---|---|\n"
	for i, c := range attachPrograms {
		attaches, ended, inexact := 0, 0, 0
		for round := range rounds {
			python := pythons[(i+round)%len(pythons)]
			t.Run(c.name, func(t *testing.T) {
				if c.name == "numpy" {
					if python = withNumpy(); python == "" {
						t.Skip("there is no Python with numpy (make setup)")
					}
				}
				p := live(t, python, c.code)
				n := 1 + (i+1)%2
				if all > 0 {
					n = 2
				}
				for range n {
					time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
					attaches++
					if !t.Run("attach", func(t *testing.T) {
						attached(t, p, "--for", fmt.Sprintf("%dms", 60+rand.IntN(240)))
					}) {
						inexact++
					}
				}
				if left := p.zombies(); left != "" && c.name != "children" {
					t.Errorf("after pyrr the program still has %s", left)
				}
				if !t.Run("end", func(t *testing.T) { p.ends(t) }) {
					ended++
				}
			})
		}
		table += fmt.Sprintf("| %s | %d | %d | %d |\n", c.name, attaches, ended, inexact)
	}
	t.Logf("%d versions of Python\n%s", len(pythons), table)
}

// withNumpy is a Python that has numpy, "" for none.
func withNumpy() string {
	python := setup.Path("venv-311/bin/python")
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		return ""
	}
	return python
}

// zombies are the program's children that have ended and for which nobody waited.
func (p *living) zombies() (all string) {
	for _, pid := range p.children() {
		stat, _ := os.ReadFile("/proc/" + pid + "/stat")
		if _, after, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(after, "Z") {
			all += string(stat)
		}
	}
	return all
}

// abba is two threads that wait for each other, and a third that waits for both.
const abba = abbaLocks + `
over.wait()
`

// abbaLocks is the part of abba that starts the two threads.
const abbaLocks = `
left, right, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
def take(a, b):
    with a:
        both.wait()
        b.acquire()
for args in ((left, right), (right, left)):
    threading.Thread(target=take, args=args, daemon=True).start()`

// TestLivingProcess asks of a process that hangs where it stands, and why.
func TestLivingProcess(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, abba)
	out, err := lookUntil(p, []string{"bt", "--python", "--thread", "all"}, []string{`(?s)b\.acquire\(\).*b\.acquire\(\)`, `over\.wait\(\)`})
	if err != nil || strings.Count(string(out), "b.acquire()") != 2 || !bytes.Contains(out, []byte("over.wait()")) {
		t.Errorf("bt: %v\n%s", err, out)
	}
	out, err = pyrrCommand("explain", "--pid", p.pid()).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("left")) || !bytes.Contains(out, []byte("right")) || !bytes.Contains(out, []byte("eadlock")) ||
		strings.Count(string(out), "held by thread Thread-2 (take), since before pyrr attached") != 1 {
		t.Errorf("explain: %v\n%s", err, out)
	}
	p.ends(t)
}

// TestAttachEnds ends pyrr in all ways in the middle of recording a process: the process
// goes on, and the recording is complete.
func TestAttachEnds(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, attachPrograms[0].code)
	var left []int // how much of what pyrr puts into the process is left, after each time
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGKILL, unix.SIGINT} {
		path := filepath.Join(t.TempDir(), "x.pyrr.zip")
		var said bytes.Buffer
		cmd := pyrrCommand("record", "--pid", p.pid(), "-o", path)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(io.TeeReader(stderr, &said))
		if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "stood still for") {
			t.Fatalf("%v: %q", err, line)
		}
		time.Sleep(150 * time.Millisecond)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		// The tracing process keeps the other end of standard error open until it is done.
		if _, err := io.Copy(io.Discard, lines); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // killed, or done
		if !strings.Contains(said.String(), ", verified") {
			t.Errorf("%v: %s", sig, said.String())
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%v: %v", sig, err)
		}
		maps, _ := os.ReadFile("/proc/" + p.pid() + "/maps")
		left = append(left, bytes.Count(maps, []byte(" r-xp 00000000 00:00 0 \n")))
	}
	if left[0] == 0 || slices.Max(left) != left[0] {
		t.Errorf("mappings of code without a file that are left after each time: %v", left)
	}
	p.ends(t)
}

// forking is a server with workers, each of which serves by itself.
const forking = `
kids = []
for _ in range(2):
    if (pid := os.fork()) == 0:
        for n in range(10**9):
            time.sleep(.01)
    kids.append(pid)
over.wait()
for pid in kids:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
`

// TestAttachChildren records a process and its descendants, each in a recording of its own.
func TestAttachChildren(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, forking)
	until(t, "two workers", func() bool { return len(p.children()) == 2 })
	path := attached(t, p, "--for", "200ms", "--children")
	all, err := filepath.Glob(strings.TrimSuffix(path, recording.PackedSuffix) + "*")
	if err != nil || len(all) != 3 {
		t.Errorf("%q: %v", all, err)
	}
	p.ends(t)
}

// TestAttachRefused: for each way in which the kernel refuses, pyrr says what would permit it.
func TestAttachRefused(t *testing.T) {
	for _, tt := range []struct {
		owner, self int
		scope       string
		why, remedy string
	}{
		{1000, 1000, "1", "ptrace_scope is 1", "sudo sysctl kernel.yama.ptrace_scope=0"},
		{1000, 1000, "2", "ptrace_scope is 2: it takes CAP_SYS_PTRACE", "sudo pyrr record --pid 42"},
		{1000, 1000, "3", "ptrace_scope is 3: no process may be traced", ""},
		{0, 1000, "1", "belongs to user 0, and pyrr runs as 1000", "sudo pyrr record --pid 42"},
		{1000, 0, "2", "ptrace_scope is 2", "sudo pyrr record"},
		{1000, 1000, "0", "in a container it takes CAP_SYS_PTRACE", "--cap-add SYS_PTRACE"},
		{0, 0, "", "in a container it takes CAP_SYS_PTRACE", "--cap-add SYS_PTRACE"},
	} {
		why, remedy := keeping.Refusal("record", 42, tt.owner, tt.self, tt.scope)
		if !strings.Contains(why, tt.why) || !strings.Contains(remedy, tt.remedy) || (remedy == "") != (tt.remedy == "") {
			t.Errorf("owner %d, pyrr %d, scope %q: %q, %q", tt.owner, tt.self, tt.scope, why, remedy)
		}
	}
}
