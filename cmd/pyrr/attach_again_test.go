//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAttachAgain attaches to the same process again and again: each recording is exact,
// the program ends as if nothing had happened, and what is left in it does not grow.
// PYRR_ATTACHES says how many times, for each kind of program (make attaches).
func TestAttachAgain(t *testing.T) {
	python := tracedPython(t)
	times, _ := strconv.Atoi(os.Getenv("PYRR_ATTACHES"))
	kinds := []string{"threads", "asyncio", "numpy", "children"}
	if times == 0 {
		times, kinds = 4, kinds[:1]
	}
	for _, c := range attachPrograms {
		if !slices.Contains(kinds, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			python := python
			if c.name == "numpy" {
				if python = withNumpy(); python == "" {
					t.Skip("there is no Python with numpy (make setup)")
				}
			}
			p := live(t, python, c.code)
			open, threads := p.entries("fd"), p.entries("task")
			var first map[string]int
			for n := range times {
				time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
				attached(t, p, "--for", fmt.Sprintf("%dms", 30+rand.IntN(120)))
				if left := p.zombies(); left != "" && c.name != "children" {
					t.Errorf("after attach %d the program still has %s", n, left)
				}
				if n == 0 {
					first = p.ofPyrr()
				}
			}
			if len(first) == 0 {
				t.Error("pyrr has no mapping in the program after the first attach")
			}
			if now := p.ofPyrr(); !maps.Equal(now, first) {
				t.Errorf("mappings of pyrr's after one attach: %v, after %d: %v", first, times, now)
			}
			// Descriptors and threads of the program itself come and go.
			if now := p.entries("fd"); now > open+12 {
				t.Errorf("the program had %d descriptors open, and now has %d", open, now)
			}
			if now := p.entries("task"); now > threads+8 {
				t.Errorf("the program had %d threads, and now has %d", threads, now)
			}
			if p.traced() {
				t.Error("it is still traced")
			}
			p.ends(t)
		})
	}
}

// entries counts the entries of a folder that proc(5) has of the program.
func (p *living) entries(dir string) int {
	list, _ := filepath.Glob("/proc/" + p.pid() + "/" + dir + "/*")
	return len(list)
}

// ofPyrr counts, by their rights, the mappings of code that belong to no file (a Python
// without a compiler of its own has none), and those where pyrr places its own.
func (p *living) ofPyrr() map[string]int {
	list, _ := os.ReadFile("/proc/" + p.pid() + "/maps")
	n := map[string]int{}
	for line := range bytes.Lines(list) {
		f := strings.Fields(string(line))
		if len(f) == 5 && (strings.Contains(f[1], "x") || strings.HasPrefix(f[0], "7000")) {
			n[f[1]]++
		}
	}
	return n
}

// TestAttachAmidSpawns lets go of a program again and again that starts processes all the
// time: it is often inside the call that makes one then, whose result has to come to it.
func TestAttachAmidSpawns(t *testing.T) {
	python := tracedPython(t)
	p := live(t, python, `
while not over.is_set():
    pid = os.posix_spawn("/bin/true", ["true"], {})
    assert os.waitpid(pid, 0) == (pid, 0)
`)
	refused := 0
	for range 40 {
		path := filepath.Join(t.TempDir(), "x.pyrr.zip")
		out, err := pyrrCommand("record", "--pid", p.pid(), "--verify", "none", "--for", fmt.Sprintf("%dms", 10+rand.IntN(20)), "-o", path).CombinedOutput()
		// A thread that waits for the child of a vfork can't be stopped: where that takes a
		// second, attaching is refused, and the program goes on.
		if err != nil && bytes.Contains(out, []byte("for a child that was made by vfork")) {
			refused++
		} else if err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, p.stderr.String())
		}
	}
	if p.ends(t); refused > 4 {
		t.Errorf("%d of 40 attaches were refused", refused)
	}
}
