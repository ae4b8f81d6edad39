package hang

import (
	"slices"
	"strings"
)

var _ = special{5, (*judge).callbackRaised}.enter()

// callbackRaised: the job of a pool is done, but the program's own callback with its result
// has raised, and whoever waits is told only after it.
func (j *judge) callbackRaised(n node) (says, degree, kind, missing string) {
	u := j.waiting(n)
	if u == nil {
		return "", "", "", ""
	}
	t := j.thing(n.proc, first(u.Wait.On))
	if t == nil || t.Callback == nil || len(t.Owed) > 0 {
		return "", "", "", ""
	}
	name := "its callback"
	if t.Callback.Func != "" {
		name += " " + t.Callback.Func
	}
	says = "waits for " + j.thingName(t) + j.waitAt(u) + " that is done, but never told so: " + name
	how := " raised an exception, which the pool swallowed"
	if d := j.died(n.proc, ""); d != "" {
		how = " raised an exception; " + d
	}
	if t.Callback.Line > 0 {
		says += " (" + j.at(*t.Callback) + ")"
		j.cite(Evidence{Text: name + " is defined here", Proc: n.proc, File: t.Callback.File, Line: t.Callback.Line})
	}
	return says + how, Proven, "callback", ""
}

// handlerDied says of the thread that takes the results of a multiprocessing.pool that it
// died: of what a callback raised, mostly.
func (j *judge) handlerDied(proc int) string {
	p := j.procs[proc]
	for k := range p.Facts.Died {
		d := &p.Facts.Died[k]
		if slices.ContainsFunc(d.Frames, func(f RaisedFrame) bool {
			return lastName(f.Func) == "_handle_results" && strings.HasSuffix(f.File, "/multiprocessing/pool.py")
		}) {
			return j.died(proc, d.Thread)
		}
	}
	return ""
}
