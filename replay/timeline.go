package replay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pyrr/internal/recording"
)

// base is the dispatch or event behind which the point's native code begins.
func (pt Point) base() Point { return Point{Pos: pt.Pos} }

// timeline is the replay of one process that can be gone back in.
type timeline struct {
	s       *session
	id      int
	p       *Process
	points  []*checkpoint // in order
	spacing time.Duration

	// Where the thread is in native code: path as of the last stop, and since
	// then how often it came to each address.
	path    []move
	prefix  []move
	segment recording.Pos
	visits  map[uint64]int
	touched int

	interrupt func() bool
}

var errInterrupted = errors.New("interrupted")

// here is the present point.
func (l *timeline) here() Point {
	return Point{Pos: recording.Pos{Instr: l.p.counted, Event: l.p.Number}, At: l.p.arrived, path: slices.Clone(l.path)}
}

// atEnd says that nothing follows but the end of the stream.
func (l *timeline) atEnd() bool { return !l.p.have || l.p.next.Kind == recording.KindEnd }

// thread is the one that runs next; nil at the end.
func (l *timeline) thread() *Thread { return l.p.threads[l.p.next.TID] }

// newTimeline begins a process: from its image, or by replaying its parent
// up to the fork.
func newTimeline(s *session, id int) (*timeline, error) {
	l := &timeline{s: s, id: id, spacing: firstSpacing, visits: map[uint64]int{}}
	p, err := s.beginning(id, 0)
	if err != nil {
		return nil, err
	}
	l.p = p
	return l, l.keep()
}

// beginning replays up to the start of a process.
func (s *session) beginning(id, depth int) (*Process, error) {
	if depth > len(s.procs) {
		return nil, fmt.Errorf("process %d descends from itself", id)
	}
	i := slices.IndexFunc(s.procs, func(p recording.Process) bool { return p.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("the recording has no process %d", id)
	}
	info := s.procs[i]
	if info.Fork {
		parent, err := s.beginning(info.Parent, depth+1)
		if err != nil {
			return nil, err
		}
		for err == nil && parent.have && !parent.done && parent.Number <= info.ParentEvent {
			s.orphan(forkKey{info.Parent, info.ParentEvent})
			err = parent.step()
		}
		parent.kill()
		parent.it.Close()
		if err != nil {
			return nil, fmt.Errorf("on the way to the fork of process %d: %w", id, err)
		}
	}
	p := &Process{Info: info, s: s, threads: map[int32]*Thread{}}
	var err error
	if p.it, err = s.rec.Events(id); err != nil {
		return nil, err
	}
	if err := p.fetch(); err != nil {
		return nil, err
	}
	if !p.have {
		return nil, fmt.Errorf("process %d has no events", id)
	}
	if err := p.step(); err != nil {
		p.kill()
		return nil, err
	}
	// The other threads of an image are part of the beginning.
	for p.have && p.next.Kind == recording.KindThread {
		if err := p.step(); err != nil {
			p.kill()
			return nil, err
		}
	}
	s.orphan(forkKey{})
	return p, nil
}

// orphan ends the forked stubs that nobody will need, but one.
func (s *session) orphan(but forkKey) {
	for k, c := range s.forks {
		if k != but {
			killStub(c.pid)
			delete(s.forks, k)
		}
	}
}

// leg is Process.leg for the thread that runs next. It keeps track of the
// place in native code.
func (l *timeline) leg(limit uint64, step bool) (halt, error) {
	p := l.p
	t := l.thread()
	if p.arrived {
		return haltEvent, nil
	}
	if p.next.Stop == recording.StopNone {
		p.arrived, l.path = true, nil
		return haltEvent, nil
	}
	if t == nil {
		return 0, p.diverged(&p.next, "there is no such thread")
	}
	h, err := p.leg(t, &p.next, limit, step)
	if err != nil {
		return 0, err
	}
	if pos := (recording.Pos{Instr: p.counted, Event: p.Number}); pos != l.segment {
		l.segment, l.prefix, l.touched = pos, nil, 0
		clear(l.visits)
	}
	switch h {
	case haltEvent, haltCount, haltPython:
		l.path = nil
	case haltBreak:
		if step {
			l.path = withStep(l.path)
			l.begin()
			break
		}
		l.visits[t.regs.PC()]++
		l.path = then(l.prefix, move{pc: t.regs.PC(), n: l.visits[t.regs.PC()]})
	case haltStep:
		l.path = withStep(l.path)
		l.begin()
	case haltWatch:
		l.touched++
		m := move{n: l.touched}
		copy(m.watch[:], l.s.watches)
		l.path = then(l.prefix, m)
	}
	return h, nil
}

// begin starts counting visits again, from the place at hand.
func (l *timeline) begin() {
	l.segment = recording.Pos{Instr: l.p.counted, Event: l.p.Number}
	l.prefix, l.touched = slices.Clone(l.path), 0
	clear(l.visits)
}

// then adds a move to a path; two of a kind are one that goes further, so that
// a path does not grow with each stop.
func then(path []move, m move) []move {
	path = slices.Clone(path)
	if n := len(path); n > 0 && path[n-1].pc == m.pc && path[n-1].watch == m.watch && !m.steps() {
		path[n-1].n += m.n
		return path
	}
	return append(path, m)
}

func withStep(path []move) []move {
	path = slices.Clone(path)
	if n := len(path); n > 0 && path[n-1].steps() {
		path[n-1].n++
		return path
	}
	return append(path, move{n: 1})
}

// pass lets the event that was reached take effect.
func (l *timeline) pass() error {
	p := l.p
	if !p.arrived && p.next.Stop != recording.StopNone {
		return fmt.Errorf("event %d has not been reached", p.Number)
	}
	if err := p.step(); err != nil {
		return err
	}
	l.path = nil
	l.s.orphan(forkKey{})
	return nil
}

// quiet leaves the user's breakpoints out, or puts them in again.
func (l *timeline) quiet(on bool, temp ...uint64) {
	b := &l.s.breaks
	if b.quiet == on && slices.Equal(b.temp, temp) {
		return
	}
	b.quiet, b.temp = on, temp
	b.gen++
}

// setWatches changes what is watched.
func (l *timeline) setWatches(ws []Watch) {
	if !slices.Equal(ws, l.s.watches) {
		l.s.watches = slices.Clone(ws)
		l.s.watchGen++
	}
}

// back goes to a checkpoint.
func (l *timeline) back(i int) error {
	c := l.points[i]
	old := l.p
	p, err := l.s.thaw(c, &old.python)
	if err != nil {
		if p != nil {
			p.kill()
		}
		return err
	}
	old.kill()
	if old.it != nil {
		old.it.Close()
	}
	l.p, l.path = p, nil
	l.begin()
	return nil
}

// seek goes to a point, forwards or backwards, past all breakpoints; to the beginning for
// one that is before it, as in a process that begins with an image.
func (l *timeline) seek(to Point) error {
	watches := l.s.watches
	l.quiet(true)
	l.setWatches(nil)
	defer func() {
		l.quiet(false)
		l.setWatches(watches)
	}()
	if first := l.points[0].at; to.base().compare(first) < 0 {
		to = first
	}
	here := l.here()
	if here.Same(to) {
		return nil
	}
	i := l.before(to.base())
	behind := here.compare(to.base()) > 0
	if behind || l.points[i].at.compare(here) > 0 && l.points[i].at.cost()-here.cost() > leastSpacing {
		if err := l.back(i); err != nil {
			return err
		}
	}
	extra := even
	switch {
	case behind:
		extra = halving
	case l.s.o.Returns:
		extra = quartering
	}
	if err := l.forward(to.base(), extra); err != nil {
		return err
	}
	for _, m := range to.path {
		if err := l.move(m); err != nil {
			return err
		}
	}
	if to.At && !l.p.arrived {
		if _, err := l.leg(noLimit, false); err != nil {
			return err
		}
	}
	if t := l.thread(); t != nil {
		t.told = true
		l.p.visited(t)
	}
	return nil
}

// forward runs to a dispatch or the place behind an event, making
// checkpoints on the way.
func (l *timeline) forward(to Point, extra density) error {
	p := l.p
	target := to.cost()
	last := l.here().cost()
	for {
		now := l.here()
		cost := now.cost()
		if gap := cost - last; gap >= l.spacing || extra.due(gap, target-cost) {
			if err := l.keep(); err != nil {
				return err
			}
			last = cost
		}
		if p.Number == to.Event && p.counted >= to.Instr && !p.arrived || l.atEnd() {
			return nil
		}
		if l.interrupt != nil && l.interrupt() {
			return errInterrupted
		}
		limit := noLimit
		if p.Number == to.Event {
			limit = to.Instr
		}
		step := extra.step(target-cost, l.spacing)
		if next := p.counted + uint64(step/instrCost); next < limit && p.cell != 0 {
			limit = next
		}
		h, err := l.leg(limit, false)
		if err != nil {
			return err
		}
		if h == haltEvent {
			if p.Number == to.Event && p.counted >= to.Instr {
				return nil
			}
			if err := l.pass(); err != nil {
				return err
			}
		}
	}
}

// move goes on within native code.
func (l *timeline) move(m move) error {
	l.begin()
	switch {
	case m.steps():
		for range m.n {
			if h, err := l.stepi(); err != nil || h == haltEvent {
				return err
			}
		}
		return nil
	case m.pc != 0:
		l.quiet(true, m.pc)
		defer l.quiet(true)
	default:
		l.setWatches(m.watch.list())
		defer l.setWatches(nil)
	}
	for n := 0; n < m.n; {
		h, err := l.leg(noLimit, false)
		if err != nil {
			return err
		}
		switch h {
		case haltEvent:
			return nil
		case haltBreak, haltWatch:
			n++
		}
	}
	return nil
}

// stepi executes one machine instruction. From a dispatch it goes on in the
// interpreter's code, and at one it stops like any other stop there.
func (l *timeline) stepi() (halt, error) {
	t := l.thread()
	if t == nil || l.p.arrived {
		return haltEvent, nil
	}
	if l.p.atDispatch(t) {
		if err := l.p.readStubs(); err != nil {
			return 0, err
		}
		if to := l.p.hooks.targets[(t.regs.PC()-l.p.stubs)/stubSize]; to != 0 {
			t.regs.SetPC(to)
			t.dirty, t.told = true, false
		}
	}
	h, err := l.leg(noLimit, true)
	if err != nil || h == haltEvent {
		return h, err
	}
	if pc := t.regs.PC(); l.p.stubs != 0 && pc >= l.p.stubs && pc-l.p.stubs < clockCode && (pc-l.p.stubs)%stubSize == 0 {
		h, err = l.leg(l.p.counted+1, false)
		if h == haltCount {
			t.told = true
		}
	}
	return h, err
}

// close ends the process and its checkpoints.
func (l *timeline) close() {
	if l.p != nil {
		l.p.kill()
		if l.p.it != nil {
			l.p.it.Close()
		}
	}
	for _, c := range l.points {
		killStub(c.pid)
	}
	l.points = nil
}
