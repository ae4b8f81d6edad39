//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// instants are programs in states in which an instant is not taken in the usual way.
// They go on until they are told to end.
var instants = []struct {
	name, code string
	args       []string
	want       []string // what the command must print, each a regular expression
}{
	{"tasks", `
import asyncio
async def inner():
    await asyncio.sleep(0 if over.is_set() else .2)
async def main():
    while not over.is_set():
        await asyncio.gather(*[asyncio.create_task(inner(), name="job%d" % n) for n in range(3)])
asyncio.run(main())
`, []string{"bt", "--tasks"}, []string{`"job0" waits`, `"job2" waits`, `"Task-1"`}},
	{"variables", `
def deep(n, word):
    return deep(n - 1, word) if n else over.wait()
deep(5, "swordfish")
`, []string{"bt", "--locals", "--python"}, []string{`word = 'swordfish'`, `n = 0\n`, `n = 5\n`}},
	{"computing", `
def spin():
    while not over.is_set():
        sum(range(1000))
spin()
`, []string{"explain"}, []string{`MainThread computes`, `hint: pyrr explain --pid \d+ --for 1s`}},
	// The kernel goes on with these calls by itself (restart_syscall(2)), and they last as
	// long as they should.
	{"calls with time-outs", `
import select, socket
p = select.poll()
a, b = socket.socketpair()
p.register(a, 1)
while not over.is_set():
    for f in (lambda: p.poll(200), lambda: time.sleep(.2), lambda: threading.Event().wait(.2)):
        t = time.monotonic()
        f()
        assert .19 < time.monotonic() - t, time.monotonic() - t
`, []string{"bt"}, []string{`: (poll|clock_nanosleep|futex)\(.* …`}},
	// A program that waits for all its children sees no child that it did not make, and no
	// signal.
	{"children", `
import signal
got = []
signal.signal(signal.SIGCHLD, lambda *_: got.append(1))
n = 0
while not over.is_set():
    n += 1
    pid = os.fork()
    if pid == 0:
        time.sleep(.02)
        os._exit(n % 200)
    was, status = os.waitpid(-1, 0)
    assert (was, status >> 8) == (pid, n % 200), (was, status, pid)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass
    else:
        raise SystemExit("a child that is not its own")
assert len(got) == n, (len(got), n)
`, []string{"bt", "--python"}, []string{`<module>`}},
	{"signals", `
import signal
got = 0
def rung(*_):
    global got
    got += 1
signal.signal(signal.SIGALRM, rung)
signal.setitimer(signal.ITIMER_REAL, .001, .001)
while not over.is_set() or got <= 100:
    sum(range(100))
signal.setitimer(signal.ITIMER_REAL, 0)
`, []string{"bt", "--python"}, []string{`<module>`}},
	// A filter that ends the process at the first fork: as nobody knows what a filter
	// does, no fork is tried.
	{"a seccomp filter", `
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
nr = lambda n: struct.pack("HBBI", 0x15, 0, 1, n) + struct.pack("HBBI", 6, 0, 0, 0x80000000)
code = struct.pack("HBBI", 0x20, 0, 0, 0) + b"".join(map(nr, (56, 57, 58, 435))) + struct.pack("HBBI", 6, 0, 0, 0x7fff0000)
kept = ctypes.create_string_buffer(code, len(code))
prog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, prog, 0, 0) == 0
def filtered():
    over.wait()
filtered()
`, []string{"bt", "--python"}, []string{`filtered`}},
	// Its thread waits for the child of a vfork, where nothing interrupts it.
	{"vfork", `
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=7)
# vfork: the child reads from the pipe and ends; the other returns
r, w = os.pipe()
code.write(bytes.fromhex("b83a0000000f0585c0751e") + b"\xbf" + r.to_bytes(4, "little") + bytes.fromhex("4883ec104889e6ba0100000031c00f05b83c00000031ff0f05c3"))
def child():
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
threading.Thread(target=child, daemon=True).start()
def main():
    over.wait()
    os.write(w, b"x")
main()
time.sleep(.1)
`, []string{"bt", "--python", "--thread", "all"}, []string{`main `, `vfork\(`}},
}

// lookUntil looks at a program, and again where it is not as far yet as is wanted: on a busy
// machine it may still be at its imports.
func lookUntil(p *living, args, want []string) (out []byte, err error) {
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		out, err = pyrrCommand(append([]string{args[0], "--pid", p.pid()}, args[1:]...)...).CombinedOutput()
		lacks := func(want string) bool { return !regexp.MustCompile(want).Match(out) }
		if !slices.ContainsFunc(want, lacks) || time.Now().After(until) {
			return out, err
		}
	}
}

// TestInstant looks at programs that run already: they go on as if nothing had happened.
func TestInstant(t *testing.T) {
	python := tracedPython(t)
	for _, c := range instants {
		t.Run(c.name, func(t *testing.T) {
			p := live(t, python, c.code)
			time.Sleep(300 * time.Millisecond)
			looks := 1
			if strings.HasPrefix(c.name, "calls") {
				looks = 3
			}
			for range looks {
				out, err := lookUntil(p, c.args, c.want)
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				}
				for _, want := range append(c.want, `process \d+ stood still for`) {
					if !regexp.MustCompile(want).Match(out) {
						t.Errorf("the output does not have %s:\n%s", want, out)
					}
				}
			}
			if left := p.zombies(); left != "" && c.name != "children" {
				t.Errorf("after pyrr the program still has %s", left)
			}
			p.ends(t)
		})
	}
}

// TestInstantOfStopped looks at a program that a signal has stopped: it stays so.
func TestInstantOfStopped(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, "over.wait()\n")
	if out, err := lookUntil(p, []string{"bt", "--python"}, []string{`over\.wait\(\)`}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.cmd.Process.Signal(unix.SIGSTOP)
	for range 2 {
		out, err := pyrrCommand("bt", "--pid", p.pid(), "--python").CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("over.wait()")) {
			t.Errorf("%v\n%s", err, out)
		}
		stat, _ := os.ReadFile("/proc/" + p.pid() + "/stat")
		if _, after, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(after, "T") {
			t.Errorf("the program is not stopped any more: %s", stat)
		}
	}
	p.cmd.Process.Signal(unix.SIGCONT)
	p.ends(t)
}

// TestInstantKilled kills the process that looks at a program at any moment: the program
// goes on.
func TestInstantKilled(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, attachPrograms[0].code)
	for n := range 8 {
		cmd := pyrrCommand("explain", "--pid", p.pid())
		cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(10+17*n) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait() // killed
	}
	out, err := exec.Command("cat", "/proc/"+p.pid()+"/status").Output()
	if err != nil {
		t.Errorf("it is gone: %v\n%s", err, out)
	}
	p.ends(t)
}

// TestInstantTracerKilled kills the process that reads a copy of a program: pyrr says so,
// and the program is not left with a child that has ended.
func TestInstantTracerKilled(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, "kept = os.urandom(20 << 20)\nprint('there', flush=True)\nover.wait()\n")
	p.lines.Scan()
	killed := false
	for n := 0; n < 10 && !killed; n++ {
		cmd := pyrrCommand("bt", "--pid", p.pid())
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for !killed && len(ended) == 0 {
			if tracer := p.readsCopy(); tracer > 1 {
				killed = unix.Kill(tracer, unix.SIGKILL) == nil
			}
		}
		err := <-ended
		if err == nil {
			killed = false // the signal came to one that was through already
		}
		if killed && (!oneLine.Match(said.Bytes()) || !bytes.Contains(said.Bytes(), []byte("error: bt: the process of pyrr's that traces was ended: signal: killed"))) {
			t.Errorf("%v\n%s", err, said.String())
		}
	}
	if left := p.zombies(); left != "" || !killed {
		t.Errorf("killed: %v; the program is left with %q", killed, left)
	}
	p.ends(t)
}

// children are the processes that the program's first thread has made and not waited for.
func (p *living) children() []string {
	list, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]s/task/%[1]s/children", p.pid()))
	return strings.Fields(string(list))
}

// readsCopy is the process that reads a copy of the program, 0 where there is none at the moment.
func (p *living) readsCopy() (tracer int) {
	for _, child := range p.children() {
		status, _ := os.ReadFile("/proc/" + child + "/status")
		if _, rest, ok := strings.Cut(string(status), "TracerPid:"); ok && strings.HasPrefix(string(status), "Name:\tpyrr copy\n") {
			fmt.Sscan(rest, &tracer)
		}
	}
	return tracer
}

// TestAttachUnread attaches where nobody reads pyrr's output any more: the tracer still goes
// on until it lets the process go.
func TestAttachUnread(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, attachPrograms[0].code)
	for _, args := range [][]string{{"bt"}, {"record", "--for", "100ms", "-o", filepath.Join(t.TempDir(), "x.pyrr.zip")}} {
		cmd := pyrrCommand(append(args, "--pid", p.pid())...)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd.Stdout, cmd.Stderr = w, w
		_ = cmd.Run() // the closed pipe may end it
		w.Close()
		for until := time.Now().Add(2 * time.Minute); time.Now().Before(until) && p.traced(); {
			time.Sleep(10 * time.Millisecond)
		}
		if left := p.zombies(); left != "" || p.traced() {
			t.Errorf("%q left the program traced or with %q", args, left)
		}
	}
	p.ends(t)
}

// traced says whether another process traces the program.
func (p *living) traced() bool {
	status, _ := os.ReadFile("/proc/" + p.pid() + "/status")
	return !bytes.Contains(status, []byte("TracerPid:\t0\n"))
}
