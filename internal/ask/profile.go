package ask

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"pyrr/cpython"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// Profile says where instructions and time went. Counts are exact, and times those
// of the recording: two profiles of one recording are equal.
type Profile struct {
	// Instrs and End are the totals: instructions, and ns from the beginning.
	Instrs uint64
	End    int64
	// Funcs and Lines have the most instructions first; they are empty where none
	// were counted, and Unknown is what is of no known code.
	Funcs   []FuncCost
	Lines   []LineCost
	Unknown uint64
	Threads []ThreadCost
	Tests   []TestCost
	Waits   []WaitCost
	Slow    []Gap
	// Samples are the times between events, by thread and stack, in the order of
	// their beginnings; Missing is how many were too many to be kept.
	Samples []Sample
	Missing uint64
	// Compiled says that code ran that is not among the counts: see replay.Result.
	Compiled bool
}

// FuncCost is what a function took itself, without what it called: instructions,
// and the running and waiting of threads, in ns, up to events that it made.
type FuncCost struct {
	File, Func    string
	Line          int
	Calls, Instrs uint64
	Run, Wait     int64
}

// LineCost is what a line took: how often it began, and its instructions. Line 0 has
// those of a function that are of no line.
type LineCost struct {
	File, Func    string
	Line          int
	Begun, Instrs uint64
}

// ThreadCost is what a thread took.
type ThreadCost struct {
	Process   int
	TID       int32
	Name      string
	Instrs    uint64
	Run, Wait int64
}

// TestCost is what a test took, from its beginning to its end.
type TestCost struct {
	ID      string
	Outcome string
	Instrs  uint64
	Wall    int64
}

// WaitCost is how long threads were in a system call.
type WaitCost struct {
	Call  string
	Calls uint64
	Time  int64
}

// Gap is a long time in which a thread made no event.
type Gap struct {
	Moment
	Took int64
	// Wait is set for a system call, Text says which; else Instrs is how much it
	// computed.
	Wait   bool
	Text   string
	Instrs uint64
}

// Sample is the time between two events of a process: its thread ran, or waited.
type Sample struct {
	Process    int
	TID        int32
	Thread     string
	Begin, End int64
	Instrs     uint64
	Wait       string // the system call, "" where it ran
	Frames     []stack.Frame
	node       uint32
}

// ProfileOptions say what is profiled.
type ProfileOptions struct {
	// Counts replays the recording to count instructions by function and line.
	Counts bool
	// Gaps is how many of the longest gaps are kept.
	Gaps int
	// Test keeps only the time of one test, where nothing is counted.
	Describe  func(ev, enter *recording.Event) string
	Replaying func()
	// Progress is told how far the replay of a process has come.
	Progress func(proc int, instr uint64)
}

// maxSamples bounds the samples of a profile.
const maxSamples = 4_000_000

type funcKey struct {
	file, fn string
	line     int
}

type lineKey struct {
	file, fn string
	line     int
}

type profiler struct {
	*asked
	o      *ProfileOptions
	p      *Profile
	funcs  map[funcKey]*FuncCost
	lines  map[lineKey]*LineCost
	waits  map[string]*WaitCost
	thread map[nameKey]*ThreadCost
}

// NewProfile makes the profile of a recording: times from the log and the index of
// stacks, counts by a replay.
func NewProfile(rec *recording.Recording, o ProfileOptions) (*Profile, error) {
	a, err := newAsked(rec)
	if err != nil {
		return nil, err
	}
	f := &profiler{asked: a, o: &o, p: &Profile{}, funcs: map[funcKey]*FuncCost{}, lines: map[lineKey]*LineCost{}, waits: map[string]*WaitCost{}, thread: map[nameKey]*ThreadCost{}}
	procs, err := rec.Procs()
	if err != nil {
		return nil, err
	}
	for i := range procs {
		if err := f.times(&procs[i]); err != nil {
			return nil, err
		}
	}
	f.tests()
	if o.Counts {
		if o.Replaying != nil {
			o.Replaying()
		}
		res, err := replay.Batch(rec, replay.Options{OnCounts: f.counts, Progress: o.Progress})
		if err != nil {
			return nil, err
		}
		f.p.Compiled = res.Compiled
	}
	f.finish()
	return f.p, nil
}

func (f *profiler) fn(file, fn string, line int) *FuncCost {
	key := funcKey{file, fn, line}
	c := f.funcs[key]
	if c == nil {
		c = &FuncCost{File: file, Func: fn, Line: line}
		f.funcs[key] = c
	}
	return c
}

// counts takes what a replay has counted of a code object.
func (f *profiler) counts(_ *replay.Process, c *cpython.Code, edges []cpython.Edge) error {
	if c == nil {
		for _, e := range edges {
			f.p.Unknown += e.N
		}
		return nil
	}
	got := c.Count(edges)
	row := f.fn(c.File, c.Func, c.FirstLine)
	row.Instrs += got.Instrs
	row.Calls += got.Calls
	rest := got.Instrs
	for line, n := range got.Lines {
		l := f.line(c, line)
		l.Begun += n.Begun
		l.Instrs += n.Instrs
		rest -= n.Instrs
	}
	if rest > 0 {
		f.line(c, 0).Instrs += rest
	}
	return nil
}

func (f *profiler) line(c *cpython.Code, line int) *LineCost {
	key := lineKey{c.File, c.Func, line}
	l := f.lines[key]
	if l == nil {
		l = &LineCost{File: c.File, Func: c.Func, Line: line}
		f.lines[key] = l
	}
	return l
}

// times reads a process's events.
func (f *profiler) times(info *recording.Process) error {
	var before int64  // when the event before was over
	var instrs uint64 // the count there
	first := true
	var all *logview.Follower
	err := logview.Each(f.rec, info, func(p *logview.Follower, n uint64, ev *recording.Event, step logview.Step) error {
		all = p
		if first {
			before, instrs, first = ev.Time, ev.Instr, false
		}
		if ev.TID == 0 || step.Thread == nil {
			before, instrs = max(before, ev.Time), ev.Instr
			return nil
		}
		s := Sample{Process: info.ID, TID: ev.TID, Thread: f.name(info.ID, ev.TID, n), Begin: before, End: ev.Time, Instrs: ev.Instr - min(instrs, ev.Instr)}
		if f.index != nil {
			s.node, _ = f.index.Node(info.ID, n) // without a stack it counts all the same
		}
		at := Moment{Process: info.ID, PID: info.PID, Pos: recording.Pos{Instr: ev.Instr, Event: n}, TID: ev.TID, Thread: s.Thread}
		instrs = ev.Instr
		// Before what no thread ran to, all waited.
		if ev.Stop == recording.StopNone {
			s.Begin = s.End
		}
		f.sample(s, at, nil, nil)
		s.Instrs = 0
		over := ev.Time
		switch {
		case ev.Kind == recording.KindSyscall && ev.EndTime > ev.Time:
			s.Begin, s.End, s.Wait = ev.Time, ev.EndTime, linux.Name(int(ev.Nr))
			over = ev.EndTime
			f.sample(s, at, ev, nil)
		case ev.Kind == recording.KindExit && step.Enter != nil:
			s.Begin, s.End, s.Wait = step.Enter.Time, max(ev.Time, step.Enter.Time), linux.Name(int(step.Enter.Nr))
			f.sample(s, at, ev, step.Enter)
		}
		before = max(before, over)
		return nil
	})
	f.p.Instrs += instrs
	f.p.End = max(f.p.End, before)
	if all != nil {
		f.unreturned(all, before)
	}
	return err
}

// unreturned counts the calls that threads are still in at the end.
func (f *profiler) unreturned(p *logview.Follower, end int64) {
	for _, t := range p.Ordered() {
		if t.Open == nil {
			continue
		}
		n, ev := t.Open.Event, &t.Open.Enter
		s := Sample{Process: p.Info.ID, TID: t.TID, Thread: f.name(p.Info.ID, t.TID, n), Begin: ev.Time, End: max(end, ev.Time), Wait: linux.Name(int(ev.Nr))}
		if f.index != nil {
			s.node, _ = f.index.Node(p.Info.ID, n)
		}
		f.sample(s, Moment{Process: p.Info.ID, PID: p.Info.PID, Pos: recording.Pos{Instr: ev.Instr, Event: n}, TID: t.TID, Thread: s.Thread}, ev, nil)
	}
}

// sample counts a stretch of time.
func (f *profiler) sample(s Sample, at Moment, ev, enter *recording.Event) {
	took := max(s.End-s.Begin, 0)
	key := nameKey{s.Process, s.TID}
	th := f.thread[key]
	if th == nil {
		th = &ThreadCost{Process: s.Process, TID: s.TID}
		f.thread[key] = th
	}
	th.Name = cmp.Or(s.Thread, th.Name)
	th.Instrs += s.Instrs
	if s.Wait != "" {
		th.Wait += took
		w := f.waits[s.Wait]
		if w == nil {
			w = &WaitCost{Call: s.Wait}
			f.waits[s.Wait] = w
		}
		w.Calls++
		w.Time += took
	} else {
		th.Run += took
	}
	f.gap(&s, at, took, ev, enter)
	if took == 0 && s.Instrs == 0 {
		return
	}
	if len(f.p.Samples) >= maxSamples {
		f.p.Missing++
		return
	}
	f.p.Samples = append(f.p.Samples, s)
}

// gap keeps a stretch if it is among the longest.
func (f *profiler) gap(s *Sample, at Moment, took int64, ev, enter *recording.Event) {
	most := f.o.Gaps
	if most <= 0 || took == 0 {
		return
	}
	list := &f.p.Slow
	if len(*list) >= most && (*list)[len(*list)-1].Took >= took {
		return
	}
	g := Gap{Moment: at, Took: took, Wait: s.Wait != "", Instrs: s.Instrs}
	g.Time = s.Begin
	if g.Wait && f.o.Describe != nil {
		g.Text = f.o.Describe(ev, enter)
	}
	if f.index != nil {
		if fr, ok := OwnFrame(f.index.Frames(s.node)); ok {
			g.frame(fr)
		}
	}
	i, _ := slices.BinarySearchFunc(*list, took, func(x Gap, took int64) int {
		if x.Took >= took {
			return -1
		}
		return 1
	})
	*list = slices.Insert(*list, i, g)
	*list = (*list)[:min(len(*list), most)]
}

func (f *profiler) tests() {
	s, err := logview.AtEnd(f.rec)
	if err != nil && (s == nil || errors.Is(err, recording.ErrNoIndex)) {
		return
	}
	for _, t := range s.Tests {
		c := TestCost{ID: t.ID, Outcome: t.Outcome}
		end, at := f.p.End, f.lastOf(t.Begin.Proc)
		if t.End != nil {
			end, at = t.End.Time, t.End.Pos.Instr
		}
		c.Wall, c.Instrs = max(end-t.Begin.Time, 0), at-min(t.Begin.Pos.Instr, at)
		f.p.Tests = append(f.p.Tests, c)
	}
}

// lastOf is the instruction count at the end of a process.
func (f *profiler) lastOf(proc int) uint64 {
	n := uint64(0)
	for key, t := range f.thread {
		if key.proc == proc {
			n += t.Instrs
		}
	}
	return n
}

// finish gives the stacks their frames, and puts all in order.
func (f *profiler) finish() {
	frames := map[uint32][]stack.Frame{0: nil}
	for i := range f.p.Samples {
		s := &f.p.Samples[i]
		fs, ok := frames[s.node]
		if !ok {
			for _, fr := range f.index.Frames(s.node) {
				if fr.Kind == stack.Python {
					fs = append(fs, fr)
				}
			}
			frames[s.node] = fs
		}
		s.Frames = fs
	}
	f.attribute()
	slices.SortStableFunc(f.p.Samples, func(a, b Sample) int { return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.End, b.End)) })
	for _, c := range f.funcs {
		f.p.Funcs = append(f.p.Funcs, *c)
	}
	slices.SortFunc(f.p.Funcs, func(a, b FuncCost) int {
		return cmp.Or(cmp.Compare(b.Instrs, a.Instrs), cmp.Compare(b.Run+b.Wait, a.Run+a.Wait), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Func, b.Func))
	})
	for _, c := range f.lines {
		f.p.Lines = append(f.p.Lines, *c)
	}
	slices.SortFunc(f.p.Lines, func(a, b LineCost) int {
		return cmp.Or(cmp.Compare(b.Instrs, a.Instrs), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Func, b.Func))
	})
	for _, key := range slices.SortedFunc(maps.Keys(f.thread), func(a, b nameKey) int { return cmp.Or(a.proc-b.proc, int(a.tid)-int(b.tid)) }) {
		f.p.Threads = append(f.p.Threads, *f.thread[key])
	}
	for _, name := range slices.Sorted(maps.Keys(f.waits)) {
		f.p.Waits = append(f.p.Waits, *f.waits[name])
	}
	slices.SortStableFunc(f.p.Waits, func(a, b WaitCost) int { return cmp.Compare(b.Time, a.Time) })
}

// attribute gives times to the functions that were innermost, by where these begin: the
// index knows their names, and the counts their first lines.
func (f *profiler) attribute() {
	type name struct{ file, fn string }
	first := map[name]*FuncCost{}
	for _, c := range f.funcs {
		k := name{c.File, c.Func}
		if have := first[k]; have == nil || c.Line < have.Line {
			first[k] = c
		}
	}
	for i := range f.p.Samples {
		s := &f.p.Samples[i]
		if len(s.Frames) == 0 {
			continue
		}
		k := name{s.Frames[0].File, s.Frames[0].Func}
		c := first[k]
		if c == nil {
			c = f.fn(k.file, k.fn, 0)
			first[k] = c
		}
		if took := s.End - s.Begin; s.Wait != "" {
			c.Wait += took
		} else {
			c.Run += took
		}
	}
}
