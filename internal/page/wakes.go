package page

import (
	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// wake says that one thread let another one go on: it woke it, made it, or ended
// before one who waited for that. Both are numbers of events of processes.
type wake struct {
	fromProc, toProc int
	from, to         uint64
}

// wakeup is a call of a thread that woke those who wait at an address.
type wakeup struct {
	event uint64
	lane  int32
}

// maxWakes bounds the arrows that a page holds.
const maxWakes = 200_000

// Operations of futex(2), without the flags for private ones and for the clock.
const (
	futexMask       = 0x7f
	futexWait       = 0
	futexWake       = 1
	futexWaitBitset = 9
	futexWakeBitset = 10
)

// woken follows who wakes whom by a futex.
func (r *reader) woken(l int32, n uint64, enter, exit *recording.Event) {
	switch {
	case enter.Nr == unix.SYS_WAIT4 && exit.Ret > 0:
		r.reaped(n, int(exit.Ret))
	case enter.Nr != unix.SYS_FUTEX:
	case isWake(enter) && exit.Ret > 0:
		r.futex[enter.Args[0]] = wakeup{n, l}
	case isWait(enter) && exit.Ret == 0:
		by, ok := r.futex[enter.Args[0]]
		if ok && by.lane != l && by.event > n {
			r.addWake(wake{r.proc, r.proc, by.event, n})
		}
	}
}

func isWake(ev *recording.Event) bool {
	op := ev.Args[1] & futexMask
	return op == futexWake || op == futexWakeBitset
}

func isWait(ev *recording.Event) bool {
	op := ev.Args[1] & futexMask
	return op == futexWait || op == futexWaitBitset
}

func (r *reader) addWake(w wake) {
	if len(r.wakes) < maxWakes {
		r.wakes = append(r.wakes, w)
	}
}

// event is a place: the number of a process among the walk's, and of its event.
type event struct {
	proc int
	n    uint64
}

// child is a thread or process that a call made.
func (r *reader) made(n uint64, ev *recording.Event) {
	if ev.Child > 0 {
		r.makers[ev.Child] = event{r.proc, n}
	}
}

// begun draws an arrow from who made a thread to its beginning.
func (r *reader) begun(n uint64, ev *recording.Event) {
	by, ok := r.makers[ev.TID]
	if ok {
		r.addWake(wake{by.proc, r.proc, by.n, n})
	}
	delete(r.makers, ev.TID) // the number may be given once more
}

// reap is the fetching of a child's end.
type reap struct {
	event
	pid int
}

// reaped remembers that a child's end was fetched: its events are read later.
func (r *reader) reaped(n uint64, pid int) {
	if len(r.reaps) < maxWakes {
		r.reaps = append(r.reaps, reap{event{r.proc, n}, pid})
	}
}

// joinReaps draws the arrows from the ends of processes to who fetched them.
func (w *walk) joinReaps() {
	for _, by := range w.reaps {
		for i := range w.procs {
			if p := &w.procs[i]; p.PID == by.pid && p.ended > 0 && i != by.proc && len(w.wakes) < maxWakes {
				w.wakes = append(w.wakes, wake{i, by.proc, p.ended, by.n})
			}
		}
	}
}
