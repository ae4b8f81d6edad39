package assert

import (
	"fmt"
	"slices"
)

// link gives the checks their names and connects ids with what they name.
func (l *loader) link(s *Spec) {
	ids := map[string]*Expectation{}
	var known []string
	for _, e := range s.Expect {
		if e.ID == "" {
			continue
		}
		if ids[e.ID] != nil {
			l.fail(e.Place, "", "%q is the id of two expectations", e.ID)
			continue
		}
		ids[e.ID] = e
		known = append(known, e.ID)
	}
	used := map[string]int{}
	for id := range ids {
		used[id] = 1
	}
	for _, e := range s.Expect {
		e.Name = e.ID
		if e.ID != "" {
			continue
		}
		e.Name = e.Event.Text
		if used[e.Name]++; used[e.Name] > 1 {
			e.Name = fmt.Sprintf("%s#%d", e.Name, used[e.Name])
		}
	}
	for _, e := range s.Expect {
		for i := range e.Clauses {
			l.linkClause(&e.Clauses[i], ids, known)
			if e.Clauses[i].Kind == ClauseSameFD && e.anchor() == nil {
				l.fail(e.Clauses[i].Place, "add: after, before, within or between", "\"same fd\" has no other event to be the same as")
			}
		}
	}
	for _, g := range s.Golden {
		if g.At == "end" || g.At == "" {
			continue
		}
		if g.target = ids[g.At]; g.target == nil && slices.Contains(l.lost, g.At) {
			continue
		} else if g.target == nil {
			hint := didYouMean(g.At, append(slices.Clone(known), "end"))
			if hint == "" {
				hint = "add \"as " + g.At + "\" to the expectation that finds it"
			}
			l.fail(g.Place, hint, "no expectation has the id %q", g.At)
		} else if g.target.Quantity.none() {
			l.fail(g.Place, "", "%q must not happen, so that it has no stack", g.At)
		}
	}
	if len(l.errs) == 0 {
		if e := firstCycle(s.Expect); e != nil {
			l.fail(e.Place, "", "the expectation %q depends on itself", e.Name)
		}
	}
}

func (l *loader) linkClause(c *Clause, ids map[string]*Expectation, known []string) {
	link := func(id string, p Place, hint string) *Expectation {
		target := ids[id]
		switch {
		case target == nil && slices.Contains(l.lost, id):
			// Its expectation has a mistake of its own.
		case target == nil:
			if h := didYouMean(id, known); h != "" {
				hint = h
			}
			l.fail(p, hint, "no expectation has the id %q", id)
		case target.Quantity.none():
			l.fail(p, "", "%q must not happen, so that nothing can refer to it", id)
		}
		return target
	}
	values := []*Value{&c.Value}
	for i := range c.Args {
		values = append(values, &c.Args[i].Value)
	}
	for _, v := range values {
		if v.Capture != nil {
			v.Capture.target = link(v.Capture.ID, v.Place, "")
		}
	}
	for i := range c.Refs {
		r := &c.Refs[i]
		if r.Start || r.End {
			continue
		}
		if r.Event != nil && ids[r.Text] == nil {
			continue
		}
		r.target = link(r.Text, r.Place, "an id, an event, start or end")
	}
}

// needs lists the expectations whose events e refers to.
func (e *Expectation) needs() []*Expectation {
	var out []*Expectation
	add := func(t *Expectation) {
		if t != nil && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	for i := range e.Clauses {
		c := &e.Clauses[i]
		for _, r := range c.Refs {
			add(r.target)
		}
		if c.Value.Capture != nil {
			add(c.Value.Capture.target)
		}
		for _, a := range c.Args {
			if a.Value.Capture != nil {
				add(a.Value.Capture.target)
			}
		}
	}
	return out
}

// anchor is the reference that "same fd" means: the first that is an event.
func (e *Expectation) anchor() *Ref {
	for i := range e.Clauses {
		for j := range e.Clauses[i].Refs {
			if r := &e.Clauses[i].Refs[j]; !r.Start && !r.End {
				return r
			}
		}
	}
	return nil
}

func firstCycle(all []*Expectation) *Expectation {
	const visiting, done = 1, 2
	state := map[*Expectation]int{}
	var visit func(e *Expectation) bool
	visit = func(e *Expectation) bool {
		switch state[e] {
		case visiting:
			return true
		case done:
			return false
		}
		state[e] = visiting
		for _, n := range e.needs() {
			if visit(n) {
				return true
			}
		}
		state[e] = done
		return false
	}
	for _, e := range all {
		if visit(e) {
			return e
		}
	}
	return nil
}

// inOrder returns the expectations so that each comes after those that it
// refers to.
func inOrder(all []*Expectation) []*Expectation {
	var out []*Expectation
	seen := map[*Expectation]bool{}
	var visit func(e *Expectation)
	visit = func(e *Expectation) {
		if seen[e] {
			return
		}
		seen[e] = true
		for _, n := range e.needs() {
			visit(n)
		}
		out = append(out, e)
	}
	for _, e := range all {
		visit(e)
	}
	return out
}
