package cpython

import (
	"bytes"
	"errors"
	"path"
	"strings"

	"pyrr/internal/mem"
)

// Tracker reads the stacks of one process again and again, as an index over
// all events does. It remembers each thread's last stack: frames that lie in
// memory as they did then are not decoded again, which makes a stack that has
// changed but at its top several times cheaper. It belongs to one goroutine.
//
// That an unchanged frame still has the same code is certain where the
// interpreter counts the code objects that it frees (3.14). Before, it is
// certain for frames that changed and for code without a file of its own
// (exec, eval, made in the program), which alone is freed and made again as a
// matter of course.
type Tracker struct {
	r       *Runtime
	threads map[uint64]*trackedThread // by Ident
	several bool
	check   []codeCheck // scratch
}

type trackedThread struct {
	Thread
	pages      []uint64
	steps      []step
	spare      []step
	frames     []Frame
	generation uint64
}

// step is one frame or shim of a walk.
type step struct {
	addr  uint64
	raw   []byte
	entry uint64 // given to the frame before, 0 for none
	co    *code  // of a frame that is shown
	frame Frame
}

// NewTracker returns a Tracker for a process of which r is the runtime.
func (r *Runtime) NewTracker() *Tracker {
	return &Tracker{r: r, threads: map[uint64]*trackedThread{}}
}

// Several tells whether there was more than one interpreter at the last call
// of Frames: a thread may then have frames in each.
func (k *Tracker) Several() bool { return k.several }

// Frames returns the stack of the thread whose fs base is ident, innermost
// frame first (next is Options.NextInstr), and how many frames at its outer end are those of the last
// call for that thread. The slice is good until the next call. ok is false
// for a thread without Python.
func (k *Tracker) Frames(m mem.Reader, ident, next uint64) (frames []Frame, same int, t Thread, ok bool, err error) {
	v := newView(m)
	defer v.release()
	old := k.threads[ident]
	if old != nil {
		v.prefetch(old.pages)
	}
	tt, err := k.thread(v, m, ident)
	if err != nil || tt == nil {
		return nil, 0, Thread{}, false, err
	}
	frames, same, err = k.walk(v, tt, next)
	tt.pages = v.usedPages()
	return frames, same, tt.Thread, true, err
}

// thread returns the thread state that an OS thread runs.
func (k *Tracker) thread(v *view, m mem.Reader, ident uint64) (*trackedThread, error) {
	l := k.r.l
	interp, err := v.u64(k.r.Addr + uint64(l.runtime.interpHead))
	if err != nil || interp == 0 {
		return nil, err
	}
	next, err := v.u64(interp + uint64(l.interp.next))
	if err != nil {
		return nil, err
	}
	if k.several = next != 0; !k.several {
		if t := k.threads[ident]; t != nil {
			if k.alive(v, t, interp) {
				return t, nil
			}
			delete(k.threads, ident)
		}
		// Most of what Threads finds out is of no use for a thread that is
		// none of Python's.
		if ok, err := k.has(v, interp, ident); !ok || err != nil {
			return nil, err
		}
	}
	all, err := k.r.Threads(m)
	if err != nil && len(all) == 0 {
		return nil, err
	}
	found, ok := k.r.pick(v, all, func(t *Thread) bool { return t.Ident == ident })
	if !ok {
		return nil, nil
	}
	t := k.threads[ident]
	if t == nil || t.Addr != found.Addr {
		t = &trackedThread{}
		k.threads[ident] = t
	}
	t.Thread = found
	return t, nil
}

// alive tells whether a thread state is still in its interpreter's list: the
// memory of one that was freed often holds what it did.
func (k *Tracker) alive(v *view, t *trackedThread, interp uint64) bool {
	l := k.r.l
	s, err := v.record("PyThreadState", t.Addr, max(l.thread.threadID, l.thread.interp)+8)
	if err != nil || s.u64(l.thread.threadID) != t.Ident || s.u64(l.thread.interp) != interp {
		return false
	}
	from := interp + uint64(l.interp.threads)
	if prev := s.u64(0); prev != 0 { // PyThreadState.prev is the first member
		from = prev + uint64(l.thread.next)
	}
	at, err := v.u64(from)
	return err == nil && at == t.Addr
}

// has tells whether a thread state of an interpreter is of the thread ident.
func (k *Tracker) has(v *view, interp, ident uint64) (bool, error) {
	l := k.r.l
	addr, err := v.u64(interp + uint64(l.interp.threads))
	for n := 0; err == nil && addr != 0; n++ {
		if n >= maxThreads {
			return false, errors.New("list of threads does not end")
		}
		var s record
		if s, err = v.record("PyThreadState", addr, l.thread.threadID+8); err != nil {
			break
		}
		if s.u64(l.thread.threadID) == ident {
			return true, nil
		}
		addr = s.u64(l.thread.next)
	}
	return false, err
}

// walk walks a thread's frames, and takes over those that have not changed.
func (k *Tracker) walk(v *view, t *trackedThread, next uint64) ([]Frame, int, error) {
	w := walk{r: k.r, v: v, limit: defaultLimit, next: next, frames: t.frames[:0], track: true, last: t.steps, steps: t.spare[:0]}
	if g := k.r.l.interp.codeGeneration; g != no {
		interp, err := v.u64(t.Addr + uint64(k.r.l.thread.interp))
		if err == nil {
			var now uint64
			if now, err = v.u64(interp + uint64(g)); err == nil {
				w.sure, t.generation = now == t.generation, now
			}
		}
		if err != nil || !w.sure {
			w.last = nil
		}
	}
	w.check = k.check[:0]
	addr, err := w.top(t.Addr)
	if err == nil {
		err = w.run(addr)
	}
	if err == nil && !w.checkTrusted() {
		w.distrust, w.same, w.cframe = true, 0, 0
		w.frames, w.steps = w.frames[:0], w.steps[:0]
		if addr, err = w.top(t.Addr); err == nil {
			err = w.run(addr)
		}
	}
	k.check = w.check
	if err != nil && len(w.frames) > 0 {
		w.frames[len(w.frames)-1].Err = err.Error()
		err = nil
		// What comes next starts from nothing.
		w.steps, w.same = w.steps[:0], 0
	}
	t.spare, t.steps, t.frames = t.steps, w.steps, w.frames
	return w.frames, w.same, err
}

// note keeps what a step came to, for the next walk.
func (w *walk) note(s record, entry uint64, co *code) {
	if !w.track {
		return
	}
	st := w.step()
	st.addr, st.raw, st.entry, st.co = s.addr, append(st.raw[:0], s.b...), entry, co
	if co != nil {
		st.frame = w.frames[len(w.frames)-1] // before a shim is entered in it
		if len(w.steps) == 1 && w.next != 0 {
			st.raw = st.raw[:0] // memory does not tell where it is: never the same
		}
	}
}

// step appends a step, in the memory of an old one.
func (w *walk) step() *step {
	n := len(w.steps)
	if n < cap(w.steps) {
		w.steps = w.steps[:n+1]
	} else {
		w.steps = append(w.steps, step{})
	}
	return &w.steps[n]
}

// reuse ends the walk at s if from there on all is as it was in the last.
func (w *walk) reuse(s record, first bool) bool {
	at := -1
	for i := range w.last {
		if w.last[i].addr == s.addr {
			at = i
			break
		}
	}
	// A thread's innermost frame is shown where others would be hidden.
	if at < 0 || (at == 0) != first || !bytes.Equal(w.last[at].raw, s.b) {
		return false
	}
	rest := w.last[at:]
	for i := 1; i < len(rest); i++ {
		b, err := w.v.bytes(rest[i].addr, len(rest[i].raw))
		if err != nil || !bytes.Equal(b, rest[i].raw) {
			return false
		}
	}
	if len(w.frames)+len(rest) > w.limit {
		return false
	}
	if !w.sure {
		for i := range rest {
			co := rest[i].co
			if co == nil || !co.dynamic {
				continue
			}
			if now, _, err := w.r.code(w.v, rest[i].frame.Code); err != nil || now != co {
				return false
			}
		}
	}
	for i := range rest {
		st := &rest[i]
		if st.co == nil {
			if n := len(w.frames); st.entry != 0 && n > 0 && w.frames[n-1].Entry == 0 {
				w.frames[n-1].Entry = st.entry
			}
		} else {
			w.frames = append(w.frames, st.frame)
			w.same++
		}
		kept := w.step()
		kept.addr, kept.raw, kept.entry, kept.co, kept.frame = st.addr, append(kept.raw[:0], st.raw...), st.entry, st.co, st.frame
	}
	return true
}

// dynamicFile tells the file name of code that was neither imported from a
// file nor frozen into the interpreter.
func dynamicFile(name string) bool {
	return !path.IsAbs(name) && !strings.HasPrefix(name, "<frozen ")
}
