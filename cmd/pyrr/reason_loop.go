package main

import (
	"path/filepath"
	"strings"
	"time"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
)

// loopDepth is how many of a thread's last calls are looked at for a loop.
const loopDepth = 1 << 14

// turn is a call of a thread, as far as loops are concerned.
type turn struct {
	nr    int32
	event uint64
	time  int64
}

// loopOf says since when and how often a thread has made the call that it is in
// from the function of the program that it is still in; nil for fewer than three
// times.
func loopOf(rec *recording.Recording, index *recording.StackIndex, proc recording.Proc, c *hang.Call, nr int32) *hang.Loop {
	if index == nil {
		return nil
	}
	var ring []turn
	if logview.Each(rec, &proc, func(_ *logview.Process, n uint64, ev *recording.Event, s logview.Step) error {
		if ev.TID == c.TID && (ev.Kind == recording.KindSyscall || ev.Kind == recording.KindEnter) {
			if len(ring) == 2*loopDepth {
				ring = append(ring[:0], ring[loopDepth:]...)
			}
			ring = append(ring, turn{ev.Nr, n, ev.Time})
		}
		return nil
	}) != nil {
		return nil
	}
	in := func(event uint64) string {
		st, ok, err := index.Stack(proc.ID, c.TID, event)
		if err != nil || !ok {
			return ""
		}
		if f, ok := ownFrame(st); ok {
			return f.File + ":" + f.Func
		}
		return ""
	}
	if len(ring) == 0 {
		return nil
	}
	where := in(ring[len(ring)-1].event)
	if where == "" {
		return nil
	}
	out := &hang.Loop{}
	var times []int64
	for i := len(ring) - 1; i >= 0 && in(ring[i].event) == where; i-- {
		if ring[i].nr == nr {
			times = append(times, ring[i].time)
			out.Event = ring[i].event
		}
	}
	if len(times) < 3 {
		return nil
	}
	n := len(times)
	out.Count, out.For = n, time.Duration(times[0]-times[n-1])
	out.Every = out.For / time.Duration(n-1)
	late, early := times[0]-times[1], times[n-2]-times[n-1]
	out.Grows = n >= 4 && early > 0 && late > 3*early/2 && times[1]-times[2] > early
	return out
}

// ownerOf finds who holds what a thread waits for in the kernel or retries: a
// lock on a file, a transaction of SQLite that is open.
func ownerOf(state *logview.State, index *recording.StackIndex, w *waiting, c *hang.Call) *hang.Owner {
	if state == nil {
		return nil
	}
	p := state.Proc(w.Proc.ID)
	if p == nil {
		return nil
	}
	owner := func(what string, at logview.Moment) *hang.Owner {
		out := &hang.Owner{What: what, Proc: at.Proc, TID: at.TID, Event: at.Pos.Event}
		if index != nil {
			if st, ok, err := index.Stack(at.Proc, at.TID, at.Pos.Event); err == nil && ok {
				if f, ok := ownFrame(st); ok {
					out.Where = &hang.Frame{Func: f.Func, File: f.File, Line: f.Line}
				}
			}
		}
		return out
	}
	switch {
	case c.Call == "flock", c.Call == "fcntl":
		if at, f, ok := state.Blocker(p, p.Thread(w.TID)); ok && f.Path != "" {
			return owner("the lock on "+filepath.Base(f.Path), at)
		}
	case strings.Contains(c.Call, "nanosleep") && inSQLite(w):
		for _, f := range state.Files {
			base, ok := strings.CutSuffix(f.Path, "-journal")
			if ok && len(f.Holders) > 0 && (f.Made.TID != w.TID || f.Made.Proc != w.Proc.ID) {
				return owner("the database "+filepath.Base(base), f.Made)
			}
		}
	}
	return nil
}

// inSQLite tells a thread that is in the code of SQLite.
func inSQLite(w *waiting) bool {
	for _, f := range w.Stack.Frames {
		if strings.Contains(filepath.Base(f.Module), "sqlite3") {
			return true
		}
	}
	return false
}

// repeats tells the calls with which a thread waits a while to look again.
func repeats(nr int32) bool {
	switch name := linux.Name(int(nr)); name {
	case "nanosleep", "clock_nanosleep", "select", "pselect6", "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2", "sched_yield", "futex":
		return true
	}
	return false
}
