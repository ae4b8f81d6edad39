// Package pystate reads, out of the memory of a stopped process, what its
// threads, tasks and greenlets wait for and what they hold: the facts that
// package hang judges.
// It judges nothing. Begin with Read in this file, then wait.go for waiting and
// finish.go for holding.
package pystate

import (
	"fmt"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
)

// Thread is a thread of the process, as the recording knows it.
type Thread struct {
	TID  int32
	TLS  uint64
	Main bool
	// Next is the instruction that it is about to run, 0 where memory has it.
	Next uint64
	// Call says that it is in the system call Nr with the arguments Args.
	Call bool
	Nr   int32
	Args [6]uint64
}

// Bounds of what is read of one process.
const (
	maxUnits   = 5000
	maxThings  = 5000
	maxObjects = 20_000 // that are looked at to see who knows a thing
)

// reader reads one process.
type reader struct {
	*cpython.Inspector
	rt     *cpython.Runtime
	facts  *hang.Facts
	units  []*unit
	things map[uint64]int         // by the address of the object
	word   map[uint64]int         // units by the address that they wait at
	ident  map[uint64]int         // threads by ident
	task   map[uint64]int         // tasks by address
	green  map[uint64]int         // greenlets by address
	inside map[uint64][]hang.Hold // who is inside of a with statement of objects of packages
	partOf map[int]part           // things that are an attribute of another object
	// chained are the futures of pools by those of event loops that they complete,
	// byTask the tasks by the futures of pools that those complete.
	chained map[uint64]uint64
	byTask  map[uint64]int
	outer   map[uint64]int // tasks by the futures that complete when they do
	tracked tracked
	files   map[uint64]int // things that are files with bytes that were not flushed, by their buffers
	left    int
}

// part is an attribute of an object.
type part struct {
	of   uint64
	name string
}

// unit is one with what is needed while reading.
type unit struct {
	frames []cpython.Frame
	vars   []map[string]uint64 // of the frames, as far as they were asked for
	thread *Thread
	ident  uint64
	task   *cpython.Task
	trio   bool  // a task of Trio
	green  bool  // a greenlet
	runs   []int // of a thread, the units that its loop runs for
}

func newReader(rt *cpython.Runtime, m mem.Reader, proc int) *reader {
	return &reader{Inspector: rt.Inspect(m), rt: rt, facts: &hang.Facts{Proc: proc}, things: map[uint64]int{}, word: map[uint64]int{},
		ident: map[uint64]int{}, task: map[uint64]int{}, green: map[uint64]int{}, inside: map[uint64][]hang.Hold{}, partOf: map[int]part{}, chained: map[uint64]uint64{}, byTask: map[uint64]int{}, files: map[uint64]int{}, outer: map[uint64]int{}, left: maxObjects}
}

// Read reads a process. It never fails: what can't be read is left out.
func Read(rt *cpython.Runtime, m mem.Reader, proc int, threads []Thread) *hang.Facts {
	r := newReader(rt, m, proc)
	defer r.Release()
	r.facts.Python = fmt.Sprintf("%d.%d", rt.Version.Major, rt.Version.Minor)
	r.readThreads(m, threads)
	r.readTasks(m)
	r.readTrio()
	r.readGreenlets(m)
	r.readTracked()
	r.completes()
	for n := range r.units {
		r.holds(n)
	}
	for n := range r.units {
		r.wait(n)
	}
	r.limiters()
	r.poolMembers()
	r.asleep()
	r.died(m)
	r.finish()
	return r.facts
}

func (r *reader) readThreads(m mem.Reader, threads []Thread) {
	all, _ := r.rt.Threads(m)
	gil := hang.GIL{Unit: -1}
	for k := range threads {
		t := &threads[k]
		u := hang.Unit{Kind: hang.Thread, TID: t.TID, Ident: t.TLS, Main: t.Main}
		own := &unit{thread: t, ident: t.TLS}
		if pt, ok := r.rt.Of(m, all, int(t.TID), t.TLS); ok {
			u.Name = pt.Name
			own.frames, _ = r.rt.Frames(m, pt, cpython.Options{NextInstr: t.Next})
			if pt.HasGIL && t.Call {
				gil.Unit = len(r.units)
			}
		}
		if t.Call && strings.HasPrefix(linux.Name(int(t.Nr)), "futex") && r.rt.AtGIL(m, t.Args[0]) {
			gil.Waits = append(gil.Waits, len(r.units))
		}
		r.ident[t.TLS] = len(r.units)
		r.add(u, own)
	}
	if gil.Unit >= 0 && len(gil.Waits) > 0 && !r.rt.FreeThreaded() {
		r.facts.GIL = &gil
	}
}

func (r *reader) readTasks(m mem.Reader) {
	tasks, _ := r.rt.Tasks(m)
	for k := range tasks {
		t := &tasks[k]
		if len(r.units) >= maxUnits {
			return
		}
		u := hang.Unit{Kind: hang.Task, Name: t.Name, Running: t.Running}
		if n, ok := r.ident[t.Thread]; ok && t.Thread != 0 {
			u.TID = r.facts.Units[n].TID
		}
		u.Stopped = t.Thread == 0 && r.None(r.attr(t.Loop, "_thread_id"))
		r.task[t.Addr] = len(r.units)
		r.add(u, &unit{frames: t.Frames, task: t})
	}
}

func (r *reader) readGreenlets(m mem.Reader) {
	list, _ := r.rt.Greenlets(m)
	tid := r.hubThread(list)
	for k := range list {
		g := &list[k]
		if len(r.units) >= maxUnits {
			return
		}
		n := len(r.units)
		r.green[g.Addr] = n
		name := g.Type
		if main := g.Type == "greenlet" && len(g.Frames) > 0; main || g.Type != "Hub" {
			for f := range g.Frames { // the outermost of the user's code
				if fn := g.Frames[f].Func; !hang.Library(g.Frames[f].File) {
					name = fn
				}
			}
		}
		r.add(hang.Unit{Kind: hang.Greenlet, Name: name, TID: tid}, &unit{frames: g.Frames, green: g.Type != "Hub"})
		if g.Type == "greenlet" {
			r.hub(n)
		}
	}
}

// hub notes that the thread that runs gevent's loop runs it for the greenlet that
// the thread began with.
func (r *reader) hub(main int) {
	for _, u := range r.units {
		if u.thread == nil {
			continue
		}
		for k := range u.frames {
			if runsHub(&u.frames[k]) {
				u.runs = append(u.runs, main)
			}
		}
	}
}

func (r *reader) add(u hang.Unit, own *unit) {
	for k := range own.frames {
		if k == hang.MaxFrames {
			break
		}
		f := &own.frames[k]
		u.Frames = append(u.Frames, hang.Frame{Func: f.Func, File: f.File, Line: f.Line})
	}
	own.vars = make([]map[string]uint64, len(own.frames))
	r.units = append(r.units, own)
	r.facts.Units = append(r.facts.Units, u)
}

// local returns a variable of a unit's frame, 0 for none.
func (r *reader) local(u *unit, frame int, name string) uint64 {
	return r.locals(u, frame)[name]
}

func (r *reader) locals(u *unit, frame int) map[string]uint64 {
	if frame >= len(u.frames) {
		return nil
	}
	if u.vars[frame] == nil {
		u.vars[frame] = r.Vars(&u.frames[frame])
		if u.vars[frame] == nil {
			u.vars[frame] = map[string]uint64{}
		}
	}
	return u.vars[frame]
}

// thing returns the number of an object's thing, which is made if need be.
func (r *reader) thing(obj uint64, kind string) int {
	if n, ok := r.things[obj]; ok {
		return n
	}
	if len(r.facts.Things) >= maxThings {
		return len(r.facts.Things) - 1
	}
	n := len(r.facts.Things)
	r.things[obj] = n
	r.facts.Things = append(r.facts.Things, hang.Thing{Kind: kind, Addr: obj, Class: r.Type(obj)})
	r.describe(n, obj)
	return n
}

// holds notes what a unit holds: the with statements that it is inside of.
func (r *reader) holds(n int) {
	u := r.units[n]
	for k := range u.frames {
		if k == hang.MaxFrames {
			break
		}
		for _, h := range r.Held(&u.frames[k]) {
			r.inside[h.Obj] = append(r.inside[h.Obj], hang.Hold{Unit: n, Frame: k, Line: h.Line})
			for _, lock := range r.locksOf(h.Obj) {
				if r.inherited(lock) {
					continue
				}
				r.held(lock, hang.Hold{Unit: n, Frame: k, Line: h.Line})
			}
		}
	}
}

// inherited says whether a lock of multiprocessing is held by nobody of this process,
// whatever its with statements say: a fork copies those of the parent, and sets the
// count of the child to 0 (_after_fork of CPython's multiprocessing/synchronize.py).
func (r *reader) inherited(lock uint64) bool {
	sem := lock
	if r.SemLock(sem).Handle == 0 {
		sem = r.Attr(lock, "_semlock")
	}
	s := r.SemLock(sem)
	return s.Handle != 0 && s.Count <= 0
}

func (r *reader) held(lock uint64, h hang.Hold) {
	t := &r.facts.Things[r.thing(lock, r.lockKind(lock))]
	for _, old := range t.Holders {
		if old.Unit == h.Unit {
			return
		}
	}
	t.Holders = append(t.Holders, h)
}

// attr is an attribute of an object, that may be None; 0 where it has none of that name.
func (r *reader) attr(obj uint64, name string) (found uint64) {
	r.EachAttr(obj, func(n string, value uint64) bool {
		if n == name {
			found = value
		}
		return found == 0
	})
	return found
}

// locksOf returns what one holds inside of a with statement.
func (r *reader) locksOf(obj uint64) []uint64 {
	switch kind := r.Type(obj); kind {
	case "lock", "RLock", "_RLock", "Semaphore", "BoundedSemaphore", "SemLock", "Lock":
		return []uint64{obj}
	case "Condition":
		if lock := r.Attr(obj, "_lock"); lock != 0 {
			return []uint64{lock}
		}
		return nil
	case "_ModuleLockManager":
		if lock := r.Attr(obj, "_lock"); lock != 0 {
			return []uint64{lock}
		}
		return nil
	}
	if r.IsA(obj, "SemLock") || r.IsA(obj, "Semaphore") {
		return []uint64{obj}
	}
	return nil
}

func (r *reader) lockKind(obj uint64) string {
	switch r.Type(obj) {
	case "RLock", "_RLock":
		return hang.RLock
	case "Semaphore", "BoundedSemaphore":
		return hang.Semaphore
	case "_ModuleLock":
		return hang.Import
	case "SimpleQueue":
		return hang.Queue
	}
	return hang.Lock
}

// base is a file's name without its folders, and func a function's without its
// class.
func base(file string) string { return file[strings.LastIndexByte(file, '/')+1:] }
func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
