package hang

import (
	"strings"
	"time"
)

var _ = special{0, (*judge).going}.enter()

// going: threads that wake each other in turns; who was caught while it waits goes on.
func (j *judge) going(n node) (says, degree, kind, missing string) {
	if !j.goesRound(n) {
		return "", "", "", ""
	}
	return j.finalLoop(n, j.call(n), j.via(n))
}

// starves tells a thread that waits for a lock or semaphore all the while, in one call: it is
// woken each time that one is released, and another has taken it before.
func (j *judge) starves(n node, c *Call) bool {
	if u := j.unit(n); u != nil && u.Wait != nil && c.Loop.Still {
		t := j.thing(n.proc, first(u.Wait.On))
		return t != nil && (t.Kind == Lock || t.Kind == RLock || t.Kind == Semaphore)
	}
	return false
}

// heldBy is how a sentence goes on to who holds what a thread waits for.
func (j *judge) heldBy(n node) string {
	if c := j.call(n); c != nil && c.Loop != nil && j.starves(n, c) {
		return ", held again and again by %[2]s"
	}
	return ", held by %[2]s"
}

// goesRound tells a thread that has waited a moment only, in a loop in which it wakes
// others and is woken.
func (j *judge) goesRound(n node) bool {
	c := j.call(n)
	return c != nil && c.Loop != nil && c.Loop.Moves && !j.starves(n, c) && strings.HasPrefix(c.Call, "futex") && c.For < time.Second/4 && c.Loop.Every < time.Second/4
}
