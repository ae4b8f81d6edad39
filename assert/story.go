package assert

import (
	"cmp"
	"slices"

	"pyrr/internal/stack"
)

// told is an event of a check's story.
type told struct {
	event  int
	chosen bool
}

// maxBetween is how many events are told between a reference and an event.
const maxBetween = 2

// story chooses the events to show for a check that did not pass: the ones
// that it is about, what they refer to, and what happened to the same
// descriptor in between.
func (j *judge) story(e *Expectation, f *finding) []told {
	var chosen []int
	switch {
	case e.Quantity.Max >= 0 && len(f.matches) > e.Quantity.Max:
		chosen = f.matches[:min(maxNearest, len(f.matches))]
	case len(f.matches) > 0:
		chosen = f.matches[:min(maxNearest, len(f.matches))]
	case len(f.nearest) > 0:
		for _, r := range f.nearest {
			chosen = append(chosen, r.event)
		}
	case len(f.opens) > 0:
		chosen = f.opens[:min(maxNearest, len(f.opens))]
	}
	var out []told
	add := func(i int, chosen bool) {
		for k := range out {
			if out[k].event == i {
				out[k].chosen = out[k].chosen || chosen
				return
			}
		}
		out = append(out, told{i, chosen})
	}
	for _, i := range chosen {
		add(i, true)
	}
	for n, i := range chosen {
		for k := range e.Clauses {
			for r := range e.Clauses[k].Refs {
				p, a := j.resolve(&e.Clauses[k].Refs[r], i, e.Clauses[k].Kind == ClauseBefore || r == 1)
				if a.truth != yes || p.event < 0 {
					continue
				}
				add(p.event, false)
				if n == 0 {
					for _, b := range j.inBetween(p.event, i) {
						add(b, false)
					}
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b told) int { return cmp.Compare(j.rank[a.event], j.rank[b.event]) })
	return out
}

// inBetween lists the last calls that the thread of b made on b's descriptor
// after a.
func (j *judge) inBetween(a, b int) []int {
	var out []int
	want := &j.events[b]
	for r := j.rank[b] - 1; r > j.rank[a] && len(out) < maxBetween; r-- {
		i := j.order[r]
		e := &j.events[i]
		if e.Proc == want.Proc && e.Thread == want.Thread && e.FD == want.FD && e.FD >= 0 {
			out = append(out, i)
		}
	}
	return out
}

// moment describes an event for reports.
func (j *judge) moment(i int, chosen bool) Moment {
	e := &j.events[i]
	m := Moment{Index: i, Proc: e.Proc, Thread: e.Thread, ThreadName: e.ThreadName, Pos: e.Pos, Start: e.Start, Event: e.Text(), Chosen: chosen}
	s, _ := j.stackOf(i)
	for k := range s.Frames {
		f := &s.Frames[k]
		if f.Kind != stack.Python {
			continue
		}
		file, origin := j.paths.Short(f.File)
		if m.File == "" {
			m.Inner = *f
			m.Inner.File = file
		}
		if m.File == "" || origin != stack.Stdlib {
			m.File, m.Line, m.Func = file, f.Line, f.Func
		}
		if origin != stack.Stdlib {
			break
		}
	}
	return m
}

// result writes down what was found about an expectation.
func (j *judge) result(e *Expectation) *Result {
	f := j.found[e]
	r := &Result{Name: e.Name, ID: j.spec.CheckID(e.Name), Verdict: f.verdict, Want: e.Text, Got: f.say, Place: e.Place, Mark: f.mark}
	if f.verdict == Pass {
		if b := j.bound[e]; b.truth == yes {
			r.Moments = []Moment{j.moment(b.event, true)}
		}
		for _, i := range f.matches[:min(maxNearest, len(f.matches))] {
			r.Took = append(r.Took, j.moment(i, true))
		}
		return r
	}
	for _, m := range j.story(e, f) {
		r.Moments = append(r.Moments, j.moment(m.event, m.chosen))
	}
	if len(f.matches) == 0 {
		for _, n := range f.nearest {
			r.Nearest = append(r.Nearest, Candidate{
				Moment: j.moment(n.event, true), Clause: j.clauseText(n.clause), Say: n.say, Mark: n.clause.word(),
			})
		}
	}
	return r
}

// clauseText is the piece of the spec that a clause was read from.
func (j *judge) clauseText(c *Clause) string {
	line := []rune(j.spec.Line(c.Place.Line))
	if c.Place.Col < 1 || c.Place.Col-1+c.Place.Len > len(line) {
		return string(c.Kind)
	}
	return string(line[c.Place.Col-1 : c.Place.Col-1+c.Place.Len])
}
