package pystate

import (
	"slices"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
)

// takes notes of one that waits for room in a queue that it takes from the same queue
// itself, in a function further out: nobody makes room meanwhile.
func (w *waiter) takes() {
	if w.found.How != "put" || len(w.found.On) == 0 {
		return
	}
	inner := true // the functions of the queue itself
	for k := range w.u.frames {
		f := &w.u.frames[k]
		if k >= hang.MaxFrames {
			return
		}
		if inner = inner && ruleKey(f.File) == "queue.py"; inner || !slices.ContainsFunc(w.CodeNames(f), func(name string) bool { return name == "get" || name == "dequeue" }) {
			continue
		}
		for _, obj := range w.locals(w.u, k) {
			w.reach(obj, 1, map[uint64]int{}, func(obj uint64) {
				if n, ok := w.things[obj]; ok && n == w.found.On[0] {
					w.found.Takes = k
				}
			})
		}
		if w.found.Takes > 0 {
			return
		}
	}
}

// copies notes objects that a fork copies, of which each process has one of its own: of
// one that multiprocessing forked those that were passed to it, of one that has made
// processes those that its threads have at hand in the program's own code.
func (r *reader) copies() {
	if r.Global("multiprocessing.process", "BaseProcess") == 0 || r.passed() || len(r.facts.Children) == 0 {
		return
	}
	seen := map[uint64]int{}
	for _, u := range r.units {
		for k := range u.frames {
			if k >= hang.MaxFrames || hang.Library(u.frames[k].File) {
				continue
			}
			for _, obj := range sorted(r.locals(u, k)) {
				r.reach(obj, 1, seen, func(obj uint64) { r.copied(obj, false) })
			}
		}
	}
}

// passed notes what was passed to the process, where multiprocessing forked it; false says
// that it did not.
func (r *reader) passed() (yes bool) {
	seen := map[uint64]int{}
	for _, u := range r.units {
		for k := range u.frames {
			// The last is all that is left of a child that is about to end.
			at := map[string]string{"multiprocessing/process.py:_bootstrap": "self", "multiprocessing/popen_fork.py:_launch": "process_obj"}
			f := &u.frames[k]
			name := at[ruleKey(f.File)+":"+last(f.Func)]
			if k >= hang.MaxFrames || name == "" || yes {
				continue
			}
			yes = true
			for _, args := range []string{"_args", "_kwargs"} {
				r.reach(r.Attr(r.local(u, k, name), args), 2, seen, func(obj uint64) { r.copied(obj, true) })
			}
		}
	}
	return yes
}

// copied notes an object if it is one that threads wait for.
func (r *reader) copied(obj uint64, passed bool) {
	const most = 50
	if m := r.Module(obj); m != "threading" && m != "queue" && m != "_queue" {
		return
	}
	c := hang.Copy{Addr: obj, Class: r.Type(obj), Passed: passed}
	switch {
	case len(r.facts.Copies) >= most || slices.ContainsFunc(r.facts.Copies, func(o hang.Copy) bool { return o.Addr == obj }):
		return
	case c.Class == "Event" && r.True(r.Attr(obj, "_flag")):
		c.State = "set"
	case c.Class != "Event" && c.Class != "Condition" && c.Class != "Barrier" && c.Class != "Semaphore" && c.Class != "Queue" && c.Class != "SimpleQueue":
		return
	}
	r.facts.Copies = append(r.facts.Copies, c)
}

// Passed reads, of a process that ends well, what multiprocessing had passed to it when it
// was forked: copies, in which nobody sees what it did to them. nil is for nothing.
func Passed(rt *cpython.Runtime, m mem.Reader, proc int, threads []Thread) *hang.Facts {
	r := newReader(rt, m, proc)
	defer r.Release()
	if r.Global("multiprocessing.process", "BaseProcess") == 0 {
		return nil
	}
	r.readThreads(m, threads)
	if r.passed(); len(r.facts.Copies) == 0 {
		return nil
	}
	return &hang.Facts{Proc: proc, Copies: r.facts.Copies, Self: r.Str(r.Attr(r.Global("multiprocessing.process", "_current_process"), "_name"))}
}
