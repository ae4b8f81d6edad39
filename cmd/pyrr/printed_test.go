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
	"testing"
	"time"
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
