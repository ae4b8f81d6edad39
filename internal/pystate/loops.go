package pystate

import (
	"cmp"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
)

// readTrio reads the tasks of Trio's runs: the frame of run has the Runner
// (trio/_core/_run.py), which has them.
func (r *reader) readTrio() {
	for n := range r.units {
		u := r.units[n]
		if u.thread == nil {
			continue
		}
		for k := range u.frames {
			f := &u.frames[k]
			if name := last(f.Func); name != "run" && name != "unrolled_run" || base(f.File) != "_run.py" {
				continue
			}
			runner := r.local(u, k, "runner")
			if r.Type(runner) != "Runner" {
				continue
			}
			for _, task := range r.Items(r.Attr(runner, "tasks"), maxUnits) {
				if len(r.units) >= maxUnits {
					return
				}
				name := r.Str(r.Attr(task, "name"))
				r.task[task] = len(r.units)
				r.add(hang.Unit{Kind: hang.Task, Name: name[strings.LastIndexByte(name, '.')+1:], TID: r.facts.Units[n].TID, Main: task == r.Attr(runner, "main_task")},
					&unit{frames: r.CoroFrames(r.Attr(task, "coro")), trio: true})
			}
			if main, ok := r.task[r.Attr(runner, "main_task")]; ok {
				u.runs = []int{main}
			}
		}
	}
}

// rules of Trio's functions, by file and name.
var trioRules = map[string]func(*waiter, int){
	"_run.py:_nested_child_finished": func(w *waiter, k int) {
		if w.members(w.Attr(w.self(k), "_children")); w.found != nil {
			w.found.Failed = w.failed(w.self(k))
		}
	},
	"_channel.py:receive": func(w *waiter, k int) { w.channel(k, "get") },
	"_channel.py:send":    func(w *waiter, k int) { w.channel(k, "put") },
	"_sync.py:wait": func(w *waiter, k int) {
		switch obj := w.self(k); w.Type(obj) {
		case "Event":
			w.on(k, hang.Event, "wait", obj)
		case "Condition":
			w.on(k, hang.Condition, "wait", obj)
		}
	},
	"_sync.py:acquire": func(w *waiter, k int) {
		switch obj := w.self(k); w.Type(obj) {
		case "Semaphore", "CapacityLimiter":
			w.on(k, hang.Semaphore, "acquire", obj)
		case "Lock", "StrictFIFOLock":
			w.on(k, hang.Lock, "acquire", obj)
		case "Condition":
			w.on(k, hang.Lock, "acquire", w.Attr(obj, "_lock"))
		}
	},
	"_timeouts.py:sleep_until":   func(w *waiter, k int) { w.found = &hang.Wait{How: "sleep", Limit: true} },
	"_timeouts.py:sleep_forever": func(w *waiter, k int) { w.found = &hang.Wait{How: "sleep"} },
}

// channel takes a memory channel, which both of its ends have the state of.
func (w *waiter) channel(k int, how string) {
	end := w.self(k)
	state := w.Attr(end, "_state")
	if state == 0 {
		return
	}
	w.on(k, hang.Channel, how, state)
	w.partOf[w.found.On[0]] = part{end, ""}
	if t := &w.facts.Things[w.found.On[0]]; how == "get" && len(t.Owed) == 0 {
		t.Owed = w.senders(state)
	}
}

// senders are the units that have an end of a channel in a variable by which they could send,
// and have not closed it.
func (r *reader) senders(state uint64) []int {
	var out []int
	for n, u := range r.units {
		for k := range u.frames {
			if k >= hang.MaxFrames || hang.Library(u.frames[k].File) || slices.Contains(out, n) {
				continue
			}
			for _, v := range sorted(r.locals(u, k)) {
				if strings.Contains(r.Type(v), "Send") && r.Attr(v, "_state") == state && !r.True(r.Attr(v, "_closed")) && !slices.Contains(out, n) {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// members takes tasks that are waited for.
func (w *waiter) members(list uint64) {
	out := &hang.Wait{How: "group"}
	for _, obj := range w.Items(list, 500) {
		if n, ok := w.task[obj]; ok && n != w.n {
			out.Units = append(out.Units, n)
		}
	}
	if len(out.Units) > 0 {
		w.found = out
	}
}

// greenletWait finds what a suspended greenlet waits for in a function of gevent's
// that is written in C: the object that it is called on lies on top of the
// evaluation stack of its innermost frame of Python, above what with statements
// left there.
func (w *waiter) greenletWait() {
	if len(w.u.frames) == 0 {
		return
	}
	f := &w.u.frames[0]
	if last(f.Func) == "sleep" && strings.HasSuffix(f.File, "/gevent/hub.py") {
		w.found = &hang.Wait{How: "sleep", Limit: true}
		return
	}
	if w.eventletWait(); w.found != nil {
		return
	}
	var held []uint64
	for _, h := range w.Held(f) {
		held = append(held, h.Obj)
	}
	list := w.StackValues(f)
	if hang.Library(f.File) {
		list = append(list, w.self(0)) // a method of Python's that has called that of its base
	}
	for k, obj := range list {
		if slices.Contains(held, obj) {
			continue
		}
		if n, ok := w.green[obj]; ok {
			if n != w.n && w.units[n].green { // a hub is no one to wait for: it is switched to
				w.found = &hang.Wait{How: "join", Units: []int{n}}
			}
			continue
		}
		switch w.Type(obj) {
		case "list", "tuple", "set":
			var units []int
			for _, item := range w.Items(obj, 500) {
				if n, ok := w.green[item]; ok && n != w.n {
					units = append(units, n)
				}
			}
			if len(units) > 0 {
				w.found = &hang.Wait{How: "join", Units: units}
			}
			continue
		}
		if !strings.HasPrefix(w.Module(obj), "gevent") {
			continue
		}
		kind, how := "", "wait"
		switch class := w.Type(obj); {
		case strings.HasSuffix(class, "Semaphore"):
			kind, how = hang.Semaphore, "acquire"
		case strings.HasSuffix(class, "Lock"), class == "LockType":
			kind, how = hang.Lock, "acquire"
		case class == "Event":
			kind = hang.Event
		case class == "AsyncResult":
			kind = hang.Future
		case strings.HasSuffix(class, "Queue"):
			kind, how = hang.Queue, w.queueCall(f, list, k)
			if how == "" && w.found != nil {
				continue // it lies there still from a call before
			}
			how = cmp.Or(how, "get")
		default:
			continue
		}
		w.found = &hang.Wait{How: how, On: []int{w.thing(obj, kind)}}
	}
}

// queueCall is the method of a queue, the k-th of what lies on the stack of a frame, in which
// the greenlet waits: the method lies before it there, unless the frame is that of one. It is
// "" where that is not known.
func (w *waiter) queueCall(f *cpython.Frame, list []uint64, k int) string {
	name := last(f.Func)
	if k > 0 && !(hang.Library(f.File) && k == len(list)-1) {
		name = w.BuiltinName(list[k-1])
	}
	switch name {
	case "put", "join", "get":
		return name
	}
	return ""
}
