//go:build linux && amd64

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// oneLine matches an error as a user gets it: one line, hints below it, and nothing else.
var oneLine = regexp.MustCompile(`\A(pyrr: … .*\n)?pyrr: error: .*\n(pyrr: hint: .*\n)*\z`)

// TestAttachOdd names processes that can't be attached to, or that nobody would think of.
// For each the command prints one line, with its own name, that says why; the process goes
// on as before.
func TestAttachOdd(t *testing.T) {
	python := tracedPython(t)
	idle := live(t, python, "print(threading.get_native_id(), flush=True)\nover.wait()\n")
	idle.lines.Scan()
	thread := ""
	list, _ := filepath.Glob("/proc/" + idle.pid() + "/task/*")
	for _, dir := range list {
		if tid := filepath.Base(dir); tid != idle.pid() {
			thread = tid
		}
	}
	zombie := liveBy(t, exec.Command(python, "-c", attachHead+`
if (pid := os.fork()) == 0:
    os._exit(0)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print(pid, flush=True)
over.wait()
`+attachTail))
	zombie.lines.Scan()
	headless := liveBy(t, exec.Command(python, "-c", attachHead+`
import ctypes
threading.Thread(target=over.wait).start()
ctypes.CDLL(None).syscall(60, 0)
`))
	for until := time.Now().Add(time.Minute); time.Now().Before(until) && state(headless.pid()) != "Z"; {
		time.Sleep(10 * time.Millisecond)
	}
	for _, c := range []struct{ name, pid, want string }{
		{"none", "999999999", "there is no process 999999999"},
		{"a thread", thread, thread + " is a thread of process " + idle.pid()},
		{"ended", zombie.lines.Text(), "it or its first thread has ended"},
		{"its first thread ended", headless.pid(), "it or its first thread has ended"},
		{"no Python", fmt.Sprint(os.Getpid()), `runs no Python that pyrr knows`},
		{"the first process", "1", `runs no Python that pyrr knows|can't be traced`},
		{"no number", "four", "it takes the id of a process"},
		{"zero", "0", "it takes the id of a process"},
		{"a group", "-5", "it takes the id of a process"},
	} {
		for _, command := range []string{"bt", "explain", "record"} {
			out, err := pyrrCommand(command, "--pid="+c.pid).CombinedOutput()
			if err == nil || !oneLine.Match(out) || !regexp.MustCompile("error: "+command+": .*("+c.want+")").Match(out) {
				t.Errorf("%s of %s (%s): %v\n%s", command, c.name, c.pid, err, out)
			}
		}
	}
	headless.cmd.Process.Kill()
	zombie.ends(t)
	idle.ends(t)
}

// state is the state of a process, as proc(5) has it.
func state(pid string) string {
	stat, _ := os.ReadFile("/proc/" + pid + "/stat")
	_, after, _ := strings.Cut(string(stat), ") ")
	return after[:min(1, len(after))]
}

// TestAttachTraced attaches to a process that another process (which is pyrr too) traces,
// and to one that a signal has stopped.
func TestAttachTraced(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, attachPrograms[0].code)
	cmd := pyrrCommand("record", "--pid", p.pid(), "-o", filepath.Join(t.TempDir(), "x.pyrr.zip"))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	lines.Scan()
	for _, command := range []string{"bt", "explain", "record"} {
		out, err := pyrrCommand(command, "--pid", p.pid()).CombinedOutput()
		if err == nil || !oneLine.Match(out) || !bytes.Contains(out, []byte("error: "+command+": attach to process "+p.pid()+": process ")) || !bytes.Contains(out, []byte("(pyrr) traces it already")) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	cmd.Process.Signal(unix.SIGINT)
	said := ""
	for lines.Scan() {
		said += lines.Text()
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(said, ", verified") {
		t.Errorf("the first: %v\n%s", err, said)
	}
	p.cmd.Process.Signal(unix.SIGSTOP)
	for until := time.Now().Add(time.Minute); time.Now().Before(until) && state(p.pid()) != "T"; {
		time.Sleep(10 * time.Millisecond)
	}
	out, err := pyrrCommand("record", "--pid", p.pid()).CombinedOutput()
	if err == nil || !oneLine.Match(out) || !bytes.Contains(out, []byte("it is stopped by a signal")) || state(p.pid()) != "T" {
		t.Errorf("stopped: %v, in state %s\n%s", err, state(p.pid()), out)
	}
	p.cmd.Process.Signal(unix.SIGCONT)
	p.ends(t)
}

// TestAttachOther attaches as one user to the process of another user.
func TestAttachOther(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run a process as another user")
	}
	python := testPython()
	if python == "" {
		t.Skip("there is no Python")
	}
	p := live(t, python, "over.wait()\n")
	self, err := os.Open("/proc/self/exe") // the file lies in a folder that other users can't enter
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	for _, command := range []string{"bt", "explain", "record"} {
		cmd := &exec.Cmd{Path: "/proc/self/fd/3", Args: []string{"pyrr", command, "--pid", p.pid()}, ExtraFiles: []*os.File{self}, Dir: "/",
			SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234}}}
		out, err := cmd.CombinedOutput()
		if err == nil || !oneLine.Match(out) || !bytes.Contains(out, []byte("it belongs to user 0, and pyrr runs as 1234")) || !bytes.Contains(out, []byte("hint: sudo pyrr "+command+" --pid "+p.pid())) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	p.ends(t)
}

// TestAttachDies attaches to processes that end meanwhile, at any moment: pyrr says that
// they ended, or where they stood.
func TestAttachDies(t *testing.T) {
	python := tracedPython(t)
	for n := range 8 {
		p := live(t, python, attachPrograms[0].code)
		time.AfterFunc(time.Duration(n*n*4)*time.Millisecond, func() { p.cmd.Process.Kill() })
		command := []string{"bt", "record"}[n%2]
		args := []string{command, "--pid", p.pid()}
		if command == "record" {
			args = append(args, "-o", filepath.Join(t.TempDir(), "x.pyrr.zip"))
		}
		out, err := pyrrCommand(args...).CombinedOutput()
		if err != nil && !oneLine.Match(out) || bytes.Contains(out, []byte("panic")) || bytes.Contains(out, []byte("goroutine")) {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		p.cmd.Wait() // killed
	}
}
