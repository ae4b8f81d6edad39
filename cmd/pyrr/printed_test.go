//go:build linux && amd64

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// printing are programs that write to the command's own output in the ways that a write
// without a stop has to tell apart.
var printing = map[string]struct {
	code   string
	killed bool // by somebody else, while it prints
}{
	"much": {code: `
import os
for i in range(3000): os.write(1, b"y" * 999 + b"\n")
os.write(2, b"done\n")
`},
	"redirected": {code: `
import os, subprocess, sys
shown = os.dup(1)
for i in range(30):
    file = os.open("captured.txt", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1); os.write(1, b"captured\n"); os.close(file)
    os.dup2(shown, 1); os.write(1, b"shown %d\n" % i); os.write(2, b"error %d\n" % i)
    if i % 10 == 0:
        if os.fork() == 0:
            os.write(1, b"of a child\n"); os.dup2(2, 1); os.write(1, b"its errors\n"); os._exit(0)
        os.wait()
        subprocess.run([sys.executable, "-c", "import os; os.write(1, b'of a program\\n'); os.write(2, b'among errors\\n')"], stderr=1)
r, w = os.pipe()
os.dup2(w, 1); os.write(1, b"into a pipe\n"); os.dup2(shown, 1); os.write(1, os.read(r, 100))
null = os.open("/dev/null", os.O_WRONLY)
os.dup2(null, 1); os.write(1, b"to nowhere\n"); os.dup2(shown, 1); os.write(1, b"end\n")
`},
	"threads": {code: `
import threading
def work(k):
    for i in range(300): print(k, i, flush=True)
threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
for t in threads: t.start()
for t in threads: t.join()
`},
	"nobody reads": {code: `
import os, signal
r, w = os.pipe()
os.dup2(w, 1); os.close(w); os.close(r)
got = []
def tried():
    try: os.write(1, b"x\n")
    except BrokenPipeError: return "broken"
for how in signal.SIG_IGN, lambda *a: got.append(1):
    signal.signal(signal.SIGPIPE, how)
    os.write(2, b"%s %d\n" % (tried().encode(), len(got)))
`},
	"killed": {killed: true, code: `
import os, subprocess
subprocess.Popen(["sh", "-c", "sleep 0.05; kill -9 %d" % os.getpid()])
i = 0
while True:
    os.write(1, b"%0100d\n" % i); i += 1 # a slow reader's pipe is full before the end
`},
}

// TestPrinted holds that a replay prints to the last byte what the program did, also
// where that was written without a stop, to a pipe, a slow one, or a file.
func TestPrinted(t *testing.T) {
	python := tracedPython(t)
	for name, p := range printing {
		for _, where := range []string{"pipe", "slow pipe", "file"} {
			t.Run(name+"/"+where, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				pyrr := func(args ...string) *exec.Cmd {
					cmd := exec.Command(os.Args[0], args...)
					cmd.Args[0], cmd.Dir = "pyrr", dir // TestMain runs main for that name
					return cmd
				}
				cmd := pyrr("record", "-o", "x.pyrr.zip", "--", python, "-c", p.code)
				var errs bytes.Buffer
				cmd.Stderr = &errs
				out, err := printedBy(cmd, where)
				if err != nil && !p.killed {
					t.Fatalf("record: %v\n%s", err, errs.String())
				}
				if !strings.Contains(errs.String(), ", verified\n") {
					t.Fatalf("not verified:\n%s", errs.String())
				}
				replay := pyrr("replay", "--batch", "x.pyrr.zip")
				var again bytes.Buffer
				replay.Stderr = &again
				got, err := replay.Output()
				if err != nil {
					t.Fatalf("replay: %v\n%s", err, again.String())
				}
				if !bytes.Equal(got, out) {
					t.Errorf("the replay prints %d bytes, the program printed %d: …%q, …%q", len(got), len(out), lastOf(got), lastOf(out))
				}
				if want := own(errs.String()); own(again.String()) != want {
					t.Errorf("errors of the replay:\n%s\nnot:\n%s", again.String(), want)
				}
			})
		}
	}
}

// TestPrintedByTheKilled: who is killed behind a write that waited for its reader has
// printed it, though the recorder did not see it return: it does nothing here from before
// the reader reads until the program is dead or about to die.
func TestPrintedByTheKilled(t *testing.T) {
	python := tracedPython(t)
	for name, code := range map[string]string{
		"alone":           "",
		"beside a thread": "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			code += `
import os
os.write(2, b"%d\n" % os.getpid())
while True: os.write(1, b"." * 4095 + b"\n")
`
			cmd := exec.Command(os.Args[0], "record", "-o", filepath.Join(dir, "x.pyrr.zip"), "--", python, "-c", code)
			cmd.Args[0] = "pyrr"
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			said, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if cmd.Stdout = w; cmd.Start() != nil {
				t.Fatal(err)
			}
			w.Close()
			errs := bufio.NewReader(said)
			var pid int
			if _, err := fmt.Fscan(errs, &pid); err != nil {
				t.Fatal(err)
			}
			full(t, r)
			stand(t, fmt.Sprintf("/proc/%d/stat", pid), "S") // it waits for a reader
			unix.Kill(cmd.Process.Pid, unix.SIGSTOP)
			stand(t, fmt.Sprintf("/proc/%d/task/*/stat", cmd.Process.Pid), "T")
			defer unix.Kill(cmd.Process.Pid, unix.SIGCONT)
			out := make([]byte, 4096)
			if _, err := io.ReadFull(r, out); err != nil {
				t.Fatal(err)
			}
			stand(t, fmt.Sprintf("/proc/%d/stat", pid), "t") // behind its write
			unix.Kill(pid, unix.SIGKILL)
			time.Sleep(50 * time.Millisecond)
			unix.Kill(cmd.Process.Pid, unix.SIGCONT)
			rest, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			log, _ := io.ReadAll(errs)
			if cmd.Wait(); !strings.Contains(string(log), ", verified\n") {
				t.Fatalf("not verified:\n%s", log)
			}
			replay := exec.Command(os.Args[0], "replay", "--batch", filepath.Join(dir, "x.pyrr.zip"))
			replay.Args[0] = "pyrr"
			got, err := replay.Output()
			if err != nil {
				t.Fatalf("replay: %v", err)
			}
			if want := len(out) + len(rest); len(got) != want {
				t.Errorf("the replay prints %d bytes, the program printed %d", len(got), want)
			}
		})
	}
}

// stand waits until all threads whose stat files match are in a state (proc_pid_stat(5)).
func stand(t *testing.T, pattern, state string) {
	t.Helper()
	until(t, pattern+" with "+state, func() bool {
		names, _ := filepath.Glob(pattern)
		return len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool {
			b, _ := os.ReadFile(name)
			_, rest, _ := strings.Cut(string(b), ") ")
			return !strings.HasPrefix(rest, state)
		})
	})
}

// full waits until a pipe has no room for another line of 4 KB.
func full(t *testing.T, r *os.File) {
	t.Helper()
	size, err := unix.FcntlInt(r.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "a full pipe", func() bool {
		n, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
		return err == nil && n == size
	})
}

// TestPrintedToOne: a replay tells the program's output from its errors, also where both
// went to the same pipe.
func TestPrintedToOne(t *testing.T) {
	python := tracedPython(t)
	dir := t.TempDir()
	pyrr := func(args ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Args[0], cmd.Dir = "pyrr", dir
		return cmd
	}
	const program = "import os\nfor i in range(9): os.write(1, b'out\\n'); os.write(2, b'err\\n')"
	if out, err := pyrr("record", "-o", "x.pyrr.zip", "--", python, "-c", program).CombinedOutput(); err != nil || !strings.Contains(string(out), strings.Repeat("out\nerr\n", 9)) {
		t.Fatalf("record: %v\n%s", err, out)
	}
	replay := pyrr("replay", "--batch", "x.pyrr.zip")
	var errs bytes.Buffer
	replay.Stderr = &errs
	out, err := replay.Output()
	if err != nil || string(out) != strings.Repeat("out\n", 9) || own(errs.String()) != strings.Repeat("err\n", 9) {
		t.Errorf("the replay prints %q, and %q as errors (%v)", out, errs.String(), err)
	}
}

// printedBy runs a command and returns what it wrote to its standard output.
func printedBy(cmd *exec.Cmd, where string) ([]byte, error) {
	if where == "file" {
		name := filepath.Join(cmd.Dir, "out.txt")
		f, err := os.Create(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		cmd.Stdout = f
		ended := cmd.Run()
		out, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return out, ended
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	w.Close()
	if where == "slow pipe" {
		time.Sleep(300 * time.Millisecond) // the pipe is full by then
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return out, cmd.Wait()
}

func lastOf(b []byte) []byte { return b[max(0, len(b)-40):] }

// own is what the program itself wrote among lines of pyrr's.
func own(errs string) string {
	var b strings.Builder
	for line := range strings.Lines(errs) {
		if !strings.HasPrefix(line, "pyrr:") {
			b.WriteString(line)
		}
	}
	return b.String()
}
