package pystate

import (
	"slices"

	"pyrr/internal/hang"
	"pyrr/internal/lazyregexp"
)

// Rules of what Trio and anyio have alike: limiters, threads that run a task's
// function, and what such a thread asks its task to run; of handshakes and managers.
func init() {
	acquire := func(w *waiter, k int) { w.on(k, hang.Semaphore, "acquire", w.self(k)) }
	rules["_asyncio.py:acquire_on_behalf_of"] = acquire
	rules["_asyncio.py:acquire"] = func(w *waiter, k int) {
		switch obj := w.self(k); w.Type(obj) {
		case "Lock":
			w.on(k, hang.Lock, "acquire", obj)
		case "Semaphore":
			w.on(k, hang.Semaphore, "acquire", obj)
		}
	}
	rules["functools.py:__get__"] = func(w *waiter, k int) { // of cached_property, before 3.12
		lock := w.Attr(w.self(k), "lock")
		if name := w.Str(w.Attr(w.self(k), "attrname")); k == 0 && lock != 0 && name != "" && w.u.thread != nil && w.u.thread.Call {
			w.on(k, hang.RLock, "acquire", lock)
			w.facts.Things[w.found.On[0]].Name = "of cached_property " + name
		}
	}
	trioRules["_sync.py:acquire_on_behalf_of"] = acquire
	trioRules["_threads.py:to_thread_run_sync"] = func(w *waiter, k int) { w.runsIn(k, "_threads.py", "worker_fn", "task_register") }
	rules["_asyncio.py:run_sync_in_worker_thread"] = func(w *waiter, k int) { w.runsIn(k, "_asyncio.py", "run", "future") }
	rules["_threads.py:_send_message_to_trio"] = func(w *waiter, k int) { w.asksTask(w.local(w.u, k, "message_to_trio")) }
	rules["multiprocessing/managers.py:_callmethod"] = func(w *waiter, k int) { w.on(k, hang.Object, hang.HowManager, w.self(k)) }
	rules["multiprocessing/synchronize.py:notify"] = func(w *waiter, k int) { w.on(k, hang.Condition, "notify", w.self(k)) }
	rules["memory.py:receive"] = func(w *waiter, k int) { w.channel(k, "get") }
	rules["memory.py:send"] = func(w *waiter, k int) { w.channel(k, "put") }
	handshake := func(w *waiter, k int) {
		if v := w.local(w.u, k, "ssl"); v == 0 || !w.None(v) && w.Type(v) != "bool" || w.True(v) {
			w.on(k, hang.Object, "handshake", w.local(w.u, k, "transport"))
		}
	}
	rules["asyncio/base_events.py:_create_connection_transport"] = handshake
	rules["asyncio/base_events.py:start_tls"] = handshake
}

// underTest matches files of the packages that the rules are about, wherever they lie: in
// their own suites they are the program's own.
var underTest = lazyregexp.New(`/(?:anyio/(?:_core|_backends|streams|abc)|trio/_\w+|trio)/_?\w+\.py$`)

// libraryRule tells files that rules may be about.
func libraryRule(file string) bool { return hang.Library(file) || underTest().MatchString(file) }

// runsIn takes the thread that runs the function of a task, if the task waits for nothing
// else: both have the same object in a variable.
func (w *waiter) runsIn(k int, file, fn, name string) {
	obj := w.local(w.u, k, name)
	if w.found != nil || obj == 0 {
		return
	}
	for n, u := range w.units {
		if u.thread == nil {
			continue
		}
		for f := range u.frames {
			if base(u.frames[f].File) == file && last(u.frames[f].Func) == fn && w.local(u, f, name) == obj {
				w.found = &hang.Wait{How: "thread", Units: []int{n}}
				return
			}
		}
	}
}

// asksTask takes the task that runs what a thread has asked for.
func (w *waiter) asksTask(message uint64) {
	if message == 0 {
		return
	}
	for n, u := range w.units {
		for f := range u.frames {
			if u.trio && base(u.frames[f].File) == "_threads.py" && w.local(u, f, "self") == message {
				w.found = &hang.Wait{How: "task", Units: []int{n}}
				return
			}
		}
	}
}

// limiters notes who has the tokens of a CapacityLimiter: a task, or what stands for a
// thread that runs a function of one. Unless it is known of all tokens, none is noted.
func (r *reader) limiters() {
	for obj, n := range r.things {
		t := &r.facts.Things[n]
		if t.Class != "CapacityLimiter" {
			continue
		}
		borrowers := r.Items(r.Attr(obj, "_borrowers"), 100)
		var holders []hang.Hold
		for _, b := range borrowers {
			if h, ok := r.borrower(b); ok && !slices.ContainsFunc(holders, func(o hang.Hold) bool { return o.Unit == h.Unit }) {
				holders = append(holders, h)
			}
		}
		if t.Locked = len(borrowers) > 0; len(holders) == len(borrowers) {
			t.Holders = holders
		}
	}
}

// borrower is who has a token, and at which line of the program's own that one is.
func (r *reader) borrower(b uint64) (hang.Hold, bool) {
	unit, known := r.task[b]
	for n := 0; n < len(r.units) && !known; n++ {
		for k := range r.units[n].frames {
			if last(r.units[n].frames[k].Func) == "to_thread_run_sync" && r.local(r.units[n], k, "placeholder") == b {
				unit, known = n, true
			}
		}
	}
	if !known {
		return hang.Hold{}, false
	}
	// The outermost call into a thread is the one that has a token.
	frames := r.facts.Units[unit].Frames
	for k := len(frames) - 1; k > 0; k-- {
		if name := last(frames[k].Func); name == "to_thread_run_sync" || name == "run_sync_in_worker_thread" {
			for ; k < len(frames); k++ {
				if !hang.Library(frames[k].File) {
					return hang.Hold{Unit: unit, Frame: k, Line: frames[k].Line}, true
				}
			}
		}
	}
	return hang.Hold{Unit: unit, Frame: -1}, true
}

// poolMembers notes who has the places of a pool of greenlets or tasks: the pool has the
// semaphore that is waited for, and a set of those that it took one for. Unless it knows of
// all of them who they are, none is noted.
func (r *reader) poolMembers() {
	for n, u := range r.units {
		w := r.facts.Units[n].Wait
		if w == nil || len(w.On) != 1 || u.thread != nil {
			continue
		}
		t := &r.facts.Things[w.On[0]]
		if t.Kind != hang.Semaphore || len(t.Holders) > 0 {
			continue
		}
		for k := 0; k < len(u.frames) && k < hang.MaxFrames && hang.Library(u.frames[k].File); k++ {
			if self := r.local(u, k, "self"); self != 0 && r.membersOf(self, t) {
				break
			}
		}
	}
}

// membersOf notes the members of a pool that has a semaphore as those who have its places.
func (r *reader) membersOf(pool uint64, t *hang.Thing) bool {
	var holders []hang.Hold
	has := false
	r.EachAttr(pool, func(_ string, value uint64) bool {
		has = has || value == t.Addr
		if class := r.Type(value); len(holders) == 0 && (class == "set" || class == "list") {
			items := r.Items(value, 500)
			for _, obj := range items {
				n, ok := r.green[obj]
				if !ok {
					n, ok = r.task[obj]
				}
				if ok {
					holders = append(holders, hang.Hold{Unit: n, Frame: -1})
				}
			}
			if len(holders) < len(items) || len(items) == 500 {
				holders = nil
			}
		}
		return true
	})
	if !has || len(holders) == 0 {
		return false
	}
	t.Holders, t.Locked = holders, true
	if t.Name == "" {
		t.Name = "of " + r.Type(pool)
	}
	return true
}

// mutex takes a mutex of native code for what is waited for, as that of SQLite's connections,
// where a thread of the process has it.
func (w *waiter) mutex(word uint64) {
	owner, ok := w.Mutex(word)
	if !ok || len(w.facts.Things) >= maxThings {
		return
	}
	for n := range w.facts.Units {
		if u := &w.facts.Units[n]; u.Kind != hang.Thread || int(u.TID) != owner || n == w.n {
			continue
		}
		k, known := w.things[word]
		if !known {
			k = len(w.facts.Things)
			w.things[word] = k
			w.facts.Things = append(w.facts.Things, hang.Thing{Kind: hang.Lock, Addr: word, Class: hang.Mutex, Name: "of native code", Hands: hang.Hands{
				Locked: true, Holders: []hang.Hold{{Unit: n, Frame: -1}}}})
		}
		w.found = &hang.Wait{How: "acquire", On: []int{k}}
		return
	}
}
