package capture

import (
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/sys"
)

// A thread that lets go of the GIL for a moment and takes it again, as zlib and many
// databases do at each call, makes no call of the kernel's for it, except to wake who
// waits. Who is woken then needs the slot, gets it a little later, before an instruction
// of bytecode, and finds the GIL taken again: there the other one always has it. So it
// would be for ever, since CPython asks for the GIL only where a wait timed out.
// On processors of their own the woken thread is there in time now and then.
//
// So who was woken in vain several times gets the slot where it is woken: behind the
// wake, and again behind that of the mutex that the other one still held at the first.

const (
	// inVain is how often a thread may be woken for nothing.
	inVain = 2
	// starveTime is for how long wakes are looked at then.
	starveTime = 2 * switchInterval
)

// vainWaits are those that a thread made for the GIL, one after the other, having done
// nothing in between.
type vainWaits struct {
	wokenAt uint64 // the count at which it got the slot back from the last one
	woken   bool   // it was woken there, and did not time out
	times   int
}

// futexOp is the operation of a futex call, -1 for other calls.
func futexOp(t *task) int {
	const cmdMask = 0x7f // linux/futex.h
	if t.ev.Nr != sys.SYS_FUTEX {
		return -1
	}
	return int(t.ev.Args[1] & cmdMask)
}

// waitsTimed reports whether a thread's call is a wait for a word, with a time-out, as
// that for the GIL is.
func waitsTimed(t *task) bool {
	const wait, waitBitset = 0, 9
	op := futexOp(t)
	return (op == wait || op == waitBitset) && t.ev.Args[3] != 0
}

// backFromWait notes that a thread that waited has the slot again.
func (t *task) backFromWait() {
	if waitsTimed(t) {
		t.vain.wokenAt = t.proc.base
		t.vain.woken = t.lastRet == 0 || t.lastRet == -int64(unix.EAGAIN)
	}
}

// waitsAgain notes that a thread begins to wait, and whether it does so too often for
// nothing.
func (r *recorder) waitsAgain(t *task) {
	p := t.proc
	if r.chaos != nil || p.clock == nil || !waitsTimed(t) {
		return
	}
	if !t.vain.woken || t.vain.wokenAt != p.base {
		t.vain.times = 0
		return
	}
	if t.vain.times++; t.vain.times >= inVain {
		p.starved = time.Now().Add(starveTime)
	}
}

// starves reports whether a thread of the process was woken in vain lately.
func (s *slot) starves() bool { return !s.starved.IsZero() && time.Now().Before(s.starved) }

// letWoken has those come into line whom the call of a thread has just woken, where one
// starves; it then gives way to them.
func (r *recorder) letWoken(t *task) (woke bool) {
	if !t.proc.starves() || futexOp(t) < 0 || t.lastRet <= 0 || waitsTimed(t) {
		return false
	}
	r.assemble(t.proc)
	return true
}
