//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pyrr/internal/setup"
)

// regions is a service that names parts of itself, one of which is slow and one of
// which fails; other parts have other names, or are within one.
const regions = `
import sys, threading, time
from pyrr_replay import region
def request(n):
    with region("other"):
        pass
    with region("request"):
        with region("request"):
            time.sleep(.01)
        if n == 1:
            time.sleep(float(sys.argv[1]))
        if n == 2:
            raise KeyError("no such user")
for n in range(4):
    try:
        request(n)
    except KeyError:
        pass
threads = [threading.Thread(target=request, args=(0,)) for _ in range(3)]
[t.start() for t in threads]
[t.join() for t in threads]
print("served")
`

// TestRegions records parts of a program that are not tests, and keeps those that
// are wanted; the program runs the same without a recorder.
func TestRegions(t *testing.T) {
	python := tracedPython(t)
	module, err := filepath.Abs("../../capture/pytest/wheel")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PYTHONPATH", module)
	app := filepath.Join(t.TempDir(), "app.py")
	if err := os.WriteFile(app, []byte(regions), 0o666); err != nil {
		t.Fatal(err)
	}
	// What is not slow takes some milliseconds, unless the machine stands still.
	limit := setup.Patience(3 * time.Second)
	long := fmt.Sprint((limit * 4 / 3).Seconds())
	for _, c := range []struct {
		name string
		args []string
		want []string // outcomes of what is kept
	}{
		{"all", []string{"--keep", "always", "--keep-max", "0"}, []string{"failed", "passed", "passed", "passed"}},
		{"slow", []string{"--keep", "timeout", "--timeout", limit.String()}, []string{"passed"}},
		{"failed", []string{"--keep", "failure"}, []string{"failed"}},
		{"none", []string{"--keep", "never"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			args := append([]string{"record", "--from-mark", "request", "-o", dir}, c.args...)
			slow := "0.01"
			if c.name == "slow" {
				slow = long
			}
			cmd := pyrrCommand(append(args, "--", python, app, slow)...)
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil || string(out) != "served\n" {
				t.Fatalf("%v: %q\n%s", err, out, said.String())
			}
			kept, err := filepath.Glob(filepath.Join(dir, "request-*.pyrr.zip"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range strings.Split(said.String(), "\n") {
				if rest, ok := strings.CutPrefix(line, "pyrr: "); ok && strings.HasSuffix(rest, ": request") {
					got = append(got, strings.TrimSuffix(rest, ": request"))
				}
			}
			slices.Sort(got)
			// Threads that are in a part at the same time are one region; so there may be more
			// than one region of the last kind.
			if more := len(got) - len(c.want); more > 0 && more <= 2 && c.name == "all" {
				got = got[:len(c.want)]
			} else if len(kept) != len(c.want) {
				t.Errorf("%d recordings, not %d", len(kept), len(c.want))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("kept %q, not %q\n%s", got, c.want, said.String())
			}
			if n := strings.Count(said.String(), ", verified"); n != len(kept) {
				t.Errorf("%d of %d are exact\n%s", n, len(kept), said.String())
			}
		})
	}
	cmd := pyrrCommand("record", "--from-mark", "nothing", "-o", t.TempDir(), "--", python, app, "0.01")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte(`no region "nothing" began`)) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRegionAfterFork forks while another thread is in a region: the child, which does not
// have that thread, has regions of its own; a child that is in a region itself ends it.
func TestRegionAfterFork(t *testing.T) {
	python := testPython()
	if python == "" {
		t.Skip("there is no Python")
	}
	module, err := filepath.Abs("../../capture/pytest/wheel")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PYTHONPATH", module)
	const code = `
import os, threading, pyrr_replay
from pyrr_replay import region
marks, inside, over = [], threading.Event(), threading.Event()
pyrr_replay._mark = marks.append
def work():
    with region("of a thread"):
        inside.set()
        over.wait()
thread = threading.Thread(target=work, daemon=True)
thread.start()
inside.wait()
def child(want):
    pid = os.fork()
    if pid == 0:
        del marks[:]
        with region("of a child"):
            pass
        os._exit(marks != want)
    assert os.waitpid(pid, 0)[1] == 0
child([b"begin/of a child", b"end/passed/of a child"])
over.set()
thread.join()
with region("of its own"):
    child([])
    pid = os.fork()
if pid == 0:
    os._exit(pyrr_replay._lock.locked())
assert os.waitpid(pid, 0)[1] == 0
print("ok")
`
	out, err := exec.Command(python, "-c", code).CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%v\n%s", err, out)
	}
}
