package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"pyrr/cpython"
	"pyrr/internal/recording"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// indexer makes the index of a recording during a replay: the stack at each
// event, and the names of the threads.
type indexer struct {
	w     *recording.StackWriter
	walk  *stackWalk
	procs map[int]*indexedProcess
	c     map[cFrame]uint32 // C frames by where they are
}

// cFrame tells C frames apart that are described in the same way.
type cFrame struct {
	image       *unwind.Image
	pc          uint64 // a link address
	isRet, eval bool
}

// indexedProcess is what the indexer knows of a process.
type indexedProcess struct {
	events  uint64 // written so far
	tracker *cpython.Tracker
	paths   map[uint64][]uint32 // by fs base: the frames of the last Python stack, outermost first
	threads map[int32]*indexedThread
}

type indexedThread struct {
	first uint64 // its first event
	tries uint64
	name  string
	node  uint32 // of its last event
}

// newIndexer begins the index of a recording that is a folder.
func newIndexer(rec *recording.Recording) (*indexer, error) {
	w, err := rec.WriteStacks()
	if err != nil {
		return nil, err
	}
	return &indexer{w: w, walk: newStackWalk(rec), procs: map[int]*indexedProcess{}, c: map[cFrame]uint32{}}, nil
}

// event takes the stack at an event of the replay.
func (x *indexer) event(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
	x.walk.follow(p, ev)
	ip := x.procs[p.Info.ID]
	if ip == nil {
		ip = &indexedProcess{paths: map[uint64][]uint32{}, threads: map[int32]*indexedThread{}}
		x.procs[p.Info.ID] = ip
	}
	for ; ip.events < p.Number; ip.events++ {
		x.w.Event(p.Info.ID, 0) // an event without a thread
	}
	it := ip.threads[ev.TID]
	isNew := it == nil
	if isNew {
		it = &indexedThread{first: p.Number}
		ip.threads[ev.TID] = it
	}
	if t != nil {
		// Between its events a thread that is not running stays where it is.
		if ev.Stop != recording.StopNone || isNew {
			it.node = x.stack(p, ip, t)
		}
		x.name(p, t, it, ev)
	}
	x.w.Event(p.Info.ID, it.node)
	ip.events++
	switch ev.Kind {
	case recording.KindDeath:
		x.keepName(p, ev.TID, it)
		delete(ip.threads, ev.TID)
	case recording.KindEnd:
		for tid, it := range ip.threads {
			if t := p.Threads()[tid]; t != nil {
				x.name(p, t, it, ev) // one that waits since its beginning
			}
			x.keepName(p, tid, it)
		}
		ip.tracker, ip.paths = nil, nil
	}
	return nil
}

// forget makes a process's stacks be read anew from here on.
func (x *indexer) forget(p *replay.Process) {
	p.ForgetPython()
	if ip := x.procs[p.Info.ID]; ip != nil {
		ip.tracker, ip.paths = nil, map[uint64][]uint32{}
	}
}

// readAll reads all that can be asked for at a point: the stacks of all
// threads, with their variables and exceptions, and the tasks. Where memory is
// noted that is read, it will be there.
func (x *indexer) readAll(p *replay.Process) {
	rt, all, m := x.walk.threads(p)
	if rt == nil {
		return
	}
	for _, t := range p.Threads() {
		c := x.walk.procs[p.Info.ID].code.walk(p, t)
		for _, frames := range framesOf(rt, p, t, all, c) {
			for i := range frames {
				rt.Locals(m, frames[i])
			}
		}
		if pt, ok := threadOf(rt, m, all, t); ok {
			rt.Exceptions(m, pt)
		}
	}
	rt.Tasks(m)
}

// stack returns the node of a thread's stack.
func (x *indexer) stack(p *replay.Process, ip *indexedProcess, t *replay.Thread) uint32 {
	code := x.walk.procs[p.Info.ID].code
	code.space.Reuse = true // what follows keeps nothing of the frames
	c := code.walk(p, t)
	rt, lists := x.python(p, ip, t, c)
	node := uint32(0)
	if rt == nil {
		for i := len(c) - 1; i >= 0; i-- {
			node = x.w.Node(node, x.cFrame(&c[i], false))
		}
		return node
	}
	merged := rt.Merge(c, lists...)
	path, k := ip.paths[t.Regs().FsBase], 0
	for i := len(merged) - 1; i >= 0; i-- {
		switch f := &merged[i]; {
		case f.C != nil:
			node = x.w.Node(node, x.cFrame(f.C, f.Eval))
		case len(lists) == 1:
			node = x.w.Node(node, path[k])
			k++
		default:
			node = x.w.Node(node, x.w.Frame(&f.Python.Frame))
		}
	}
	return node
}

// python returns a thread's Python frames, in each interpreter that it runs;
// no runtime where it has no Python. With one interpreter ip.paths has their
// numbers in the index, from the outermost on.
func (x *indexer) python(p *replay.Process, ip *indexedProcess, t *replay.Thread, c []unwind.Frame) (*cpython.Runtime, [][]cpython.Frame) {
	rt, err := p.Runtime()
	if err != nil {
		return nil, nil
	}
	if ip.tracker == nil {
		ip.tracker = rt.NewTracker()
	}
	regs := t.Regs()
	next := p.NextInstr(t)
	frames, same, _, ok, _ := ip.tracker.Frames(p.Mem(), regs.FsBase, next)
	if !ok {
		return nil, nil
	}
	path := ip.paths[regs.FsBase][:same]
	for i := len(frames) - same - 1; i >= 0; i-- {
		path = append(path, x.w.Frame(&frames[i].Frame))
	}
	ip.paths[regs.FsBase] = path
	if ip.tracker.Several() {
		all, _ := rt.Threads(p.Mem())
		if lists := framesOf(rt, p, t, all, c); len(lists) > 1 {
			return rt, lists
		}
	}
	return rt, [][]cpython.Frame{frames}
}

// cFrame returns the number of a C frame in the index.
func (x *indexer) cFrame(f *unwind.Frame, eval bool) uint32 {
	key := cFrame{pc: f.PC, isRet: f.Return, eval: eval}
	if f.Module != nil {
		key.image, key.pc = f.Module.Image, f.PC-f.Module.Bias
	}
	if f.Err == "" {
		if id, ok := x.c[key]; ok {
			return id
		}
	}
	d := f.Describe()
	d.Eval = eval
	id := x.w.Frame(&d)
	if f.Err == "" {
		x.c[key] = id
	}
	return id
}

// name looks up a thread's name until it has one. It registers it soon after
// its start, so it is asked at its first events, at its events 32, 64, 128 and
// so on, and at its end.
func (x *indexer) name(p *replay.Process, t *replay.Thread, it *indexedThread, ev *recording.Event) {
	if it.name != "" || p.Info.Python == "" {
		return
	}
	it.tries++
	if n := it.tries; n > 16 && n&(n-1) != 0 && ev.Kind != recording.KindDeath && ev.Kind != recording.KindEnd {
		return
	}
	rt, all, m := x.walk.threads(p)
	if rt == nil {
		return
	}
	if pt, ok := threadOf(rt, m, all, t); ok {
		it.name = pt.Name
	}
}

// keepName puts a thread's name into the index. The main thread of a program
// that has not imported threading has the name that it would get there.
func (x *indexer) keepName(p *replay.Process, tid int32, it *indexedThread) {
	if it.name == "" && p.Info.Python != "" && int(tid) == p.Info.PID {
		it.name = mainThread
	}
	x.w.Name(p.Info.ID, tid, it.first, it.name)
}

// mainThread is the name that threading gives the main thread.
const mainThread = "MainThread"

// close completes the index and keeps the text of the Python files in it.
func (x *indexer) close(rec *recording.Recording, ended time.Time) error {
	x.w.SetFull()
	files := x.w.Files()
	procs, err := rec.Procs()
	if err != nil {
		x.abort()
		return err
	}
	if err := x.w.Close(); err != nil {
		return err
	}
	w, err := rec.WriteSources()
	if err != nil {
		return err
	}
	for _, name := range files {
		if text, ok := sourceText(name, procs, ended); ok {
			if err := w.Add(name, text); err != nil && err != recording.ErrTooLarge {
				break // Close says so too
			}
		}
	}
	return w.Close()
}

// abort drops the index of a replay that failed.
func (x *indexer) abort() { x.w.Abort() }

// sourceText reads a source file by the name that Python has for it. One that
// was changed after the recording is not what ran.
func sourceText(name string, procs []recording.Proc, ended time.Time) ([]byte, bool) {
	paths := []string{name}
	if !filepath.IsAbs(name) {
		paths = paths[:0]
		for i := range procs {
			paths = append(paths, filepath.Join(procs[i].Cwd, name))
		}
	}
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		text, ok := readSource(f, ended)
		f.Close()
		if ok {
			return text, true
		}
	}
	return nil, false
}

func readSource(f *os.File, ended time.Time) ([]byte, bool) {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.ModTime().After(ended) || st.Size() > recording.MaxSource {
		return nil, false
	}
	text := make([]byte, st.Size())
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, false
	}
	return text, true
}
