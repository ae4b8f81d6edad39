package assert

import (
	"fmt"
	"sort"
	"time"
)

// point is what a reference stands for: an event, the start or the end.
type point struct {
	event      int // -1 for start and end
	start, end bool
}

// resolve finds what a reference means for the event i. An id means the event
// that its expectation bound to. An event's name means the latest such event
// before i, of i's process if it made one; with forward, the next after it.
func (j *judge) resolve(r *Ref, i int, forward bool) (point, answer) {
	switch {
	case r.Start:
		return point{event: -1, start: true}, answer{truth: yes}
	case r.End:
		return point{event: -1, end: true}, answer{truth: yes}
	case r.target != nil:
		b := j.bound[r.target]
		if b.truth != yes {
			return point{}, b.answer()
		}
		return point{event: b.event}, answer{truth: yes}
	}
	if why := j.unable(r.Event); why != "" {
		return point{}, unclear("%s", why)
	}
	sel := j.selected(r.Event)
	best := nearestOf(j.rank, sel.byProc[j.events[i].Proc], i, forward)
	if best < 0 {
		best = nearestOf(j.rank, sel.all, i, forward)
	}
	switch {
	case best >= 0:
		return point{event: best}, answer{truth: yes}
	case forward && j.info.Truncated:
		return point{}, unclear("the recording was cut before any %s", r.Text)
	case forward:
		return point{}, holds(false, "no %s came after it", r.Text)
	}
	return point{}, holds(false, "no %s came before it", r.Text)
}

// nearestOf finds the last of the events before i or, forward, the first
// after it; -1 for none.
func nearestOf(rank []int, all []int, i int, forward bool) int {
	at := sort.Search(len(all), func(k int) bool { return rank[all[k]] >= rank[i] })
	if !forward {
		if at == 0 {
			return -1
		}
		return all[at-1]
	}
	if at < len(all) && all[at] == i {
		at++
	}
	if at == len(all) {
		return -1
	}
	return all[at]
}

// selection is what an event pattern selects.
type selection struct {
	all    []int
	byProc map[int][]int
}

// selected is candidates, kept for references, which ask often.
func (j *judge) selected(p *EventPattern) *selection {
	sel := j.refs[p]
	if sel == nil {
		sel = &selection{all: j.candidates(p), byProc: map[int][]int{}}
		for _, i := range sel.all {
			proc := j.events[i].Proc
			sel.byProc[proc] = append(sel.byProc[proc], i)
		}
		j.refs[p] = sel
	}
	return sel
}

func (j *judge) ordered(c *Clause, i int) answer {
	say := func(p point, r *Ref, order string) string {
		if p.event < 0 {
			return "it came " + order + " " + r.Text
		}
		return fmt.Sprintf("it came %s %s (at %s)", order, r.Text, grouped(j.events[p.event].Pos.Instr))
	}
	after := func(r *Ref) answer {
		p, a := j.resolve(r, i, false)
		if a.truth != yes {
			return a
		}
		return holds(p.start || p.event >= 0 && j.rank[i] > j.rank[p.event], "%s", say(p, r, "before"))
	}
	before := func(r *Ref) answer {
		p, a := j.resolve(r, i, true)
		if a.truth != yes {
			return a
		}
		return holds(p.end || p.event >= 0 && j.rank[i] < j.rank[p.event], "%s", say(p, r, "after"))
	}
	switch c.Kind {
	case ClauseAfter:
		return after(&c.Refs[0])
	case ClauseBefore:
		return before(&c.Refs[0])
	}
	if a := after(&c.Refs[0]); a.truth != yes {
		return a
	}
	return before(&c.Refs[1])
}

// within holds the distance from a point before the event (from the end:
// after it) against a limit.
func (j *judge) within(c *Clause, i int) answer {
	r := &c.Refs[0]
	p, a := j.resolve(r, i, false)
	if a.truth != yes {
		return a
	}
	if p.end && j.info.Truncated {
		return unclear("the recording was cut: %s", orNone("", j.info.Why, "its end is not the program's"))
	}
	if p.event >= 0 && j.rank[p.event] > j.rank[i] {
		return holds(false, "it came before %s", r.Text)
	}
	if d := c.Unit.duration(); d > 0 {
		have := j.timeBetween(p, i)
		limit := time.Duration(c.N) * d
		return holds(have <= limit, "it came %s %s", sideOf(p), durationText(have)).by(over(have, limit))
	}
	have, a := j.countBetween(c.Unit, p, i)
	if a.truth != yes {
		return a
	}
	return holds(have <= c.N, "it came %s %s", sideOf(p), grouped(have)).by(over(have, c.N))
}

// sideOf is the word before a distance.
func sideOf(p point) string {
	if p.end {
		return "earlier, by"
	}
	return "after"
}

// timeBetween counts from the moment that an event was made, not from the
// return of a call.
func (j *judge) timeBetween(p point, i int) time.Duration {
	at := j.events[i].Start
	switch {
	case p.start:
		return at
	case p.end:
		return max(0, j.info.Wall-at)
	}
	return max(0, at-j.events[p.event].Start)
}

func (j *judge) countBetween(u Unit, p point, i int) (uint64, answer) {
	e := &j.events[i]
	var ref *Event
	if p.event >= 0 {
		ref = &j.events[p.event]
	}
	ok := answer{truth: yes}
	switch u {
	case UnitEvents:
		return j.between(func(k int) int {
			if ref != nil && ref.Proc == e.Proc || p.start {
				return j.inProc[k]
			}
			if p.end {
				return j.inProc[k] + 1 - j.procEvents[e.Proc]
			}
			return j.rank[k]
		}, p, i), ok
	case UnitSyscalls:
		if p.end {
			return uint64(len(j.kinds[KindSyscall]) - j.syscalls[i]), ok
		}
		return j.between(func(k int) int { return j.syscalls[k] }, p, i), ok
	}
	if j.info.NoClock {
		return 0, unclear("no instructions were counted in this recording")
	}
	if j.info.Uncounted[e.Proc] {
		return 0, unclear("the instructions of process %d were not counted", e.Proc)
	}
	if ref != nil && ref.Proc != e.Proc {
		return 0, unclear("%s was made by another process, and each counts its own instructions", ref.Name)
	}
	sameThread := ref != nil && ref.Thread == e.Thread
	switch {
	case u == UnitThreadInstructions && ref != nil && !sameThread:
		return 0, unclear("%s was made by another thread, and each counts its own instructions", ref.Name)
	case u == UnitThreadInstructions || u == UnitInstructions && sameThread:
		switch {
		case p.start:
			return e.ThreadInstr, ok
		case p.end:
			return distance(e.ThreadInstr, j.endThread[threadKey{e.Proc, e.Thread}]), ok
		}
		return distance(ref.ThreadInstr, e.ThreadInstr), ok
	case p.start:
		return e.Pos.Instr, ok
	case p.end:
		return distance(e.Pos.Instr, j.endInstr[e.Proc]), ok
	}
	return distance(ref.Pos.Instr, e.Pos.Instr), ok
}

// between counts by a numbering of events.
func (j *judge) between(number func(k int) int, p point, i int) uint64 {
	if p.event < 0 {
		n := number(i)
		return uint64(max(n, -n))
	}
	return uint64(max(0, number(i)-number(p.event)))
}

// distance is b-a, 0 where a forged recording's count goes back.
func distance(a, b uint64) uint64 {
	if b < a {
		return 0
	}
	return b - a
}

// closed reports whether an event that came after the end of a cut recording
// could not satisfy the expectation.
func (j *judge) closed(e *Expectation) bool {
	for k := range e.Clauses {
		c := &e.Clauses[k]
		switch c.Kind {
		case ClauseBefore, ClauseBetween:
			if r := &c.Refs[len(c.Refs)-1]; r.target != nil && j.bound[r.target].truth == yes {
				return true
			}
		case ClauseWithin:
			if j.beyond(c) {
				return true
			}
		}
	}
	return false
}

// beyond reports whether the end is already farther from an id than the
// limit of within.
func (j *judge) beyond(c *Clause) bool {
	r := &c.Refs[0]
	if r.target == nil || j.bound[r.target].truth != yes {
		return false
	}
	ref := &j.events[j.bound[r.target].event]
	if d := c.Unit.duration(); d > 0 {
		return j.info.Wall-ref.Start > time.Duration(c.N)*d
	}
	process := distance(ref.Pos.Instr, j.endInstr[ref.Proc]) > c.N
	thread := distance(ref.ThreadInstr, j.endThread[threadKey{ref.Proc, ref.Thread}]) > c.N
	switch c.Unit {
	case UnitProcessInstructions:
		return process
	case UnitThreadInstructions:
		return thread
	case UnitInstructions:
		return process && thread
	}
	return false
}
