package hang

import (
	"fmt"
	"slices"
	"strings"
)

// besideTask says what another task or greenlet of the same loop does that has no part in
// the way: of one that sleeps in a package's code, so looking again and again for something,
// which task of the program waits; of one that waits for a semaphore of which it is not
// known who has it, who sleeps: that one may be about to release it (asleep).
func (j *judge) besideTask(n node) (says string, asleep bool) {
	u := j.unit(n)
	if u == nil || u.Kind == Thread || u.Wait == nil || u.TID == 0 {
		return "", false
	}
	if u.Wait.How == "sleep" {
		k := slices.IndexFunc(u.Frames, func(f Frame) bool { return f.own() || Installed(f.File) })
		if k < 0 || u.Frames[k].own() {
			return "", false
		}
		return j.inLoopOf(n, func(o *Unit) bool { return !o.Wait.Limit && len(o.Wait.On) > 0 }), false
	}
	t := j.thing(n.proc, first(u.Wait.On))
	if t != nil && t.Kind == Object && t.Class == "StreamReader" && j.stream(n.proc, t) == nil {
		// The loop is a library's, which keeps to itself what is at the other end.
		return j.inLoopOf(n, func(o *Unit) bool { return !o.Wait.Limit && len(o.Wait.On) > 0 }), false
	}
	if t == nil || t.Kind != Semaphore || len(t.Holders) > 0 || u.Kind == Task && len(t.Taken) > 0 {
		return "", false
	}
	says = j.inLoopOf(n, func(o *Unit) bool { return o.Wait.How == "sleep" && o.Wait.Limit })
	return says, says != ""
}

// inLoopOf says what the first of the other tasks or greenlets of a loop does that are in the
// program's own code, for whom nobody on the way waits, and that fit.
func (j *judge) inLoopOf(n node, fits func(*Unit) bool) string {
	p, u := j.procs[n.proc], j.unit(n)
	for k := range p.Facts.Units {
		to, o := node{n.proc, k}, &p.Facts.Units[k]
		if to == n || o.Kind != u.Kind || o.TID != u.TID || o.Wait == nil || !fits(o) ||
			slices.ContainsFunc(j.way, func(h hop) bool { return h.node == to }) {
			continue
		}
		if f, ok := j.place(to); ok && f.own() {
			return "; meanwhile " + j.name(to) + " " + j.stuck(to)
		}
	}
	return ""
}

// finalOn is final for the last of a way, with what the way to it and its neighbours say.
func (j *judge) finalOn(shown []hop) (stuck, degree, kind, missing string) {
	end := shown[len(shown)-1]
	stuck, degree, kind, missing = j.final(end.node)
	if u := j.unit(end.node); len(shown) > 1 && u != nil && u.Role == RoleServer {
		stuck, degree, kind, missing = "runs a server's serve_forever and was not told to shut down", Likely, "server", "who should have called its shutdown"
	} else if len(shown) > 1 && u != nil && strings.HasPrefix(u.Role, RoleTimer) {
		stuck, degree, kind, missing = "is "+u.Role+" and was not cancelled", None, "timer", ""
	} else if len(shown) == 1 && degree != Proven {
		imports := j.importing(end.node)
		if stuck += imports; imports != "" && degree == None {
			kind = "" // it did not come to what it hangs in
		}
	}
	if u := j.unit(end.node); u != nil && u.Behind > 0 && degree != Proven {
		stuck += j.behind(end.node, u)
		if v := j.jobOf(end.node); v != "" {
			kind, missing = "starved pool", "that "+v+" would have ended that"
		}
	}
	if degree == Likely {
		stuck, missing = j.stands(end.node, shown, stuck, missing)
		stuck += j.diedOnWay(shown, stuck)
	}
	if other, asleep := j.besideTask(end.node); other != "" {
		stuck += other
		if asleep && degree == Likely {
			degree, kind, missing = None, "", ""
			stuck = strings.Replace(stuck, ", and is not released", "", 1)
		}
	}
	return stuck, degree, kind, missing
}

// suspended says which generators of the program's own, or coroutines, stand at a yield or
// await while a reactor has nothing to do: what they wait for is not known.
func (j *judge) suspended(proc int) string {
	p := j.procs[proc]
	if p == nil || p.Facts == nil || j.in.Text == nil {
		return ""
	}
	says, more := "", 0
	for _, f := range p.Facts.Suspended {
		code := strings.TrimSpace(j.in.Text(f.File, f.Line))
		if !strings.Contains(code, "yield") && !strings.Contains(code, "await") {
			continue
		}
		calls := func(o Frame) bool { return o != f && strings.Contains(code, lastName(o.Func)+"(") }
		if says != "" || slices.ContainsFunc(p.Facts.Suspended, calls) { // it waits for what another does
			more++
			continue
		}
		says = "; " + lastName(f.Func) + " stands at `" + code + "` (" + j.at(f) + ")" + j.takenBySuspended(proc, code)
		j.cite(Evidence{Text: lastName(f.Func) + " is suspended here", Proc: proc, File: f.File, Line: f.Line})
	}
	if more > 0 && says != "" {
		says += fmt.Sprintf(", and %d more", more)
	}
	return says
}

// takenBySuspended says of the lock that a suspended one asks for where it was taken last: the
// calls of those who wait for it came later. "" is for what is not known.
func (j *judge) takenBySuspended(proc int, code string) string {
	things := j.procs[proc].Facts.Things
	for k := range things {
		t := &things[k]
		if t.State != Promised && t.Kind != Semaphore || t.Name == "" || t.Count >= len(t.Taken) || !strings.Contains(code, t.Name+".acquire(") {
			continue
		}
		took := &t.Taken[t.Count]
		j.cite(Evidence{Text: j.thingName(t) + " was taken at " + j.takenAt(took), Proc: proc, Event: took.Event, File: took.Where.File, Line: took.Where.Line})
		return ": it was taken last at " + j.takenAt(took) + " and not released"
	}
	return ""
}
