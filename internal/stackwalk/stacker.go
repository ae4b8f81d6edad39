package stackwalk

import (
	"fmt"
	"pyrr/cpython"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
	"pyrr/internal/unwind"
)

// stacker makes stacks of what was read of stopped threads, in order, and puts
// them into the index.
type stacker struct {
	w     *recording.StackWriter
	src   *sourceKeeper
	files uint32            // frames up to that one have their files kept
	c     map[cFrame]uint32 // C frames by where they are
	paths map[pathKey]*pythonPath

	// Scratch memory.
	alone  []cpython.MergedFrame
	merged []cpython.MergedFrame
	parts  []stackPart
	spare  []unwind.Frame

	batch  []job
	jobs   chan []job
	free   chan []job
	ended  chan struct{}
	missed bool
	err    error // of a job that panicked; none is done after it
}

// cFrame tells C frames apart that are described in the same way.
type cFrame struct {
	image       *unwind.File
	pc          uint64 // a link address
	isRet, eval bool
}

type pathKey struct {
	proc  int
	ident uint64 // the thread's fs base
}

// pythonPath is the last Python stack of a thread, outermost frame first, with
// the numbers of its frames in the index.
type pythonPath struct {
	frames []cpython.Frame
	ids    []uint32
	inward []cpython.Frame // the same, innermost first
}

// threadStack is where a thread's stack is, and the stack in the index that it
// has last had.
type threadStack struct {
	node uint32
	// base is where the outermost frame ends, 0 where that is not known. It is
	// found by jobs that the replay's goroutine waits for.
	base uint64
	last *lastStack // nil where the last job had no copy
}

type jobKind uint8

const (
	jobStack  jobKind = iota // make a thread's stack
	jobEvent                 // give an event the stack of its thread, which may be nil
	jobForget                // forget the Python stacks of a process
	jobCall                  // call a function
)

type job struct {
	kind   jobKind
	proc   int
	thread *threadStack
	call   func()

	code   *codeMap
	ident  uint64
	regs   unwind.Regs
	copied stackCopy  // of the stack, or
	live   mem.Reader // all memory, of a process that stands still

	// What a thread with Python has: its frames are top and the same outermost
	// ones as the last time. Where rest is set, it has all by the C frames.
	rt   *cpython.Runtime
	top  []cpython.Frame
	same int
	rest func([]unwind.Frame) [][]cpython.Frame
}

// jobBatch is how many jobs are handed over at once, jobQueue how many batches
// may wait.
const (
	jobBatch = 32
	jobQueue = 8
)

func newStacker(w *recording.StackWriter, src *sourceKeeper) *stacker {
	s := &stacker{w: w, src: src, c: map[cFrame]uint32{}, paths: map[pathKey]*pythonPath{},
		jobs: make(chan []job, jobQueue), free: make(chan []job, jobQueue+2), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		for batch := range s.jobs {
			for i := range batch {
				s.run(&batch[i])
			}
			clear(batch)
			select {
			case s.free <- batch[:0]:
			default:
			}
		}
	}()
	return s
}

// do has a job done at some time, after those before it.
func (s *stacker) do(j job) {
	if s.batch = append(s.batch, j); len(s.batch) >= jobBatch {
		s.flush()
	}
}

func (s *stacker) flush() {
	if len(s.batch) == 0 {
		return
	}
	s.jobs <- s.batch
	select {
	case s.batch = <-s.free:
	default:
		s.batch = make([]job, 0, jobBatch)
	}
}

// wait waits until all jobs are done.
func (s *stacker) wait() {
	done := make(chan struct{})
	s.batch = append(s.batch, job{kind: jobCall, call: func() { close(done) }})
	s.flush()
	<-done
}

// now does a job at once.
func (s *stacker) now(j job) {
	s.wait()
	s.run(&j)
}

// end ends the stacker, and says whether all stacks are what they were, and
// what went wrong.
func (s *stacker) end() (bool, error) {
	if s.jobs != nil {
		s.flush()
		close(s.jobs)
		<-s.ended
		s.jobs = nil
	}
	return !s.missed, s.err
}

// run does a job. What is wrong with pyrr's reading of stacks must cost no more
// than the index, and not the exit status of what was recorded.
func (s *stacker) run(j *job) {
	if s.err != nil && j.kind != jobCall {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.err = fmt.Errorf("no index of stacks: a fault of pyrr's own: %v", p)
		}
	}()
	switch j.kind {
	case jobStack:
		j.thread.node = s.stack(j)
	case jobEvent:
		node := uint32(0)
		if j.thread != nil {
			node = j.thread.node
		}
		s.w.Event(j.proc, node)
	case jobForget:
		for key := range s.paths {
			if key.proc == j.proc {
				delete(s.paths, key)
			}
		}
	case jobCall:
		j.call()
	}
}

// stack returns the node of a stack.
func (s *stacker) stack(j *job) uint32 {
	last := j.thread.last
	c, shared := s.walk(j)
	node := uint32(0)
	var merged []cpython.MergedFrame
	path, one := (*pythonPath)(nil), true
	if j.rt == nil {
		merged = s.alone[:0]
		for i := range c {
			merged = append(merged, cpython.MergedFrame{C: &c[i]})
		}
		s.alone = merged
	} else {
		path = s.path(j)
		lists := [][]cpython.Frame{path.inward}
		if j.rest != nil {
			if all := j.rest(c); len(all) > 1 {
				lists, one = all, false
			}
		}
		merged = j.rt.MergeTo(s.merged, c, lists...)
		s.merged = merged
	}
	// From the outermost frame on, as long as all is as it was the last time,
	// the nodes are too.
	parts := s.parts[:0]
	same, python, native := last != nil && one, 0, 0
	for i := len(merged) - 1; i >= 0; i-- {
		f := &merged[i]
		part := stackPart{native: f.C != nil, eval: f.Eval}
		unchanged := python < j.same
		if part.native {
			unchanged = native < shared
			native++
		} else {
			python++
		}
		n := len(parts)
		if same = same && unchanged && n < len(last.parts) && last.parts[n].native == part.native && last.parts[n].eval == part.eval; same {
			node = last.parts[n].node
		} else {
			switch {
			case part.native:
				node = s.w.Node(node, s.cFrame(f.C, f.Eval))
			case one:
				node = s.w.Node(node, path.ids[python-1])
			default:
				node = s.w.Node(node, s.w.Frame(&f.Python.Frame))
			}
		}
		part.node = node
		parts = append(parts, part)
	}
	s.parts = parts
	if last = j.thread.last; last != nil {
		last.parts = append(last.parts[:0], parts...)
	}
	return node
}

// walk returns the C frames of a job's thread, and how many of the outermost
// ones are those that it had the last time. A walk that comes to a frame with
// the registers of one of those, and above which the stack has not changed, goes
// on as the last one did.
func (s *stacker) walk(j *job) (c []unwind.Frame, shared int) {
	j.code.Modules.Reuse = true // what follows keeps nothing of the frames
	if j.live != nil {
		c = j.code.Modules.Walk(j.live, j.regs, 0)
		s.done(j.thread.last)
		j.thread.base, j.thread.last = baseOf(c), nil
		return c, 0
	}
	last := j.thread.last
	next := &lastStack{code: j.code, version: j.code.version, copied: j.copied.bytes}
	j.thread.last = next
	if last == nil || last.code != j.code || last.version != j.code.version {
		next.c = append(s.spare[:0], s.walkCopy(j, nil)...)
		s.spare = nil
		s.done(last)
		return next.c, 0
	}
	equal := j.copied.equalFrom(last.copied)
	at, found := 0, false
	inner := s.walkCopy(j, func(f *unwind.Frame) bool {
		sp := f.SP()
		for at < len(last.c) && last.c[at].SP() < sp {
			at++
		}
		// Not the innermost one, which no call has made.
		if at > 0 && at < len(last.c) && sp >= equal {
			old := &last.c[at]
			found = old.PC == f.PC && old.Return == f.Return && old.Regs.Equal(&f.Regs)
		}
		return found
	})
	next.c, next.parts = append(s.spare[:0], inner...), last.parts
	if found {
		shared = len(last.c) - at
		next.c = append(next.c, last.c[at:]...)
	}
	s.spare = nil
	s.done(last)
	return next.c, shared
}

// done keeps the memory of a stack that is no longer the last one.
func (s *stacker) done(last *lastStack) {
	if last == nil {
		return
	}
	giveStack(last.copied.b)
	if cap(last.c) > cap(s.spare) {
		s.spare = last.c
	}
}

func (s *stacker) walkCopy(j *job, known func(*unwind.Frame) bool) []unwind.Frame {
	c := j.code.Modules.WalkTo(&j.copied, j.regs, 0, known)
	if j.copied.missed {
		s.missed = true
	}
	return c
}

// lastStack is what a thread had on its stack at the last job.
type lastStack struct {
	code    *codeMap
	version int // of the map
	copied  stackBytes
	c       []unwind.Frame
	parts   []stackPart // from the outermost on
}

// stackPart is a frame of a merged stack, and the stack up to there.
type stackPart struct {
	native, eval bool
	node         uint32
}

// path brings the Python stack of a job's thread up to date.
func (s *stacker) path(j *job) *pythonPath {
	key := pathKey{j.proc, j.ident}
	p := s.paths[key]
	if p == nil {
		p = &pythonPath{}
		s.paths[key] = p
	}
	p.frames, p.ids = p.frames[:j.same], p.ids[:j.same]
	for i := len(j.top) - 1; i >= 0; i-- {
		id := s.w.Frame(&j.top[i].Frame)
		p.frames, p.ids = append(p.frames, j.top[i]), append(p.ids, id)
		if id >= s.files { // a new one
			s.files = id + 1
			s.src.see(j.top[i].File)
		}
	}
	giveFrames(j.top)
	p.inward = p.inward[:0]
	for i := len(p.frames) - 1; i >= 0; i-- {
		p.inward = append(p.inward, p.frames[i])
	}
	return p
}

// cFrame returns the number of a C frame in the index.
func (s *stacker) cFrame(f *unwind.Frame, eval bool) uint32 {
	key := cFrame{pc: f.PC, isRet: f.Return, eval: eval}
	if f.Module != nil {
		key.image, key.pc = f.Module.File, f.PC-f.Module.Bias
	}
	if f.Err == "" {
		if id, ok := s.c[key]; ok {
			return id
		}
	}
	d := f.Describe()
	d.Eval = eval
	id := s.w.Frame(&d)
	if f.Err == "" {
		s.c[key] = id
	}
	return id
}

// baseOf returns where a stack ends that is whole and in one piece, else 0.
func baseOf(c []unwind.Frame) uint64 {
	last := c[0].SP()
	for i := range c {
		f := &c[i]
		switch {
		case f.Err != "" || f.SP() < last:
			return 0
		case f.CFA == 0 && i+1 < len(c):
			return 0
		}
		last = max(f.SP(), f.CFA)
	}
	return last
}
