package capture

import (
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// Where each thread has a processor, one whose call has returned goes on at once, up
// to where it needs the GIL; and who waits for that asks for it after the switch
// interval (take_gil of CPython's ceval_gil.c), and then the thread that has it gives
// it away at the next place where it may. Both take the slot here, and a slice later
// would be too late: what a thread does within its interval is done before anybody
// asks. So a thread that computes gives way to one that is back from a call, which has
// little to do until it waits again, and then goes on.
//
// One that makes calls gives way at the end of one for which CPython lets go of the GIL:
// there a thread that waits for that gets it, on a processor of its own. Of calls that
// would have been buffered the twelfth stops for that (inject.ReadyCalls). An
// instruction of bytecode is no such place: before each the thread has the GIL.
//
// Threads that were woken need the processor to come back from their calls, and it may be
// the one that a thread runs on which makes calls without a stop. So one of its calls
// stops too where one was woken and has not come yet.

const (
	// wakeSoon is how much processor time the thread that has the slot gets until it
	// gives way to one that is back from a call. Most threads that wake others come to
	// a call of their own before.
	wakeSoon = 500 * time.Microsecond
	// longestAsk is the longest wait that is taken for one for the GIL.
	longestAsk = 2 * switchInterval
)

// haste is about threads in line that natively would not wait for long.
type haste struct {
	// due is when the thread that has the slot gives way to them, zero where there
	// are none, or once it has used so much processor time: began is what its process
	// had when they came.
	due    time.Time
	began  time.Duration
	atOnce bool
	// atCall: cur gives way at the end of its next call, which stops for that.
	atCall bool
	// told: it gives way at the end of the next for which CPython lets go of the GIL.
	told bool
}

// overdue reports whether somebody in line has waited for long enough.
func (h *haste) overdue(now time.Time) bool { return !h.due.IsZero() && !now.Before(h.due) }

// hasten asks the thread that has a slot to give way to t, which is back from a call
// and in line for it.
func (r *recorder) hasten(t *task) {
	p := t.proc
	if r.chaos != nil || p.clock == nil || p.cur == nil || t.sys == callNone {
		return
	}
	now := r.waits.Now()
	at, atOnce, used := now.Add(wakeSoon), false, processTime(p.pid)
	if t.ev.Nr == sys.SYS_FUTEX && t.lastRet == -int64(unix.ETIMEDOUT) && t.ev.Args[3] != 0 {
		at, atOnce = now.Add(askIn(time.Duration(r.since()-t.ev.Time), used-t.slept)), true
	}
	switch {
	case p.due.IsZero():
		p.haste = haste{due: at, began: used, atOnce: atOnce, atCall: p.atCall}
	case at.Before(p.due):
		p.due, p.atOnce = at, p.atOnce || atOnce
	}
	r.hurryBy(p.due)
	p.told = true
	r.sayReady(p)
}

// sayReady has a process, which may be running, come to a stop at its next call for which
// it lets go of the GIL.
func (r *recorder) sayReady(p *process) {
	if t := p.cur; p.fast && !p.saysReady && t != nil && t.computing() && !t.stopped {
		p.saysReady = ptrace.Write(t.tid, p.calls.img.Ready, []byte{inject.ReadyCalls}) == nil
	}
}

// tellReady writes what sayReady does, and the opposite, for a thread that is about to
// be resumed.
func (r *recorder) tellReady(t *task) error {
	p := t.proc
	says := p.contended() && p.told || p.coming > 0
	if says == p.saysReady && !(says && p.counts) {
		return nil
	}
	p.counts = false
	b := []byte{0}
	if says {
		b[0] = inject.ReadyCalls
	}
	p.saysReady = says
	return ptrace.Write(t.tid, p.calls.img.Ready, b)
}

// woke keeps that threads of a process were woken by a futex call of one.
func (s *slot) woke(args [6]uint64, ret int64) {
	const cmdMask, wake, private = 0x7f, 1, 0x80 // linux/futex.h
	if ret > 0 && args[1]&cmdMask == wake && args[1]&private != 0 {
		s.coming = min(s.coming+int(min(ret, maxComing)), maxComing)
	}
}

// maxComing bounds for how many threads a stop is made.
const maxComing = 8

// came takes in that a thread is back from a call: from a wait for a futex, maybe.
func (s *slot) came(nr int32, args [6]uint64, ret int64) {
	const cmdMask, wait, waitBitset = 0x7f, 0, 9
	if cmd := args[1] & cmdMask; nr == sys.SYS_FUTEX && ret == 0 && (cmd == wait || cmd == waitBitset) && s.coming > 0 {
		s.coming--
	}
}

func (r *recorder) slotExpired(p *process) bool {
	if r.chaos != nil {
		return r.chaos.rnd.IntN(20) == 0
	}
	return p.atCall || p.used(time.Now())
}

// givesWay reports whether a thread that has the slot gives it, at the end of its call,
// to who is in line.
func (r *recorder) givesWay(t *task) bool {
	return r.chaos == nil && t.proc.told && t.letsGoOfGIL() || r.slotExpired(t.proc)
}

// letsGoOfGIL says whether CPython lets go of the GIL for the call of a thread.
func (t *task) letsGoOfGIL() bool {
	return inject.LetsGoOfGIL(int(t.ev.Nr)) || t.blocks && t.ev.Nr != sys.SYS_FUTEX
}

// hurryBy sees to it that hurryOn runs then, or before.
func (r *recorder) hurryBy(due time.Time) {
	if !r.hurry.Pending() || due.Before(r.hurryAt) {
		r.hurryAt = due
		r.hurry.Set(due)
	}
}

// askIn is how long it takes until a thread asks for the GIL whose wait has timed out
// after the time waited, during which its process had so much of a processor: the
// interval counts where the program runs, and not where the machine does something
// else; but it at most doubles.
func askIn(waited, used time.Duration) time.Duration {
	if waited > longestAsk {
		return min(wakeSoon, waited) // that was no wait for the GIL
	}
	return min(max(waited-used, 0), waited)
}

// hurryOn interrupts threads that are to give way.
func (r *recorder) hurryOn(now time.Time) {
	var next time.Time
	for _, p := range r.processes {
		t := p.cur
		if p.due.IsZero() || p.mode != modeRecord {
			continue
		}
		switch {
		case now.Before(p.due):
			if next.IsZero() || p.due.Before(next) {
				next = p.due
			}
		case t == nil || !t.computing() || t.stopped || t.probed || len(p.ready) == 0:
			// Who is in a call gives way at its end.
		case !p.atOnce && processTime(p.pid)-p.began < wakeSoon/2:
			// It has had no processor, or little of one.
			if p.due = now.Add(wakeSoon); next.IsZero() || p.due.Before(next) {
				next = p.due
			}
		default:
			p.due = time.Time{}
			t.probed = ptrace.Interrupt(t.tid) == nil
			p.spin.yields = t.probed
		}
	}
	if !next.IsZero() {
		r.hurryAt = next
		r.hurry.Set(next)
	}
}

// yield has a thread that was interrupted for it give way: at the end of its next call,
// where it made some since it was looked at last, else before its next instruction of
// bytecode.
func (r *recorder) yield(t *task) error {
	p := t.proc
	if _, _, err := r.counters(t, 0, 0); err != nil {
		return err
	}
	if r.chaos == nil && !p.atCall && p.fast && p.callPos != p.calls.img.Buf {
		p.atCall = true
		p.due, p.began, p.atOnce = r.waits.Now().Add(wakeSoon), processTime(p.pid), false
		r.hurryBy(p.due)
		return r.resume(t, 0)
	}
	if err := r.armAnywhere(t, 0); err != nil {
		return err
	}
	return r.resume(t, 0)
}
