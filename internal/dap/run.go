package dap

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-dap"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// run is a move of the process that was asked for.
type run struct {
	kind  string // continue, reverseContinue, next, …
	tid   int    // of steps
	back  bool
	where string  // of goto and command
	m     message // that is answered behind it, for those
	from  replay.Point
	text  string // what a command printed
}

// plain says that it can be stopped and gone on with, as if nothing was.
func (r *run) plain() bool { return r.kind == "continue" || r.kind == "reverseContinue" }

// arrival is the end of a run.
type arrival struct {
	run *run
	st  *replay.Stop
	err error
	exc *raised // the exception that it stopped for
}

// run begins a move; what it comes to is in done.
func (s *Server) run(r *run) {
	r.from = s.x.Point()
	if r.kind != "command" {
		s.refs.clear()
	}
	s.why = nil
	s.running, s.last, s.goOn = true, r, false
	live := !r.back && r.kind != "goto" && r.kind != "command"
	s.output.going(live)
	s.bps.live = live
	go func() {
		a := arrival{run: r}
		a.st, a.err = s.travel(r)
		if a.err == nil && a.st != nil && a.st.Hit != nil {
			a.st, a.exc, a.err = s.bps.raisedAt(s.x, a.st)
		}
		s.done <- a
	}()
}

// stopRunning waits until nothing moves any more.
func (s *Server) stopRunning() {
	for s.running {
		// Again and again, since one may come just before a move begins.
		s.x.Interrupt()
		select {
		case <-s.done:
			s.running = false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// travel moves the process; it runs beside the loop that serves the editor.
func (s *Server) travel(r *run) (*replay.Stop, error) {
	x := s.x
	switch r.kind {
	case "continue":
		return x.Continue(nil)
	case "reverseContinue":
		return x.ReverseContinue(nil)
	case "entry":
		return s.entry()
	case "restart":
		if _, err := x.Goto(replay.Point{Pos: recording.Pos{Event: 1}}); err != nil {
			return nil, err
		}
		return s.entry()
	case "goto":
		return s.here(), s.t.Goto(r.where)
	case "command":
		r.text = s.t.Command(r.where)
		return s.here(), nil
	}
	if st, err := s.toThread(r); err != nil || st != nil {
		return st, err
	}
	// Where there is no frame to stay in, or to return to, it takes any line.
	step, outermost := x.NextLine, x.StepLine
	switch r.kind {
	case "stepIn":
		step = x.StepLine
	case "stepOut":
		step = x.Finish
		outermost = func() (*replay.Stop, error) { return x.Continue(nil) }
	case "stepBack":
		step, outermost = x.ReverseNextLine, x.ReverseStepLine
	}
	if depth, err := s.depth(); err == nil && (depth == 0 || depth == 1 && r.kind == "stepOut") {
		step = outermost
	}
	return step()
}

// here is a stop at the place where the process stands.
func (s *Server) here() *replay.Stop {
	st := &replay.Stop{Kind: replay.StopStep, Point: s.x.Point()}
	if ev := s.x.Next(); ev != nil {
		st.TID = ev.TID
	}
	return st
}

// depth counts the Python frames of the thread that runs next: 0, 1, or 2 for
// more.
func (s *Server) depth() (int, error) {
	n := 0
	err := s.x.With(func(p *replay.Process, cur *replay.Thread) error {
		if cur == nil {
			return nil
		}
		frames, err := p.PyFrames(cur, 2)
		n = len(frames)
		if errors.Is(err, replay.ErrNoPython) {
			err = nil
		}
		return err
	})
	return n, err
}

// toThread runs until the thread to be stepped is the one that runs next. It
// returns a stop where something else came first.
func (s *Server) toThread(r *run) (*replay.Stop, error) {
	tid := int32(r.tid)
	there := false
	if err := s.x.With(func(p *replay.Process, cur *replay.Thread) error {
		there = cur == nil || cur.TID == tid || p.Threads()[tid] == nil
		return nil
	}); err != nil || there {
		return nil, err
	}
	move := s.x.Continue
	if r.back {
		move = s.x.ReverseContinue
	}
	st, err := move(func(ev *recording.Event) bool { return ev.TID == tid })
	if err == nil && st.Kind == replay.StopEvent {
		return nil, nil
	}
	return st, err
}

// begin is the first move, when all breakpoints are known.
func (s *Server) begin() { s.run(&run{kind: "entry"}) }

func (s *Server) restart() { s.run(&run{kind: "restart", back: true}) }

// entry runs to the first line of the program, or to its first breakpoint.
func (s *Server) entry() (*replay.Stop, error) {
	if stop := s.launch.StopOnEntry; stop != nil && !*stop {
		return s.x.Continue(nil)
	}
	if n, err := s.depth(); err == nil && n > 0 {
		return s.here(), nil // the recording begins in its midst
	}
	first := &replay.Break{Kind: replay.BreakCall, Func: "<module>", Cond: firstModule{}}
	all := s.bps.breaks()
	s.x.SetBreaks(append(slices.Clone(all), first))
	st, err := s.x.Continue(nil)
	s.x.SetBreaks(all)
	switch {
	case err != nil || st.Kind == replay.StopInterrupted:
		return st, err
	case st.Kind == replay.StopEnd:
		// There is no such program: it begins where the recording does.
		st, err := s.x.Goto(replay.Point{Pos: recording.Pos{Event: 1}})
		if err == nil {
			st.Kind = replay.StopStart
		}
		return st, err
	case len(st.Hit.Breaks) == 1 && st.Hit.Breaks[0] == first:
		return s.x.NextLine()
	}
	st.Hit.Breaks = slices.DeleteFunc(st.Hit.Breaks, func(b *replay.Break) bool { return b == first })
	return st, nil
}

// outsideLibraries is a condition: the code is the program's own.
type outsideLibraries struct{}

func (outsideLibraries) Holds(h *replay.Hit) bool {
	return h.Code != nil && !stack.IsLibrary(h.Code.File)
}

// firstModule is a condition: the code is the program's own, not what a .pth
// file of the standard library's site has executed.
type firstModule struct{}

func (firstModule) Holds(h *replay.Hit) bool {
	if h.Code == nil || stack.IsLibrary(h.Code.File) {
		return false
	}
	if !strings.HasPrefix(h.Code.File, "<") {
		return true
	}
	frames, err := h.Process.PyFrames(h.Thread, 2)
	return err == nil && len(frames) == 1
}

// arrived tells the editor where a run has come to.
func (s *Server) arrived(a arrival) {
	s.running = false
	again := s.goOn && a.err == nil && a.st.Kind == replay.StopInterrupted
	s.goOn = false
	held := s.held
	s.held = nil
	for i := range held {
		if err := s.handle(&held[i]); err != nil {
			s.refuse(&held[i], err)
		}
	}
	if again {
		s.run(&run{kind: a.run.kind, back: a.run.back})
		return
	}
	if a.err != nil {
		if d := (*replay.Divergence)(nil); errors.As(a.err, &d) || replay.Damaged(a.err) {
			s.fail(a.err)
			return
		}
		switch a.run.kind {
		case "goto", "command":
			s.refuse(&a.run.m, a.err)
		default:
			s.say("stderr", "%v\n", a.err)
		}
		a.st, a.err = s.here(), nil
	} else if a.run.kind == "goto" {
		resp := a.run.m.answer()
		s.send(&resp)
	} else if a.run.kind == "command" {
		r := &dap.EvaluateResponse{Response: a.run.m.answer()}
		r.Body.Result = a.run.text
		s.send(r)
		s.x.SetBreaks(s.bps.breaks()) // it may have set its own
		if a.st.Point.Same(a.run.from) {
			return
		}
		s.refs.clear()
	}
	s.output.at(a.st.Point.Event)
	s.stopped(&a)
}

// stopped tells of threads that came and went, and of the stop.
func (s *Server) stopped(a *arrival) {
	s.why = a
	s.tellThreads()
	e := &dap.StoppedEvent{Event: event("stopped")}
	b := &e.Body
	b.AllThreadsStopped = true
	b.ThreadId = s.threadID(a.st.TID)
	b.Reason = "step"
	switch a.run.kind {
	case "entry", "restart":
		b.Reason = "entry"
	case "goto", "command":
		b.Reason = "goto"
	}
	switch a.st.Kind {
	case replay.StopBreak:
		s.bps.describe(a, b)
	case replay.StopEnd:
		b.Reason, b.Description = "end", "The recording ends here"
	case replay.StopStart:
		b.Reason, b.Description = "start", "The recording begins here"
	case replay.StopInterrupted:
		b.Reason = "pause"
	}
	if b.Description == "" {
		b.Description = fmt.Sprintf("Paused at instruction %d (%s)", a.st.Point.Instr, b.Reason)
	}
	s.send(e)
}

// threadID makes the number that the editor knows a thread by; at the end of
// the recording there may be none, and the first one stands for it.
func (s *Server) threadID(tid int32) int {
	if tid == 0 {
		tid = int32(s.x.Proc().PID)
	}
	return int(tid)
}

// tellThreads sends an event for each thread that is new or gone.
func (s *Server) tellThreads() {
	now := map[int32]bool{}
	// A thread that can't be read is not told of.
	_ = s.x.With(func(p *replay.Process, _ *replay.Thread) error {
		for tid := range p.Threads() {
			now[tid] = true
		}
		return nil
	})
	tell := func(tid int32, reason string) {
		e := &dap.ThreadEvent{Event: event("thread")}
		e.Body.Reason, e.Body.ThreadId = reason, int(tid)
		s.send(e)
	}
	for tid := range now {
		if !s.known[tid] {
			tell(tid, "started")
		}
	}
	for tid := range s.known {
		if !now[tid] {
			tell(tid, "exited")
		}
	}
	s.known = now
}
