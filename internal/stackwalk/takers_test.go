package stackwalk

import (
	"testing"

	"pyrr/internal/hang"
)

// TestWaitingTaker: the call in which a unit waits took nothing, also where that unit is a
// task or greenlet of the thread that was seen to begin it: an event loop that is not asyncio's
// does not say which of its tasks runs. A second call at the same line did take something.
func TestWaitingTaker(t *testing.T) {
	here := hang.Frame{Func: "main", File: "app.py", Line: 26}
	ask := &hang.Ask{Thing: 0, File: "/venv/lib/python3.11/site-packages/httpcore/pool.py", Func: "handle"}
	for _, kind := range []string{hang.Task, hang.Greenlet, hang.Thread} {
		loop := hang.Unit{Kind: hang.Thread, TID: 7, Wait: &hang.Wait{How: "loop"}}
		waits := hang.Unit{Kind: kind, TID: 7, Frames: []hang.Frame{{Func: "handle", File: ask.File, Line: 3}, here}, Wait: &hang.Wait{How: "wait", On: []int{0}}}
		j := journey{facts: &hang.Facts{Units: []hang.Unit{loop, waits}}}
		unit := 0
		if kind == hang.Thread {
			unit = 1
		}
		at := func(f hang.Frame) *take { return &take{Taken: hang.Taken{Unit: unit, Where: f}, tid: 7} }
		if got := j.waits(at(here), ask, map[int]bool{}); got != 1 {
			t.Errorf("%s: the call that waits is of unit %d", kind, got)
		}
		if got := j.waits(at(here), ask, map[int]bool{1: true}); got != -1 {
			t.Errorf("%s: an earlier call at that line is of unit %d", kind, got)
		}
		if got := j.waits(at(hang.Frame{Func: "main", File: "app.py", Line: 24}), ask, map[int]bool{}); got != -1 {
			t.Errorf("%s: a call at another line is of unit %d", kind, got)
		}
	}
}
