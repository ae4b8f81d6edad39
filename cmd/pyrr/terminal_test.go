//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/screen"
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
	limit := time.After(30 * time.Second)
	for !strings.Contains(all.String(), text) {
		select {
		case s, ok := <-r.seen:
			if !ok {
				t.Fatalf("the terminal was closed before %q:\n%s", text, all.String())
			}
			all.WriteString(s)
		case <-limit:
			t.Fatalf("no %q on the terminal after 30 s:\n%s", text, all.String())
		}
	}
	return all.String()
}

// rest reads the terminal to its end and returns the exit status.
func (r *terminalRun) rest(t *testing.T) (string, int) {
	t.Helper()
	var all bytes.Buffer
	limit := time.After(30 * time.Second)
	for {
		select {
		case s, ok := <-r.seen:
			if !ok {
				r.cmd.Wait() // the status is in ProcessState
				return all.String(), r.cmd.ProcessState.ExitCode()
			}
			io.WriteString(&all, s)
		case <-limit:
			t.Fatalf("still running after 30 s:\n%s", all.String())
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
