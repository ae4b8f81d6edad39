//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/screen"
	"pyrr/internal/setup"
)

// openPTY opens a pseudo-terminal (pty(7)).
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { m.Close() })
	if err := unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	s, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return m, s
}

// terminalRun is pyrr running on a terminal of its own.
type terminalRun struct {
	cmd    *exec.Cmd
	master *os.File
	seen   chan string
}

// onTerminal starts pyrr on a new terminal.
func onTerminal(t *testing.T, dir string, args ...string) *terminalRun {
	t.Helper()
	master, slave := openPTY(t)
	r := &terminalRun{master: master, seen: make(chan string, 1024)}
	r.cmd = exec.Command(os.Args[0], args...)
	r.cmd.Args[0] = "pyrr" // TestMain runs main for that name
	r.cmd.Dir = dir
	r.cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=", "CI=")
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = slave, slave, slave
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill() })
	slave.Close()
	go func() {
		defer close(r.seen)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if n > 0 {
				r.seen <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return r
}

// until reads the terminal up to a text and returns all that was there.
func (r *terminalRun) until(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	limit := time.After(3 * time.Minute)
	for !strings.Contains(all.String(), text) {
		select {
		case s, ok := <-r.seen:
			if !ok {
				t.Fatalf("the terminal was closed before %q:\n%s", text, all.String())
			}
			all.WriteString(s)
		case <-limit:
			t.Fatalf("no %q on the terminal after three minutes:\n%s", text, all.String())
		}
	}
	return all.String()
}

// rest reads the terminal to its end and returns the exit status.
func (r *terminalRun) rest(t *testing.T) (string, int) {
	t.Helper()
	var all bytes.Buffer
	limit := time.After(3 * time.Minute)
	for {
		select {
		case s, ok := <-r.seen:
			if !ok {
				r.cmd.Wait() // the status is in ProcessState
				return all.String(), r.cmd.ProcessState.ExitCode()
			}
			io.WriteString(&all, s)
		case <-limit:
			t.Fatalf("still running after three minutes:\n%s", all.String())
		}
	}
}

// TestTerminalAndCtrlC holds that the program has the terminal, that Ctrl-C
// reaches it and does not end pyrr, which keeps the recording.
func TestTerminalAndCtrlC(t *testing.T) {
	python := tracedPython(t)
	dir := t.TempDir()
	program := `
import sys, time
print("tty", sys.stdin.isatty(), sys.stdout.isatty(), flush=True)
line = sys.stdin.readline().strip()
try:
    print("read", line, flush=True)
    for _ in range(600): # CPython looks for signals between two calls, not before one
        time.sleep(.1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(5)
`
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte(program), 0o666); err != nil {
		t.Fatal(err)
	}
	r := onTerminal(t, dir, "record", "-o", "x.pyrr.zip", python, "app.py")
	r.until(t, "tty True True")
	if _, err := r.master.WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}
	r.until(t, "read hello")
	if _, err := r.master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	out, status := r.rest(t)
	if status != 5 || !strings.Contains(out, "interrupted") {
		t.Errorf("exit status %d, want the program's 5:\n%s", status, out)
	}
	if !strings.Contains(out, "pyrr: recorded x.pyrr.zip") {
		t.Errorf("the recording was not kept:\n%s", out)
	}
}

// TestColour holds that a terminal gets colour, and that NO_COLOR takes it
// away.
func TestColour(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        bool
	}{{"terminal", "", true}, {"NO_COLOR", "1", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", tt.value)
			master, slave := openPTY(t)
			defer master.Close()
			t.Setenv("TERM", "xterm")
			u := screen.New(slave, slave)
			if u.ColourErr != tt.want || u.ColourOut != tt.want {
				t.Errorf("colour %v, %v; want %v", u.ColourOut, u.ColourErr, tt.want)
			}
		})
	}
}

// actingProgram prints, and names its thread, its function, its file and what it looks
// for, with characters that act on a terminal, and hangs.
const actingProgram = `
import os, sys, threading
evil = "\x1b]0;TITLE\x07\x1b[41mRED\u202eback\u2028line\x9b31m"
space = {}
exec(compile("import threading\ndef f(evil, lock):\n    lock.acquire()\n", "/nowhere/" + evil + ".py", "exec"), space)
f = space["f"]
f.__code__ = f.__code__.replace(co_name=evil)
print(evil, flush=True)
print(evil, file=sys.stderr, flush=True)
try:
    os.stat("/nowhere" + evil)
except OSError:
    pass
lock = threading.Lock()
lock.acquire()
thread = threading.Thread(target=f, args=(evil, lock), name=evil)
thread.start()
thread.join()
`

// acting is what a terminal would act on; pyrr's own colours do not count.
var acting = []string{"\x1b]", "\a", "\x1b[41m", "\u202e", "\u2028", "\u009b"}

// TestTerminalIsLeftAlone: nothing that a recorded program printed, and none of its names,
// acts on the terminal that shows it; a pipe gets the bytes as they are.
func TestTerminalIsLeftAlone(t *testing.T) {
	python := tracedPython(t)
	dir := t.TempDir()
	t.Setenv("PYTHONIOENCODING", "utf-8")
	app := filepath.Join(dir, "app.py")
	if err := os.WriteFile(app, []byte(actingProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "r.pyrr.zip")
	piped := func(args ...string) (string, error) {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Args[0] = "pyrr" // TestMain runs main for that name
		out, err := cmd.Output()
		return string(out), err
	}
	printed, err := piped("record", "--timeout", setup.Timeout("3s"), "-o", path, "--", python, app)
	if err == nil || !strings.Contains(printed, acting[0]) {
		t.Fatalf("record: %v, %q", err, printed)
	}
	if out, err := piped("replay", "--batch", path); err != nil || out != printed {
		t.Errorf("%v: a pipe gets %q, not %q", err, out, printed)
	}
	for _, command := range []string{
		"replay --batch", "replay --at end -ex bt -ex quit", "bt", "bt --locals", "explain", "explain --full", "explain --json", "events", "events --json",
		"info", "info --json", "profile", "where TITLE", "where --json TITLE",
	} {
		t.Run(command, func(t *testing.T) {
			args := strings.Fields(command)
			r := onTerminal(t, dir, slices.Insert(args, 1, path)...)
			out, status := r.rest(t)
			if status != 0 || out == "" {
				t.Fatalf("status %d: %s", status, out)
			}
			for _, s := range acting {
				if strings.Contains(out, s) {
					t.Errorf("%q comes to the terminal: %q", s, out)
				}
			}
		})
	}
}
