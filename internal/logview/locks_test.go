package logview_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/linux"
	"pyrr/internal/logview"
)

// locksOf lists the locks on ranges, each with its owner's place among the
// processes.
func locksOf(s *logview.State) []string {
	out := []string{}
	for _, l := range s.Locks {
		who := "open file"
		if l.Owner == linux.LockOfProcess {
			who = fmt.Sprintf("process %d", 1+slices.IndexFunc(s.Procs, func(p *logview.Process) bool { return p.PID == l.PID }))
		}
		end := "end"
		if l.End != math.MaxUint64 {
			end = fmt.Sprint(l.End)
		}
		how := "alone"
		if l.Shared {
			how = "shared"
		}
		out = append(out, fmt.Sprintf("%s of %s: %d to %s, %s", filepath.Base(l.File.Path), who, l.Start, end, how))
	}
	slices.Sort(out)
	return out
}

func TestRecordLocks(t *testing.T) {
	rec := record(t, "locks.py")
	proc, event := marked(t, rec, "waits")
	s, err := logview.At(rec, proc, event)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"data of open file: 40 to 45, shared",
		"data of process 1: 0 to 40, alone",
		"data of process 1: 50 to 100, alone",
		"data of process 2: 45 to 50, alone",
		"data2 of process 2: 0 to end, alone",
	}
	if d := cmp.Diff(want, locksOf(s)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	child := s.Proc(2)
	at, f, ok := s.Blocker(child, child.Threads[0])
	if !ok || at.Proc != 1 || filepath.Base(f.Path) != "data" {
		t.Errorf("the child waits for process %d, %v", at.Proc, ok)
	}
	proc, event = marked(t, rec, "over")
	if s, err = logview.At(rec, proc, event); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"data of process 1: 0 to 40, alone", "data of process 1: 50 to 100, alone"}, locksOf(s)); d != "" {
		t.Errorf("after the child's end, -want +got:\n%s", d)
	}
}
