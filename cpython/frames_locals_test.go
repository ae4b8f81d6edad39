package cpython

import (
	"fmt"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLocals compares the locals read from memory with what the program says
// of them.
func TestLocals(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			var want [][]any
			p, r, ts := liveThreads(t, in, "values.py", &want)
			if len(ts) != 1 {
				t.Fatal(ts)
			}
			frames, err := r.Frames(p.m, ts[0], Options{})
			if err != nil || len(frames) < len(want)+1 {
				t.Fatalf("%d frames, error %v", len(frames), err)
			}
			for i, vars := range want {
				f := frames[i+1] // above is last(), which does not describe itself
				got, err := r.Locals(p.m, f)
				if err != nil {
					t.Errorf("%s: %v", f.Func, err)
				}
				if d := cmp.Diff(sortedVars(vars), sortedVars(asAny(got))); d != "" {
					t.Errorf("%s (-Python +memory):\n%s", f.Func, d)
				}
			}
		})
	}
}

func asAny(vars []Variable) []any {
	var all []any
	for _, v := range vars {
		all = append(all, []any{v.Name, v.Value, v.Arg})
	}
	return all
}

func sortedVars(vars []any) []string {
	var all []string
	for _, v := range vars {
		all = append(all, fmt.Sprint(v))
	}
	sort.Strings(all)
	return all
}
