package pystate

import (
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
)

// maxAsks bounds the questions about one process, maxCalls those that need a
// breakpoint.
const (
	maxAsks  = 512
	maxCalls = 8
)

// asks notes the things that are waited for where memory does not say who took
// them: a journey through the recording can find that.
func (r *reader) asks(objs []uint64, waited map[int]bool) {
	for n := range r.facts.Things {
		t := &r.facts.Things[n]
		if !waited[n] || len(r.facts.Asks) >= maxAsks {
			continue
		}
		placed := len(t.Holders) > 0
		for _, h := range t.Holders {
			placed = placed && h.Line != 0
		}
		switch {
		case placed:
		case t.Kind == hang.Lock || t.Kind == hang.RLock:
			if l, ok := r.Lock(objs[n]); ok && l.Locked {
				a := hang.Ask{Thing: n, Word: l.Word, Len: 4, Mask: 0xffffffff, Free: 1}
				if l.Word == objs[n]+16 { // PyMutex
					a.Len, a.Mask, a.Free = 1, 1, 0
				}
				if l.Word%uint64(a.Len) == 0 {
					r.facts.Asks = append(r.facts.Asks, a)
				}
			} else if t.Async && t.Locked {
				r.askCalls(n, objs[n])
			}
		case t.Kind == hang.Semaphore:
			r.askCalls(n, objs[n])
		}
	}
	r.askPools()
	r.asksActs(objs, waited)
}

// askCalls asks for the calls of the method that takes a thing, which those are in
// that wait for it.
func (r *reader) askCalls(thing int, obj uint64) {
	if r.calls() >= maxCalls {
		return
	}
	for n := range r.facts.Units {
		w := r.facts.Units[n].Wait
		if w == nil || len(w.On) == 0 || w.On[0] != thing {
			continue
		}
		u := r.units[n]
		for k := range u.frames {
			if f := &u.frames[k]; hang.Library(f.File) && r.local(u, k, "self") == obj {
				r.facts.Asks = append(r.facts.Asks, hang.Ask{Thing: thing, File: f.File, Func: f.Func, Self: obj})
				return
			}
		}
	}
}

// calls is how many questions need a breakpoint.
func (r *reader) calls() int {
	n := 0
	for k := range r.facts.Asks {
		if r.facts.Asks[k].Word == 0 {
			n++
		}
	}
	return n
}

// askPools asks for the calls that took connections of a pool that a unit waits
// for, by the names that pools have.
func (r *reader) askPools() {
	for n := range r.facts.Units {
		w := r.facts.Units[n].Wait
		if w == nil || r.calls() >= maxCalls {
			continue
		}
		u := r.units[n]
		for k := 0; k < w.Frame+2 && k < len(u.frames); k++ {
			f := &u.frames[k]
			if hang.Machinery(f.File) {
				continue
			}
			self := r.local(u, k, "self")
			class := r.Type(self)
			if self == 0 || !strings.HasSuffix(class, "Pool") && !strings.HasSuffix(class, "Connector") || r.Module(self) == "multiprocessing.pool" {
				continue
			}
			if r.pooled(u, k, self) || !hang.Library(f.File) && !gives(last(f.Func)) {
				continue
			}
			if len(w.On) == 0 {
				w.On = []int{r.thing(self, hang.Object)}
			}
			r.facts.Things[w.On[0]].Pool = class
			r.facts.Asks = append(r.facts.Asks, hang.Ask{Thing: w.On[0], File: f.File, Func: f.Func, Self: self})
			break
		}
	}
}

// gives tells, by its name, a method of the program's own pool that gives something out
// until it is given back; a pool of threads has others.
func gives(name string) bool {
	for _, s := range []string{"acquire", "checkout", "borrow", "lease", "take", "get", "conn"} {
		if strings.Contains(strings.ToLower(name), s) {
			return true
		}
	}
	return false
}

// pooled says whether a frame further out is of a method of the same pool by which
// connections are asked for: that one tells them better.
func (r *reader) pooled(u *unit, frame int, self uint64) bool {
	for k := frame + 1; k < len(u.frames) && k < frame+3; k++ {
		if f := &u.frames[k]; hang.Library(f.File) && r.local(u, k, "self") == self {
			return true
		}
	}
	return false
}

// Taker reads who stands in a call that takes something, and at which line of the
// program; addr is the task's object where a task's code runs.
func Taker(rt *cpython.Runtime, m mem.Reader, t cpython.Thread, next uint64) (taken hang.Taken, addr uint64, ok bool) {
	frames, _ := rt.Frames(m, t, cpython.Options{NextInstr: next})
	if len(frames) == 0 {
		return hang.Taken{}, 0, false
	}
	taken = hang.Taken{Unit: -1, Name: t.Name}
	places := make([]hang.Frame, len(frames))
	for k := range frames {
		places[k] = hang.Frame{Func: frames[k].Func, File: frames[k].File, Line: frames[k].Line}
	}
	taken.Where = places[0]
	coro := false
	for k := range frames {
		f := &frames[k]
		if !hang.Library(f.File) && !hang.Machinery(f.File) && !hang.Made(places, k) {
			if !ok {
				taken.Where, ok = places[k], true
			} else if taken.From == nil {
				taken.From = &places[k]
			}
		}
		coro = coro || ruleKey(f.File) == "asyncio/base_events.py" || ruleKey(f.File) == "asyncio/events.py"
	}
	if coro {
		tasks, _ := rt.Tasks(m)
		for k := range tasks {
			if tasks[k].Running && tasks[k].Thread == t.Ident {
				taken.Name, addr = "task "+tasks[k].Name, tasks[k].Addr
			}
		}
	}
	return taken, addr, true
}

// SelfIs tells whether a thread enters a method of an object.
func SelfIs(rt *cpython.Runtime, m mem.Reader, t cpython.Thread, next, obj uint64) bool {
	frames, err := rt.Frames(m, t, cpython.Options{Limit: 1, NextInstr: next})
	if err != nil || len(frames) == 0 {
		return false
	}
	i := rt.Inspect(m)
	defer i.Release()
	return i.Vars(&frames[0])["self"] == obj
}
