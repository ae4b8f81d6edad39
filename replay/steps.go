package replay

import (
	"errors"
	"fmt"

	"pyrr/cpython"
)

// frameStops is a breakpoint of a step's own: at the line starts of the code
// of some frames, and at one instruction, in those frames alone.
type frameStops struct {
	frames map[uint64]bool
	codes  map[uint64]bool
	entry  bool // at the entry of the code instead
	// After is the instruction in the frame that a call returns to.
	afterFrame, afterCode uint64
	after                 int
}

// breakFrames is the kind of such a breakpoint.
const breakFrames BreakKind = 100

// pyStack reads the Python frames of the thread that runs next.
func (l *timeline) pyStack() ([]cpython.Frame, error) {
	t := l.thread()
	if t == nil {
		return nil, ErrNoPython
	}
	rt, err := l.p.Runtime()
	if err != nil {
		return nil, err
	}
	pt, err := l.p.PyThread(t)
	if err != nil {
		return nil, err
	}
	frames, err := rt.Frames(l.p.Mem(), pt, cpython.Options{NextInstr: l.p.NextInstr(t)})
	if len(frames) == 0 {
		if err == nil {
			err = fmt.Errorf("thread %d: %w", t.TID, ErrNoPython)
		}
		return nil, err
	}
	if l.p.cell == 0 {
		return nil, ErrUncounted
	}
	return frames, nil
}

// within runs f with one more breakpoint, or with it alone.
func (l *timeline) within(b *Break, alone bool, f func() (*Stop, error)) (*Stop, error) {
	saved := l.s.breaks.list
	list := append([]*Break{b}, saved...)
	if alone {
		list = list[:1]
	}
	l.s.breaks.list = list
	l.s.breaks.gen++
	defer func() {
		l.s.breaks.list = saved
		l.s.breaks.gen++
	}()
	st, err := f()
	if st != nil && st.Hit != nil {
		for _, h := range st.Hit.Breaks {
			if h == b {
				st.Kind = StopStep
			}
		}
	}
	return st, err
}

// stopsOf makes the breakpoint of frames; their code objects become known.
func (l *timeline) stopsOf(frames []cpython.Frame) (*Break, error) {
	fs := &frameStops{frames: map[uint64]bool{}, codes: map[uint64]bool{}}
	for i := range frames {
		if _, err := l.p.code(frames[i].Code); err != nil {
			return nil, err
		}
		fs.frames[frames[i].Addr], fs.codes[frames[i].Code] = true, true
	}
	return &Break{Kind: breakFrames, Thread: l.thread().TID, frames: fs}, nil
}

// lineStops stop at each line of the innermost function and of those that called it.
func (l *timeline) lineStops() (*Break, error) {
	frames, err := l.pyStack()
	if err != nil {
		return nil, err
	}
	return l.stopsOf(frames)
}

// nextLine runs to the next line of the innermost function or of one that
// called it.
func (l *timeline) nextLine() (*Stop, error) {
	b, err := l.lineStops()
	if err != nil {
		return nil, err
	}
	return l.within(b, false, func() (*Stop, error) { return l.run(nil, nil) })
}

// finish runs until the innermost function has returned.
func (l *timeline) finish() (*Stop, error) {
	frames, err := l.pyStack()
	if err != nil {
		return nil, err
	}
	if len(frames) < 2 {
		return nil, fmt.Errorf("%s is the outermost function", frames[0].Func)
	}
	b, err := l.stopsOf(frames[1:])
	if err != nil {
		return nil, err
	}
	caller := frames[1]
	c, err := l.p.code(caller.Code)
	if err != nil {
		return nil, err
	}
	b.frames.afterFrame, b.frames.afterCode, b.frames.after = caller.Addr, caller.Code, c.After(caller.Instr)
	return l.within(b, false, func() (*Stop, error) { return l.run(nil, nil) })
}

// reverseNext goes back to the last line of the innermost function, or of
// one that called it, that began before here.
func (l *timeline) reverseNext() (*Stop, error) {
	b, err := l.lineStops()
	if err != nil {
		return nil, err
	}
	return l.within(b, true, func() (*Stop, error) { return l.reverse(nil) })
}

// reverseFinish goes back to the call of the innermost function.
func (l *timeline) reverseFinish() (*Stop, error) {
	frames, err := l.pyStack()
	if err != nil {
		return nil, err
	}
	b, err := l.stopsOf(frames[:1])
	if err != nil {
		return nil, err
	}
	b.frames.entry = true
	st, err := l.within(b, true, func() (*Stop, error) { return l.reverse(nil) })
	if err != nil || st.Kind != StopStep {
		return st, err
	}
	before, ok, err := l.baseBefore(l.here())
	if err != nil || !ok {
		return st, err
	}
	if err := l.seek(before); err != nil {
		return nil, err
	}
	return l.stop(StopStep), nil
}

// lineWatch tells where lines begin, dispatch by dispatch, for one thread.
type lineWatch struct {
	line map[uint64]int // by frame; -1: not begun
	off  map[uint64]int
}

func (l *timeline) watchLines() *lineWatch {
	w := &lineWatch{line: map[uint64]int{}, off: map[uint64]int{}}
	frames, _ := l.pyStack()
	for _, f := range frames {
		w.line[f.Addr], w.off[f.Addr] = f.Line, f.Instr
	}
	return w
}

// begins says whether a line begins at the dispatch that a thread stands at.
func (w *lineWatch) begins(p *Process, t *Thread) bool {
	f, err := p.topFrame(t)
	if err != nil {
		return false
	}
	c, err := p.code(f.Code)
	if err != nil {
		return false
	}
	off := int(p.NextInstr(t) - c.Base)
	if off < 0 || off >= c.Size {
		return false
	}
	line, last := c.Line(off), w.line[f.Addr]
	before, seen := w.off[f.Addr]
	w.off[f.Addr] = off
	switch {
	case off <= c.Entry() && (!seen || before > off || last == -1):
		w.line[f.Addr] = -1
		return c.Entry() == 0 && off == 0 && p.NextInstr(t) != 0 && lineAtEntry(p) && line > 0
	case !seen:
		w.line[f.Addr] = line // back in a caller, in the midst of a line
		return false
	case line == 0 || off <= c.Entry():
		return false
	}
	w.line[f.Addr] = line
	return line != last || off < before && c.StartsLine(off)
}

// lineAtEntry says that the first instruction belongs to a line: up to 3.10.
func lineAtEntry(p *Process) bool { return p.rules().InSwitch() }

// stepLine runs to where the thread next begins a line, in any function.
func (l *timeline) stepLine() (*Stop, error) {
	t := l.thread()
	if t == nil {
		return l.stop(StopEnd), nil
	}
	tid := t.TID
	if _, err := l.pyStack(); errors.Is(err, ErrUncounted) {
		return nil, err
	}
	w := l.watchLines()
	l.begin()
	for !l.atEnd() {
		if l.interrupt != nil && l.interrupt() {
			return l.stop(StopInterrupted), nil
		}
		if l.p.arrived {
			if err := l.pass(); err != nil {
				return nil, err
			}
			continue
		}
		t, h, err := l.legOf(tid)
		if err != nil {
			return nil, err
		}
		var hit *Hit
		switch h {
		case haltCount:
			if w.begins(l.p, t) {
				return l.stop(StopStep), nil
			}
			t.told = false
		case haltPython:
			hit = l.p.judge(l.p.hit)
			if hit == nil && t.TID == tid && w.begins(l.p, t) {
				return l.stop(StopStep), nil
			}
		case haltBreak:
			hit = l.p.judge(l.p.atNative(t))
		case haltWatch:
			return l.stop(StopWatch), nil
		}
		if hit != nil {
			st := l.stop(StopBreak)
			st.Hit = hit
			return st, nil
		}
	}
	return l.stop(StopEnd), nil
}

// reverseStep goes back to where the thread last began a line before here.
func (l *timeline) reverseStep() (*Stop, error) {
	t := l.thread()
	if t == nil {
		// At the end: the last event's thread.
		return l.reverse(nil)
	}
	tid, here := t.TID, l.here()
	if _, err := l.pyStack(); errors.Is(err, ErrUncounted) {
		return nil, err
	}
	for back := uint64(100); ; back *= 8 {
		count := here.Instr - min(here.Instr, back)
		if err := l.toCount(count); err != nil {
			return nil, err
		}
		if l.here().compare(here) >= 0 {
			if err := l.back(0); err != nil {
				return nil, err
			}
		}
		l.quiet(true)
		var last *Point
		err := l.walkLines(tid, here, func(pt Point) { last = &pt })
		l.quiet(false)
		if err != nil {
			return nil, err
		}
		if last != nil {
			if err := l.seek(*last); err != nil {
				return nil, err
			}
			return l.stop(StopStep), nil
		}
		if count == 0 {
			if err := l.back(0); err != nil {
				return nil, err
			}
			return l.stop(StopStart), nil
		}
	}
}

// legOf goes one leg, of one instruction where the thread tid runs, and says whose it was.
func (l *timeline) legOf(tid int32) (*Thread, halt, error) {
	limit := noLimit
	t := l.thread()
	if t != nil && t.TID == tid && l.p.cell != 0 {
		limit = l.p.counted + 1
	}
	h, err := l.leg(limit, false)
	return t, h, err
}

// walkLines goes on to a point and calls f wherever the thread begins a line
// before it.
func (l *timeline) walkLines(tid int32, to Point, f func(Point)) error {
	w := l.watchLines()
	for !l.atEnd() && !l.reached(&to) {
		if l.interrupt != nil && l.interrupt() {
			return errInterrupted
		}
		if l.p.arrived {
			if err := l.pass(); err != nil {
				return err
			}
			continue
		}
		t, h, err := l.legOf(tid)
		if err != nil {
			return err
		}
		if h == haltCount && w.begins(l.p, t) {
			if pt := l.here(); pt.compare(to.base()) < 0 {
				f(pt)
			}
		}
	}
	return nil
}

// NextLine runs to the next line of the current Python function.
func (x *Session) NextLine() (*Stop, error) { return x.travel((*timeline).nextLine) }

// StepLine runs to the next line of Python of the thread, in any function.
func (x *Session) StepLine() (*Stop, error) { return x.travel((*timeline).stepLine) }

// Finish runs until the current Python function has returned.
func (x *Session) Finish() (*Stop, error) { return x.travel((*timeline).finish) }

// ReverseNextLine goes back by a line of the current Python function.
func (x *Session) ReverseNextLine() (*Stop, error) { return x.travel((*timeline).reverseNext) }

// ReverseStepLine goes back by a line of Python of the thread.
func (x *Session) ReverseStepLine() (*Stop, error) { return x.travel((*timeline).reverseStep) }

// ReverseFinish goes back to the call of the current Python function.
func (x *Session) ReverseFinish() (*Stop, error) { return x.travel((*timeline).reverseFinish) }
