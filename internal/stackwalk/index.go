package stackwalk

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	unix "pyrr/internal/sys"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
	"pyrr/internal/pystate"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// indexer makes the index of a recording during a replay: the stack at each
// event, and the names of the threads. The replay's goroutine reads what can be
// read only while the process stands still: the Python frames, and a copy of the
// C stack. The rest is made of it by another goroutine, the stacker, meanwhile.
type indexer struct {
	walk  *Walk
	procs map[int]*indexedProcess
	st    *stacker
	src   *sourceKeeper
	// Bare leaves out what is read of Python's objects: to measure what that costs.
	Bare  bool
	facts map[int]*hang.Facts // of the processes at their ends
	busy  map[int]*busy       // threads that compute, by process
	began time.Time
	load  load
	// alone has all done by the replay's goroutine, in the live memory.
	Alone   bool
	capture captureMem
}

// indexedProcess is what the indexer knows of a process.
type indexedProcess struct {
	events  uint64 // given to the stacker so far
	code    *codeMap
	tracker *cpython.Tracker
	threads map[int32]*indexedThread
	targets map[uint64]uint64 // see redirect

	imported bool // what was imported before it begins is known
	died     []hang.Raised
	dead     []hang.Dead
	aside    *hang.Facts // of one that a thread ends which is not the main one
}

type indexedThread struct {
	first uint64 // its first event
	tries uint64
	name  string
	ident uint64 // its fs base
	stack threadStack
}

// NewIndexer begins the index of a recording that is a folder.
func NewIndexer(rec *recording.Recording, from sourcesFrom) (*indexer, error) {
	w, err := rec.WriteStacks()
	if err != nil {
		return nil, err
	}
	x := &indexer{walk: New(rec), procs: map[int]*indexedProcess{}, facts: map[int]*hang.Facts{}, busy: map[int]*busy{}, began: time.Now(), load: load(ownTime())}
	if x.src, err = keepSources(rec, from); err != nil {
		w.Abort()
		return nil, err
	}
	x.st = newStacker(w, x.src)
	return x, nil
}

// Event takes the stack at an event of the replay.
func (x *indexer) Event(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
	ip := x.follow(p, ev)
	x.src.opened(ev)
	x.modules(p, ip, ev)
	for ; ip.events < p.Number; ip.events++ {
		x.st.do(job{kind: jobEvent, proc: p.Info.ID}) // an event without a thread
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
			x.stack(p, ip, t, it)
		}
		if isNew {
			regs := t.Regs()
			it.ident = regs.TLS()
		}
		x.name(p, t, it, ev)
		if len(ip.died) < MaxDied {
			if r := Reported(p, t, ev); r != nil {
				ip.died = append(ip.died, *r)
				if r.Type == "LoopExit" && !r.Greenlet { // the greenlets that are left
					ip.aside = factsOf(p, pystate.Read)
				}
			}
		}
	}
	x.st.do(job{kind: jobEvent, proc: p.Info.ID, thread: &it.stack})
	ip.events++
	switch ev.Kind {
	case recording.KindDeath:
		x.keepName(p, ev.TID, it)
		if it.ident != 0 && it.name != "" && len(ip.dead) < maxDead {
			ip.dead = append(ip.dead, hang.Dead{Ident: it.ident, TID: ev.TID, Name: it.name, Event: p.Number})
		}
		delete(ip.threads, ev.TID)
	case recording.KindEnter:
		if EndsAside(p.Info.PID, ev) {
			ip.aside = aside(p)
		}
	case recording.KindEnd:
		for _, tid := range slices.Sorted(maps.Keys(ip.threads)) {
			it := ip.threads[tid]
			if t := p.Threads()[tid]; t != nil {
				x.name(p, t, it, ev) // one that waits since its beginning
			}
			x.keepName(p, tid, it)
		}
		if facts := EndFacts(p, ev, ip.aside, ip.died, ip.dead); facts != nil && !x.Bare {
			if b := x.busy[p.Info.ID]; b != nil && b.collected != nil && b.end == ev.Instr && Stopped(ev) {
				facts.Busy = append(facts.Busy, *b.collected)
			}
			x.facts[p.Info.ID] = facts
		}
		ip.tracker = nil
		x.st.do(job{kind: jobForget, proc: p.Info.ID})
	}
	return nil
}

// modules keeps the sources of what was imported before a recording begins
// in the midst of a program: such a one has its interpreter from the start.
func (x *indexer) modules(p *replay.Process, ip *indexedProcess, ev *recording.Event) {
	if ip.imported || ev.Stop == recording.StopNone {
		return
	}
	ip.imported = true
	rt, err := p.Runtime()
	if err != nil {
		return // not yet: then opens tell
	}
	files, _ := rt.ModuleFiles(p.Unnoted()) // those before an error
	for _, name := range files {
		// Of what is installed those on stacks must do: all of it would be a
		// fourth of a recording of one test.
		if !stack.IsLibrary(name) {
			x.src.see(name)
		}
	}
}

// follow keeps track of what an event maps.
func (x *indexer) follow(p *replay.Process, ev *recording.Event) *indexedProcess {
	ip := x.procs[p.Info.ID]
	own := slices.ContainsFunc(ev.Maps, func(m recording.Mapping) bool { return strings.HasPrefix(m.Name, "[pyrr") })
	switch {
	case ip == nil || own:
		// Its files are made of memory.
		x.st.wait()
		x.walk.Follow(p, ev)
		if ip == nil {
			ip = &indexedProcess{threads: map[int32]*indexedThread{}, code: x.walk.Procs[p.Info.ID].Code}
			x.procs[p.Info.ID] = ip
		}
		ip.targets = map[uint64]uint64{}
	case len(ev.Maps) > 0 || ev.Nr == unix.SYS_MUNMAP:
		brief := recording.Event{Kind: ev.Kind, Nr: ev.Nr, Ret: ev.Ret, Args: ev.Args, Memory: recording.Memory{Maps: slices.Clone(ev.Maps)}}
		x.st.do(job{kind: jobCall, call: func() { ip.code.Follow(x.walk.Rec, x.walk.Files, nil, &brief) }})
	}
	return ip
}

// Forget makes a process's stacks be read again from here on.
func (x *indexer) Forget(p *replay.Process) {
	p.ForgetPython()
	if ip := x.procs[p.Info.ID]; ip != nil {
		ip.tracker = nil
		x.st.do(job{kind: jobForget, proc: p.Info.ID})
	}
}

// ReadAll reads all that can be asked for at a point: the stacks of all
// threads, with their variables and exceptions, and the tasks. Where memory is
// noted that is read, it will be there.
func (x *indexer) ReadAll(p *replay.Process) {
	x.st.wait()
	rt, all, m := x.walk.Threads(p)
	if rt == nil {
		return
	}
	for _, t := range p.Threads() {
		c := x.walk.Procs[p.Info.ID].Code.Walk(p, t)
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

// stack reads a thread's stack.
func (x *indexer) stack(p *replay.Process, ip *indexedProcess, t *replay.Thread, it *indexedThread) {
	regs := t.Regs()
	regs.SetPC(ip.redirect(p.Mem(), regs.PC()))
	j := job{kind: jobStack, proc: p.Info.ID, thread: &it.stack, code: ip.code, ident: regs.TLS(), regs: UnwindRegs(&regs)}
	m := &x.capture
	*m = captureMem{Reader: p.Mem(), bufs: m.bufs, addrs: m.addrs}
	if !x.Alone {
		m.addr, m.b = it.stack.copied(regs.SP())
	}
	if rt, err := p.Runtime(); err == nil {
		if ip.tracker == nil {
			ip.tracker = rt.NewTracker()
		}
		frames, same, _, ok, _ := ip.tracker.Frames(m, regs.TLS(), p.NextInstr(t))
		if ok {
			j.rt, j.same = rt, same
			j.top = append(newFrames(), frames[:len(frames)-same]...)
		}
	}
	if j.rt != nil && ip.tracker.Several() {
		// Which of its frames are this thread's depends on its C stack.
		j.rest = func(c []unwind.Frame) [][]cpython.Frame {
			all, _ := j.rt.Threads(p.Mem())
			return framesOf(j.rt, p, t, all, c)
		}
		m.b = nil
	}
	if m.copy() {
		j.copied.bytes = stackBytes{m.addr, m.b}
		x.st.do(j)
		return
	}
	j.live = p.Mem()
	x.st.now(j)
}

// redirect returns where a thread is in the program's code that is in code of
// pyrr's; what that stands for does not change.
func (ip *indexedProcess) redirect(m mem.Reader, pc uint64) uint64 {
	if !ip.code.ours(pc) {
		return pc
	}
	to, ok := ip.targets[pc]
	if !ok {
		if to, ok = ip.code.Redirect(m, pc); !ok {
			to = pc
		}
		ip.targets[pc] = to
	}
	return to
}

// name looks up a thread's name until it has one. It registers it soon after
// its start, so it is asked at its first events, at its events 32, 64, 128 and
// so on, and at its end.
func (x *indexer) name(p *replay.Process, t *replay.Thread, it *indexedThread, ev *recording.Event) {
	if it.name != "" {
		return
	}
	it.tries++
	if n := it.tries; n > 16 && n&(n-1) != 0 && ev.Kind != recording.KindDeath && ev.Kind != recording.KindEnd {
		return
	}
	rt, all, m := x.walk.Threads(p)
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
	if it.name == "" && int(tid) == p.Info.PID && runsPython(p) {
		it.name = MainThread
	}
	proc, first, name := p.Info.ID, it.first, it.name
	x.st.do(job{kind: jobCall, call: func() { x.st.w.Name(proc, tid, first, name) }})
}

// runsPython says whether a process has an interpreter that can be read.
func runsPython(p *replay.Process) bool {
	_, err := p.Runtime()
	return p.Info.Python != "" || err == nil
}

// MainThread is the name that threading gives the main thread.
const MainThread = "MainThread"

// Close completes the index and keeps the text of the Python files in it.
func (x *indexer) Close() error {
	took := time.Since(x.began)
	busy := x.load.busyness(took)
	travel(x.walk.Rec, x.facts, busy)
	raised(x.walk.Rec, x.facts, took, busy)
	exited(x.walk.Rec, x.facts, took, busy)
	for _, id := range slices.Sorted(maps.Keys(x.facts)) {
		if text := factsText(x.facts[id]); text != nil {
			x.st.do(job{kind: jobCall, call: func() { x.st.w.Facts(id, text) }})
		}
	}
	if whole, err := x.st.end(); err != nil || !whole {
		x.drop()
		return cmp.Or(err, errElsewhere)
	}
	x.st.w.SetFull()
	for _, name := range x.st.w.Files() {
		x.src.see(name) // where it did not see them before
	}
	if err := x.st.w.Close(); err != nil {
		x.src.abort()
		return err
	}
	return x.src.close()
}

// Abort drops the index of a replay that failed.
func (x *indexer) Abort() {
	x.st.end()
	x.drop()
}

func (x *indexer) drop() {
	x.st.w.Abort()
	x.src.abort()
}

// errElsewhere says that some stack had parts that lie outside what was copied
// of it. The index must be made by the replay's goroutine alone.
var errElsewhere = errors.New("a stack in several places")

// Replay replays a recording and makes its index on the way. The error
// of the index is apart.
func Replay(rec *recording.Recording, from sourcesFrom, o replay.Options) (indexErr, err error) {
	for _, alone := range []bool{false, true} {
		var x *indexer
		if x, indexErr = NewIndexer(rec, from); indexErr != nil {
			o.OnEvent, o.OnLast = nil, nil
			_, err = replay.Batch(rec, o)
			return indexErr, err
		}
		x.Alone = alone
		o.OnEvent, o.OnLast = x.Event, x.Last
		if _, err = replay.Batch(rec, o); err != nil {
			x.Abort()
			return nil, err
		}
		if indexErr = x.Close(); !errors.Is(indexErr, errElsewhere) {
			return indexErr, nil
		}
		o.Stdout, o.Stderr = nil, nil // all was printed
	}
	return indexErr, nil
}
