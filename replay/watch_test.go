//go:build linux && amd64

package replay_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/capture"
	"pyrr/cpython"
	"pyrr/replay"
)

// TestWatchesBothWays: the stops at several watched words are the same in both
// directions, and one can go to each of them.
func TestWatchesBothWays(t *testing.T) {
	script, err := filepath.Abs("testdata/lines.py")
	if err != nil {
		t.Fatal(err)
	}
	python := pythons(t)[0]
	x := open(t, record(t, capture.Options{Command: []string{python, script}}))
	x.SetBreaks([]*replay.Break{{Kind: replay.BreakLine, File: "lines.py", Line: 18}}) // total += i
	for range 5 {
		if st, err := x.Continue(nil); err != nil || st.Kind != replay.StopBreak {
			t.Fatalf("%+v, %v", st, err)
		}
	}
	x.SetBreaks(nil)
	var watches []replay.Watch
	if err := x.With(func(p *replay.Process, th *replay.Thread) error {
		frames, err := p.PyFrames(th, 1)
		if err != nil {
			return err
		}
		rt, err := p.Runtime()
		for _, name := range []string{"i", "total"} {
			path, perr := cpython.ParsePath(name)
			o, rerr := rt.Resolve(p.Mem(), frames[0], path)
			err = errors.Join(err, perr, rerr)
			watches = append(watches, replay.Watch{Addr: o.At, Len: 8})
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := x.SetWatches(watches); err != nil {
		t.Fatal(err)
	}
	var forward []string
	var points []replay.Point
	for range 12 {
		st, err := x.Continue(nil)
		if err != nil || st.Kind != replay.StopWatch {
			t.Fatalf("%+v, %v", st, err)
		}
		forward = append(forward, describe(st, stateOf(t, x)))
		points = append(points, st.Point)
	}
	for i := len(forward) - 2; i >= 0; i-- {
		st, err := x.ReverseContinue(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(st, stateOf(t, x)); got != forward[i] {
			t.Fatalf("backwards, stop %d:\n got %s\nwant %s", i, got, forward[i])
		}
	}
	for i := range points {
		// Before each stop the word still has its old value.
		if _, err := x.Goto(points[i]); err != nil {
			t.Fatal(err)
		}
		after := stateOf(t, x)
		if s := fmt.Sprint(after); !strings.HasSuffix(forward[i], s) {
			t.Errorf("stop %d: state %s, was %s", i, s, forward[i])
		}
		if st, err := x.ReverseStepInstr(); err != nil || st.Point.Same(points[i]) || stateOf(t, x) == after {
			t.Errorf("a step back from stop %d: %+v, %v", i, st, err)
		}
	}
}
