package hang

import "time"

var _ = special{1, (*judge).passing}.enter()

// passing: a thread that was caught in a call that it had just made, and in no loop, waits
// for nothing yet. It has no fault, and so no fingerprint.
func (j *judge) passing(n node) (says, degree, kind, missing string) {
	const short = 50 * time.Millisecond
	c, u := j.call(n), j.unit(n)
	if c == nil || c.Call == "" || c.Attached || c.Loop != nil || c.For <= 0 || c.For >= short || u != nil && u.Wait != nil {
		return "", "", "", ""
	}
	return "was on its way" + j.via(n) + ": its last call, " + c.Call + ", had lasted for " + lasting(c.For), None, "", ""
}
