package stackwalk

import (
	"maps"
	"slices"
	"time"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/pystate"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// Bounds of the way back to where an exception was raised, and of that from there. On a
// machine that is busy all takes longer: they are at least so many times what the replay
// that made the index took.
const (
	maxToRaise  = 5 * time.Second
	maxFromCall = 3 * time.Second
	timesReplay = 5
	maxTouches  = 20_000 // stops at the watched words
)

// raised goes back, where the facts of a process are about an exception, to where that
// was raised: reads the variables there, and follows each to where it was changed last.
// It goes through the recording once more, for which the replay before it took so long.
// What can't be found is left out.
func raised(rec *recording.Recording, facts map[int]*hang.Facts, took, busy time.Duration) {
	for _, id := range slices.Sorted(maps.Keys(facts)) {
		if f := facts[id]; f != nil && f.Raised != nil && len(f.Raised.Frames) > 0 && f.Raised.Addr != 0 {
			x, err := replay.Open(rec, replay.Options{Returns: true})
			if err != nil {
				return
			}
			defer x.Close()
			b := backwards{x: x, r: f.Raised, took: took, busy: busy}
			if x.Select(id) == nil && b.toRaise() {
				b.changes()
			}
			return // one exception is what ended the run
		}
	}
}

// backwards is the way back from an exception.
type backwards struct {
	x     *replay.Session
	r     *hang.Raised
	tid   int32         // the thread that raised it
	took  time.Duration // the replay of the whole recording
	busy  time.Duration // how many times longer all takes: load.busyness
	until time.Time
	all   []pystate.Followed
}

// raisedHere is the condition that a thread raises an exception where its traceback
// begins.
type raisedHere struct{ r *hang.Raised }

func (c raisedHere) Holds(h *replay.Hit) bool {
	f := &c.r.Frames[0]
	if h.Code == nil || h.Exception == nil || h.Code.File != f.File || h.Line != f.Line || h.Code.Func != f.Func {
		return false
	}
	// Up to 3.11 what C code raises is made an object later.
	return h.Exception.Addr == c.r.Addr || h.Exception.Text == h.Exception.Type
}

// raise is a breakpoint there. The file goes first, since an exception's class takes longer to
// read than a frame, and nearly all exceptions are raised elsewhere.
func (b *backwards) raise() []*replay.Break {
	return []*replay.Break{{Kind: replay.BreakRaise, Name: b.r.Type, File: b.r.Frames[0].File, Cond: raisedHere{b.r}}}
}

// within does something that travels, and interrupts it when its time is over.
func (b *backwards) within(f func() (*replay.Stop, error)) (*replay.Stop, bool) {
	left := time.Until(b.until)
	if left <= 0 {
		return nil, false
	}
	late := time.AfterFunc(left, b.x.Interrupt)
	defer late.Stop()
	st, err := f()
	return st, err == nil && st.Kind != replay.StopInterrupted
}

// toRaise goes to where the exception is raised, and reads the variables there.
func (b *backwards) toRaise() (found bool) {
	defer func() {
		if recover() != nil {
			found = false
		}
	}()
	if !b.toEnd(b.r.Event) {
		return false
	}
	b.x.SetBreaks(b.raise())
	st, ok := b.within(func() (*replay.Stop, error) { return b.x.ReverseContinue(nil) })
	b.x.SetBreaks(nil)
	if !ok || st.Kind != replay.StopBreak {
		return false
	}
	b.tid = st.TID
	b.python(func(p *replay.Process, t *replay.Thread, rt *cpython.Runtime, pt cpython.Thread) {
		b.all = pystate.AtRaise(rt, p.Mem(), pt, p.NextInstr(t), b.r)
		b.r.At = &hang.Point{Event: st.Point.Event, Instr: st.Point.Instr}
	})
	return b.r.At != nil
}

// python calls f, where the session stands, with the thread and its interpreter's state of it.
func (b *backwards) python(f func(*replay.Process, *replay.Thread, *cpython.Runtime, cpython.Thread)) {
	_ = b.x.With(func(p *replay.Process, t *replay.Thread) error {
		rt, err := p.Runtime()
		if err != nil || t == nil {
			return err
		}
		pt, err := p.PyThread(t)
		if err == nil {
			f(p, t, rt, pt)
		}
		return err
	})
}

// toEnd goes to an event, 0 for the last one.
func (b *backwards) toEnd(event uint64) bool {
	b.until = time.Now().Add(max(b.busy*maxToRaise, timesReplay*b.took))
	places, err := b.x.Places()
	if err != nil || len(places) == 0 {
		return false
	}
	end := recording.Pos{Event: uint64(len(places) - 1), Instr: 1 << 62}
	if event > 0 && event < end.Event {
		end = recording.Pos{Event: event, Instr: places[event].Instr}
	}
	_, ok := b.within(func() (*replay.Stop, error) { return b.x.RunTo(end) })
	return ok
}

// changes finds where the values that are followed were changed last: the way from the
// call of the outermost of the program's functions to the raise is gone once more for
// every four of them, which is as many as the processor watches.
func (b *backwards) changes() {
	defer func() { _ = recover() }() // what was found by then stays
	b.until = time.Now().Add(max(b.busy*maxFromCall, timesReplay*b.took))
	raise := b.x.Point()
	if len(b.all) == 0 || !b.toCall() {
		return
	}
	call := b.x.Point()
	for n := 0; n < len(b.all); n += 4 {
		if n > 0 {
			if _, ok := b.within(func() (*replay.Stop, error) { return b.x.Goto(call) }); !ok {
				return
			}
		}
		few := b.all[n:min(n+4, len(b.all))]
		if !b.watch(few, raise) {
			return
		}
		for k := range few {
			b.keep(&few[k])
		}
	}
}

// frameIs is the condition that a function is called with a frame.
type frameIs struct{ f *pystate.Followed }

func (c frameIs) Holds(h *replay.Hit) bool {
	frames, _ := h.Process.PyFrames(h.Thread, 1)
	return c.f.In(frames)
}

// toCall goes back to where the outermost of the frames was called.
func (b *backwards) toCall() bool {
	outer := &b.all[len(b.all)-1]
	f := &b.r.Frames[outer.Frame]
	b.x.SetBreaks([]*replay.Break{{Kind: replay.BreakCall, File: f.File, Func: f.Func, Cond: frameIs{outer}}})
	st, ok := b.within(func() (*replay.Stop, error) { return b.x.ReverseContinue(nil) })
	b.x.SetBreaks(nil)
	return ok && st.Kind == replay.StopBreak
}

// watch goes from the call to the raise and notes the changes of a few values.
func (b *backwards) watch(few []pystate.Followed, raise replay.Point) bool {
	watches := make([]replay.Watch, len(few))
	for k := range few {
		watches[k] = replay.Watch{Addr: few[k].At, Len: 8}
	}
	if b.x.SetWatches(watches) != nil {
		return false
	}
	b.x.SetBreaks(b.raise())
	defer func() {
		b.x.SetBreaks(nil)
		_ = b.x.SetWatches(nil)
	}()
	m := b.x.Memory()
	for k := range few {
		few[k].Begin(m)
	}
	for range maxTouches {
		st, ok := b.within(func() (*replay.Stop, error) { return b.x.Continue(nil) })
		switch {
		case !ok || st.Point.Event > raise.Event:
			return false
		case st.Kind == replay.StopWatch:
			b.touched(few, st)
		case st.Kind != replay.StopBreak:
			return false
		case st.Point.Pos == raise.Pos:
			return true
		}
	}
	return false
}

// touched notes which of the values an instruction changed, behind which the session
// stands.
func (b *backwards) touched(few []pystate.Followed, st *replay.Stop) {
	_ = b.x.With(func(p *replay.Process, t *replay.Thread) error {
		var here, frames []cpython.Frame
		var change *hang.Change
		for k := range few {
			f := &few[k]
			if !f.Touched(p.Mem()) {
				continue
			}
			if here == nil && t != nil {
				here, _ = p.PyFrames(t, 0)
				frames = here
				if u := p.Threads()[b.tid]; u != nil && u != t {
					frames, _ = p.PyFrames(u, 0)
				}
				change = b.change(p, t, here, st)
			}
			f.Changed(change, f.In(frames))
		}
		return nil
	})
}

// change is where a thread stands, in the program's own code where it is in that.
func (b *backwards) change(p *replay.Process, t *replay.Thread, frames []cpython.Frame, st *replay.Stop) *hang.Change {
	if len(frames) == 0 {
		return nil
	}
	at := &frames[0]
	for k := range frames {
		if !hang.Library(frames[k].File) && frames[k].Line > 0 {
			at = &frames[k]
			break
		}
	}
	out := &hang.Change{Point: hang.Point{Event: st.Point.Event, Instr: st.Point.Instr}, Where: hang.Frame{Func: at.Func, File: at.File, Line: at.Line},
		Passed: frames[0].Line == 0} // a function's first instructions, which make cells of arguments, have no line
	if t.TID != b.tid {
		if pt, err := p.PyThread(t); err == nil {
			out.Thread = pt.Name
		}
	}
	return out
}

// keep notes the last change of a value, if there was one on the way. Where the word
// lies elsewhere a moment before, as that of a dict that grew, it is not known.
func (b *backwards) keep(f *pystate.Followed) {
	c := f.Last
	if c == nil {
		return
	}
	if !f.Local() && !f.Size {
		if _, ok := b.within(func() (*replay.Stop, error) { return b.x.RunTo(recording.Pos{Event: c.Event, Instr: c.Instr}) }); !ok {
			return
		}
		moved := true
		_ = b.x.With(func(p *replay.Process, _ *replay.Thread) error {
			rt, err := p.Runtime()
			if err == nil {
				moved = f.Same(rt, p.Mem())
			}
			return err
		})
		if moved {
			return
		}
	}
	v := &b.r.Frames[f.Frame].Vars[f.Var]
	if f.Size {
		v.Grown = c
	} else {
		v.Set = c
	}
	if v.Set != nil && v.Grown != nil && v.Grown.Instr <= v.Set.Instr {
		v.Grown = nil // it was made so
	}
}
