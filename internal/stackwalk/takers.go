package stackwalk

import (
	"slices"
	"strings"
	"time"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/pystate"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// Bounds of a journey for those who took something, on a machine that has nothing else to
// do (see busyness).
const (
	maxJourney = 20 * time.Second
	maxRounds  = 10 * time.Second // no further round begins that would last longer
	maxTakes   = 20_000           // stops of one process
	maxTaken   = 3                // that are kept of a thing
)

// travel answers what the facts of processes ask: who took a lock that is held
// outside of any with statement, a semaphore, a connection of a pool. It replays
// the recording once more, to the end of each such process, with the words of the
// locks watched and breakpoints at the functions that take the rest. What can't
// be found is left out.
//
// slow is how many times longer all takes than on a machine that has nothing else to do.
func travel(rec *recording.Recording, facts map[int]*hang.Facts, slow time.Duration) {
	var procs []int
	for id, f := range facts {
		if f != nil && len(f.Asks) > 0 {
			procs = append(procs, id)
		}
	}
	if len(procs) == 0 {
		return
	}
	slices.Sort(procs)
	x, err := replay.Open(rec, replay.Options{})
	if err != nil {
		return
	}
	defer x.Close()
	late := time.AfterFunc(slow*maxJourney, x.Interrupt)
	defer late.Stop()
	for _, id := range procs[:min(len(procs), 4)] {
		if x.Select(id) != nil {
			return
		}
		asks, acts, wrote := divide(facts[id])
		j := journey{x: x, facts: facts[id], asks: asks, most: slow * maxRounds}
		start, err := j.start(rec, id)
		if err != nil {
			return
		}
		if len(asks) > 0 {
			j.rounds(start)
		}
		if len(acts) > 0 && !j.over && !j.acts(start, acts) || len(wrote) > 0 && !j.over && !j.wrote(start, wrote) {
			return
		}
		if i := slices.IndexFunc(x.Procs(), func(p recording.Process) bool { return p.ID == id && p.Fork }); i >= 0 && len(j.early) > 0 && !j.over {
			beforeFork(rec, x, x.Procs()[i], facts, j.early, j.most)
		}
	}
}

// start goes to where a journey through a process begins.
func (j *journey) start(rec *recording.Recording, id int) (recording.Pos, error) {
	start := recording.Pos{Event: 1}
	if j.image = rec.Header().Test != "" && id == TestProcess; !j.image {
		return start, nil
	}
	// Before its image is there, memory says nothing.
	from, err := AfterImage(rec, id)
	if err != nil {
		return start, err
	}
	start.Event = from
	_, err = j.x.RunTo(start)
	return start, err
}

// beforeFork finds who held, in the process that a child is a copy of, the locks that
// were locked when that was forked: they lie at the same addresses.
func beforeFork(rec *recording.Recording, x *replay.Session, child recording.Process, facts map[int]*hang.Facts, asks []hang.Ask, most time.Duration) {
	parent := facts[child.Parent]
	if parent == nil {
		parent = &hang.Facts{} // who took it has a name all the same
	}
	if x.Select(child.Parent) != nil {
		return
	}
	for began := time.Now(); len(asks) > 0 && time.Since(began) < most; {
		few := min(len(asks), maxWatched)
		j := journey{x: x, facts: parent, asks: asks[:few], until: child.PID}
		asks = asks[few:]
		if _, err := j.start(rec, child.Parent); err != nil {
			return
		}
		j.heldAtFork(facts[child.ID])
	}
}

// heldAtFork goes to the fork of a child and notes which of some locks somebody held then.
func (j *journey) heldAtFork(child *hang.Facts) {
	x := j.x
	j.begin()
	j.run()
	forker := int32(0)
	_ = x.With(func(_ *replay.Process, t *replay.Thread) error {
		if t != nil {
			forker = t.TID
		}
		return nil
	})
	for _, w := range j.words {
		if w.took == nil || w.free {
			continue
		}
		at := w.took.Taken
		if at.Unit = -1; w.took.tid == forker {
			at.Unit = 0
		}
		child.Things[w.ask.Thing].AtFork = &at
	}
	x.SetWatches(nil)
	x.SetBreaks(nil)
}

// journey is the way through one process.
type journey struct {
	x     *replay.Session
	facts *hang.Facts
	// image says that the process begins in the midst of a program.
	image bool
	// most bounds its rounds.
	most time.Duration
	// asks are those that no round has looked at.
	asks []hang.Ask
	over bool // it was interrupted
	// until is the pid of the child at whose fork it ends, 0 for none; early are those
	// whose locks were locked when the process began, and are so since.
	until int
	early []hang.Ask
	words []*word
	calls map[*replay.Break]*takes
}

// word is the state of a lock that is watched.
type word struct {
	ask  *hang.Ask
	free bool
	took *take
	// early says that it is locked since before the recording begins.
	early bool
	// through is what goes on to another word when it becomes free.
	through *through
}

// through is a word from which what comes to another may come: who took it last, and where
// it became free since.
type through struct {
	ask  hang.Ask
	took *take
	free bool
	left recording.Pos
}

// takes are the last times that a function took something.
type takes struct {
	ask  *hang.Ask
	nth  int    // of those that are asked
	last []take // the last one last
}

// take is one that took something.
type take struct {
	hang.Taken
	tid   int32
	ident uint64
	task  uint64
	turn  int // the how manieth stop it was
}

func (j *journey) begin() {
	j.words, j.calls = nil, map[*replay.Break]*takes{}
	var later []hang.Ask
	var watches []replay.Watch
	var breaks []*replay.Break
	for i := range j.asks {
		a := &j.asks[i]
		if a.Word != 0 {
			if len(watches) == maxWatched {
				later = append(later, *a)
			} else {
				watches = append(watches, replay.Watch{Addr: a.Word, Len: a.Len})
				w := &word{ask: a}
				w.free = !j.locked(w.ask)
				w.early = !w.free
				j.words = append(j.words, w)
				if a.Through != 0 {
					w.through = &through{ask: hang.Ask{Word: a.Through, Len: a.Len, Mask: a.Mask}}
					w.through.free = !j.locked(&w.through.ask)
					watches = append(watches, replay.Watch{Addr: a.Through, Len: a.Len})
				}
			}
			continue
		}
		b := &replay.Break{Kind: replay.BreakCall, File: a.File, Func: a.Func, Cond: selfIs{a.Self}}
		breaks = append(breaks, b)
		j.calls[b] = &takes{ask: a, nth: i}
	}
	j.asks = later
	j.x.SetBreaks(breaks)
	j.x.SetWatches(watches)
}

// selfIs is the condition that a method is called on an object.
type selfIs struct{ obj uint64 }

func (s selfIs) Holds(h *replay.Hit) bool {
	rt, err := h.Process.Runtime()
	if err != nil {
		return false
	}
	pt, err := h.Process.PyThread(h.Thread)
	return err == nil && pystate.SelfIs(rt, h.Process.Mem(), pt, h.NextInstr, s.obj)
}

func (j *journey) run() {
	for turn := range maxTakes {
		st, err := j.x.Continue(j.forks)
		if err != nil {
			return
		}
		switch st.Kind {
		case replay.StopWatch:
			j.watched()
		case replay.StopBreak:
			for _, b := range st.Hit.Breaks {
				if c := j.calls[b]; c != nil {
					if t := j.taker(); t != nil {
						if t.From != nil && t.Where.Func == c.ask.Func && t.Where.File == c.ask.File {
							t.Where, t.From = *t.From, nil // it stands at the head of the program's own method
						}
						if len(c.last) == 64 {
							c.last = append(c.last[:0], c.last[32:]...)
						}
						t.turn = turn
						c.last = append(c.last, *t)
					}
				}
			}
		default:
			if st.Kind == replay.StopInterrupted {
				j.words, j.calls, j.over = nil, nil, true // it was not all of it
			}
			return
		}
	}
	j.words, j.calls = nil, nil
}

// forks tells the event that made the child.
func (j *journey) forks(ev *recording.Event) bool {
	return j.until != 0 && ev.Ret == int64(j.until) && (ev.Kind == recording.KindSyscall || ev.Kind == recording.KindExit) &&
		(strings.HasPrefix(linux.Name(int(ev.Nr)), "clone") || strings.HasSuffix(linux.Name(int(ev.Nr)), "fork"))
}

// watched looks which locks changed hands.
func (j *journey) watched() {
	for _, w := range j.words {
		if w.through != nil {
			j.passes(w.through)
		}
		locked := j.locked(w.ask)
		if w.free && locked {
			if w.took = j.taker(); w.through != nil && w.through.took != nil && w.through.left == j.x.Point().Pos {
				w.took = w.through.took // it was put there at one and the same instruction
			}
		} else if !locked {
			w.took, w.early = nil, false
		}
		w.free = !locked
	}
}

// passes looks whether somebody took what another word may come from, or it went on.
func (j *journey) passes(t *through) {
	locked := j.locked(&t.ask)
	switch {
	case t.free && locked:
		t.took = j.taker()
	case !t.free && !locked:
		t.left = j.x.Point().Pos
	}
	t.free = !locked
}

// locked reads whether somebody has a lock just now.
func (j *journey) locked(ask *hang.Ask) bool {
	b := make([]byte, ask.Len)
	if j.x.Memory().ReadAt(b, ask.Word) != nil {
		return false
	}
	return isLocked(b, ask)
}

// taker is the current thread, and where it is.
func (j *journey) taker() (out *take) {
	defer func() {
		if recover() != nil {
			out = nil
		}
	}()
	j.x.With(func(p *replay.Process, t *replay.Thread) error {
		rt, err := p.Runtime()
		if err != nil || t == nil {
			return nil
		}
		pt, err := p.PyThread(t)
		if err != nil {
			return nil
		}
		taken, addr, ok := pystate.Taker(rt, p.Mem(), pt, p.NextInstr(t))
		if !ok {
			return nil
		}
		taken.Event = p.Number
		regs := t.Regs()
		out = &take{Taken: taken, tid: t.TID, ident: regs.TLS(), task: addr}
		return nil
	})
	return out
}

// close puts what was found into the facts.
func (j *journey) close() {
	j.x.SetWatches(nil)
	j.x.SetBreaks(nil)
	for _, w := range j.words {
		if w.took != nil && !w.free {
			j.resolve(w.took)
			t := &j.facts.Things[w.ask.Thing]
			t.Taken = []hang.Taken{w.took.Taken}
		}
		if w.early {
			j.early = append(j.early, *w.ask)
		}
		if w.early && j.image {
			j.facts.Things[w.ask.Thing].Early = true
		}
	}
	for _, c := range j.inOrder() {
		if c.ask.Act != "" {
			continue // see acts
		}
		t := &j.facts.Things[c.ask.Thing]
		waits := map[int]bool{} // units of which the call that they wait in is behind
		for k := len(c.last) - 1; k >= 0 && len(t.Taken) < maxTaken; k-- {
			j.resolve(&c.last[k])
			if n := j.waits(&c.last[k], c.ask, waits); n >= 0 {
				waits[n] = true
				continue
			}
			t.Taken = append(t.Taken, c.last[k].Taken)
		}
		t.Untaken = len(t.Taken) == 0 && !j.image
	}
}

// resolve finds the unit that took something, if it is still there.
func (j *journey) resolve(t *take) {
	if t.task != 0 {
		if n, ok := j.facts.TaskAt[t.task]; ok && "task "+j.facts.Units[n].Name == t.Name {
			t.Unit = n
		}
		return
	}
	for n := range j.facts.Units {
		if u := &j.facts.Units[n]; u.Kind == hang.Thread && u.TID == t.tid && u.Ident == t.ident {
			t.Unit = n
		}
	}
}

// waits finds the unit that waits just now in the call that one began, of those whose call is
// not known yet: that unit itself or, where an event loop that knows no tasks of asyncio's
// runs, a task or greenlet of the thread. It is -1 where the call took it.
func (j *journey) waits(t *take, ask *hang.Ask, known map[int]bool) int {
	if t.Unit >= 0 && !known[t.Unit] && waitsIn(&j.facts.Units[t.Unit], t, ask) {
		return t.Unit
	}
	for n := range j.facts.Units {
		if u := &j.facts.Units[n]; t.task == 0 && u.Kind != hang.Thread && u.TID == t.tid && !known[n] && waitsIn(u, t, ask) {
			return n
		}
	}
	return -1
}

// waitsIn says whether a unit waits at the line at which one took something.
func waitsIn(u *hang.Unit, t *take, ask *hang.Ask) bool {
	if u.Wait == nil || !slices.Contains(u.Wait.On, ask.Thing) {
		return false
	}
	for k := range u.Frames {
		f := &u.Frames[k]
		if hang.Library(f.File) {
			continue
		}
		// Of the program's own method who called it was noted.
		if own := f.File == ask.File && f.Func == ask.Func; !own || *f == t.Where {
			return *f == t.Where
		}
	}
	return false
}
