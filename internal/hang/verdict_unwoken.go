package hang

import "time"

var _ = special{3, (*judge).loopNotWoken}.enter()

// loopNotWoken: a task could go on, but its event loop sleeps.
func (j *judge) loopNotWoken(n node) (says, degree, kind, missing string) {
	u := j.waiting(n)
	if u == nil || u.Kind != Task || !j.asleep(n, u) {
		return "", "", "", ""
	}
	t := j.thing(n.proc, first(u.Wait.On))
	if t == nil {
		return "", "", "", ""
	}
	return j.unwoken(t, j.waitAt(u)), Proven, "loop not woken", ""
}

// asleep says whether the thread that runs the loop of a task sleeps, and has long,
// although callbacks are ready to run: nobody woke it.
func (j *judge) asleep(n node, u *Unit) bool {
	to, ok := j.threadNode(n.proc, u.TID)
	if !ok {
		return false
	}
	t, c := j.unit(to), j.call(to)
	return t != nil && t.Asleep && c != nil && c.For > time.Second/4
}

// unwoken says what a task waits for whose loop nobody woke.
func (j *judge) unwoken(t *Thing, at string) string {
	set := ""
	if t.Kind == Event && t.State == "set" {
		set = ", which is set"
	}
	return "waits for " + j.thingName(t) + at + set + "; its event loop sleeps although a callback is ready: another thread scheduled it without call_soon_threadsafe"
}
