package page

import (
	"cmp"
	"slices"

	"pyrr/internal/logview"
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

// futexPrivate says that no other process uses the futex.
const futexPrivate = 128

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
	case enter.Args[1]&futexPrivate == 0 && exit.Ret >= 0 && (isWake(enter) || isWait(enter)):
		r.shared(l, n, enter, exit)
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

// touch is a call on something that several threads and processes have: a word that
// they wait at, or an end of a pipe.
type touch struct {
	event
	lane     int32
	from, to int64 // when it was entered and returned
}

func byTime(list []touch) {
	slices.SortStableFunc(list, func(a, b touch) int { return cmp.Compare(a.from, b.from) })
}

// join draws an arrow to a call that waited, from the last of those of others that let
// it go on: it began before the other returned, and was not over before that began.
func (w *walk) join(to *touch, by []touch) {
	k, _ := slices.BinarySearchFunc(by, to.to, func(b touch, t int64) int { return sign(b.from <= t) })
	for i := k - 1; i >= 0 && i >= k-8; i-- {
		if b := &by[i]; b.lane != to.lane && b.to >= to.from {
			if len(w.wakes) < maxWakes {
				w.wakes = append(w.wakes, wake{b.proc, to.proc, b.n, to.n})
			}
			return
		}
	}
}

// waited is how long, in ns, a call takes at least that waited for somebody. One that
// finds what it wants is quicker.
const waited = 50_000

// joinChannels draws the arrows from who wrote to who waited for that, in a read or in
// the poll before it, and from who read to who waited for room.
func (w *walk) joinChannels() {
	if len(w.lanes) < 2 {
		return
	}
	all, err := logview.Channels(w.in.Rec, maxWakes)
	if err != nil && len(all) == 0 {
		return // the page goes without
	}
	rows, before := w.places()
	touchOf := func(t *logview.Transfer) (touch, int, bool) {
		i, ok := rows[event{w.procIndex(t.Proc), t.Event}]
		if !ok {
			return touch{}, 0, false
		}
		return touch{event{w.procIndex(t.Proc), t.Event}, w.rows[i].lane, t.From, t.To}, i, true
	}
	for i := range all {
		var reads, writes []touch
		var waits [2][]touch
		for k := range all[i].Writes {
			if t, _, ok := touchOf(&all[i].Writes[k]); ok {
				if writes = append(writes, t); t.to-t.from >= waited {
					waits[1] = append(waits[1], t)
				}
			}
		}
		for k := range all[i].Reads {
			t, row, ok := touchOf(&all[i].Reads[k])
			if !ok {
				continue
			}
			reads = append(reads, t)
			switch p := before[row]; {
			case t.to-t.from >= waited:
				waits[0] = append(waits[0], t)
			case p >= 0 && w.rows[p].kind == kindPoll && w.rows[p].took >= waited:
				r := &w.rows[p]
				waits[0] = append(waits[0], touch{event{t.proc, r.n}, r.lane, r.time, r.time + r.took})
			}
		}
		for k := range waits[0] {
			w.join(&waits[0][k], writes)
		}
		for k := range waits[1] {
			// A reader who waited when the write began found nothing there: the write had room.
			from, _ := slices.BinarySearchFunc(reads, waits[1][k].from, func(r touch, t int64) int { return cmp.Compare(r.from, t) })
			w.join(&waits[1][k], reads[from:])
		}
	}
}

// places are the rows by their events, and of each row the one before it of its thread,
// -1 for none.
func (w *walk) places() (rows map[event]int, before []int) {
	rows, before = make(map[event]int, len(w.rows)), make([]int, len(w.rows))
	last := make([]int, len(w.lanes))
	for i := range last {
		last[i] = -1
	}
	for i := range w.rows {
		r := &w.rows[i]
		rows[event{w.lanes[r.lane].Proc, r.n}] = i
		before[i], last[r.lane] = last[r.lane], i
	}
	return rows, before
}
