package hang

import (
	"slices"
	"strings"
)

// Copy is an object that threads wait for and that a fork copies: at the same address in
// both processes, and from then on two.
type Copy struct {
	Addr  uint64 `json:"addr"`
	Class string `json:"class"`
	State string `json:"state,omitempty"`
	// Passed says that the process that made this one has passed it on.
	Passed bool `json:"passed,omitempty"`
}

// copied says of what one waits for that it is a copy which a fork has made, so that
// nothing that the other process does to its own reaches it.
func (j *judge) copied(n node, t *Thing) string {
	p := j.procs[n.proc]
	if p == nil || t.Shared || t.Async || len(t.Known) > 0 {
		return ""
	}
	if own := p.copyOf(t); p.Forked && own != nil && own.Passed {
		maker := j.procs[p.Parent]
		state := ""
		if maker != nil {
			if c := maker.copyOf(t); c != nil && c.State != "" {
				state = ", which is " + c.State
			}
		}
		return "; it is a copy, made by the fork, of its parent's" + state + ": what happens to that does not reach it"
	}
	for _, child := range j.in.Procs {
		if c := child.copyOf(t); child.Parent == n.proc && child.Forked && c != nil && c.Passed {
			has := " has"
			if !child.Hangs {
				has = " had"
			}
			return "; " + j.procName(child) + has + " but a copy of it, made by the fork: what happens to that does not reach this one"
		}
	}
	return ""
}

// takenByParent tells a lock that a unit holds since before it was forked, in a function of
// its parent's that still stands on its stack, and where it was taken.
func (j *judge) takenByParent(h hop) (Frame, bool) {
	u, p := j.unit(h.edge.to), j.procs[h.edge.to.proc]
	if u == nil || p == nil || !p.Forked || h.edge.hold == nil {
		return Frame{}, false
	}
	k := slices.IndexFunc(u.Frames, func(f Frame) bool {
		return lastName(f.Func) == "_launch" && strings.HasSuffix(f.File, "/multiprocessing/popen_fork.py")
	})
	if k < 0 || h.edge.hold.Frame < k {
		return Frame{}, false
	}
	return j.heldAt(h.edge)
}

// copyOf finds what a process has at the place of a thing of another, nil for nothing.
func (p *Process) copyOf(t *Thing) *Copy {
	if p.Facts == nil {
		return nil
	}
	for i := range p.Facts.Copies {
		if c := &p.Facts.Copies[i]; c.Addr == t.Addr && c.Class == t.Class {
			return c
		}
	}
	return nil
}
