package hang

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/lazyregexp"
)

// tries matches the call by which one asks for a lock and gives up if another has it.
var tries = lazyregexp.New(`\.acquire\((?:[^()]*\b(?:timeout|blocking) *=|False\b|0\b|True *,)`)

// givesWay says of a thread that takes a lock in each turn of a loop, asks for another one and
// gives up, who does the same at the same time: each has what the other asks for. "" is for
// nobody.
func (j *judge) givesWay(n node, c *Call) string {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil || c.Loop == nil || j.in.Source == nil {
		return ""
	}
	at, ok := j.triesAt(n)
	if !ok {
		return ""
	}
	mine := j.locksOf(n)
	for k := range p.Facts.Units {
		to := node{n.proc, k}
		o := j.call(to)
		if to == n || o == nil || o.Loop == nil || o.Loop.Count > 2*c.Loop.Count+2 || c.Loop.Count > 2*o.Loop.Count+2 {
			continue
		}
		other, ok := j.triesAt(to)
		if !ok {
			continue
		}
		theirs := j.locksOf(to)
		if len(mine) > 0 && len(theirs) > 0 && slices.ContainsFunc(mine, func(t *Thing) bool { return slices.Contains(theirs, t) }) {
			continue // one waits while the other works
		}
		at, place := j.sameFile(Frame{File: j.fileOf(n)}, at), j.sameFile(at, other)
		does := fmt.Sprintf("; %s does the same (%s)", j.name(to), place)
		if at == place {
			does = "; " + j.name(to) + " does the same"
		}
		if len(mine) > 0 && len(theirs) > 0 {
			return does + ": each has a lock, asks for the other's (" + at + ") and gives way"
		}
		return does + ": each asks for a second lock (" + at + "), gives up and gives way"
	}
	return ""
}

// fileOf is the file of the innermost function of the program that a unit is in.
func (j *judge) fileOf(n node) string {
	f, _ := j.place(n)
	return f.File
}

// locksOf are the locks that a unit holds.
func (j *judge) locksOf(n node) []*Thing {
	var out []*Thing
	p := j.procs[n.proc]
	for i := range p.Facts.Things {
		t := &p.Facts.Things[i]
		if (t.Kind == Lock || t.Kind == RLock) && slices.ContainsFunc(t.Holders, func(h Hold) bool { return h.Unit == n.unit }) {
			out = append(out, t)
		}
	}
	return out
}

// triesAt finds the line of the program's loop that a unit is in at which it asks for a lock
// within a with statement, or after it took another one, and may give up.
func (j *judge) triesAt(n node) (Frame, bool) {
	const around = 30
	u := j.unit(n)
	if u == nil {
		return Frame{}, false
	}
	k := slices.IndexFunc(u.Frames, func(f Frame) bool { return f.own() })
	if k < 0 {
		return Frame{}, false
	}
	f := u.Frames[k]
	lines := strings.Split(j.in.Source(f.File), "\n")
	name, takes := lastName(f.Func), false
	for at := max(0, f.Line-around); at < min(len(lines), f.Line+around); at++ {
		code, _, _ := strings.Cut(strings.TrimSpace(lines[at]), "#")
		if code == "" || enclosing(lines, at) != name {
			continue
		}
		if takes && tries().MatchString(code) {
			f.Line = at + 1
			return f, true
		}
		takes = takes || strings.HasPrefix(code, "with ") || strings.Contains(code, ".acquire(")
	}
	return Frame{}, false
}

// tryAgain says of a circle of which all give up in time that they have tried again already.
func (j *judge) tryAgain(circle []hop) string {
	turns := 0
	for _, h := range circle {
		c := j.call(h.node)
		if c == nil || c.Loop == nil || h.edge.limit <= 0 && len(j.locksOf(h.node)) == 0 {
			return ""
		}
		turns = max(turns, c.Loop.Count)
	}
	return fmt.Sprintf("; each gives up and tries again, %d times so far", turns)
}
