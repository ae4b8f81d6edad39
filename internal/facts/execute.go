package facts

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/printable"
	"pyrr/internal/stackwalk"

	"pyrr/assert"
	"pyrr/cpython"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// Limits of what an execution is asked for.
const (
	maxHits  = 10_000 // events that are found in a recording
	maxLines = 200    // of FILE:LINE±N
)

// hit is an event that an execution showed: it lacks what the log says of its
// thread until it is put among the events of that.
type hit struct {
	assert.Event
	stacks assert.Stacks
	known  bool // the stack could be read
}

// Execute implements assert.Source: one replay with breakpoints at all that
// is wanted.
func (s *Source) Execute(want []*assert.EventPattern, c bool) error {
	if err := replay.Able(s.rec); err != nil {
		return err
	}
	if err := s.read(); err != nil {
		return err
	}
	if i := slices.IndexFunc(want, needsClock); i >= 0 && s.info.NoClock && len(s.info.Uncounted) > 0 {
		return fmt.Errorf("%s needs the interpreter's instructions, which were not counted (pyrr doctor says why)", want[i].Text)
	}
	breaks, err := breaksFor(want)
	if err != nil {
		return err
	}
	conds, err := conditionsOf(want)
	if err != nil {
		return err
	}
	var hits []hit
	count := 0
	var walk *stackwalk.Walk
	opts := replay.Options{Breaks: breaks}
	if c {
		walk = stackwalk.New(s.rec)
		opts.OnEvent = func(p *replay.Process, _ *replay.Thread, ev *recording.Event) error {
			walk.Follow(p, ev)
			return nil
		}
	}
	opts.OnHit = func(h *replay.Hit) error {
		list := hitsOf(h, walk)
		for k := range list {
			conds.judge(h, &list[k].Event)
		}
		// Several breakpoints of one kind may be at one place.
		list = slices.DeleteFunc(list, func(one hit) bool { return !conds.wants(&one.Event, h.Process.Info.Python) })
		if count += min(1, len(list)); count > maxHits {
			return fmt.Errorf("the specs ask for calls, lines and the like that happened more than %s times; name rarer ones", printable.Grouped(maxHits))
		}
		hits = append(hits, list...)
		return nil
	}
	if _, err := replay.Batch(s.rec, opts); err != nil {
		return sourceError(err)
	}
	s.insert(hits)
	return nil
}

// needsClock says whether what a pattern selects is found by the stubs that count
// instructions.
func needsClock(p *assert.EventPattern) bool {
	return p.Kind == assert.KindCall || p.Kind == assert.KindReturn || p.Kind == assert.KindLine
}

// breaksFor makes the breakpoints that find what patterns select.
func breaksFor(want []*assert.EventPattern) ([]*replay.Break, error) {
	var out []*replay.Break
	seen := map[replay.Break]bool{}
	add := func(b replay.Break) {
		if !seen[b] {
			seen[b] = true
			out = append(out, &b)
		}
	}
	for _, p := range want {
		switch p.Kind {
		case assert.KindCall:
			add(replay.Break{Kind: replay.BreakCall, File: p.Frame.File, Func: p.Frame.Func})
		case assert.KindReturn:
			add(replay.Break{Kind: replay.BreakReturn, File: p.Frame.File, Func: p.Frame.Func})
		case assert.KindLine:
			if p.Frame.Slack > maxLines/2 {
				return nil, fmt.Errorf("%s means more than %d lines", p.Text, maxLines)
			}
			for line := max(1, p.Frame.Line-p.Frame.Slack); line <= p.Frame.Line+p.Frame.Slack; line++ {
				add(replay.Break{Kind: replay.BreakLine, File: p.Frame.File, Line: line})
			}
		case assert.KindRaise:
			// A class is known by its plain name.
			name := p.Operand[strings.LastIndexByte(p.Operand, '.')+1:]
			add(replay.Break{Kind: replay.BreakRaise, Name: name})
		case assert.KindEnter:
			add(replay.Break{Kind: replay.BreakSymbol, Name: p.Operand})
		}
	}
	return out, nil
}

// hitsOf turns a stop at breakpoints into events: one for each kind. With a
// walk they have C stacks as well.
func hitsOf(h *replay.Hit, walk *stackwalk.Walk) []hit {
	info := h.Process.Info
	base := hit{Event: assert.Event{Proc: info.ID, PID: info.PID, TID: int(h.Thread.TID), Pos: h.Pos, Call: assert.Call{FD: -1}}}
	if rt, err := h.Process.Runtime(); err == nil {
		m := h.Process.Mem()
		if pt, err := h.Process.PyThread(h.Thread); err == nil {
			if st, err := rt.Stack(m, pt, cpython.Options{NextInstr: h.NextInstr}); err == nil {
				st.Thread = int(h.Thread.TID)
				base.stacks, base.known = assert.Stacks{Proc: h.Process.Info.ID, Python: st}, true
				if len(st.Frames) > 0 {
					base.Frame = &st.Frames[0]
				}
			}
		}
	}
	if full, ok := walk.Merged(h.Process, h.Thread); ok {
		full.Thread, full.Name = int(h.Thread.TID), base.stacks.Python.Name
		base.stacks.Proc, base.stacks.Full, base.known = h.Process.Info.ID, &full, true
	}
	if h.Code != nil {
		// What the breakpoint found out is certain.
		f := stack.Frame{Kind: stack.Python, Func: h.Code.Func, File: h.Code.File, Line: h.Line}
		if base.Frame == nil || base.Frame.Func != f.Func || base.Frame.File != f.File || base.Frame.Line != f.Line {
			base.Frame = &f
		}
	}
	var out []hit
	add := func(kind, name string) {
		if slices.ContainsFunc(out, func(have hit) bool { return have.Kind == kind && have.Name == name }) {
			return
		}
		one := base
		one.Kind, one.Name = kind, name
		if kind == assert.KindEnter {
			one.Frame = nil // it is of C
		}
		out = append(out, one)
	}
	for _, b := range h.Breaks {
		switch b.Kind {
		case replay.BreakCall:
			add(assert.KindCall, "")
		case replay.BreakReturn:
			add(assert.KindReturn, "")
			out[len(out)-1].Value = returnedValue(h)
		case replay.BreakLine:
			add(assert.KindLine, "")
		case replay.BreakRaise:
			if h.Exception != nil {
				add(assert.KindRaise, h.Exception.Type)
				out[len(out)-1].Value = raisedMessage(h)
			}
		case replay.BreakSymbol:
			add(assert.KindEnter, b.Name)
		}
	}
	return out
}

// insert puts the events of an execution before those of the log to which their
// threads were on their way. Both are in order, process by process.
func (s *Source) insert(hits []hit) {
	list := map[int][]hit{}
	for _, h := range hits {
		list[h.Proc] = append(list[h.Proc], h)
	}
	old := s.events
	s.events, s.at, s.hitStacks = make([]assert.Event, 0, len(old)+len(hits)), map[eventKey][]int{}, map[int]assert.Stacks{}
	add := func(e assert.Event) {
		key := eventKey{e.Proc, e.Pos.Event}
		s.at[key] = append(s.at[key], len(s.events))
		s.events = append(s.events, e)
	}
	for i := range old {
		e := &old[i]
		rest := list[e.Proc]
		for len(rest) > 0 && rest[0].Pos.Event <= e.Pos.Event {
			if s.standing[e.Proc].place(&rest[0].Event) {
				add(rest[0].Event)
				if rest[0].known {
					s.hitStacks[len(s.events)-1] = rest[0].stacks
				}
			}
			rest = rest[1:]
		}
		list[e.Proc] = rest
		add(*e)
	}
}

// stand is what the log says of the moment before an event of it: which thread
// runs up to there, and where it and the process began to.
type stand struct {
	instr, threadInstr uint64
	time               int64
	tid, thread        int32
}

// stands has one for each event of a process.
type stands []stand

// place completes an event of an execution; it is false for a thread that the log
// does not know.
func (all stands) place(e *assert.Event) bool {
	if e.Pos.Event >= uint64(len(all)) {
		return false
	}
	s := &all[e.Pos.Event]
	e.Start, e.End = since(s.time), since(s.time)
	ran := e.Pos.Instr - min(s.instr, e.Pos.Instr)
	if int(s.tid) != e.TID {
		// Its thread is not on the way to an event.
		for i := int(e.Pos.Event); i >= 0; i-- {
			if s = &all[i]; int(s.tid) == e.TID {
				break
			}
		}
		if int(s.tid) != e.TID {
			return false
		}
	}
	e.Thread, e.ThreadInstr = int(s.thread), s.threadInstr+ran
	return true
}
