package main

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/assert"
	"pyrr/cpython"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// Limits of what an execution is asked for.
const (
	maxHits  = 10_000 // events that are found in a recording
	maxLines = 200    // of FILE:LINE±N
)

// hit is an event that an execution showed.
type hit struct {
	pos    recording.Pos
	tid    int32
	kind   string
	name   string       // of the exception, the C function
	frame  *stack.Frame // nil where it could not be read
	stacks assert.Stacks
	known  bool // the stack could be read
}

// Execute implements assert.Source: one replay with breakpoints at all that
// is wanted.
func (s *recordingSource) Execute(want []*assert.EventPattern, c bool) error {
	if err := canReplay(s.rec); err != nil {
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
	hits := map[int][]hit{}
	count := 0
	pythons := map[int]string{}
	var walk *stackWalk
	opts := replay.Options{Breaks: breaks}
	if c {
		walk = newStackWalk(s.rec)
		opts.OnEvent = func(p *replay.Process, _ *replay.Thread, ev *recording.Event) error {
			walk.follow(p, ev)
			return nil
		}
	}
	opts.OnHit = func(h *replay.Hit) error {
		if count++; count > maxHits {
			return fmt.Errorf("the specs ask for calls, lines and the like that happened more than %s times; name rarer ones", grouped(maxHits))
		}
		proc := h.Process.Info.ID
		pythons[proc] = h.Process.Info.Python
		hits[proc] = append(hits[proc], hitsOf(h, walk)...)
		return nil
	}
	_, err = replay.Batch(s.rec, opts)
	if err != nil {
		return sourceError(err)
	}
	for proc, list := range hits {
		// Several breakpoints of one kind may be at one place.
		hits[proc] = slices.DeleteFunc(list, func(h hit) bool {
			e := assert.Event{Kind: h.kind, Name: h.name, Frame: h.frame}
			return !slices.ContainsFunc(want, func(p *assert.EventPattern) bool { return p.Executed(&e, pythons[proc]) })
		})
	}
	s.hits, s.at = hits, nil
	return s.read()
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
func hitsOf(h *replay.Hit, walk *stackWalk) []hit {
	base := hit{pos: h.Pos, tid: h.Thread.TID}
	if rt, err := h.Process.Runtime(); err == nil {
		m := h.Process.Mem()
		if pt, err := h.Process.PyThread(h.Thread); err == nil {
			if st, err := rt.Stack(m, pt, cpython.Options{NextInstr: h.NextInstr}); err == nil {
				st.Thread = int(h.Thread.TID)
				base.stacks, base.known = assert.Stacks{Proc: h.Process.Info.ID, Python: st}, true
				if len(st.Frames) > 0 {
					base.frame = &st.Frames[0]
				}
			}
		}
	}
	if full, ok := walk.merged(h.Process, h.Thread); ok {
		full.Thread, full.Name = int(h.Thread.TID), base.stacks.Python.Name
		base.stacks.Proc, base.stacks.Full, base.known = h.Process.Info.ID, &full, true
	}
	if h.Code != nil {
		// What the breakpoint found out is certain.
		f := stack.Frame{Kind: stack.Python, Func: h.Code.Func, File: h.Code.File, Line: h.Line}
		if base.frame == nil || base.frame.Func != f.Func || base.frame.File != f.File || base.frame.Line != f.Line {
			base.frame = &f
		}
	}
	var out []hit
	add := func(kind, name string) {
		if slices.ContainsFunc(out, func(have hit) bool { return have.kind == kind && have.name == name }) {
			return
		}
		one := base
		one.kind, one.name = kind, name
		out = append(out, one)
	}
	for _, b := range h.Breaks {
		switch b.Kind {
		case replay.BreakCall:
			add(assert.KindCall, "")
		case replay.BreakReturn:
			add(assert.KindReturn, "")
		case replay.BreakLine:
			add(assert.KindLine, "")
		case replay.BreakRaise:
			if h.Exception != nil {
				add(assert.KindRaise, h.Exception.Type)
			}
		case replay.BreakSymbol:
			add(assert.KindEnter, b.Name)
		}
	}
	return out
}

// addHits puts the events of an execution before the event n of the log, to
// which their thread was on its way.
func (r *processReader) addHits(f *logview.Process, n uint64, ev *recording.Event, step *logview.Step) {
	list := r.hits[r.proc.ID]
	for ; r.nextHit < len(list) && list[r.nextHit].pos.Event <= n; r.nextHit++ {
		h := &list[r.nextHit]
		t := f.Threads[h.tid]
		if step.Thread != nil && step.Thread.TID == h.tid {
			t = step.Thread // also one that ends here
		}
		if t == nil {
			continue // of a thread that the log does not know yet
		}
		at := *ev
		at.TID, at.Instr, at.Time, at.EndTime = h.tid, h.pos.Instr, step.Time, step.Time
		own := *t
		if t == step.Thread && n > 0 {
			own.Instr -= f.Instr - step.Instr // what it executes up to the event
		}
		if h.pos.Instr > step.Instr {
			own.Instr += h.pos.Instr - step.Instr
		}
		i := r.add(n, &at, &own, h.kind, h.name)
		r.events[i].Frame = h.frame
		if h.kind == assert.KindEnter {
			r.events[i].Frame = nil
		}
		if h.known {
			r.hitStacks[i] = h.stacks
		}
	}
}
