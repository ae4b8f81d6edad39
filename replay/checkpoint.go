package replay

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pyrr/internal/ptrace"
)

// checkpoint is a frozen copy of the replayed process. Its memory is that of
// a fork, which has one thread; the others are made again from their
// registers when it is gone back to.
type checkpoint struct {
	at      Point
	pid     int // of the frozen stub
	leader  int32
	state   Process // with no stub and no iterator
	threads map[int32]savedThread
}

type savedThread struct {
	thread Thread
	xstate []byte
}

// anyThread returns a thread that can make calls for the stub.
func (p *Process) anyThread() *Thread {
	var best *Thread
	for _, t := range p.threads {
		if !t.gone && (best == nil || t.tid == p.pid || best.tid != p.pid && t.TID < best.TID) {
			best = t
		}
	}
	return best
}

// freeze makes a checkpoint of the process as it stands.
func (p *Process) freeze(at Point) (*checkpoint, error) {
	t := p.anyThread()
	if t == nil {
		return nil, fmt.Errorf("copy process %d: it has no thread", p.Info.ID)
	}
	if err := p.flush(t); err != nil {
		return nil, err
	}
	if err := p.settle(t); err != nil {
		return nil, err
	}
	c := &checkpoint{at: at, leader: t.TID, threads: map[int32]savedThread{}}
	for id, u := range p.threads {
		x, err := ptrace.GetXState(u.tid, p.s.xstate)
		if err != nil {
			return nil, fmt.Errorf("read the extended registers of thread %d: %w", id, err)
		}
		c.threads[id] = savedThread{*u, slices.Clone(x)}
	}
	pid, err := p.clone(t, ptrace.CloneFork)
	if err != nil {
		return nil, fmt.Errorf("copy process %d: %w", p.Info.ID, err)
	}
	c.pid = pid
	c.state = *p
	c.state.it, c.state.pid, c.state.threads, c.state.parked, c.state.hit = nil, 0, nil, nil, nil
	c.state.hooks = p.hooks.clone()
	c.state.begun = maps.Clone(p.begun)
	c.state.recent = slices.Clone(p.recent)
	c.state.pending = nil
	return c, nil
}

// thaw makes a process that goes on from a checkpoint, with what is known of
// code objects from py.
func (s *session) thaw(c *checkpoint, py *python) (*Process, error) {
	p := new(Process)
	*p = c.state
	p.hooks, p.begun, p.recent = c.state.hooks.clone(), maps.Clone(c.state.begun), slices.Clone(c.state.recent)
	if py != nil {
		p.python = *py
		p.python.tstates = nil
		if p.python.rt != nil {
			p.python.rt.TID = p.threadOf
		}
	}
	p.unsynced, p.stale = true, p.hooks.mapped
	p.threads = map[int32]*Thread{}
	lead := c.threads[c.leader].thread
	frozen := lead
	frozen.tid = c.pid
	pid, err := p.clone(&frozen, ptrace.CloneFork)
	if err != nil {
		return nil, fmt.Errorf("go back to instruction %d: %w", c.at.Instr, err)
	}
	p.pid = pid
	for id, saved := range c.threads {
		t := saved.thread
		t.tid = pid
		if id != c.leader {
			first := lead
			first.tid = pid
			if t.tid, err = p.clone(&first, ptrace.CloneThread); err != nil {
				return p, fmt.Errorf("go back to instruction %d: make thread %d: %w", c.at.Instr, id, err)
			}
		}
		t.dirty, t.watches = true, -1
		if len(s.watches) == 0 {
			t.watches = s.watchGen
		}
		if err := ptrace.SetXState(t.tid, saved.xstate); err != nil {
			return p, fmt.Errorf("set the extended registers of thread %d: %w", id, err)
		}
		p.threads[id] = &t
	}
	if p.it, err = s.rec.Events(p.Info.ID); err != nil {
		return p, err
	}
	if p.have {
		if err := p.it.Seek(p.Number + 1); err != nil {
			return p, fmt.Errorf("go back to event %d: %w", p.Number, err)
		}
	}
	return p, nil
}

// The cost of replaying, roughly, by which checkpoints are spaced.
const (
	instrCost = 4 * time.Nanosecond
	eventCost = 15 * time.Microsecond
)

func (pt Point) cost() time.Duration {
	return time.Duration(pt.Instr)*instrCost + time.Duration(pt.Event)*eventCost
}

// Checkpoints lie evenly where the replay has been, spacing apart; where
// there are more than maxCheckpoints, every other one goes and the spacing
// doubles. On the way back to a place, more are made at halves of the
// distance to it, so that going back again in small steps is fast.
const (
	firstSpacing   = 100 * time.Millisecond
	leastSpacing   = 3 * time.Millisecond
	maxCheckpoints = 96
)

// density says which checkpoints are made on the way to a place besides those that lie evenly.
type density struct {
	part  time.Duration // one after each such part of the distance that is left; 0 for none
	least time.Duration // how far they are apart, and from the place
}

var (
	even    = density{}
	halving = density{2, leastSpacing}
	// For one who looks for what comes some way before a place (Options.Returns), since
	// what lies between the two is looked through. Each costs some milliseconds.
	quartering = density{4, 10 * time.Millisecond}
)

// due says whether a checkpoint is to be made so far behind the last one, with so much
// left to the place.
func (d density) due(gap, left time.Duration) bool {
	return d.part > 0 && left > d.least && gap >= d.least && gap*(d.part-1) >= left
}

// step is how far to go until due is asked again, at most as far as spacing.
func (d density) step(left, spacing time.Duration) time.Duration {
	if d.part == 0 || left <= 2*d.least {
		return spacing
	}
	return min(spacing, left/d.part)
}

// before returns the index of the last checkpoint at or before a point, which
// is a dispatch or the place right behind an event.
func (l *timeline) before(pt Point) int {
	i, found := slices.BinarySearchFunc(l.points, pt, func(c *checkpoint, pt Point) int { return c.at.compare(pt) })
	if found {
		return i
	}
	return i - 1
}

// keep makes a checkpoint here unless there is one.
func (l *timeline) keep() error {
	at := l.here()
	i, found := slices.BinarySearchFunc(l.points, at, func(c *checkpoint, pt Point) int { return c.at.compare(pt) })
	if found || len(at.path) > 0 {
		return nil
	}
	c, err := l.p.freeze(at)
	if err != nil {
		return err
	}
	l.points = slices.Insert(l.points, i, c)
	if len(l.points) > maxCheckpoints {
		l.thin()
	}
	return nil
}

// thin drops the checkpoints that lie closest to their neighbours, away from
// where the replay is.
func (l *timeline) thin() {
	here := l.here().cost()
	kept := l.points[:1] // the beginning stays
	for i := 1; i < len(l.points); i++ {
		c := l.points[i]
		near := (here - c.at.cost()).Abs()
		if gap := c.at.cost() - kept[len(kept)-1].at.cost(); gap < min(near/4, 2*l.spacing) && i < len(l.points)-1 {
			killStub(c.pid)
			continue
		}
		kept = append(kept, c)
	}
	clear(l.points[len(kept):])
	l.points = kept
	if len(l.points) > maxCheckpoints*3/4 {
		l.spacing *= 2
	}
}
