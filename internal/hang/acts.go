package hang

import (
	"slices"
	"strings"
)

// Ask is a question about a thing: who took it, and where.
type Ask struct {
	Thing int
	// Word is the address of a lock's state, of Len bytes; Free is what it is
	// there, under Mask, while nobody has the lock.
	Word       uint64
	Len        int
	Mask, Free uint64
	// Through is the address of a number like that, free as 0, from which what comes to Word
	// may come: then who took that is asked for. 0 is for none.
	Through uint64
	// File and Func are the function that takes it otherwise, Self the object that
	// it is a method of.
	File, Func string
	Self       uint64
	// Act says that this is about an act, and which; it is asked last.
	Act string
}

// Promised is the state of a lock of a package whose acquire gives a future: that who took it
// last still has it is likely.
const Promised = "promised"

// Acts of those who do something to what others wait for.
const (
	Notified = "notified"
	WasSet   = "set"
	Cleared  = "cleared"
	TookItem = "took"
	// WroteFile is that bytes came into the buffer of a file, which was empty.
	WroteFile = "wrote"
)

// acted says what was done last to what one waits for, where that tells why it waits.
func (j *judge) acted(n node, t *Thing) string {
	last := func(act string) (*Taken, int) {
		k := slices.IndexFunc(t.Acts, func(a Taken) bool { return a.Act == act })
		if k < 0 {
			return nil, k
		}
		return &t.Acts[k], k
	}
	tell := func(a *Taken, did string) string {
		who := j.doer(n, a)
		j.cite(Evidence{Text: who + did + j.thingName(t) + " at " + j.at(a.Where), Proc: n.proc, Event: a.Event, File: a.Where.File, Line: a.Where.Line})
		return who
	}
	switch t.Kind {
	case Condition:
		a, _ := last(Notified)
		if a == nil {
			return ""
		}
		who := tell(a, " notified ")
		if others := j.alsoWaits(n, t); others != "" {
			return "; " + who + " notified it at " + j.at(a.Where) + ", which did not wake it; " + others + " waits for it, too"
		}
		return "; " + who + " notified it at " + j.at(a.Where) + ", before that"
	case Event:
		s, first := last(WasSet)
		c, then := last(Cleared)
		if s == nil || c == nil || then < first {
			return ""
		}
		return "; " + tell(s, " set ") + " set it at " + j.at(s.Where) + ", and " + tell(c, " cleared ") + " cleared it at " + j.at(c.Where)
	case Queue:
		if a, _ := last(TookItem); a != nil && a.Unit != n.unit && j.unit(n).Kind != Greenlet { // of which is not known which did
			ended := ""
			if a.Unit < 0 {
				ended = ", and has ended"
			}
			return "; " + tell(a, " took the last item of ") + " took the last one at " + j.at(a.Where) + ended
		}
	}
	return ""
}

// doer is the name of one who did something.
func (j *judge) doer(n node, a *Taken) string {
	switch {
	case a.Unit >= 0:
		return j.name(node{n.proc, a.Unit})
	case strings.HasPrefix(a.Name, "Thread-"):
		return "thread " + a.Name
	}
	return a.Name
}

// alsoWaits names another who waits for a thing, "" for none.
func (j *judge) alsoWaits(n node, t *Thing) string {
	p := j.procs[n.proc]
	for k := range p.Facts.Units {
		to := node{n.proc, k}
		if w := p.Facts.Units[k].Wait; to != n && w != nil && slices.ContainsFunc(w.On, func(i int) bool { return j.thing(n.proc, i) == t }) {
			return j.name(to)
		}
	}
	return ""
}
