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

// goesRound tells a thread that has waited a moment only, in a loop in which it wakes
// others and is woken.
func (j *judge) goesRound(n node) bool {
	c := j.call(n)
	return c != nil && c.Loop != nil && c.Loop.Moves && strings.HasPrefix(c.Call, "futex") && c.For < time.Second/4 && c.Loop.Every < time.Second/4
}
