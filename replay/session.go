package replay

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"pyrr/internal/headroom"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// errNothing is said of what a recorder left that was killed as it began.
var errNothing = errors.New("there is nothing to replay in the recording: the recorder was killed before it had written an event, or is still at work")

// Session travels through one process of a recording at a time, forwards and
// backwards. Its methods may be called from any goroutine, one at a time but
// for Interrupt; the work is done on the one thread that traces.
type Session struct {
	jobs  chan func()
	gone  chan struct{}
	s     *session
	lines map[int]*timeline
	l     *timeline
	stopf atomic.Bool

	// Index says of each event of the current process where it is.
	index map[int][]EventPlace
}

// EventPlace is where an event is, without a replay.
type EventPlace struct {
	Instr uint64
	TID   int32
	Kind  recording.Kind
	Nr    int32
}

// Open begins a session on a recording, at the start of its first process.
func Open(rec *recording.Recording, o Options) (*Session, error) {
	x := &Session{jobs: make(chan func()), gone: make(chan struct{}), lines: map[int]*timeline{}, index: map[int][]EventPlace{}}
	began := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread goes with its tracees
		pinHere()
		if err := headroom.ReplayThreads(); err != nil {
			began <- err
			return
		}
		unattend, err := ptrace.Attend(100 * time.Millisecond)
		if err != nil {
			began <- err
			return
		}
		defer unattend()
		defer close(x.gone)
		x.s = &session{o: o, rec: rec, forks: map[forkKey]*stubChild{}, opened: opened{files: map[recording.FileID]int{}}, xstate: make([]byte, 1<<14)}
		x.s.breaks = breakpoints{list: slices.Clone(o.Breaks), gen: 1}
		x.s.o.OnHit, x.s.o.OnEvent = nil, nil
		if x.s.procs, err = rec.Procs(); err == nil && len(x.s.procs) == 0 {
			err = errNothing
		}
		if err == nil {
			err = x.s.loadFiles()
		}
		defer x.s.close()
		x.s.watch = newWatchdog(memoryLimit(rec))
		defer x.s.watch.stop()
		began <- err
		if err != nil {
			return
		}
		for f := range x.jobs {
			f()
		}
		for _, l := range x.lines {
			l.close()
		}
	}()
	if err := <-began; err != nil {
		return nil, err
	}
	if err := x.Select(x.s.procs[0].ID); err != nil {
		x.Close()
		return nil, err
	}
	return x, nil
}

// do runs f on the tracing thread.
func (x *Session) do(f func() error) error {
	done := make(chan error, 1)
	x.jobs <- func() { done <- f() }
	return <-done
}

// Close ends the session and its processes.
func (x *Session) Close() error {
	close(x.jobs)
	<-x.gone
	return nil
}

// Interrupt makes a method that is under way stop soon.
func (x *Session) Interrupt() { x.stopf.Store(true) }

// Procs lists the processes of the recording.
func (x *Session) Procs() []recording.Process { return x.s.procs }

// Select makes a process the current one; it stands where it was left.
func (x *Session) Select(id int) error {
	return x.do(func() error {
		l := x.lines[id]
		if l == nil {
			var err error
			if l, err = newTimeline(x.s, id); err != nil {
				return err
			}
			l.interrupt = x.stopf.Load
			x.lines[id] = l
		}
		x.l = l
		return nil
	})
}

// Proc describes the current process.
func (x *Session) Proc() recording.Process { return x.l.p.Info }

// With calls f with the process as it stands. The process must not be kept.
func (x *Session) With(f func(p *Process, current *Thread) error) error {
	return x.do(func() error {
		if err := x.l.p.flush(nil); err != nil {
			return err
		}
		return f(x.l.p, x.l.thread())
	})
}

// Point returns the place where the process stands.
func (x *Session) Point() Point {
	var pt Point
	x.do(func() error { pt = x.l.here(); return nil })
	return pt
}

// Memory reads the process as it stands.
func (x *Session) Memory() mem.Reader { return sessionMemory{x} }

type sessionMemory struct{ x *Session }

func (m sessionMemory) ReadAt(b []byte, addr uint64) error {
	return m.x.With(func(p *Process, _ *Thread) error { return p.Mem().ReadAt(b, addr) })
}

// ThreadState is a thread as it stands.
type ThreadState struct {
	TID     int32
	Current bool // it runs next
	Regs    linux.Regs
	XState  []byte
	// Call is the system call that it is in, nil for none.
	Call *recording.Event
	// NextInstr is the bytecode instruction that it is about to run, where it
	// stands at a dispatch; Regs.PC() is then the code of the instruction.
	NextInstr uint64
}

// Threads lists the threads of the process.
func (x *Session) Threads() ([]ThreadState, error) {
	var out []ThreadState
	err := x.With(func(p *Process, cur *Thread) error {
		for id, t := range p.threads {
			st := ThreadState{TID: id, Current: t == cur, Regs: t.regs, NextInstr: p.NextInstr(t)}
			st.Regs.SetPC(p.PC(t))
			switch {
			case t.enter.Kind != 0:
				ev := t.enter
				st.Call = &ev
			case t == cur && p.arrived && (p.next.Kind == recording.KindSyscall || p.next.Kind == recording.KindEnter):
				ev := p.next
				st.Call = &ev
			}
			b, err := ptrace.GetXState(t.tid, p.s.xstate)
			if err != nil {
				return fmt.Errorf("read the extended registers of thread %d: %w", id, err)
			}
			st.XState = slices.Clone(b)
			out = append(out, st)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b ThreadState) int { return int(a.TID) - int(b.TID) })
	return out, err
}

// PC returns where a thread is in the program's code: where it stands at a
// dispatch, the code of the instruction that it is about to run.
func (p *Process) PC(t *Thread) uint64 {
	if p.atDispatch(t) && p.readStubs() == nil {
		if to := p.hooks.targets[(t.regs.PC()-p.stubs)/stubSize]; to != 0 {
			return to
		}
	}
	return t.regs.PC()
}

// SetBreaks replaces the breakpoints.
func (x *Session) SetBreaks(list []*Break) {
	x.do(func() error {
		x.s.breaks.list = slices.Clone(list)
		x.s.breaks.gen++
		return nil
	})
}

// SetWatches replaces the watched memory, at most four ranges.
func (x *Session) SetWatches(ws []Watch) error {
	if len(ws) > maxWatches {
		return errors.New("the processor watches four places at most")
	}
	for _, w := range ws {
		if !slices.Contains([]int{1, 2, 4, 8}, w.Len) || w.Addr%uint64(w.Len) != 0 {
			return fmt.Errorf("the processor can't watch %d bytes at %#x", w.Len, w.Addr)
		}
	}
	return x.do(func() error { x.l.setWatches(ws); return nil })
}

// travel runs f, which moves the process.
func (x *Session) travel(f func(l *timeline) (*Stop, error)) (*Stop, error) {
	var st *Stop
	x.stopf.Store(false)
	err := x.do(func() error {
		var err error
		st, err = f(x.l)
		if errors.Is(err, errInterrupted) {
			st, err = x.l.stop(StopInterrupted), nil
		}
		return err
	})
	return st, err
}

// Continue runs to the next breakpoint, or to the next event that stopAt
// picks, or to the end.
func (x *Session) Continue(stopAt func(*recording.Event) bool) (*Stop, error) {
	return x.travel(func(l *timeline) (*Stop, error) { return l.run(nil, stopAt) })
}

// Each runs to the end, or to the next breakpoint, and calls f before each event with the
// process as it stands then, which must not be kept.
func (x *Session) Each(f func(*Process, *recording.Event)) (*Stop, error) {
	return x.travel(func(l *timeline) (*Stop, error) {
		return l.run(nil, func(ev *recording.Event) bool { f(l.p, ev); return false })
	})
}

// ReverseContinue goes back to the last breakpoint before here, or the last
// event that stopAt picks, or to the start.
func (x *Session) ReverseContinue(stopAt func(*recording.Event) bool) (*Stop, error) {
	return x.travel(func(l *timeline) (*Stop, error) { return l.reverse(stopAt) })
}

// Goto goes to a point where the session was before.
func (x *Session) Goto(pt Point) (*Stop, error) {
	return x.travel(func(l *timeline) (*Stop, error) {
		pt.Event = max(pt.Event, 1)
		if err := l.seek(pt); err != nil {
			return nil, err
		}
		return l.stop(StopStep), nil
	})
}

// RunTo goes to a position, past all breakpoints: to the dispatch that makes
// the count pos.Instr on the way to event pos.Event, or where the event comes
// first, to the event.
func (x *Session) RunTo(pos recording.Pos) (*Stop, error) {
	return x.travel(func(l *timeline) (*Stop, error) {
		pt := Point{Pos: pos}
		pt.Event = max(pt.Event, 1)
		if ix, err := x.places(); err == nil && pt.Event < uint64(len(ix)) && ix[pt.Event].Instr <= pt.Instr {
			pt.At = true
			pt.Instr = ix[pt.Event].Instr
		}
		if err := l.seek(pt); err != nil {
			return nil, err
		}
		return l.stop(StopStep), nil
	})
}

// ToCount goes to the first place where so many instructions have been
// executed.
func (x *Session) ToCount(n uint64) (*Stop, error) {
	return x.travel(func(l *timeline) (*Stop, error) {
		if err := l.toCount(n); err != nil {
			return nil, err
		}
		return l.stop(StopStep), nil
	})
}

// StepInstr executes one machine instruction of the current thread.
func (x *Session) StepInstr() (*Stop, error) {
	return x.travel(func(l *timeline) (*Stop, error) {
		if l.p.arrived {
			if l.atEnd() {
				return l.stop(StopEnd), nil
			}
			return l.stop(StopStep), l.pass()
		}
		if l.atEnd() {
			return l.stop(StopEnd), nil
		}
		l.quiet(false)
		if _, err := l.stepi(); err != nil {
			return nil, err
		}
		return l.stop(StopStep), nil
	})
}

// ReverseStepInstr undoes one machine instruction.
func (x *Session) ReverseStepInstr() (*Stop, error) {
	return x.travel(func(l *timeline) (*Stop, error) { return l.reverseStepi() })
}

// places indexes the events of the current process.
func (x *Session) places() ([]EventPlace, error) {
	id := x.l.id
	if ix, ok := x.index[id]; ok {
		return ix, nil
	}
	it, err := x.s.rec.Events(id)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var ix []EventPlace
	var ev recording.Event
	for it.Next(&ev) == nil {
		ix = append(ix, EventPlace{ev.Instr, ev.TID, ev.Kind, ev.Nr})
	}
	x.index[id] = ix
	return ix, nil
}

// Places lists where the events of the current process are, by number.
func (x *Session) Places() ([]EventPlace, error) {
	var ix []EventPlace
	err := x.do(func() error {
		var err error
		ix, err = x.places()
		return err
	})
	return ix, err
}

// Next returns the event that the current thread is on its way to, or has
// reached; nil at the end.
func (x *Session) Next() *recording.Event {
	var ev *recording.Event
	x.do(func() error {
		if x.l.p.have {
			e := x.l.p.next
			ev = &e
		}
		return nil
	})
	return ev
}

// AtEnd says that the recording of the process ends here.
func (x *Session) AtEnd() bool {
	end := false
	x.do(func() error { end = x.l.atEnd(); return nil })
	return end
}

// Checkpoints returns where the session can go back to at once.
func (x *Session) Checkpoints() []Point {
	var out []Point
	x.do(func() error {
		for _, c := range x.l.points {
			out = append(out, c.at)
		}
		return nil
	})
	return out
}

// Keep makes a checkpoint here.
func (x *Session) Keep() error { return x.do(func() error { return x.l.keep() }) }
