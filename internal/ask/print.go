package ask

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// The kinds of hits.
const (
	KindLine    = "line"
	KindCall    = "call"
	KindReturn  = "return"
	KindRaise   = "raise"
	KindSyscall = "syscall"
)

// Hit is a place that was passed.
type Hit struct {
	Moment
	Kind   string
	Native bool // of a function of C's
	Values []Value
	// Args are a call's arguments, where no expressions were asked for.
	Args []Value
	// Text is what a return gives back, the exception of a raise, a system call.
	Text string
}

// PrintOptions say what is printed, and where.
type PrintOptions struct {
	// Exprs are expressions with commas between, "" for none.
	Exprs string
	// If, when not "", is an expression that must hold.
	If string
	// Thread is a thread's id or name, Test the id of a test, Process a number or
	// pid; "" and 0 for any.
	Thread, Test string
	Process      int
	// First ends after so many hits, Last hands on only the last ones; 0 for all.
	First, Last int
	// Describe says what a system call does.
	Describe func(ev, enter *recording.Event) string
	// Replaying is called before a replay begins.
	Replaying func()
	// Progress is told how far the replay of a process has come.
	Progress func(proc int, instr uint64)
}

// Printed is what a print came to.
type Printed struct {
	Hits uint64
	// Failed says why the condition could not be evaluated where it could not, ""
	// for nowhere.
	Failed string
	// Compiled says that code ran in which nothing is found: see replay.Result.
	Compiled bool
}

// printer is a print that goes on.
type printer struct {
	*asked
	o     *PrintOptions
	place *Place
	exprs []*expr
	cond  *expr
	c     *native
	test  *span
	out   func(*Hit) error
	kept  []*Hit // of Last
	done  Printed
	names map[nameKey]string
}

type nameKey struct {
	proc int
	tid  int32
}

// Print hands each hit of a place to out, in the order of the replay. The error
// of out ends it.
func Print(rec *recording.Recording, place *Place, o PrintOptions, out func(*Hit) error) (Printed, error) {
	a, err := newAsked(rec)
	if err != nil {
		return Printed{}, err
	}
	p := &printer{asked: a, o: &o, place: place, out: out, c: newNative(rec), names: map[nameKey]string{}}
	if p.exprs, err = parseExprs(o.Exprs); err != nil {
		return Printed{}, &UsageError{err}
	}
	if o.If != "" {
		if p.cond, err = parseExpr(o.If); err != nil {
			return Printed{}, &UsageError{err}
		}
	}
	if o.Test != "" {
		if p.test, err = a.testSpan(o.Test); err != nil {
			return Printed{}, &UsageError{err}
		}
	}
	if sum, ok := rec.Summary(); ok && sum.Instructions == 0 && place.python() {
		return Printed{}, errors.New("no instructions were counted in this recording, so functions and lines can't be found (pyrr doctor says why)")
	}
	if len(place.calls) > 0 && len(p.exprs) == 0 && p.cond == nil && a.index != nil {
		err = p.fromLog()
	} else {
		err = p.replayed()
	}
	if err != nil && !errors.Is(err, errEnough) {
		return p.done, err
	}
	for _, h := range p.kept {
		if err := out(h); err != nil {
			return p.done, err
		}
	}
	return p.done, nil
}

// UsageError says that a question was put wrongly.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }

// Unwrap returns what was wrong.
func (e *UsageError) Unwrap() error { return e.err }

// fromLog prints system calls from the log and the index of stacks.
func (p *printer) fromLog() error {
	procs, err := p.rec.Procs()
	if err != nil {
		return err
	}
	for i := range procs {
		info := &procs[i]
		err := logview.Each(p.rec, info, func(_ *logview.Follower, n uint64, ev *recording.Event, step logview.Step) error {
			if !p.place.takes(ev) || !p.wants(info, ev.TID, recording.Pos{Instr: ev.Instr, Event: n}, ev.Time, nil, nil) {
				return nil
			}
			h := &Hit{Kind: KindSyscall, Moment: p.moment(info, ev.TID, recording.Pos{Instr: ev.Instr, Event: n}), Text: p.o.Describe(ev, step.Enter)}
			h.Time, h.Thread = ev.Time, p.name(info.ID, ev.TID, n)
			if st, ok, err := p.index.Stack(info.ID, ev.TID, n); err == nil && ok {
				if f, ok := OwnFrame(st.Frames); ok {
					h.frame(f)
				}
			}
			return p.emit(h)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *printer) moment(info *recording.Process, tid int32, at recording.Pos) Moment {
	return Moment{Process: info.ID, PID: info.PID, TID: tid, Pos: at}
}

// wants says whether thread, process and test are those that were asked for.
// Where the index does not know the thread's name, the process is asked.
func (p *printer) wants(info *recording.Process, tid int32, at recording.Pos, time int64, rp *replay.Process, rt *replay.Thread) bool {
	if p.o.Process != 0 && p.o.Process != info.ID && p.o.Process != info.PID {
		return false
	}
	if p.o.Thread != "" && !isThread(p.o.Thread, tid, p.threadName(info.ID, tid, at.Event, rp, rt)) {
		return false
	}
	return p.test.holds(info.ID, at, time)
}

// threadName is the index's name of a thread, else the one that the process has
// for it.
func (p *printer) threadName(proc int, tid int32, event uint64, rp *replay.Process, t *replay.Thread) string {
	if name := p.name(proc, tid, event); name != "" || rp == nil {
		return name
	}
	key := nameKey{proc, tid}
	if name, ok := p.names[key]; ok {
		return name
	}
	pt, err := rp.PyThread(t)
	if err != nil || pt.Name == "" {
		return ""
	}
	p.names[key] = pt.Name
	return pt.Name
}

func (p *printer) replayed() error {
	if p.o.Replaying != nil {
		p.o.Replaying()
	}
	opts := replay.Options{Breaks: p.place.breaks, OnHit: p.hit, Progress: p.o.Progress}
	if len(p.place.calls) > 0 {
		opts.OnEvent = p.event
		opts.Pass = func(_ int, _ uint64, ev *recording.Event) bool { return !p.place.takes(ev) }
	}
	res, err := replay.Batch(p.rec, opts)
	p.done.Compiled = res != nil && res.Compiled
	return err
}

// event looks at an event that a thread stands at.
func (p *printer) event(rp *replay.Process, t *replay.Thread, ev *recording.Event) error {
	at := recording.Pos{Instr: ev.Instr, Event: rp.Number}
	if t == nil || !p.place.takes(ev) || !p.wants(&rp.Info, ev.TID, at, ev.Time, rp, t) {
		return nil
	}
	h := &Hit{Kind: KindSyscall, Moment: p.moment(&rp.Info, ev.TID, at), Text: p.o.Describe(ev, nil)}
	h.Time, h.Thread = ev.Time, p.threadName(rp.Info.ID, ev.TID, at.Event, rp, t)
	f, ok := ownFrame(rp, t)
	if ok {
		h.frame(&f.Frame)
	}
	return p.finish(h, rp, t, f, ok)
}

// ownFrame is the innermost frame of the program's own Python.
func ownFrame(p *replay.Process, t *replay.Thread) (cpython.Frame, bool) {
	frames, err := p.PyFrames(t, 0)
	if err != nil && len(frames) == 0 {
		return cpython.Frame{}, false
	}
	i := slices.IndexFunc(frames, func(f cpython.Frame) bool {
		return f.File != "" && f.File[0] != '<' && !stack.IsLibrary(f.File)
	})
	return frames[max(i, 0)], true
}

// hit looks at a stop at the place.
func (p *printer) hit(h *replay.Hit) error {
	info := &h.Process.Info
	time := p.timeBefore(info.ID, h.Pos.Event)
	if !p.wants(info, h.Thread.TID, h.Pos, time, h.Process, h.Thread) {
		return nil
	}
	f, err := h.Process.TopFrame(h.Thread)
	ok := err == nil
	var done []string
	for _, b := range h.Breaks {
		out := &Hit{Kind: kindOf(b), Moment: p.moment(info, h.Thread.TID, h.Pos)}
		if slices.Contains(done, out.Kind) {
			continue // a breakpoint for each thread, or such
		}
		done = append(done, out.Kind)
		out.Time, out.Thread = time, p.threadName(info.ID, h.Thread.TID, h.Pos.Event, h.Process, h.Thread)
		if h.Code != nil {
			out.File, out.Line, out.Func = h.Code.File, h.Line, h.Code.Func
		}
		if b.Kind == replay.BreakSymbol {
			// The place is the program's line that it comes from.
			if f, ok = ownFrame(h.Process, h.Thread); ok {
				out.frame(&f.Frame)
			}
			out.Func, out.Native = b.Name, true
		}
		if out.Kind == KindRaise && h.Exception != nil {
			out.Text = h.Exception.Text
		}
		if out.Kind == KindReturn && ok {
			if rt, err := h.Process.Runtime(); err == nil {
				v, err := rt.Returned(h.Process.Mem(), f, h.Code, h.Offset)
				if out.Text = v.Text; err != nil {
					out.Text = "<" + err.Error() + ">"
				}
			}
		}
		if err := p.finish(out, h.Process, h.Thread, f, ok); err != nil {
			return err
		}
	}
	return nil
}

func kindOf(b *replay.Break) string {
	switch b.Kind {
	case replay.BreakLine:
		return KindLine
	case replay.BreakReturn:
		return KindReturn
	case replay.BreakRaise:
		return KindRaise
	}
	return KindCall
}

// finish evaluates what was asked for in a frame, and hands the hit on. ok is
// false where there is no frame of Python's.
func (p *printer) finish(h *Hit, rp *replay.Process, t *replay.Thread, f cpython.Frame, ok bool) error {
	at := &spot{p: rp, t: t, frame: f, inC: h.Native, c: p.c}
	if rt, err := rp.Runtime(); err == nil && ok {
		at.rt = rt
	}
	if p.cond != nil {
		is, err := p.cond.holds(at)
		if err != nil {
			p.done.Failed = err.Error()
		}
		if err != nil || !is {
			return nil
		}
	}
	for _, e := range p.exprs {
		h.Values = append(h.Values, e.eval(at))
	}
	if h.Kind == KindCall && len(p.exprs) == 0 {
		h.Args = p.args(h, at)
	}
	return p.emit(h)
}

// args are what a function is called with.
func (p *printer) args(h *Hit, at *spot) []Value {
	if h.Native {
		return p.c.args(at.p, at.t)
	}
	if at.rt == nil {
		return nil
	}
	vars, err := at.rt.Locals(at.p.Mem(), at.frame)
	var out []Value
	for _, v := range vars {
		if v.Arg {
			out = append(out, Value{Expr: v.Name, Text: v.Value})
		}
	}
	if err != nil {
		out = append(out, Value{Expr: "…", Err: err.Error()})
	}
	return out
}

// emit hands a hit on, or keeps it where only the last are wanted.
func (p *printer) emit(h *Hit) error {
	p.done.Hits++
	if n := p.o.Last; n > 0 {
		if len(p.kept) >= n {
			p.kept = append(p.kept[:0], p.kept[1:]...)
		}
		p.kept = append(p.kept, h)
		return nil
	}
	if err := p.out(h); err != nil {
		return err
	}
	if p.o.First > 0 && p.done.Hits >= uint64(p.o.First) {
		return errEnough
	}
	return nil
}

// maxArg bounds what is shown of an argument that nobody asked for.
const maxArg = 60

func brief(s string) string {
	if r := []rune(s); len(r) > maxArg {
		return string(r[:maxArg]) + "…"
	}
	return s
}

// Summary is what the hit shows besides its place, on one line.
func (h *Hit) Summary() string {
	var parts []string
	list := func(vs []Value) {
		for _, v := range vs {
			text := v.Text
			if v.Err != "" {
				text = "<" + v.Err + ">"
			}
			parts = append(parts, v.Expr+" = "+text)
		}
	}
	list(h.Values)
	values := strings.Join(parts, ", ")
	switch h.Kind {
	case KindCall:
		if len(h.Values) > 0 {
			return "call " + h.Func + ": " + values
		}
		parts = nil
		for _, v := range h.Args {
			parts = append(parts, v.Expr+"="+brief(v.Text+v.Err))
		}
		return fmt.Sprintf("call %s(%s)", h.Func, strings.Join(parts, ", "))
	case KindReturn:
		return strings.TrimSuffix(fmt.Sprintf("return %s → %s: %s", h.Func, h.Text, values), ": ")
	case KindRaise:
		return strings.TrimSuffix("raise "+h.Text+": "+values, ": ")
	case KindSyscall:
		return strings.TrimSuffix(h.Text+": "+values, ": ")
	}
	if values == "" {
		return h.Func
	}
	return values
}
