package pystate

import (
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/hang"
)

// finish reads what needs all units and things: who is at a future, who knows
// what is waited for, what became of those that should have acted, and names.
func (r *reader) finish() {
	objs := make([]uint64, len(r.facts.Things))
	for obj, n := range r.things {
		objs[n] = obj
	}
	r.futures(objs)
	r.generatorHolds()
	r.suspended()
	waited := map[int]bool{}
	for n := range r.facts.Units {
		if w := r.facts.Units[n].Wait; w != nil {
			for _, t := range w.On {
				waited[t] = true
			}
		}
	}
	r.know(objs, waited)
	r.standard() // things come with what is at hand: files in which something lies
	for n := len(objs); n < len(r.facts.Things); n++ {
		objs = append(objs, r.facts.Things[n].Addr)
	}
	r.inQueues(objs, waited)
	for n := range r.facts.Things {
		t := &r.facts.Things[n]
		if of, ok := r.partOf[n]; ok && t.Name == "" {
			if name := r.nameOf(n, of.of); name != "" {
				t.Name = strings.TrimSuffix(name+"."+of.name, ".")
			}
		}
		if t.Name == "" {
			t.Name = r.nameOf(n, objs[n])
		}
	}
	r.distinguish(objs)
	r.fates(waited)
	r.fatesBeyond()
	r.failedBeside()
	r.idleListeners()
	r.leftItems()
	r.cursors()
	r.children()
	r.copies()
	r.asks(objs, waited)
	r.asksWrote()
	r.facts.TaskAt = r.task
	for n := range r.facts.Units {
		r.serves(n)
		u := &r.facts.Units[n]
		if u.Kind == hang.Thread && !u.Main {
			u.Daemon = r.daemon(r.units[n].ident)
		}
	}
}

// children notes the names that multiprocessing's processes have: those that run,
// and those that a variable has.
func (r *reader) children() {
	if self := r.Str(r.Attr(r.Global("multiprocessing.process", "_current_process"), "_name")); self != "MainProcess" {
		r.facts.Self = self
	}
	list := r.Items(r.Global("multiprocessing.process", "_children"), 500)
	if r.Global("multiprocessing.process", "BaseProcess") != 0 {
		for _, u := range r.units {
			for k := range u.frames {
				if k >= hang.MaxFrames || hang.Library(u.frames[k].File) {
					continue
				}
				for _, obj := range sorted(r.locals(u, k)) {
					list = append(list, obj)
					list = append(list, r.listed(obj)...)
				}
			}
		}
	}
	for _, p := range list {
		if !r.IsA(p, "BaseProcess") {
			continue
		}
		pid, ok := r.Int(r.Attr(p, "_popen.pid"))
		if name := r.Str(r.Attr(p, "_name")); ok && name != "" {
			if r.facts.Children == nil {
				r.facts.Children = map[int]string{}
			}
			r.facts.Children[int(pid)] = name
		}
	}
}

// serves notes of a unit the listening sockets of the servers that it runs.
func (r *reader) serves(n int) {
	u := r.units[n]
	for k := range u.frames {
		f := &u.frames[k]
		if name := last(f.Func); k >= hang.MaxFrames || ruleKey(f.File) != "socketserver.py" || name != "serve_forever" && name != "handle_request" {
			continue
		}
		if fd, ok := r.Descriptor(r.Attr(r.local(u, k, "self"), "socket")); ok {
			r.facts.Units[n].Serves = append(r.facts.Units[n].Serves, fd)
		}
	}
}

func (r *reader) daemon(ident uint64) bool {
	found := false
	r.Pairs(r.Global("threading", "_active"), func(key, value uint64) bool {
		if n, ok := r.Int(key); ok && uint64(n) == ident {
			found = r.True(r.Attr(value, "_daemonic"))
			return false
		}
		return true
	})
	return found
}

// futures finds who is at the futures that are waited for: the worker of a
// pool that runs it, or the workers of the pool in whose queue it lies.
func (r *reader) futures(objs []uint64) {
	type pool struct {
		queue   uint64
		workers []int
	}
	running := map[uint64]int{} // units by the future that they run
	var pools []*pool
	byQueue := map[uint64]*pool{}
	for n, u := range r.units {
		if u.thread == nil {
			continue
		}
		for k := range u.frames {
			f := &u.frames[k]
			if ruleKey(f.File) != "futures/thread.py" {
				continue
			}
			switch last(f.Func) {
			case "run":
				if future := r.Attr(r.local(u, k, "self"), "future"); future != 0 {
					running[future] = n
				}
			case "_worker":
				queue := r.local(u, k, "work_queue")
				if queue == 0 {
					queue = r.Attr(r.local(u, k, "executor"), "_work_queue") // 3.15
				}
				if queue == 0 {
					continue
				}
				p := byQueue[queue]
				if p == nil {
					p = &pool{queue: queue}
					byQueue[queue] = p
					pools = append(pools, p)
				}
				p.workers = append(p.workers, n)
			}
		}
	}
	queued := map[uint64]*pool{}
	for _, p := range pools {
		for _, item := range r.Items(p.queue, 10_000) {
			if future := r.Attr(item, "future"); future != 0 {
				queued[future] = p
			}
			r.queuedKnows(item)
		}
		r.behind(p.workers, r.queuedJobs(p.queue))
	}
	jobs := r.poolWorkers()
	for queue, workers := range jobs.byQueue {
		r.behind(workers, r.queuedJobs(queue))
	}
	for n := range r.facts.Things {
		t := &r.facts.Things[n]
		if t.Kind != hang.Future {
			continue
		}
		if unit, ok := running[objs[n]]; ok {
			t.Owed = append(t.Owed, unit)
		} else if p := queued[objs[n]]; p != nil {
			t.Queued, t.Owed, t.Size = true, slices.Clone(p.workers), len(p.workers)
		} else if r.poolResult(n, objs[n], &jobs) {
			continue
		} else if unit, ok := r.byTask[objs[n]]; ok {
			t.Owed = append(t.Owed, unit)
		} else if r.unstarted(n, objs[n]); !t.Pending {
			r.workless(n, objs[n])
		}
	}
}

// queuedKnows notes what the function of a job that lies in the queue of a pool has at
// hand of what others wait for: events, conditions, barriers, queues.
func (r *reader) queuedKnows(item uint64) {
	parts := []uint64{item}
	if r.Type(item) == "_WorkItem" {
		parts = []uint64{r.Attr(item, "fn"), r.Attr(item, "args"), r.Attr(item, "kwargs")}
		if task := r.Attr(item, "task"); task != 0 { // 3.14: (fn, args, kwargs)
			parts = append(parts, task)
		}
	}
	seen, name := map[uint64]int{}, ""
	for _, obj := range parts {
		r.reach(obj, 2, seen, func(obj uint64) {
			if fn := r.FuncName(obj); fn != "" && name == "" && (r.Type(obj) == "function" || r.Type(obj) == "method") {
				name = fn
			}
			for _, o := range append(r.FuncGlobals(obj), obj) {
				n, ok := r.things[o]
				if !ok || len(r.facts.Things[n].Fate) > 0 || r.waitsIn(n, last(name)) {
					continue
				}
				switch t := &r.facts.Things[n]; t.Kind {
				case hang.Event, hang.Condition, hang.Barrier, hang.Queue:
					t.Fate = append(t.Fate, hang.Fate{Kind: hang.QueuedJob, Name: last(name), How: "queued"})
				}
			}
		})
	}
}

// waitsIn says whether one that waits for a thing does so in a function of a name: a job
// of the same function would wait as well.
func (r *reader) waitsIn(thing int, name string) bool {
	for k := range r.facts.Units {
		u := &r.facts.Units[k]
		if u.Wait != nil && slices.Contains(u.Wait.On, thing) && slices.ContainsFunc(u.Frames, func(f hang.Frame) bool { return last(f.Func) == name }) {
			return true
		}
	}
	return false
}

// know finds which units have what is waited for in reach: in a variable of
// their own frames, or in an attribute of such an object.
func (r *reader) know(objs []uint64, waited map[int]bool) {
	want := map[uint64]int{}
	for n := range waited {
		want[objs[n]] = n
	}
	for n, u := range r.units {
		if w := r.facts.Units[n].Wait; w == nil && len(u.frames) == 0 {
			continue
		}
		seen := map[uint64]int{}
		for k := range u.frames {
			if k >= hang.MaxFrames {
				break
			}
			if hang.Machinery(u.frames[k].File) {
				continue
			}
			for _, obj := range sorted(r.locals(u, k)) {
				r.reach(obj, 2, seen, func(found uint64) { r.has(n, found, want) })
			}
			if !hang.Library(u.frames[k].File) {
				// What its code names of its module.
				for _, name := range r.CodeNames(&u.frames[k]) {
					if obj := r.FrameGlobal(&u.frames[k], name); obj != 0 {
						r.reach(obj, 1, seen, func(found uint64) { r.has(n, found, want) })
					}
				}
			}
		}
	}
}

// reach calls f for an object and, to a depth, for the objects in it.
// seen has those that were looked at, with one more than the depth to which.
func (r *reader) reach(obj uint64, depth int, seen map[uint64]int, f func(uint64)) {
	if obj == 0 || seen[obj] > depth || r.left <= 0 {
		return
	}
	before := seen[obj]
	seen[obj] = depth + 1
	r.left--
	if before == 0 {
		f(obj)
	}
	if depth == 0 {
		return
	}
	switch r.Type(obj) {
	case "", "int", "str", "bytes", "float", "bool", "NoneType", "module", "type", "code", "builtin_function_or_method":
		return
	case "list", "tuple", "set", "dict", "deque":
		for _, item := range r.Items(obj, 50) {
			r.reach(item, depth-1, seen, f)
		}
		return
	case "method":
		if self := r.MethodSelf(obj); self != 0 {
			r.reach(self, depth, seen, f)
		}
		return
	case "function":
		for _, cell := range r.Closure(obj) {
			r.reach(cell, depth-1, seen, f)
		}
		return
	}
	left := 60
	r.EachAttr(obj, func(_ string, value uint64) bool {
		left--
		r.reach(value, depth-1, seen, f)
		return left > 0
	})
}

// fates finds what became of tasks and threads that those who wait have at
// hand, and that are not there any more.
func (r *reader) fates(waited map[int]bool) {
	for n, u := range r.units {
		w := r.facts.Units[n].Wait
		if w == nil || len(w.On) == 0 {
			continue
		}
		t := &r.facts.Things[w.On[0]]
		for k := w.Frame; k < len(u.frames) && k < w.Frame+3; k++ {
			if hang.Library(u.frames[k].File) {
				continue
			}
			for _, obj := range sorted(r.locals(u, k)) {
				for _, o := range append([]uint64{obj}, r.listed(obj)...) {
					if fate, ok := r.fate(o); ok && len(t.Fate) < 8 && !slices.Contains(t.Fate, fate) {
						t.Fate = append(t.Fate, fate)
					}
				}
			}
		}
	}
}

// fatesBeyond is about things that tasks wait for and nobody is left to bring about:
// it adds which tasks that the waiting ones know have failed or were cancelled.
func (r *reader) fatesBeyond() {
	for n := range r.units {
		w := r.facts.Units[n].Wait
		if w == nil || len(w.On) == 0 || len(r.facts.Things[w.On[0]].Fate) > 0 {
			continue
		}
		t := &r.facts.Things[w.On[0]]
		for m, u := range r.units {
			if o := r.facts.Units[m].Wait; o == nil || !slices.Contains(o.Units, n) {
				continue
			}
			for k := range u.frames {
				if k >= hang.MaxFrames || hang.Library(u.frames[k].File) {
					continue
				}
				for _, obj := range sorted(r.locals(u, k)) {
					for _, o := range append([]uint64{obj}, r.listed(obj)...) {
						if fate, ok := r.fate(o); ok && (fate.How == "failed" || fate.How == "cancelled") && len(t.Fate) < 8 && !slices.Contains(t.Fate, fate) {
							t.Fate = append(t.Fate, fate)
						}
					}
				}
			}
		}
	}
}

func (r *reader) listed(obj uint64) []uint64 {
	switch r.Type(obj) {
	case "list", "tuple", "set", "dict":
		return r.Items(obj, 20)
	}
	return nil
}

func sorted(m map[string]uint64) []uint64 {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	out := make([]uint64, 0, len(m))
	for _, name := range names {
		out = append(out, m[name])
	}
	return out
}

// fate says what became of a task or thread that has ended.
func (r *reader) fate(obj uint64) (hang.Fate, bool) {
	if s, ok := r.AsyncTask(obj); ok {
		if !s.Done {
			return hang.Fate{}, false
		}
		f := hang.Fate{Kind: hang.Task, Name: r.TaskName(obj), How: "returned"}
		switch {
		case s.Exception != 0 && !r.None(s.Exception):
			f.How, f.Text, f.Type = "failed", r.Text(s.Exception, 160), r.Type(s.Exception)
		case s.Cancelled:
			f.How = "cancelled"
		}
		return f, true
	}
	if r.IsA(obj, "Thread") && r.Attr(obj, "_started") != 0 {
		id, ok := r.Int(r.Attr(obj, "_ident"))
		if !ok {
			return hang.Fate{}, false
		}
		if _, alive := r.ident[uint64(id)]; alive && !r.True(r.Attr(obj, "_is_stopped")) {
			return hang.Fate{}, false
		}
		f := hang.Fate{Kind: hang.Thread, Name: r.Str(r.Attr(obj, "_name")), How: "ended"}
		if r.IsA(obj, "Timer") {
			f.Timer = last(r.FuncName(r.Attr(obj, "function")))
			f.After, _ = strconv.ParseFloat(r.Text(r.Attr(obj, "interval"), 20), 64)
		}
		return f, true
	}
	return hang.Fate{}, false
}
