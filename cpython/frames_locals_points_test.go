package cpython

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLocalsAgainstPython compares, at random points, the local variables of
// random values in random functions with what Python prints of them.
func TestLocalsAgainstPython(t *testing.T) {
	points := 60
	if fullTests {
		points = 300
	}
	for i, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "localpoints.py", fmt.Sprint(i+1), fmt.Sprint(points))
			var r *Runtime
			variables := 0
			for n := 1; n <= points; n++ {
				var want struct{ Frames [][][]any }
				if err := json.Unmarshal([]byte(p.line(t)), &want); err != nil {
					t.Fatal(err)
				}
				p.awaitRead(t)
				if r == nil {
					r = openLive(t, in, p.m.PID)
				}
				ts, err := r.Threads(p.m)
				if err != nil || len(ts) != 1 {
					t.Fatal(len(ts), err)
				}
				frames, err := r.Frames(p.m, ts[0], Options{})
				if err != nil {
					t.Fatal(err)
				}
				made := 0
				for _, f := range frames {
					if f.File != "made.py" {
						continue
					}
					got, err := r.Locals(p.m, f)
					if err != nil {
						t.Errorf("%s: %v", f.Func, err)
					}
					if made >= len(want.Frames) {
						t.Fatalf("point %d: more than %d frames", n, made)
					}
					var vars []any
					for _, v := range want.Frames[made] {
						vars = append(vars, v)
					}
					if d := cmp.Diff(sortedVars(vars), sortedVars(asAny(got))); d != "" {
						t.Fatalf("point %d, seed %d, %s (-Python +memory):\n%s", n, i+1, f.Func, d)
					}
					variables += len(got)
					made++
				}
				if made != len(want.Frames) {
					t.Fatalf("point %d: %d of %d frames", n, made, len(want.Frames))
				}
				p.proceed(t)
			}
			t.Logf("Python %v: %d points, %d variables", r.Version, points, variables)
		})
	}
}
