package cpython

import (
	"fmt"
	"sort"

	"pyrr/internal/mem"
)

const (
	maxInterpreters = 4096
	maxThreads      = 32768
)

// Thread is one PyThreadState. An OS thread has one in every interpreter
// that it has run.
type Thread struct {
	// Addr is the address of the PyThreadState.
	Addr uint64
	// Interp is the interpreter's id, 0 for the main one.
	Interp int64
	// ID counts the interpreter's thread states in the order of their making.
	ID uint64
	// Ident is threading.get_ident(): the pthread_t, which is also the
	// thread's fs base.
	Ident uint64
	// NativeID is threading.get_native_id(): the kernel's thread id as the
	// process saw it; 0 when it cannot be told.
	NativeID int
	// Name is the name of its threading.Thread, "" when there is none.
	Name string
	// HasGIL tells that it holds its interpreter's lock.
	HasGIL bool
}

// Threads lists the thread states of every interpreter, in the order of
// their making. It is empty before Python's initialisation and after its
// end. With an error come the threads found before it.
func (r *Runtime) Threads(m mem.Reader) ([]Thread, error) {
	v := newView(m)
	defer v.release()
	v.prefetch(r.hint(0))
	defer func() { r.setHint(0, v.usedPages()) }()
	l := r.l
	interp, err := v.u64(r.Addr + uint64(l.runtime.interpHead))
	if err != nil {
		return nil, fmt.Errorf("read _PyRuntime.interpreters.head: %w", err)
	}
	var all []Thread
	seen := map[uint64]bool{}
	for interp != 0 {
		if seen[interp] || len(seen) >= maxInterpreters {
			return all, fmt.Errorf("list of interpreters does not end (%#x)", interp)
		}
		seen[interp] = true
		ts, err := r.interpThreads(v, interp)
		all = append(all, ts...)
		if err != nil {
			return all, fmt.Errorf("interpreter at %#x: %w", interp, err)
		}
		if interp, err = v.u64(interp + uint64(l.interp.next)); err != nil {
			return all, fmt.Errorf("read PyInterpreterState.next: %w", err)
		}
	}
	sort.SliceStable(all, func(i, j int) bool {
		a, b := &all[i], &all[j]
		if a.Interp != b.Interp {
			return a.Interp < b.Interp
		}
		return a.ID < b.ID
	})
	return all, nil
}

func (r *Runtime) interpThreads(v *view, interp uint64) ([]Thread, error) {
	l := r.l
	id, err := v.u64(interp + uint64(l.interp.id))
	if err != nil {
		return nil, fmt.Errorf("read PyInterpreterState.id: %w", err)
	}
	addr, err := v.u64(interp + uint64(l.interp.threads))
	if err != nil {
		return nil, fmt.Errorf("read the head of its threads: %w", err)
	}
	holder, err := r.gilHolder(v, interp)
	if err != nil {
		return nil, err
	}
	// A dict that is being changed cannot always be read: names are worth
	// less than the threads.
	names, _ := r.threadNames(v, interp)
	size := max(l.thread.id, l.thread.threadID, l.thread.nativeID) + 8
	var ts []Thread
	seen := map[uint64]bool{}
	for addr != 0 {
		if seen[addr] || len(ts) >= maxThreads {
			return ts, fmt.Errorf("list of threads does not end (%#x)", addr)
		}
		seen[addr] = true
		s, err := v.record("PyThreadState", addr, size)
		if err != nil {
			return ts, err
		}
		t := Thread{
			Addr:   addr,
			Interp: int64(id),
			ID:     s.u64(l.thread.id),
			Ident:  s.u64(l.thread.threadID),
			HasGIL: addr == holder,
			Name:   names[s.u64(l.thread.threadID)],
		}
		t.NativeID = r.nativeID(v, s, t.Ident)
		ts = append(ts, t)
		addr = s.u64(l.thread.next)
	}
	return ts, nil
}

// Runs says whether an OS thread, by its fs base or the kernel's id, is the one of a thread
// state. Where the state itself holds no id (up to 3.10) only the fs base tells.
func (r *Runtime) Runs(t Thread, fsBase uint64, tid int32) bool {
	return t.Ident == fsBase || r.l.thread.nativeID != no && t.NativeID == int(tid)
}

// Of returns the one of all thread states that an OS thread runs, by its
// kernel's id or its fs base: it may have one in several interpreters, and
// before 3.12 the state of a thread that is just being started carries the
// ident of the one that starts it.
func (r *Runtime) Of(m mem.Reader, all []Thread, tid int, fsBase uint64) (Thread, bool) {
	v := newView(m)
	defer v.release()
	return r.pick(v, all, func(t *Thread) bool { return t.NativeID == tid || t.Ident == fsBase })
}

// pick prefers a thread state that holds its interpreter's lock, then one
// that has frames, then the last.
func (r *Runtime) pick(v *view, all []Thread, match func(*Thread) bool) (Thread, bool) {
	best, bestRank := -1, -1
	for i := range all {
		if !match(&all[i]) {
			continue
		}
		rank := 0
		if all[i].HasGIL {
			rank = 2
		} else if w := (walk{r: r, v: v}); best >= 0 || i+1 < len(all) {
			if top, err := w.top(all[i].Addr); err == nil && top != 0 {
				rank = 1
			}
		}
		if rank >= bestRank {
			best, bestRank = i, rank
		}
	}
	if best < 0 {
		return Thread{}, false
	}
	return all[best], true
}

// gilHolder returns the thread state that holds the lock of an interpreter,
// 0 when none does. Up to 3.11 it is _PyRuntime.gilstate.tstate_current, which
// is NULL while the lock is free; later the lock says whether it is locked
// and who took it last.
func (r *Runtime) gilHolder(v *view, interp uint64) (uint64, error) {
	l := r.l
	if l.runtime.tstateCurrent != no {
		cur, err := v.u64(r.Addr + uint64(l.runtime.tstateCurrent))
		if err != nil {
			return 0, fmt.Errorf("read _PyRuntime.gilstate.tstate_current: %w", err)
		}
		return cur, nil
	}
	gil, err := v.u64(interp + uint64(l.interp.gil))
	if err != nil {
		return 0, fmt.Errorf("read PyInterpreterState.ceval.gil: %w", err)
	}
	if gil == 0 {
		return 0, nil // not made yet
	}
	g, err := v.record("GIL", gil, max(l.gil.lastHolder, l.gil.locked)+8)
	if err != nil {
		return 0, err
	}
	if g.i32(l.gil.locked) != 1 {
		return 0, nil // -1: not made yet
	}
	return g.u64(l.gil.lastHolder), nil
}

// AtGIL says whether a word that a thread waits at with futex(2) is one of an interpreter's
// lock: of the condition, or of a mutex, by which that goes from thread to thread.
func (r *Runtime) AtGIL(m mem.Reader, word uint64) bool {
	const inRuntime, inLock = 0x1000, 0x200 // bytes; _gil_runtime_state has two conditions and two mutexes
	if r.l.runtime.tstateCurrent != no {
		return word >= r.Addr && word < r.Addr+inRuntime
	}
	v := newView(m)
	defer v.release()
	interp, err := v.u64(r.Addr + uint64(r.l.runtime.interpHead))
	for k := 0; err == nil && interp != 0 && k < maxInterpreters; k++ {
		if gil, err := v.u64(interp + uint64(r.l.interp.gil)); err == nil && gil != 0 && word >= gil && word < gil+inLock {
			return true
		}
		interp, err = v.u64(interp + uint64(r.l.interp.next))
	}
	return false
}

// glibcTID is the offset of tid in glibc's struct pthread on x86-64, right
// after the 704-byte tcbhead_t and the list link (nptl/descr.h; the same in
// 2.31, 2.36 and 2.41, which has nptl_db rely on it).
const glibcTID = 0x2d0

// maxTID is the kernel's PID_MAX_LIMIT (linux/threads.h).
const maxTID = 4 << 20

// nativeID returns the kernel's id of a thread, 0 when it cannot be told.
func (r *Runtime) nativeID(v *view, tstate record, ident uint64) int {
	if r.l.thread.nativeID != no {
		if id := tstate.u64(r.l.thread.nativeID); id <= maxTID {
			return int(id)
		}
		return 0
	}
	if r.TID != nil {
		if tid, ok := r.TID(ident); ok {
			return tid
		}
	}
	// glibc's header.self, a pointer to itself, tells a struct pthread.
	const self = 0x10
	p, err := v.record("struct pthread", ident, glibcTID+8)
	if err != nil || p.u64(self) != ident {
		return 0
	}
	if tid := p.i32(glibcTID); tid > 0 && tid <= maxTID {
		return tid
	}
	return 0
}
