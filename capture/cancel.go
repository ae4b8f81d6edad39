package capture

import (
	"time"

	"golang.org/x/sys/unix"
)

// outcomeCancelled is that of a test in whose middle pyrr was told to end: a
// job that somebody cancels, or that reaches its own time-out, is mostly one
// whose test hangs, and that test is the one to look at.
const outcomeCancelled = "cancelled"

// terminate passes a SIGTERM on. It is called beside the tracer. Where tests are
// recorded, those in progress are kept first.
func (r *recorder) terminate() {
	if r.o.Tests == nil {
		r.root.Send(unix.SIGTERM)
		return
	}
	r.cancelled.Store(true)
}

// cancelTests keeps the tests in progress once pyrr was told to end, and then
// tells the command.
func (r *recorder) cancelTests(now time.Time) {
	if r.cancelled.CompareAndSwap(true, false) {
		r.cancelBy = now.Add(2 * tickPatience)
		for _, p := range r.processes {
			run := p.runner
			if run == nil || p.ended || run.test == nil || run.test.expired {
				continue
			}
			run.test.cancelled = true
			r.expireSoon(p, now)
		}
	}
	if r.cancelBy.IsZero() || !now.After(r.cancelBy) && r.expiring() {
		return
	}
	r.cancelBy = time.Time{}
	r.root.Send(unix.SIGTERM)
}

// expiring reports whether the time-out of a test waits for an exact
// instruction.
func (r *recorder) expiring() bool {
	for _, p := range r.processes {
		if p.runner != nil && !p.ended && p.runner.expiring() {
			return true
		}
	}
	return false
}
