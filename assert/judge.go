package assert

import (
	"cmp"
	"fmt"
	"slices"

	"pyrr/internal/stack"
)

// judge holds one spec against one recording. It works in rounds: a round
// judges as far as the stacks that are known allow and says which stacks it
// needs; the last one needs none.
type judge struct {
	*timeline
	spec  *Spec
	paths stack.Paths
	bound map[*Expectation]binding
	found map[*Expectation]*finding
	refs  map[*EventPattern]*selection
}

func newJudge(t *timeline, s *Spec) *judge {
	return &judge{timeline: t, spec: s, paths: stack.Paths{Root: t.info.Root}, refs: map[*EventPattern]*selection{}}
}

// candidates lists the events that a pattern selects, of the spec's test
// where the recording says which those are.
func (j *judge) candidates(p *EventPattern) []int {
	all := j.timeline.candidates(p)
	if j.spec.Test == "" || !j.info.TestMarks {
		return all
	}
	from, to := j.window()
	return slices.DeleteFunc(slices.Clone(all), func(i int) bool { return j.rank[i] < from || j.rank[i] > to })
}

// window gives the places of the first and the last event of the spec's test.
func (j *judge) window() (from, to int) {
	to = len(j.order)
	if starts := j.kinds[KindTestStart]; len(starts) > 0 {
		from = to
		for _, i := range starts {
			if testMatches(j.spec.Test, j.events[i].Name) {
				from = min(from, j.rank[i])
			}
		}
	}
	for _, i := range j.kinds[KindTestEnd] {
		if testMatches(j.spec.Test, j.events[i].Name) && j.rank[i] > from {
			to = j.rank[i]
		}
	}
	return from, to
}

// binding is the event that an expectation stands for: certain (yes), not
// known yet (pending), or not to be had (open).
type binding struct {
	truth truth
	event int
	say   string
}

func (b binding) answer() answer { return answer{truth: b.truth, say: b.say} }

// finding is what a round found about an expectation.
type finding struct {
	verdict Verdict
	say     string
	mark    Place
	// matches satisfy all clauses, opens may, rest do not; pending need a
	// stack. Each in order.
	matches, opens, pending []int
	openSay                 string
	openMark                Place
	// nearest are the best of those that do not, and total counts all events
	// of the kind.
	nearest []rejection
	total   int
	wants   []int
}

// executed lists the patterns of a spec whose events only an execution shows.
func (s *Spec) executed() []*EventPattern {
	var out []*EventPattern
	add := func(p *EventPattern) {
		if p != nil && p.executed() {
			out = append(out, p)
		}
	}
	for _, e := range s.Expect {
		add(&e.Event)
		for i := range e.Clauses {
			for k := range e.Clauses[i].Refs {
				if r := &e.Clauses[i].Refs[k]; r.target == nil {
					add(r.Event)
				}
			}
		}
	}
	return out
}

// needsC reports whether a spec asks for C frames.
func (s *Spec) needsC() bool {
	return slices.ContainsFunc(s.Golden, func(g *Golden) bool { return g.C }) ||
		slices.ContainsFunc(s.Expect, func(e *Expectation) bool {
			return slices.ContainsFunc(e.Clauses, func(c Clause) bool { return c.Kind == ClauseThrough })
		})
}

// rejection is an event that failed some clauses.
type rejection struct {
	event  int
	failed int
	miss   float64 // of all that failed
	clause *Clause
	say    string
}

// maxNearest is how many near misses are kept.
const maxNearest = 3

// round judges all expectations and returns the events whose stacks are
// needed to go on.
func (j *judge) round() []int {
	j.bound = map[*Expectation]binding{}
	j.found = map[*Expectation]*finding{}
	var wants []int
	for _, e := range inOrder(j.spec.Expect) {
		f := j.find(e)
		j.found[e] = f
		j.bound[e] = j.bind(e, f)
		wants = append(wants, f.wants...)
		if len(f.pending) == 0 {
			j.decide(e, f)
			if f.verdict != Pass {
				for _, m := range j.story(e, f) {
					wants = append(wants, m.event)
				}
			}
		}
	}
	for _, g := range j.spec.Golden {
		if b := j.bound[g.target]; g.target != nil && b.truth == yes {
			wants = append(wants, b.event)
		}
	}
	return slices.DeleteFunc(wants, func(i int) bool {
		_, ok := j.stacks[i]
		return ok || j.noStack[i]
	})
}

// unable says why events of a kind can't be found, "" where they can.
func (j *judge) unable(p *EventPattern) string {
	switch {
	case p.executed() && j.noExecution != "":
		return j.noExecution
	case p.stands() && j.noState != "":
		return j.noState
	case (p.Kind == KindTestStart || p.Kind == KindTestEnd) && !j.info.TestMarks:
		return fmt.Sprintf("%s needs marks of where tests start and end, and the recording holds none", p.Kind)
	}
	return ""
}

// find holds every event of the kind against the clauses.
func (j *judge) find(e *Expectation) *finding {
	f := &finding{}
	if why := j.unable(&e.Event); why != "" {
		f.openSay, f.openMark = why, e.Event.Place
		f.verdict = Unjudged
		return f
	}
	for _, n := range e.needs() {
		if b := j.bound[n]; b.truth == open {
			f.openSay, f.openMark, f.verdict = b.say, e.Event.Place, Unjudged
			return f
		}
	}
	all := j.candidates(&e.Event)
	f.total = len(all)
	// The earliest match is enough where nothing is counted.
	one := e.Quantity.Max < 0 && e.Quantity.Min <= 1 && e.Quantity.Nth >= 0
	for _, i := range all {
		t, r, needs := j.event(e, i)
		switch t {
		case yes:
			f.matches = append(f.matches, i)
		case open:
			f.opens = append(f.opens, i)
			if len(f.opens) == 1 {
				f.openSay, f.openMark = r.say, r.clause.word()
			}
		case pending:
			f.pending = append(f.pending, i)
			if needs.stack || needs.name && len(f.wants) == 0 || j.goldenAt(e) {
				f.wants = append(f.wants, i)
			}
		case no:
			f.reject(r)
		}
		if one && t == yes {
			break
		}
	}
	return f
}

func (j *judge) goldenAt(e *Expectation) bool {
	return slices.ContainsFunc(j.spec.Golden, func(g *Golden) bool { return g.target == e })
}

// event holds one event against all clauses.
func (j *judge) event(e *Expectation, i int) (t truth, r rejection, needs answer) {
	t = yes
	r = rejection{event: i}
	first := func(c *Clause, a answer) {
		r.clause, r.say = c, a.say
	}
	for k := range e.Clauses {
		c := &e.Clauses[k]
		a := j.clause(c, e, i)
		switch a.truth {
		case no:
			r.miss += a.miss
			if r.failed++; r.failed == 1 {
				first(c, a)
			}
			t = no
		case pending:
			needs.stack = needs.stack || a.stack
			needs.name = needs.name || a.name
			if t != no {
				t = pending
			}
		case open:
			if t == yes {
				t = open
			}
			if r.clause == nil {
				first(c, a)
			}
		}
	}
	return t, r, needs
}

// reject keeps the events that failed the fewest clauses, of equals those that
// failed them by the least, then the earliest.
func (f *finding) reject(r rejection) {
	at, _ := slices.BinarySearchFunc(f.nearest, r, func(have, r rejection) int {
		if c := cmp.Or(cmp.Compare(have.failed, r.failed), cmp.Compare(have.miss, r.miss)); c != 0 {
			return c
		}
		return -1
	})
	if at >= maxNearest {
		return
	}
	f.nearest = slices.Insert(f.nearest, at, r)
	f.nearest = f.nearest[:min(len(f.nearest), maxNearest)]
}

// bind chooses the event that the expectation's id stands for.
func (j *judge) bind(e *Expectation, f *finding) binding {
	none := binding{truth: open, say: e.Name + " found no event"}
	switch {
	case f.verdict == Unjudged:
		return binding{truth: open, say: e.Name + " could not be judged"}
	case len(f.pending) > 0:
		return binding{truth: pending}
	}
	n := max(e.Quantity.Nth, 1)
	if len(f.matches) < n {
		return none
	}
	b := binding{truth: yes, event: f.matches[n-1]}
	unsure := func(i int) bool { return j.rank[i] < j.rank[b.event] }
	if e.Quantity.Nth < 0 {
		b.event = f.matches[len(f.matches)-1]
		unsure = func(i int) bool { return j.rank[i] > j.rank[b.event] }
	}
	if slices.ContainsFunc(f.opens, unsure) || e.Quantity.Nth < 0 && j.info.Truncated && !j.closed(e) {
		return binding{truth: open, say: "which event " + e.Name + " is can't be told"}
	}
	return b
}

// decide compares what was found with the quantity.
func (j *judge) decide(e *Expectation, f *finding) {
	q := e.Quantity
	have, maybe := len(f.matches), len(f.matches)+len(f.opens)
	more := j.info.Truncated && !j.closed(e) // events may be missing
	f.mark = q.Place
	if f.mark.Len == 0 {
		f.mark = e.Event.Place
	}
	unjudged := func() {
		f.verdict = Unjudged
		f.say, f.mark = f.openSay, f.openMark
		if f.say == "" {
			f.say = "the recording was cut: " + orNone("", j.info.Why, "what came later is not known")
			f.mark = e.Event.Place
		}
	}
	switch {
	case f.verdict == Unjudged:
		f.say, f.mark = f.openSay, f.openMark
	case q.Max >= 0 && have > q.Max:
		f.verdict, f.say = Fail, "it happened "+times(have)
	case have < q.Min && (maybe >= q.Min || more):
		unjudged()
	case have < q.Min:
		f.verdict = Fail
		f.say = j.missing(e, f)
	case q.Max >= 0 && (maybe > q.Max || more):
		unjudged()
	default:
		f.verdict = Pass
	}
}

// missing says what is wrong where there are too few events.
func (j *judge) missing(e *Expectation, f *finding) string {
	switch {
	case len(f.matches) > 0:
		return "it happened " + times(len(f.matches))
	case len(f.nearest) > 0:
		n := f.nearest[0]
		f.mark = n.clause.word()
		return n.say
	}
	s := "there is none in the recording"
	if e.Event.stands() {
		return s + j.others(&e.Event)
	}
	if len(e.Event.Names) == 1 && e.Event.Names[0] != e.Event.Text && e.Event.Kind == KindSyscall {
		s = "there is no " + e.Event.Names[0] + " in the recording"
	}
	return s
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return grouped(uint64(n)) + " times"
}
