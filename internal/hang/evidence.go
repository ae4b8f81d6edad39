package hang

import (
	"slices"
	"time"
)

// leastEvidence is how many lines of evidence a verdict has.
const leastEvidence = 3

// complete gives what has no place of its own the end of its process, and adds to little
// evidence what others do meanwhile, and the end.
func (j *judge) complete(v *Verdict) {
	for k := range v.Evidence {
		e := &v.Evidence[k]
		if p := j.procs[e.Proc]; e.Event == 0 && p != nil {
			e.Event = p.Event
		}
	}
	if v.Degree == None || len(v.Evidence) == 0 {
		return
	}
	proc := v.Evidence[0].Proc
	p := j.procs[proc]
	if p == nil || p.Event == 0 {
		return
	}
	if p.Facts != nil {
		for k := range p.Facts.Units {
			if len(v.Evidence) >= leastEvidence {
				return
			}
			if at := (node{proc, k}); !slices.Contains(v.Units, j.ref(at)) {
				j.bystander(v, at)
			}
		}
	}
	if len(v.Evidence) < leastEvidence {
		text := "the recording ends"
		if v.For >= time.Millisecond && !v.Attached {
			text += ", " + lasting(v.For) + " after that began"
		}
		v.Evidence = append(v.Evidence, Evidence{Text: text, Proc: proc, Event: p.Event})
	}
}

// bystander adds what a thread does that has no part in a verdict.
func (j *judge) bystander(v *Verdict, n node) {
	u, c := j.unit(n), j.call(n)
	if u == nil || u.Kind != Thread || c == nil || c.Event == 0 || slices.ContainsFunc(v.Evidence, func(e Evidence) bool { return e.Proc == n.proc && e.Event == c.Event }) {
		return
	}
	does := j.stuck(n)
	if u.Role != "" {
		does = "is " + u.Role
	}
	e := Evidence{Text: "meanwhile " + j.name(n) + " " + does, Proc: n.proc, Event: c.Event}
	if f, ok := j.place(n); ok && f.own() {
		e.File, e.Line = f.File, f.Line
	}
	v.Evidence = append(v.Evidence, e)
}
