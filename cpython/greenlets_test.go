package cpython

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/setup"
)

type greenletSeen struct {
	Addr   uint64
	Type   string
	Frames [][3]any // file, function, line
}

// TestGreenletsAgainstPython compares, at random points, all suspended
// greenlets read from memory with what greenlet itself reports, in the virtual
// environment that has the package, and in interpreters that have it installed or
// find it in PYTHONPATH.
func TestGreenletsAgainstPython(t *testing.T) {
	points := 20
	if fullTests {
		points = 100
	}
	with := interpreter{name: "greenlet-3.11", path: setup.Path("venv-greenlet/bin/python")}
	for i, in := range append(interpreters(), with) {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "greenletpoints.py", fmt.Sprint(i+1), fmt.Sprint(points))
			var r *Runtime
			greenlets, frames := 0, 0
			for n := 1; n <= points; n++ {
				line := p.line(t)
				if strings.HasPrefix(line, "none") {
					t.Skip("greenlet is not installed")
				}
				var want struct{ Greenlets []greenletSeen }
				if err := json.Unmarshal([]byte(line), &want); err != nil {
					t.Fatal(err)
				}
				p.awaitRead(t)
				if r == nil {
					r = openLive(t, in, p.m.PID)
				}
				list, err := r.Greenlets(p.m)
				if err != nil {
					t.Fatal(err)
				}
				got := []greenletSeen{}
				for _, g := range list {
					s := greenletSeen{Addr: g.Addr, Type: g.Type}
					for _, f := range g.Frames {
						s.Frames = append(s.Frames, [3]any{f.File, f.Func, float64(f.Line)})
						if f.Err != "" {
							t.Errorf("frame %+v", f)
						}
					}
					got = append(got, s)
					frames += len(g.Frames)
				}
				byAddr := func(a, b greenletSeen) int { return int(int64(a.Addr - b.Addr)) }
				slices.SortFunc(got, byAddr)
				slices.SortFunc(want.Greenlets, byAddr)
				if d := cmp.Diff(want.Greenlets, got); d != "" {
					t.Fatalf("point %d, seed %d: greenlets (-Python +memory):\n%s", n, i+1, d)
				}
				greenlets += len(got)
				p.proceed(t)
			}
			t.Logf("Python %v: %d points, %d greenlets, %d frames", r.Version, points, greenlets, frames)
		})
	}
}
