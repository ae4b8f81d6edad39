package replay

import (
	"cmp"
	"slices"

	"pyrr/cpython"
	"pyrr/internal/recording"
)

// atHook handles a stop in a hook.
func (p *Process) atHook(t *Thread, h hookTrap) (halt, bool, error) {
	if h.kind == trapNew {
		if h.fault {
			if err := p.scratch(t, h.filter); err != nil {
				return 0, false, err
			}
		}
		if err := p.learn(t); err != nil {
			t.told = true // it stays unknown, and runs on
		}
		if p.hooks.entry == nil {
			p.unsynced = true
		}
		return 0, true, nil
	}
	if h.kind == trapFull {
		return 0, true, p.drain()
	}
	p.hit = p.atSite(t, h.stub)
	t.told = true
	if p.hit == nil {
		return 0, true, nil
	}
	return haltPython, false, nil
}

// atSite returns the breakpoints of the bytecode instruction that a thread is
// about to run through the stub, nil when none applies.
func (p *Process) atSite(t *Thread, stub int) *Hit {
	next := p.NextInstr(t)
	sites := p.sites[next]
	if len(sites) == 0 {
		return nil
	}
	m := p.Mem()
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	rules := p.rules()
	var hit *Hit
	var frame cpython.Frame
	prior := p.lastVisit
	came := arrival{next: next, just: prior.tid == t.TID && prior.count == p.counted-1, from: prior.next}
	p.visited(t)
	for _, s := range sites {
		on := s.armed(t)
		if len(on) == 0 {
			continue
		}
		if frame.Addr == 0 && (!rules.FirstInFrame || !s.switched) {
			if frame, err = p.topFrame(t); err != nil {
				continue
			}
		}
		// The frame's code object has just been read, and need not be again.
		fresh := frame.Addr != 0 && frame.Code == s.code.Addr && rt.Seen(s.code)
		if !fresh && !rt.Holds(m, s.code) {
			delete(p.python.codes, s.code.Addr)
			p.unsynced = true
			continue
		}
		if rules.InSwitch() && frame.Code != s.code.Addr {
			continue // other code may have got the memory of the instructions
		}
		if rules.InSwitch() && s.switched && stub < stubs/2 {
			continue // a loop's jump back to the first instruction
		}
		if !rules.InSwitch() {
			// Memory has the instruction before this one.
			if frame.Addr == 0 {
				if frame, err = p.topFrame(t); err != nil {
					continue
				}
			}
			if !p.arrivesAt(t, s, &frame, came) {
				continue
			}
		} else if s.after != 0 {
			if frame, err = p.topFrame(t); err != nil || frame.Addr != s.after {
				continue
			}
		} else if s.behind || s.loop && !p.cameBack(t, s) {
			continue
		} else if !s.loop && !s.switched && !s.anywhere {
			p.lineBegins(t, s)
		}
		if slices.ContainsFunc(on, func(b *Break) bool { return b.frames != nil }) {
			if frame.Addr == 0 {
				if frame, err = p.topFrame(t); err != nil {
					continue
				}
			}
			on = slices.DeleteFunc(on, func(b *Break) bool { return b.frames != nil && !b.frames.frames[frame.Addr] })
			if len(on) == 0 {
				continue
			}
		}
		if hit == nil {
			hit = &Hit{Process: p, Thread: t, Code: s.code, Offset: s.off, Line: s.line(), NextInstr: next}
		}
		hit.Breaks = append(hit.Breaks, on...)
	}
	if hit != nil {
		hit.Pos = recording.Pos{Instr: p.counted, Event: p.Number}
	}
	return hit
}

// line is the line that a site is on.
func (s *site) line() int {
	if s.behind {
		return s.code.Line(s.off - 2)
	}
	return s.code.Line(s.off)
}

// armed are the breakpoints of a site that are on for a thread.
func (s *site) armed(t *Thread) []*Break {
	var on []*Break
	for _, b := range s.breaks {
		if !b.Off && (b.Thread == 0 || b.Thread == t.TID) {
			on = append(on, b)
		}
	}
	return on
}

// arrival is how a thread came to an instruction.
type arrival struct {
	next uint64 // the instruction
	just bool   // from was the dispatch before, of the same thread
	from uint64
}

// arrivesAt says whether a thread that is about to run the instruction of a site begins
// there what the site stands for. frame has the instruction before in it.
func (p *Process) arrivesAt(t *Thread, s *site, frame *cpython.Frame, came arrival) bool {
	again := came.just && came.from == came.next // it was specialised just now, and is dispatched once more
	switch before := frame.Instr; {
	case s.after != 0:
		return frame.Addr == s.after
	case s.switched && p.rules().FirstInFrame:
		// A new frame has its first instruction there already.
		again := p.lastCall == lastCall{t.TID, came.next, p.counted - 1}
		p.lastCall = lastCall{t.TID, came.next, p.counted}
		return !again
	case before == s.off && again && !s.code.JumpsBack(s.off):
		return false
	case before == s.off && !s.code.JumpsBack(s.off):
		// A trace function was called for it, before the dispatch.
		from := came.from - s.code.Base
		switch {
		case s.behind:
			return false
		case came.just && !s.switched && !s.anywhere && !s.loop && from < uint64(s.off) && s.code.Line(int(from)) == s.code.Line(s.off):
			return false // it came from before, on the same line
		case s.loop:
			return p.cameBack(t, s)
		case !s.switched && !s.anywhere:
			p.lineBegins(t, s)
		}
	case s.behind && before != s.prev:
		return false
	case !s.switched && !s.behind && !s.anywhere && before > s.code.Entry() && before < s.off && s.code.Line(before) == s.code.Line(s.off):
		return false // it came from before, on the same line
	}
	return true
}

// visit is a dispatch of an instruction with a breakpoint.
type visit struct {
	tid   int32
	next  uint64
	count uint64
}

// visited notes that a thread stands at the dispatch of an instruction.
func (p *Process) visited(t *Thread) {
	if next := p.NextInstr(t); next != 0 {
		p.lastVisit = visit{t.TID, next, p.counted}
	}
}

// Up to 3.10, and while functions are traced, memory does not tell which
// instruction came before a dispatch.
// The first instruction of a line that is a loop by itself is passed once for
// each beginning of the line before a jump comes back to it.

// lastCall is the last function that was told to be entered.
type lastCall struct {
	tid   int32
	next  uint64
	count uint64
}

type begun struct {
	tid  int32
	code uint64
	line int
}

func (p *Process) lineBegins(t *Thread, s *site) {
	if p.begun == nil {
		p.begun = map[begun]bool{}
	}
	p.begun[begun{t.TID, s.code.Addr, s.code.Line(s.off)}] = true
}

func (p *Process) cameBack(t *Thread, s *site) bool {
	key := begun{t.TID, s.code.Addr, s.code.Line(s.off)}
	if p.begun[key] {
		delete(p.begun, key)
		return false
	}
	return true
}

// atNative returns the breakpoints of the address that a thread stands at,
// nil when none applies.
func (p *Process) atNative(t *Thread) *Hit {
	var hit *Hit
	for _, b := range p.native[t.regs.PC()] {
		if b.Off || b.Thread != 0 && b.Thread != t.TID {
			continue
		}
		var exc *cpython.Exception
		var frame cpython.Frame
		if b.Kind == BreakRaise {
			var err error
			if frame, err = p.topFrame(t); err != nil || !matchFile(b.File, frame.File) {
				continue
			}
			if exc = p.raising(t, b.Name); exc == nil {
				continue
			}
		}
		if hit == nil {
			hit = &Hit{Process: p, Thread: t, Pos: recording.Pos{Instr: p.counted, Event: p.Number}}
		}
		if exc != nil {
			hit.Code, _ = p.code(frame.Code) // only what it belongs to
			hit.Offset, hit.Line = frame.Instr, frame.Line
		}
		hit.Breaks = append(hit.Breaks, b)
		hit.Exception = cmp.Or(hit.Exception, exc)
	}
	return hit
}

// raising returns the exception that a thread is raising, if it has no
// traceback yet and is of a class with the name.
func (p *Process) raising(t *Thread, name string) *cpython.Exception {
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	pt, err := p.PyThread(t)
	if err != nil {
		return nil
	}
	exc, err := rt.Raised(p.Mem(), pt, name)
	if err != nil {
		return nil
	}
	return exc
}

// tell calls the user's hook for a breakpoint that was hit.
func (p *Process) tell(t *Thread, ev *recording.Event) error {
	hit := p.hit
	if hit == nil {
		hit = p.atNative(t)
	}
	p.hit = nil
	if hit == nil || p.s.o.OnHit == nil {
		return nil
	}
	if err := p.flush(t); err != nil {
		return err
	}
	// Whoever is told sees the event that the thread is on its way to.
	number := p.Number
	var err error
	if p.Number, err = p.onWayTo(); err == nil {
		hit.Pos.Event = p.Number
		err = p.s.o.OnHit(hit)
	}
	p.Number = number
	return err
}
