//go:build linux

package ptrace

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Stop is a stop or an end of a tracee, as wait4(2) reports it.
type Stop struct {
	TID    int
	Status unix.WaitStatus
}

// Waits owns all waits of one tracer.
//
// wait4(2) asked for any tracee looks at them in one order, newest first, and
// returns the first that has stopped: as long as new ones are busy, old ones
// are never reported. So Waits takes in all that have stopped before it hands
// out the first of them, which is the one whose last turn is longest ago. A
// tracee stops again only once it was resumed, so each gets one turn, and none
// waits longer than one turn of each other. The order matters too: who is resumed
// last may not have come to its next stop when the others have, and would always
// be the same.
//
// What is due by the clock runs between two stops, however many there are, and
// stops are handed out between two runs of the clock, however long those take.
//
// A Waits belongs to the thread that made it, and waits for tracees of that
// thread alone.
type Waits struct {
	k kernel
	// queue[head:] are stops that were taken in, oldest first.
	queue []Stop
	head  int
	// kept are first stops of tracees whose making was not reported yet.
	kept map[int]unix.WaitStatus
	// last is whose stop came last; crowd is above 0 while it is not always the
	// same: see take.
	last        int
	crowd, lone int
	// served holds the turn that each had last while there was a crowd.
	served map[int]uint64
	turn   uint64
	timers timers
	armed  time.Time // when the kernel is to interrupt a wait; zero: not
	ran    bool      // the last call of Next ran timers
	turns  uint64    // stops and ends that were handed out
	// Exiting, if set, is told of tracees that come to their end with the option
	// PTRACE_O_TRACEEXIT, while their memory is there; they go on at once, and nobody
	// else gets to know of it.
	Exiting func(tid int)
}

// reap is the kernel's wait, less the stops that Exiting is for.
func (w *Waits) reap(tid int, block bool) (int, unix.WaitStatus, error) {
	for {
		got, st, err := w.k.wait(tid, block)
		if w.Exiting == nil || err != nil || got == 0 || Event(st) != unix.PTRACE_EVENT_EXIT {
			return got, st, err
		}
		w.Exiting(got)
		if err := Cont(got, 0); err != nil && !Gone(err) {
			return got, st, fmt.Errorf("let thread %d end: %w", got, err)
		}
	}
}

// Turns is how many stops and ends Next has handed out.
func (w *Waits) Turns() uint64 { return w.turns }

// kernel is what Waits needs of the system; tests have one without processes.
type kernel interface {
	// wait is wait4 for one tracee, or for any with -1. It returns tid 0 where
	// it need not block and nothing stopped, EINTR when an alarm went off.
	wait(tid int, block bool) (int, unix.WaitStatus, error)
	now() time.Time
	// ring makes a blocking wait return at a time.
	ring(at time.Time) error
}

// How often take looks for more than one stop.
const (
	crowdTurns = 16 // after the last time that it was another's turn
	loneTurns  = 8  // where it never is, so that nobody is overlooked
)

// Next returns the next stop in turn. It returns false without an error where
// timers ran instead, or where there is none and block is false. ECHILD says
// that there are no tracees.
func (w *Waits) Next(block bool) (Stop, bool, error) {
	if w.runTimers() {
		return Stop{}, false, nil
	}
	if w.head == len(w.queue) {
		if err := w.take(block); err != nil {
			if err == unix.EINTR {
				w.runTimers()
				err = nil
			}
			return Stop{}, false, err
		}
		if w.head == len(w.queue) {
			return Stop{}, false, nil
		}
	}
	s := w.queue[w.head]
	w.head++
	w.turns++
	if w.crowd > 0 {
		w.turn++
		if s.Status.Stopped() {
			w.served[s.TID] = w.turn
		} else {
			delete(w.served, s.TID)
		}
	}
	return s, true, nil
}

// take takes in stops: one, and what else there is. A look that finds nothing
// costs a system call, which a lone tracee is spared most of the time.
func (w *Waits) take(block bool) error {
	if block {
		if err := w.arm(); err != nil {
			return err
		}
	}
	tid, st, err := w.reap(-1, block)
	if err != nil || tid == 0 {
		return err
	}
	w.queue, w.head = append(w.queue[:0], Stop{tid, st}), 0
	switch {
	case tid != w.last:
		w.crowded()
	case w.crowd > 0:
		w.crowd--
	default:
		if w.lone++; w.lone%loneTurns != 0 {
			return nil
		}
	}
	w.Collect()
	if len(w.queue) > 1 {
		w.crowded()
		slices.SortStableFunc(w.queue, w.turnOf)
	}
	w.last = w.queue[len(w.queue)-1].TID
	return nil
}

// turnOf says whose stop is handed out first: that of who has waited for longest. Ends
// come last, in the order in which the kernel reported them: that of a process behind
// those of its other threads (delay_group_leader of the kernel's exit.c).
func (w *Waits) turnOf(a, b Stop) int {
	turn := func(s Stop) uint64 {
		if !s.Status.Stopped() {
			return math.MaxUint64
		}
		return w.served[s.TID]
	}
	return cmp.Compare(turn(a), turn(b))
}

// crowded notes that several tracees are active.
func (w *Waits) crowded() {
	if w.crowd == 0 {
		w.served = map[int]uint64{}
	}
	w.crowd = crowdTurns
}

// Collect takes in what has stopped by now, for Take to find.
func (w *Waits) Collect() {
	for {
		tid, st, err := w.reap(-1, false)
		if err != nil || tid == 0 {
			return
		}
		w.queue = append(w.queue, Stop{tid, st})
	}
}

// Take returns the oldest stop taken in whose tracee is wanted, out of turn.
func (w *Waits) Take(wanted func(tid int) bool) (Stop, bool) {
	for i := w.head; i < len(w.queue); i++ {
		if s := w.queue[i]; wanted(s.TID) {
			w.queue = slices.Delete(w.queue, i, i+1)
			return s, true
		}
	}
	return Stop{}, false
}

// Later puts a stop at the end of the queue, to be handed out in its turn.
func (w *Waits) Later(s Stop) { w.queue = append(w.queue, s) }

// Keep holds a stop of a tracee of which nobody knows yet, for For and Poll;
// with its end it is forgotten.
func (w *Waits) Keep(s Stop) {
	if !s.Status.Stopped() {
		delete(w.kept, s.TID)
		return
	}
	if w.kept == nil {
		w.kept = map[int]unix.WaitStatus{}
	}
	w.kept[s.TID] = s.Status
}

// Poll returns the stop of one tracee if it has one.
func (w *Waits) Poll(tid int) (unix.WaitStatus, bool) {
	if st, ok := w.kept[tid]; ok {
		delete(w.kept, tid)
		return st, true
	}
	if s, ok := w.Take(func(t int) bool { return t == tid }); ok {
		return s.Status, true
	}
	got, st, err := w.reap(tid, false)
	return st, err == nil && got == tid
}

// For waits for the stop of one tracee, which must be sure to come soon: all
// else stands still until then. What others come to meanwhile is taken in: the end of
// a process is reported only once those of its other threads were.
func (w *Waits) For(tid int) (unix.WaitStatus, error) {
	if st, ok := w.kept[tid]; ok {
		delete(w.kept, tid)
		return st, nil
	}
	if s, ok := w.Take(func(t int) bool { return t == tid }); ok {
		return s.Status, nil
	}
	for {
		if got, st, err := w.reap(tid, false); err != nil || got == tid {
			return st, err
		}
		// The alarm also keeps this thread from holding up a garbage collection.
		if err := w.arm(); err != nil {
			return 0, err
		}
		got, st, err := w.reap(-1, true)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return st, err
		case got == tid:
			return st, nil
		default:
			w.queue = append(w.queue, Stop{got, st})
		}
	}
}

// Now is the time by which timers run.
func (w *Waits) Now() time.Time { return w.k.now() }

// A Timer runs a function of its tracer's at a time, between two stops.
type Timer struct {
	w   *Waits
	run func(now time.Time)
	// at is when to run, zero for not; key is at, or earlier: what the heap
	// goes by.
	at, key time.Time
	index   int // in the heap, -1 outside
}

// Timer makes a timer that is not set.
func (w *Waits) Timer(run func(now time.Time)) *Timer { return &Timer{w: w, run: run, index: -1} }

// Set makes the timer run once, at a time or soon after; a time already set is
// replaced. To put it off costs next to nothing.
func (t *Timer) Set(at time.Time) {
	t.at = at
	switch {
	case t.index < 0:
		t.key = at
		heap.Push(&t.w.timers, t)
	case at.Before(t.key):
		t.key = at
		heap.Fix(&t.w.timers, t.index)
	}
}

// Stop keeps the timer from running.
func (t *Timer) Stop() { t.at = time.Time{} }

// Pending reports whether the timer is set.
func (t *Timer) Pending() bool { return !t.at.IsZero() }

// runTimers runs what is due, each timer once, and reports whether any was;
// but never twice without a stop in between, if there is one.
func (w *Waits) runTimers() bool {
	if w.ran {
		w.ran = false
		return false
	}
	if len(w.timers) == 0 {
		return false
	}
	now := w.k.now()
	var due []*Timer
	for len(w.timers) > 0 && !w.timers[0].key.After(now) {
		t := w.timers[0]
		switch {
		case t.at.IsZero():
			heap.Pop(&w.timers)
		case t.at.After(now):
			t.key = t.at
			heap.Fix(&w.timers, 0)
		default:
			heap.Pop(&w.timers)
			due = append(due, t)
		}
	}
	for _, t := range due {
		if t.at.IsZero() || t.index >= 0 {
			continue // one before it stopped it, or put it off
		}
		t.at = time.Time{}
		t.run(now)
	}
	w.ran = len(due) > 0
	return w.ran
}

// arm makes the kernel interrupt the next wait when the first timer is due. An
// alarm that comes before that stays as it is: timers that are put off or stopped
// all the time would have it set again for each wait.
func (w *Waits) arm() error {
	first, ok := w.first()
	if !ok {
		return nil
	}
	if !w.armed.IsZero() && !w.armed.After(first) && w.armed.After(w.k.now()) {
		return nil
	}
	if err := w.k.ring(first); err != nil {
		return fmt.Errorf("set a timer: %w", err)
	}
	w.armed = first
	return nil
}

// first returns when the first timer that is set is due, and drops those before
// it that are not.
func (w *Waits) first() (time.Time, bool) {
	for len(w.timers) > 0 {
		switch t := w.timers[0]; {
		case t.at.IsZero():
			heap.Pop(&w.timers)
		case t.at.After(t.key):
			t.key = t.at
			heap.Fix(&w.timers, 0)
		default:
			return t.key, true
		}
	}
	return time.Time{}, false
}

// timers is a heap of timers, the next one first.
type timers []*Timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].key.Before(h[j].key) }
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timers) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	t.index = -1
	*h = old[:len(old)-1]
	return t
}
