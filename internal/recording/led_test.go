package recording

import (
	"path/filepath"
	"testing"
	"time"
)

// TestForkWithoutItsParent reads what a killed recorder leaves where the stream of a
// fork was on the disk before the call that made the fork: readers do not see it yet.
func TestForkWithoutItsParent(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "x")
		w, err := Create(dir, Header{Tool: "pyrr", Started: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		parent, child := w.Stream(1), w.Stream(2)
		for _, ev := range []Event{{Kind: KindStart, TID: 10, Proc: &Process{ID: 1, PID: 10}}, {Kind: KindNote, TID: 10}} {
			if err := parent.Append(&ev); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		fork := Event{Kind: KindSyscall, TID: 10, Nr: 57, Ret: 11, Child: 11}
		begin := Event{Kind: KindStart, TID: 11, Proc: &Process{ID: 2, PID: 11, Parent: 1, ParentEvent: 2, Fork: true}}
		if flushed {
			if err := parent.Append(&fork); err != nil {
				t.Fatal(err)
			}
		}
		if err := child.Append(&begin); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(Summary{Truncated: true}); err != nil {
			t.Fatal(err)
		}
		r, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		procs, err := r.Procs()
		r.Close()
		want := 1
		if flushed {
			want = 2
		}
		if err != nil || len(procs) != want {
			t.Errorf("with the call flushed %v: %d processes, %v", flushed, len(procs), err)
		}
	}
}
