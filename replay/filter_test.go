package replay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/capture"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// filterProgram enters functions of all kinds, with system calls between
// that need no stop.
const filterProgram = `
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import a_module_with_a_long_name as m

class Outer:
    class Inner:
        def method_with_a_rather_long_name(self, n):
            os.stat("/")
            return [i for i in range(n)]
    def method(self):
        return sum(i for i in range(3))

def closure(a):
    b = a
    def inner():
        os.stat("/")
        return a + b
    return inner

def ünï(x):
    return x

def gen():
    for i in range(3):
        os.stat("/")
        yield i

for i in range(3):
    Outer().Inner().method_with_a_rather_long_name(2)
    Outer().method()
    closure(i)()
    ünï(i)
    m.same(i), m.method(i)
    list(gen())
    exec(compile("def made(): pass\nmade()", "made-%d.py" % i, "exec"))
    exec(compile("def made(): pass\nmade()", "mäde.py", "exec"))
`

const filterModule = `
def same(x):
    return method(x)
def method(x):
    return x
`

// filterBreaks are breakpoints that select functions by the ends of their
// names, or don't.
var filterBreaks = [][]*replay.Break{
	{{Kind: replay.BreakCall, Func: "method"}},
	{{Kind: replay.BreakCall, Func: "Inner.method_with_a_rather_long_name"}, {Kind: replay.BreakReturn, Func: "inner"}},
	{{Kind: replay.BreakCall, File: "a_module_with_a_long_name.py"}},
	{{Kind: replay.BreakCall, File: "filtered.py", Func: "gen"}, {Kind: replay.BreakLine, File: "filtered.py", Line: 10}},
	{{Kind: replay.BreakCall, Func: "ünï"}, {Kind: replay.BreakCall, File: "mäde.py"}},
	{{Kind: replay.BreakCall, File: "made-1.py"}, {Kind: replay.BreakCall, Func: "absent"}},
	{{Kind: replay.BreakLine, File: "filtered.py", Line: 27}},
}

// TestFilter holds that a breakpoint is hit at the same places whether
// functions that it does not name enter without a stop or not, and whether
// system calls on the way stop or not.
func TestFilter(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(python))), func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"filtered.py": filterProgram, "a_module_with_a_long_name.py": filterModule} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			rec := record(t, capture.Options{Command: []string{python, filepath.Join(dir, "filtered.py")}})
			for i, breaks := range filterBreaks {
				if i%3 != 0 && os.Getenv("PYRR_E2E") != "full" {
					continue
				}
				filtered := hitsOf(t, rec, breaks, false)
				all := hitsOf(t, rec, append(breaks[:len(breaks):len(breaks)], &replay.Break{Kind: replay.BreakCall}), true)
				var want []string
				for _, h := range all {
					if !strings.HasPrefix(h, "other") {
						want = append(want, h)
					}
				}
				if d := cmp.Diff(want, filtered); d != "" {
					t.Errorf("breakpoints %d (-all functions stop +filtered):\n%s", i, d)
				}
				if len(filtered) < 3 && i != 5 || len(filtered) == 0 {
					t.Errorf("breakpoints %d: %d hits", i, len(filtered))
				}
			}
		})
	}
}

// hitsOf lists the hits of a replay; those of a breakpoint at every call
// alone as other.
func hitsOf(t *testing.T, rec *recording.Recording, breaks []*replay.Break, stops bool) []string {
	t.Helper()
	var list []string
	o := replay.Options{Breaks: breaks, OnHit: func(h *replay.Hit) error {
		text := "other"
		for _, b := range h.Breaks {
			if b.File != "" || b.Func != "" {
				text = b.String()
			}
		}
		list = append(list, fmt.Sprintf("%s at %d, event %d: %s:%d", text, h.Pos.Instr, h.Pos.Event, h.Code.Func, h.Line))
		return nil
	}}
	if stops {
		o.OnEvent = func(*replay.Process, *replay.Thread, *recording.Event) error { return nil }
	}
	if _, err := replay.Batch(rec, o); err != nil {
		t.Fatal(err)
	}
	return list
}
