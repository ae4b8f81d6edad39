package reason

import (
	"pyrr/internal/hang"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// lastSeen returns the program's own frames on the last stack of a thread that has ended
// which has some, innermost first: none where the index has no such stack among those of the
// thread's last events.
func lastSeen(rec *recording.Recording, proc int, d *hang.Dead) []hang.Frame {
	const most = 256 // events of the thread
	index, err := rec.StackIndex()
	if err != nil {
		return nil
	}
	procs, err := rec.Procs()
	if err != nil {
		return nil
	}
	var last []uint64
	for i := range procs {
		if procs[i].ID != proc {
			continue
		}
		_ = logview.Each(rec, &procs[i], func(_ *logview.Follower, n uint64, ev *recording.Event, _ logview.Step) error {
			if ev.TID == d.TID && n <= d.Event {
				if len(last) == 2*most {
					last = append(last[:0], last[most:]...)
				}
				last = append(last, n)
			}
			return nil
		})
	}
	for k := len(last) - 1; k >= 0; k-- {
		st, ok := stackAt(index, proc, d.TID, last[k])
		if !ok {
			continue
		}
		var own []hang.Frame
		for _, f := range st.Frames {
			if f.Kind == stack.Python && !hang.Library(f.File) {
				own = append(own, hang.Frame{Func: f.Func, File: f.File, Line: f.Line})
			}
		}
		if len(own) > 0 {
			return own
		}
	}
	return nil
}
