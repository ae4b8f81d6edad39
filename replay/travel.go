package replay

import (
	"time"

	"pyrr/internal/recording"
)

// StopKind says why a session's process stands where it does.
type StopKind uint8

// The kinds of stops.
const (
	StopBreak       StopKind = iota + 1 // at breakpoints: Stop.Hit
	StopEvent                           // at an event that was waited for: Stop.Event
	StopWatch                           // behind an instruction that touched watched memory
	StopStep                            // a step is done
	StopEnd                             // at the end of the recording
	StopStart                           // at its beginning
	StopInterrupted                     // Session.Interrupt was called
)

// Stop is where and why a process stopped.
type Stop struct {
	Kind  StopKind
	Point Point
	Hit   *Hit
	Event *recording.Event
	TID   int32 // the thread, 0 at the end
}

func (l *timeline) stop(kind StopKind) *Stop {
	st := &Stop{Kind: kind, Point: l.here()}
	if t := l.thread(); t != nil {
		st.TID = t.TID
	}
	return st
}

// reached says whether the process is at a point, path aside.
func (l *timeline) reached(to *Point) bool {
	p := l.p
	if p.Number != to.Event {
		return p.Number > to.Event
	}
	if to.At {
		return p.arrived
	}
	return p.counted >= to.Instr && (p.arrived || p.counted > to.Instr || len(l.path) == 0)
}

// run goes on to the next stop: a breakpoint, an event that stopAt picks, or
// the point to, where it returns nil. It makes checkpoints on the way.
func (l *timeline) run(to *Point, stopAt func(*recording.Event) bool) (*Stop, error) {
	p := l.p
	l.begin()
	last := l.here().cost()
	for {
		if l.atEnd() {
			if to != nil {
				return nil, nil
			}
			return l.stop(StopEnd), nil
		}
		if to != nil && l.reached(to) {
			return nil, nil
		}
		if l.interrupt != nil && l.interrupt() {
			return l.stop(StopInterrupted), nil
		}
		if p.arrived {
			if err := l.pass(); err != nil {
				return nil, err
			}
			continue
		}
		now := l.here().cost()
		ahead := now // to the point, if there is one
		if to != nil {
			ahead = to.cost() - now
		}
		if gap := now - last; gap >= l.spacing || to != nil && ahead > leastSpacing && gap >= ahead {
			if err := l.keep(); err != nil {
				return nil, err
			}
			last = now
		}
		limit := noLimit
		if p.cell != 0 {
			step := l.spacing
			if to != nil && ahead > 2*leastSpacing {
				step = min(step, ahead/2)
			}
			limit = p.counted + uint64(step/instrCost)
		}
		if to != nil && p.Number == to.Event && to.Instr > p.counted {
			limit = min(limit, to.Instr)
		}
		t := l.thread()
		h, err := l.leg(limit, false)
		if err != nil {
			return nil, err
		}
		switch h {
		case haltCount:
			t.told = false // a breakpoint there has not been told
		case haltPython:
			if hit := p.judge(p.hit); hit != nil {
				st := l.stop(StopBreak)
				st.Hit = hit
				return st, nil
			}
		case haltBreak:
			if hit := p.judge(p.atNative(t)); hit != nil {
				st := l.stop(StopBreak)
				st.Hit = hit
				return st, nil
			}
		case haltWatch:
			return l.stop(StopWatch), nil
		case haltEvent:
			if stopAt != nil && stopAt(&p.next) {
				return l.eventStop(), nil
			}
		}
	}
}

func (l *timeline) eventStop() *Stop {
	st := l.stop(StopEvent)
	ev := l.p.next
	st.Event = &ev
	return st
}

// judge keeps of a hit only the breakpoints whose conditions hold.
func (p *Process) judge(hit *Hit) *Hit {
	if hit == nil {
		return nil
	}
	var on []*Break
	for _, b := range hit.Breaks {
		if b.Cond != nil {
			one := *hit
			one.Breaks = []*Break{b}
			if !b.Cond.Holds(&one) {
				continue
			}
		}
		on = append(on, b)
	}
	if len(on) == 0 {
		return nil
	}
	hit.Breaks = on
	return hit
}

// stops runs to a point and calls f at each stop before it.
func (l *timeline) stops(to Point, stopAt func(*recording.Event) bool, f func(*Stop)) error {
	for {
		st, err := l.run(&to, stopAt)
		if err != nil {
			return err
		}
		if st == nil {
			break
		}
		if st.Kind == StopInterrupted {
			return errInterrupted
		}
		if st.Point.Same(to) {
			return nil
		}
		f(st)
	}
	if len(to.path) == 0 || !l.here().Same(to.base()) {
		return nil
	}
	// Native code behind the last dispatch.
	defer func() { l.quiet(false) }()
	for i, m := range to.path {
		l.begin()
		l.quiet(false, m.pc)
		for n := 0; n < m.n; {
			var h halt
			var err error
			if m.steps() {
				h, err = l.stepi()
				n++
			} else {
				h, err = l.leg(noLimit, false)
			}
			if err != nil || h == haltEvent {
				return err
			}
			t := l.thread()
			if h == haltWatch && m.watch[0].Len > 0 || h == haltBreak && m.pc != 0 && t.regs.PC() == m.pc {
				n++
			}
			if i == len(to.path)-1 && n == m.n {
				break
			}
			var st *Stop
			switch h {
			case haltWatch:
				st = l.stop(StopWatch)
			case haltBreak:
				if hit := l.p.judge(l.p.atNative(t)); hit != nil {
					st = l.stop(StopBreak)
					st.Hit = hit
				}
			}
			if st != nil {
				f(st)
			}
		}
	}
	return nil
}

// reverse goes back to the last stop before here.
func (l *timeline) reverse(stopAt func(*recording.Event) bool) (*Stop, error) {
	hi := l.here()
	for i := l.before(hi.base()); i >= 0; {
		at := l.points[i].at
		if at.Same(hi) {
			i--
			continue
		}
		if err := l.back(i); err != nil {
			return nil, err
		}
		var last *Stop
		if err := l.stops(hi, stopAt, func(st *Stop) { last = st }); err != nil {
			return nil, err
		}
		if last != nil {
			if err := l.seek(last.Point); err != nil {
				return nil, err
			}
			if last.Hit != nil {
				last.Hit.Process, last.Hit.Thread = l.p, l.thread()
			}
			return last, nil
		}
		hi = at
		i = l.before(at) - 1
	}
	if err := l.back(0); err != nil {
		return nil, err
	}
	return l.stop(StopStart), nil
}

// toCount goes to the first place where so many instructions have been
// executed, past all breakpoints.
func (l *timeline) toCount(count uint64) error {
	l.quiet(true)
	defer l.quiet(false)
	here := l.here()
	i := 0
	for i+1 < len(l.points) && l.points[i+1].at.Instr < count {
		i++
	}
	behind := here.Instr > count || here.Instr == count
	if behind || l.points[i].at.compare(here) > 0 {
		if err := l.back(i); err != nil {
			return err
		}
	}
	last := l.here().cost()
	for l.p.counted < count && !l.atEnd() {
		now := l.here()
		cost := now.cost()
		ahead := time.Duration(count-l.p.counted) * instrCost
		if gap := cost - last; gap >= l.spacing || behind && ahead > leastSpacing && gap >= ahead {
			if err := l.keep(); err != nil {
				return err
			}
			last = cost
		}
		if l.interrupt != nil && l.interrupt() {
			return errInterrupted
		}
		step := l.spacing
		if behind && ahead > 2*leastSpacing {
			step = min(step, ahead/2)
		}
		limit := min(count, l.p.counted+max(1, uint64(step/instrCost)))
		if l.p.cell == 0 {
			limit = noLimit
		}
		h, err := l.leg(limit, false)
		if err != nil {
			return err
		}
		if h == haltEvent && l.p.counted < count {
			if err := l.pass(); err != nil {
				return err
			}
		}
	}
	if t := l.thread(); t != nil {
		t.told = true
		l.p.visited(t)
	}
	return nil
}
