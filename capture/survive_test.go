package capture

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
)

// A mistake of the recorder's ends the recording, never the program, whatever
// its threads are doing then.
func TestProgramOutlivesAMistakeOfTheRecorder(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	t.Cleanup(func() { testHook = nil })
	const code = "import threading, json, sys\nt = threading.Thread(target=json.dumps, args=([1],))\nt.start(); t.join()\nsys.exit(5)"
	// Until there are no more stops: their number depends on the machine's speed.
	all := false
	for at := 1; !all; at += 53 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			calls := 0
			testHook = func(unix.WaitStatus) {
				if calls++; calls == at {
					panic("made up")
				}
			}
			info, said := recordCode(t, python, code)
			if calls < at {
				if all = true; calls < 200 {
					t.Errorf("only %d stops", calls)
				}
				return
			}
			if info.Status != 5 {
				t.Errorf("the program ended with %d, not with 5", info.Status)
			}
			if len(said) != 1 || !strings.Contains(said[0], "made up") {
				t.Errorf("the user is told %q", said)
			}
		})
	}
}

// The same for an error where a program begins: the command itself, or one that
// it executes.
func TestProgramOutlivesAnErrorAtItsBeginning(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	t.Cleanup(func() { testBegin = nil })
	const code = "import subprocess, sys\nsys.exit(5 + subprocess.run([sys.executable, '-c', '']).returncode)"
	for at := 1; at <= 2; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			calls := 0
			testBegin = func() error {
				if calls++; calls == at {
					return errors.New("made up")
				}
				return nil
			}
			info, said := recordCode(t, python, code)
			if info.Status != 5 {
				t.Errorf("the program ended with %d, not with 5", info.Status)
			}
			if len(said) != 1 || !strings.Contains(said[0], "made up") {
				t.Errorf("the user is told %q", said)
			}
		})
	}
}

// The same at each kind of stop on which more than one thread depends: a new thread
// waits for it, a signal is delivered by it, or the memory is replaced.
func TestProgramOutlivesAMistakeAtAStop(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	t.Cleanup(func() { testHook = nil })
	const code = `
import os, signal, subprocess, sys, threading
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
t = threading.Thread(target=lambda: None)
t.start(); t.join()
os.kill(os.getpid(), signal.SIGUSR1)
pid = os.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, "-c", "import sys; sys.exit(3)"])
status = os.waitpid(pid, 0)[1]
status2 = subprocess.run([sys.executable, "-c", ""]).returncode
sys.exit(5 if got and status == 3 << 8 and status2 == 0 else 6)
`
	isEvent := func(n int) func(unix.WaitStatus) bool {
		return func(st unix.WaitStatus) bool { return st.Stopped() && ptrace.Event(st) == n }
	}
	isSignal := func(sig unix.Signal) func(unix.WaitStatus) bool {
		return func(st unix.WaitStatus) bool {
			return st.Stopped() && ptrace.Event(st) == 0 && st.StopSignal() == sig
		}
	}
	for _, c := range []struct {
		name string
		nth  int // the first is the command's own, where there is one
		is   func(unix.WaitStatus) bool
	}{
		{"clone", 1, isEvent(unix.PTRACE_EVENT_CLONE)},
		{"fork", 1, isEvent(unix.PTRACE_EVENT_FORK)},
		{"vfork", 1, isEvent(unix.PTRACE_EVENT_VFORK)},
		{"exec", 1, isEvent(unix.PTRACE_EVENT_EXEC)},
		{"second exec", 2, isEvent(unix.PTRACE_EVENT_EXEC)},
		{"first stop of a new one", 1, isEvent(unix.PTRACE_EVENT_STOP)},
		{"exit", 1, isEvent(unix.PTRACE_EVENT_EXIT)},
		{"signal", 1, isSignal(unix.SIGUSR1)},
		{"trap", 1, isSignal(unix.SIGTRAP)},
		{"instruction", 1, isSignal(unix.SIGILL)},
		{"call", 1, isSignal(unix.SIGSYS)},
		{"end", 1, func(st unix.WaitStatus) bool { return !st.Stopped() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := 0
			testHook = func(st unix.WaitStatus) {
				if c.is(st) {
					if n++; n == c.nth {
						panic("made up")
					}
				}
			}
			info, said := recordCode(t, python, code)
			if n < c.nth {
				t.Skip("there is no such stop here")
			}
			if info.Status != 5 {
				t.Errorf("the program ended with %d, not with 5", info.Status)
			}
			if len(said) == 0 || !strings.Contains(strings.Join(said, " "), "made up") {
				t.Errorf("the user is told %q", said)
			}
		})
	}
}

// The first process of a PID namespace dies of its own fault as it does natively:
// the kernel would drop the signal as long as that process is traced.
func TestFaultOfFirstProcess(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	command := []string{"unshare", "--pid", "--fork", python, "-c", "import ctypes; ctypes.string_at(0)"}
	native := exec.Command(command[0], command[1:]...)
	native.Run()
	if native.ProcessState == nil || native.ProcessState.String() != "signal: segmentation fault" {
		t.Skipf("no PID namespaces here: %v", native.ProcessState)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir := filepath.Join(t.TempDir(), "x.pyrr.part")
	info, err := Record(ctx, Options{Command: command, Dir: dir, FollowAll: true})
	if err != nil {
		t.Fatal(err)
	}
	if info.Status != 128+int(unix.SIGSEGV) {
		t.Errorf("it ended with %d", info.Status)
	}
}

// recordCode records a program, and returns what pyrr warned of.
func recordCode(t *testing.T, python, code string) (info *Info, said []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	info, err := Record(ctx, Options{
		Command: []string{python, "-c", code},
		Dir:     filepath.Join(t.TempDir(), "x.pyrr.part"),
		Warn:    func(s string) { said = append(said, s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return info, said
}
