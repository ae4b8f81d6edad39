package pystate

import (
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
)

// wait finds out what a unit waits for.
func (r *reader) wait(n int) {
	u := r.units[n]
	f := &r.facts.Units[n]
	f.Role = r.role(u)
	w := &waiter{reader: r, n: n, u: u}
	w.frames()
	if len(u.runs) > 0 {
		w.found = &hang.Wait{How: "loop", Units: u.runs}
	} else if w.found == nil && u.green {
		w.greenletWait()
	}
	if w.found == nil && u.thread != nil && u.thread.Call {
		w.call()
	}
	if w.found == nil && u.task != nil && !u.task.Running {
		w.awaited()
	}
	if len(u.runs) == 0 {
		w.entered()
	}
	w.partial()
	if w.found != nil {
		w.found.Frame = w.place()
		w.limits()
		w.window()
		f.Wait = w.found
		w.takes()
		if w.mutexOf != 0 && len(w.found.On) == 1 && w.facts.Things[w.found.On[0]].Kind == hang.Lock {
			w.partOf[w.found.On[0]] = part{w.mutexOf, "mutex"}
		}
	}
}

// waiter finds what one unit waits for.
type waiter struct {
	*reader
	n     int
	u     *unit
	found *hang.Wait
	// mutexOf is the queue in a method of which it waits before the queue's
	// condition.
	mutexOf uint64
}

// place is the number of the frame that is shown as the one that waits: the
// innermost of the user's code, else of an installed package, else the innermost one.
func (w *waiter) place() int {
	frames := hang.Within(w.facts.Units[w.n].Frames)
	for k := range frames {
		if !hang.Library(frames[k].File) && !hang.Made(frames, k) {
			return k
		}
	}
	for k := range frames {
		if hang.Installed(frames[k].File) && !hang.Machinery(frames[k].File) {
			return k
		}
	}
	return 0
}

// frames goes from the innermost frame outwards, through the standard library
// to the first frame of others, and takes what the outermost call is about: of
// Queue.get, which waits for a condition, the queue.
func (w *waiter) frames() {
	for k := range w.u.frames {
		if k >= hang.MaxFrames {
			return
		}
		f := &w.u.frames[k]
		file := f.File
		if !libraryRule(file) {
			return
		}
		rule := rules[ruleKey(file)+":"+last(f.Func)]
		if w.u.trio {
			rule = trioRules[ruleKey(file)+":"+last(f.Func)]
		}
		if rule == nil {
			continue
		}
		rule(w, k)
	}
}

// ruleKey is the part of a file's name that tells modules apart.
func ruleKey(file string) string {
	if strings.HasPrefix(file, "<frozen ") {
		return strings.TrimSuffix(strings.TrimPrefix(file, "<frozen "), ">")
	}
	name := base(file)
	if dir := base(strings.TrimSuffix(file[:len(file)-len(name)], "/")); dir == "asyncio" || dir == "futures" || dir == "multiprocessing" || dir == "logging" {
		return dir + "/" + name
	}
	return name
}

// self is the object that a method's frame is of.
func (w *waiter) self(k int) uint64 { return w.local(w.u, k, "self") }

// on takes an object for what is waited for.
func (w *waiter) on(k int, kind, how string, obj uint64) {
	if obj == 0 {
		return
	}
	w.found = &hang.Wait{How: how, On: []int{w.thing(obj, kind)}, Limit: w.found != nil && w.found.Limit || w.limited(k)}
}

// rules are the functions of the standard library that wait, by file and name.
var rules = map[string]func(*waiter, int){
	"threading.py:wait": func(w *waiter, k int) {
		switch obj := w.self(k); {
		case w.IsA(obj, "Event"):
			w.on(k, hang.Event, "wait", obj)
		case w.IsA(obj, "Barrier"):
			w.on(k, hang.Barrier, "wait", obj)
		case w.IsA(obj, "Condition"):
			w.on(k, hang.Condition, "wait", obj)
		}
	},
	"threading.py:acquire": func(w *waiter, k int) {
		switch obj := w.self(k); {
		case w.IsA(obj, "Semaphore"):
			w.on(k, hang.Semaphore, "acquire", obj)
		case w.Type(obj) == "_RLock":
			w.on(k, hang.RLock, "acquire", obj)
		}
	},
	"threading.py:join": func(w *waiter, k int) {
		w.joins(k, w.self(k))
	},
	"threading.py:_wait_for_tstate_lock":   func(w *waiter, k int) { w.joins(k, w.self(k)) },
	"threading.py:_shutdown":               func(w *waiter, k int) { w.shutdown() },
	"queue.py:get":                         func(w *waiter, k int) { w.queue(k, "get") },
	"queue.py:put":                         func(w *waiter, k int) { w.queue(k, "put") },
	"queue.py:join":                        func(w *waiter, k int) { w.queue(k, "join") },
	"socketserver.py:shutdown":             func(w *waiter, k int) { w.serves(w.self(k)) },
	"asyncio/taskgroups.py:__aexit__":      func(w *waiter, k int) { w.group(k) },
	"asyncio/taskgroups.py:_aexit":         func(w *waiter, k int) { w.group(k) },
	"_asyncio.py:__aexit__":                func(w *waiter, k int) { w.group(k) }, // of anyio
	"asyncio/base_events.py:wait_closed":   func(w *waiter, k int) { w.on(k, hang.Object, "wait_closed", w.self(k)) },
	"asyncio/base_events.py:serve_forever": func(w *waiter, k int) { w.on(k, hang.Object, hang.HowServe, w.self(k)) },
	"futures/_base.py:result":              func(w *waiter, k int) { w.on(k, hang.Future, "result", w.self(k)) },
	"futures/_base.py:exception":           func(w *waiter, k int) { w.on(k, hang.Future, "exception", w.self(k)) },
	"futures/_base.py:wait":                func(w *waiter, k int) { w.several(k, hang.Future, "not_done", "fs") },
	"futures/_base.py:as_completed":        func(w *waiter, k int) { w.several(k, hang.Future, "pending", "fs") },
	"importlib._bootstrap:acquire": func(w *waiter, k int) {
		if obj := w.self(k); w.Type(obj) == "_ModuleLock" {
			w.on(k, hang.Import, "import", obj)
		}
	},
	"logging/__init__.py:acquire": func(w *waiter, k int) {
		if lock := w.Attr(w.self(k), "lock"); lock != 0 {
			w.on(k, hang.RLock, "acquire", lock)
		}
	},
	"logging/__init__.py:_acquireLock": func(w *waiter, k int) {
		if lock := w.Global("logging", "_lock"); lock != 0 {
			w.on(k, hang.RLock, "acquire", lock)
		}
	},
	"subprocess.py:wait":                       func(w *waiter, k int) { w.child(k, w.self(k), "pid") },
	"subprocess.py:_try_wait":                  func(w *waiter, k int) { w.child(k, w.self(k), "pid") },
	"subprocess.py:communicate":                func(w *waiter, k int) { w.child(k, w.self(k), "pid"); w.how("communicate") },
	"multiprocessing/process.py:join":          func(w *waiter, k int) { w.child(k, w.self(k), "_popen.pid") },
	"multiprocessing/pool.py:wait":             func(w *waiter, k int) { w.on(k, hang.Future, "result", w.self(k)) },
	"multiprocessing/pool.py:next":             func(w *waiter, k int) { w.on(k, hang.Future, "next", w.self(k)) },
	"multiprocessing/queues.py:get":            func(w *waiter, k int) { w.sharedQueue(k) },
	"multiprocessing/queues.py:put":            func(w *waiter, k int) { w.on(k, hang.Queue, "put", w.self(k)) },
	"multiprocessing/queues.py:join":           func(w *waiter, k int) { w.on(k, hang.Queue, "join", w.self(k)) },
	"multiprocessing/synchronize.py:__enter__": func(w *waiter, k int) { w.on(k, hang.Lock, "acquire", w.self(k)) },
	"multiprocessing/synchronize.py:wait": func(w *waiter, k int) {
		if obj := w.self(k); w.IsA(obj, "Event") {
			w.on(k, hang.Event, "wait", obj)
		} else if obj != 0 {
			w.on(k, hang.Condition, "wait", obj)
		}
	},
	"asyncio/queues.py:get":  func(w *waiter, k int) { w.on(k, hang.Queue, "get", w.self(k)) },
	"asyncio/queues.py:put":  func(w *waiter, k int) { w.on(k, hang.Queue, "put", w.self(k)) },
	"asyncio/queues.py:join": func(w *waiter, k int) { w.on(k, hang.Queue, "join", w.self(k)) },
	"asyncio/locks.py:acquire": func(w *waiter, k int) {
		switch obj := w.self(k); {
		case w.IsA(obj, "Semaphore"):
			w.on(k, hang.Semaphore, "acquire", obj)
		case w.IsA(obj, "Lock"):
			w.on(k, hang.Lock, "acquire", obj)
		}
	},
	"asyncio/locks.py:wait": func(w *waiter, k int) {
		switch obj := w.self(k); {
		case w.IsA(obj, "Event"):
			w.on(k, hang.Event, "wait", obj)
		case w.IsA(obj, "Condition"):
			w.on(k, hang.Condition, "wait", obj)
		case w.IsA(obj, "Barrier"):
			w.on(k, hang.Barrier, "wait", obj)
		}
	},
	"asyncio/base_subprocess.py:_wait": func(w *waiter, k int) {
		w.child(k, w.self(k), "_pid")
		w.unreadOutput(w.self(k))
	},
	"asyncio/tasks.py:sleep": func(w *waiter, k int) { w.found = &hang.Wait{How: "sleep", Limit: true} },
	"asyncio/tasks.py:wait_for": func(w *waiter, k int) {
		w.cancelled(k, "wait_for")
		w.limit(w.limited(k))
	},
	"asyncio/tasks.py:_cancel_and_wait":         func(w *waiter, k int) { w.cancelled(k, "cancel") },
	"asyncio/selector_events.py:sock_recv":      func(w *waiter, k int) { w.onSocket(k, "read") },
	"asyncio/selector_events.py:sock_recv_into": func(w *waiter, k int) { w.onSocket(k, "read") },
	"asyncio/selector_events.py:sock_accept":    func(w *waiter, k int) { w.onSocket(k, "accept") },
	"asyncio/selector_events.py:sock_connect":   func(w *waiter, k int) { w.onSocket(k, "connect") },
	"asyncio/selector_events.py:sock_sendall":   func(w *waiter, k int) { w.onSocket(k, "drain") },
	"asyncio/tasks.py:_wait":                    func(w *waiter, k int) { w.several(k, hang.Future, "fs", "") },
	"asyncio/streams.py:_wait_for_data":         func(w *waiter, k int) { w.on(k, hang.Object, "read", w.self(k)); w.came(k) },
	"asyncio/streams.py:_drain_helper":          func(w *waiter, k int) { w.on(k, hang.Object, "drain", w.self(k)) },
	"asyncio/base_events.py:run_until_complete": func(w *waiter, k int) { w.loop(k) },
	"asyncio/base_events.py:run_forever":        func(w *waiter, k int) { w.loopForever() },
	"asyncio/runners.py:run": func(w *waiter, k int) {
		// A loop that is not asyncio's own has no frames that say it.
		if n, ok := w.task[w.local(w.u, k, "task")]; ok && w.found == nil {
			w.found = &hang.Wait{How: "loop", Units: []int{n}}
			w.facts.Units[n].Main = w.facts.Units[w.n].Main
			w.facts.Units[n].TID = w.facts.Units[w.n].TID
		}
	},
}

// queue takes a queue.Queue for what is waited for, where its condition is. One
// that is not even there yet waits for the mutex of the queue.
func (w *waiter) queue(k int, how string) {
	if w.found != nil {
		w.on(k, hang.Queue, how, w.self(k))
	} else {
		w.mutexOf = w.self(k)
	}
}

// sharedQueue takes a multiprocessing.Queue for what is waited for, or the lock that
// the one has that reads from it.
func (w *waiter) sharedQueue(k int) {
	if lock := w.Attr(w.self(k), "_rlock"); lock != 0 && w.u.thread != nil && w.u.thread.Call && strings.HasPrefix(linux.Name(int(w.u.thread.Nr)), "futex") {
		w.on(k, hang.Lock, "get", lock)
		w.partOf[w.found.On[0]] = part{w.self(k), "_rlock"}
		return
	}
	w.on(k, hang.Queue, "get", w.self(k))
}

func (w *waiter) how(s string) {
	if w.found != nil {
		w.found.How = s
	}
}

// several takes the futures of a list or set for what is waited for.
func (w *waiter) several(k int, kind string, names ...string) {
	for _, name := range names {
		list := w.local(w.u, k, name)
		items := w.Items(list, 200)
		if len(items) == 0 {
			continue
		}
		out := &hang.Wait{How: "wait", Limit: w.limited(k)}
		for _, obj := range items {
			if n, ok := w.task[obj]; ok {
				out.Units = append(out.Units, n)
			} else if w.Attr(obj, "_condition") != 0 && w.Str(w.Attr(obj, "_state")) != "FINISHED" {
				out.On = append(out.On, w.thing(obj, kind))
			}
		}
		if len(out.On)+len(out.Units) > 0 {
			w.found = out
			return
		}
	}
}

// joins takes a threading.Thread for what is waited for.
func (w *waiter) joins(k int, thread uint64) {
	if thread == 0 || !w.IsA(thread, "Thread") {
		return
	}
	out := &hang.Wait{How: "join", Limit: w.limited(k)}
	if id, ok := w.Int(w.Attr(thread, "_ident")); ok {
		if n, ok := w.ident[uint64(id)]; ok {
			out.Units = append(out.Units, n)
		}
	}
	if len(out.Units) == 0 {
		out.On = append(out.On, w.thing(thread, hang.Object))
	}
	w.found = out
}

// shutdown takes the threads that the interpreter joins before it ends.
func (w *waiter) shutdown() {
	out := &hang.Wait{How: "shutdown"}
	for n := range w.facts.Units {
		u := &w.facts.Units[n]
		if u.Kind == hang.Thread && !u.Main && len(u.Frames) > 0 && !u.Daemon {
			out.Units = append(out.Units, n)
		}
	}
	if w.found == nil || len(w.found.Units) == 0 {
		w.found = out
	}
}

// child takes a process for what is waited for.
func (w *waiter) child(k int, obj uint64, path string) {
	pid, ok := w.Int(w.Attr(obj, path))
	if !ok || pid <= 0 {
		return
	}
	w.found = &hang.Wait{How: "wait", PID: int(pid), Limit: w.limited(k)}
	n := w.thing(obj, hang.Subprocess)
	t := &w.facts.Things[n]
	t.Count = int(pid)
	if name := w.Str(w.Attr(obj, "_name")); name != "" {
		t.Name = name
	}
	w.found.On = []int{n}
}

// loop takes the task that an event loop runs for.
func (w *waiter) loop(k int) {
	future := w.local(w.u, k, "future")
	out := &hang.Wait{How: "loop"}
	if n, ok := w.task[future]; ok {
		out.Units = []int{n}
		w.facts.Units[n].Main = w.facts.Units[w.n].Main
	} else if list := w.Attr(future, "_children"); list != 0 {
		for _, child := range w.Items(list, 100) {
			if n, ok := w.task[child]; ok {
				out.Units = append(out.Units, n)
			}
		}
		out.How = "gather"
	}
	w.found = out
}

// loopForever is a loop that runs no task in particular.
func (w *waiter) loopForever() {
	if w.found == nil {
		w.found = &hang.Wait{How: "loop"}
	}
}

// call finds what a thread waits for in a system call right under a frame that
// is not a function of the standard library that is known.
func (w *waiter) call() {
	switch name := linux.Name(int(w.u.thread.Nr)); {
	case strings.HasPrefix(name, "futex"):
		w.lock(w.u.thread.Args[0])
	case name == "wait4" || name == "waitid":
		if pid := int32(w.u.thread.Args[0]); pid > 0 && name == "wait4" {
			w.found = &hang.Wait{How: "wait", PID: int(pid)}
		}
	}
}

// lock finds the lock that a thread waits for in futex(2) at word.
func (w *waiter) lock(word uint64) {
	parked := w.Parked(word)
	fits := func(obj uint64) bool {
		if s := w.SemLock(obj); s.Handle != 0 {
			return s.Handle == word
		}
		l, ok := w.Lock(obj)
		return ok && l.Word != 0 && (l.Word == word || l.Word == parked)
	}
	for k := 0; k < len(w.u.frames) && k < 4; k++ {
		found := uint64(0)
		look := func(obj uint64) bool {
			if fits(obj) {
				found = obj
			}
			return found == 0
		}
		for _, obj := range w.StackValues(&w.u.frames[k]) {
			if !look(obj) {
				break
			}
		}
		for _, obj := range sorted(w.locals(w.u, k)) {
			if !look(obj) {
				break
			}
			left := 60
			w.EachAttr(obj, func(_ string, value uint64) bool {
				left--
				return look(value) && left > 0
			})
		}
		if found != 0 {
			w.found = &hang.Wait{How: "acquire", On: []int{w.thing(found, w.lockKind(found))}}
			if w.Type(found) == "SimpleQueue" {
				w.found.How = "get"
			}
			return
		}
	}
	if !w.bufferLock(word) {
		w.mutex(word)
	}
}

// awaited takes what the task waits for that the loop says.
func (w *waiter) awaited() {
	t := w.u.task
	if t.Waits == "" {
		w.facts.Units[w.n].Running = true
		return
	}
	out := &hang.Wait{How: t.Waits}
	for _, addr := range t.WaitsFor {
		if n, ok := w.task[addr]; ok {
			out.Units = append(out.Units, n)
		}
	}
	if f, ok := w.chained[t.Waiter]; ok && len(out.Units) == 0 {
		out.How, out.On = "result", []int{w.thing(f, hang.Future)}
	} else if n, ok := w.outer[t.Waiter]; ok && n >= 0 && n != w.n && len(out.Units) == 0 {
		out.Units = []int{n}
	} else if len(out.Units) == 0 && w.Type(t.Waiter) == "Future" {
		out.On = []int{w.thing(t.Waiter, hang.Future)} // whoever has it at hand may complete it
		if obj := w.connection(); obj != 0 {
			out.How, out.On = hang.HowAnswer, []int{w.thing(obj, hang.Object)}
		} else if n, ok := w.promisedTo(t.Waiter); ok {
			out.How, out.On = "acquire", []int{n}
		}
	}
	w.found = out
}
