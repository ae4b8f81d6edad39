package main

import (
	"errors"
	"sync"

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

	batch  []job
	jobs   chan []job
	free   chan []job
	ended  chan struct{}
	missed bool
}

// cFrame tells C frames apart that are described in the same way.
type cFrame struct {
	image       *unwind.Image
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

// end ends the stacker, and says whether all stacks are what they were.
func (s *stacker) end() bool {
	if s.jobs != nil {
		s.flush()
		close(s.jobs)
		<-s.ended
		s.jobs = nil
	}
	return !s.missed
}

func (s *stacker) run(j *job) {
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
	j.code.space.Reuse = true // what follows keeps nothing of the frames
	var c []unwind.Frame
	if j.live != nil {
		c = j.code.space.Walk(j.live, j.regs, 0)
		j.thread.base = baseOf(c)
	} else {
		c = j.code.space.Walk(&j.copied, j.regs, 0)
		if j.copied.missed {
			s.missed = true
		}
		giveStack(j.copied.b)
	}
	node := uint32(0)
	if j.rt == nil {
		for i := len(c) - 1; i >= 0; i-- {
			node = s.w.Node(node, s.cFrame(&c[i], false))
		}
		return node
	}
	path := s.path(j)
	lists := [][]cpython.Frame{path.inward}
	if j.rest != nil {
		if all := j.rest(c); len(all) > 1 {
			lists = all
		}
	}
	merged := j.rt.Merge(c, lists...)
	k := 0
	for i := len(merged) - 1; i >= 0; i-- {
		switch f := &merged[i]; {
		case f.C != nil:
			node = s.w.Node(node, s.cFrame(f.C, f.Eval))
		case len(lists) == 1:
			node = s.w.Node(node, path.ids[k])
			k++
		default:
			node = s.w.Node(node, s.w.Frame(&f.Python.Frame))
		}
	}
	return node
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
		key.image, key.pc = f.Module.Image, f.PC-f.Module.Bias
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

// maxCopied is how much of a stack is copied; deeper ones are walked in place.
const maxCopied = 64 << 10

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

// copied returns the place of the stack that is to be copied for a walk, nil
// where it must be walked in place.
func (st *threadStack) copied(sp uint64) (addr uint64, b []byte) {
	const page = 4096 // walks read from the beginning of a page
	addr = sp &^ (page - 1)
	if st.base <= sp || st.base-addr > maxCopied {
		return 0, nil
	}
	return addr, newStack(int(st.base - addr))
}

// stackCopy is a copy of a stack. A walk that wants more has missed something.
type stackCopy struct {
	addr   uint64
	b      []byte
	missed bool
}

var errNotCopied = errors.New("not on the stack")

// ReadAt implements mem.Reader.
func (s *stackCopy) ReadAt(p []byte, addr uint64) error {
	if d := addr - s.addr; d < uint64(len(s.b)) && uint64(len(s.b))-d >= uint64(len(p)) {
		copy(p, s.b[d:])
		return nil
	}
	s.missed = true
	return &mem.Error{Addr: addr, Len: len(p), Err: errNotCopied}
}

// ReadSome implements mem.PartReader.
func (s *stackCopy) ReadSome(p []byte, addr uint64) int {
	if d := addr - s.addr; d < uint64(len(s.b)) {
		return copy(p, s.b[d:])
	}
	return 0
}

// captureMem reads memory, and along with the first batch a copy of a stack,
// from which it takes what else is asked for there.
type captureMem struct {
	mem.Reader
	addr uint64
	b    []byte // nil: none is wanted
	got  bool

	bufs  [][]byte
	addrs []uint64
}

// within returns the part of the copy at an address, nil where it has not all.
func (m *captureMem) within(addr uint64, n int) []byte {
	if d := addr - m.addr; d < uint64(len(m.b)) && uint64(len(m.b))-d >= uint64(n) {
		return m.b[d : d+uint64(n)]
	}
	return nil
}

// ReadAt implements mem.Reader.
func (m *captureMem) ReadAt(p []byte, addr uint64) error {
	if m.got {
		if b := m.within(addr, len(p)); b != nil {
			copy(p, b)
			return nil
		}
	}
	return m.Reader.ReadAt(p, addr)
}

// ReadBatch implements cpython.BatchReader.
func (m *captureMem) ReadBatch(bufs [][]byte, addrs []uint64) int {
	r, ok := m.Reader.(cpython.BatchReader)
	if !ok {
		for i := range bufs {
			if m.Reader.ReadAt(bufs[i], addrs[i]) != nil {
				return i
			}
		}
		return len(bufs)
	}
	if m.b == nil {
		return r.ReadBatch(bufs, addrs)
	}
	m.bufs, m.addrs = m.bufs[:0], m.addrs[:0]
	if !m.got {
		m.bufs, m.addrs = append(m.bufs, m.b), append(m.addrs, m.addr)
	}
	for i := range bufs {
		if m.within(addrs[i], len(bufs[i])) == nil {
			m.bufs, m.addrs = append(m.bufs, bufs[i]), append(m.addrs, addrs[i])
		}
	}
	if len(m.bufs) > 0 && r.ReadBatch(m.bufs, m.addrs) < len(m.bufs) {
		return r.ReadBatch(bufs, addrs) // something is gone
	}
	m.got = true
	for i := range bufs {
		copy(bufs[i], m.within(addrs[i], len(bufs[i])))
	}
	return len(bufs)
}

// copy reads the stack if that has not been done, and says whether it is there.
func (m *captureMem) copy() bool {
	if m.b != nil && !m.got {
		m.got = m.Reader.ReadAt(m.b, m.addr) == nil
	}
	return m.b != nil && m.got
}

// Memory that jobs have used is used again.
var (
	stackPool = sync.Pool{New: func() any { b := make([]byte, maxCopied); return &b }}
	framePool = sync.Pool{New: func() any { return new([]cpython.Frame) }}
)

func newStack(n int) []byte { return (*stackPool.Get().(*[]byte))[:n] }

func giveStack(b []byte) {
	if b = b[:cap(b)]; len(b) == maxCopied {
		stackPool.Put(&b)
	}
}

func newFrames() []cpython.Frame { return (*framePool.Get().(*[]cpython.Frame))[:0] }

func giveFrames(f []cpython.Frame) {
	clear(f)
	framePool.Put(&f)
}
