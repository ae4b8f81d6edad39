package hang

import (
	"slices"
	"strings"
)

// loopExit says, of the exception with which gevent ends the waiting of a greenlet when
// nothing is left that could, what that one waited for and why nothing comes: a circle of
// greenlets, one that died, one that waits as well. "" is for other exceptions.
func (j *judge) loopExit(proc int, r *Raised, at *RaisedFrame) string {
	if r.Type != "LoopExit" || at == nil {
		return ""
	}
	waits := "waits"
	for k := range r.Frames { // the package's function that the line has called
		if &r.Frames[k] == at {
			break
		}
		waits = "waits in " + lastTwo(r.Frames[k].Func)
	}
	says := "MainThread " + waits + " (" + j.at(at.Frame) + ")"
	if r.Greenlet || r.Phase == "" && !r.Main {
		says = "A greenlet " + waits + " (" + j.at(at.Frame) + ")"
	}
	says += ", which nothing can end any more (gevent's LoopExit)"
	p := j.procs[proc]
	if p == nil || p.Facts == nil {
		return says
	}
	for n := range p.Facts.Units {
		if p.Facts.Units[n].Kind != Greenlet {
			continue
		}
		if v := j.cycleFrom(node{proc, n}); v != nil && v.Degree == Proven {
			return says + "; " + strings.Replace(v.Sentence, "Deadlock", "deadlock", 1)
		}
	}
	if d := j.died(proc, ""); d != "" {
		return says + "; " + d
	}
	for n := range p.Facts.Units {
		to := node{proc, n}
		if u := j.unit(to); u.Kind == Greenlet && u.Wait != nil && slices.ContainsFunc(u.Frames, func(f Frame) bool { return f.own() }) {
			return says + "; " + j.name(to) + " " + j.stuck(to)
		}
	}
	return says
}

// lastTwo is the name of a function of a package with that of its class.
func lastTwo(name string) string {
	parts := strings.Split(name, ".")
	if n := len(parts); n > 2 && !strings.HasPrefix(parts[n-2], "_") { // else it is a module of C
		return strings.Join(parts[n-2:], ".")
	}
	return parts[len(parts)-1]
}
