package pystate

import (
	"slices"
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/mem"
)

// maxTrackedKinds bounds what is kept of each kind of tracked objects.
const maxTrackedKinds = 20_000

// tracked are the objects of the kinds that matter, of all that the garbage
// collector knows.
type tracked struct {
	generators []uint64
	coroutines []uint64
	executors  []uint64
	processes  []uint64 // executors whose workers are processes
	futures    []uint64 // of concurrent.futures
	loops      []uint64
	queues     []uint64
	listeners  []uint64 // of queues, of logging
	deaths     []uint64 // exceptions of threads that pytest keeps
	tasks      []uint64 // of asyncio
	cursors    []uint64 // of sqlite3
}

// readTracked finds them, and what follows of them: which future of an event loop
// is completed by which of a pool, and which of those by which task.
func (r *reader) readTracked() {
	t := &r.tracked
	add := func(list *[]uint64, obj uint64) {
		if len(*list) < maxTrackedKinds {
			r.Type(obj) // a recording that is cut keeps it
			*list = append(*list, obj)
		}
	}
	r.EachTracked(func(obj uint64, class string) bool {
		switch {
		case class == "generator" || class == "async_generator":
			add(&t.generators, obj)
		case class == "coroutine":
			add(&t.coroutines, obj)
		case class == "ThreadPoolExecutor":
			add(&t.executors, obj)
		case class == "ProcessPoolExecutor":
			add(&t.processes, obj)
		case class == "Future":
			if r.Module(obj) == "concurrent.futures._base" {
				add(&t.futures, obj)
			}
		case class == "Cursor":
			if r.Module(obj) == "sqlite3" {
				add(&t.cursors, obj)
			}
		case class == "Task":
			add(&t.tasks, obj)
		case class == "ThreadExceptionMeta" || class == "catch_threading_exception":
			add(&t.deaths, obj)
		case strings.HasSuffix(class, "QueueListener"):
			add(&t.listeners, obj)
		case strings.HasSuffix(class, "Queue"):
			add(&t.queues, obj)
		case strings.HasSuffix(class, "EventLoop"):
			add(&t.loops, obj)
		}
		return true
	})
	// _chain_future of asyncio.futures: a done callback has both in its closure.
	for _, f := range t.futures {
		for _, cb := range r.Items(r.Attr(f, "_done_callbacks"), 20) {
			for _, cell := range r.Closure(cb) {
				if n, ok := r.task[cell]; ok {
					r.byTask[f] = n
				} else if class := r.Type(cell); class == "Future" && cell != f {
					r.chained[cell] = f
				}
			}
		}
	}
}

// idleListeners notes of queues those listeners of logging that should take from them and
// have no thread: stop sets that to None, as it is before start.
func (r *reader) idleListeners() {
	for _, l := range r.tracked.listeners {
		n, ok := r.things[r.Attr(l, "queue")]
		if !ok || r.facts.Things[n].Kind != hang.Queue || r.IsA(r.Attr(l, "_thread"), "Thread") {
			continue
		}
		r.facts.Things[n].Fate = []hang.Fate{{Kind: hang.Listener, Name: r.Type(l), How: "not running"}}
	}
}

// unstarted notes of a future for whose coroutine an event loop has yet to make a
// task, that loop: whether it runs, and in which thread.
func (r *reader) unstarted(n int, future uint64) {
	t := &r.facts.Things[n]
	for _, loop := range r.tracked.loops {
		for _, handle := range r.Items(r.Attr(loop, "_ready"), 1000) {
			if !slices.Contains(r.Closure(r.Attr(handle, "_callback")), future) {
				continue
			}
			t.Pending = true
			if id, ok := r.Int(r.Attr(loop, "_thread_id")); ok {
				if unit, ok := r.ident[uint64(id)]; ok {
					t.Owed = []int{unit}
				}
			}
			return
		}
	}
}

// died reads the exceptions that ended threads and that pytest keeps, to warn of them
// at the test's end: ThreadExceptionMeta (msg, cause_msg, exc_value) from 8.4 on, before
// the arguments of threading.excepthook (exc_type, exc_value, exc_traceback, thread).
func (r *reader) died(m mem.Reader) {
	const most = 20
	for _, obj := range r.tracked.deaths[:min(most, len(r.tracked.deaths))] {
		name, exc := "", uint64(0)
		if args := r.Items(r.Attr(obj, "args"), 4); len(args) == 4 {
			name, exc = r.Str(r.Attr(args[3], "_name")), args[1]
		} else if items := r.Items(obj, 3); len(items) == 3 {
			exc = items[2]
			name, _, _ = strings.Cut(strings.TrimPrefix(r.Str(items[0]), "Exception in thread "), "\n")
		}
		if name != "" && r.IsException(exc) {
			d := raised(r.Inspector, r.rt, m, exc, 0)
			d.Thread = name
			r.facts.Died = append(r.facts.Died, *d)
		}
	}
}

// asleep notes of threads that their event loop is in its selector although callbacks
// are ready: call_soon by another thread wakes nobody.
func (r *reader) asleep() {
	for _, loop := range r.tracked.loops {
		id, ok := r.Int(r.Attr(loop, "_thread_id"))
		if !ok || r.Len(r.Attr(loop, "_ready")) <= 0 {
			continue
		}
		if n, ok := r.ident[uint64(id)]; ok && r.units[n].thread != nil && r.units[n].thread.Call {
			frames := r.units[n].frames
			r.facts.Units[n].Asleep = len(frames) > 0 && last(frames[0].Func) == "select" && strings.HasSuffix(frames[0].File, "/selectors.py")
		}
	}
}

// workless notes of a future that lies in the queue of a pool without workers. A pool of
// processes knows its jobs by numbers.
func (r *reader) workless(n int, future uint64) {
	t := &r.facts.Things[n]
	for _, ex := range r.tracked.executors {
		for _, item := range r.Items(r.Attr(ex, "_work_queue"), 10_000) {
			if r.Attr(item, "future") == future {
				t.Queued = true
				return
			}
		}
	}
	for _, ex := range r.tracked.processes {
		if r.Len(r.Attr(ex, "_processes")) != 0 {
			continue
		}
		r.Pairs(r.Attr(ex, "_pending_work_items"), func(_, item uint64) bool {
			if r.Attr(item, "future") == future {
				t.Queued, t.Class = true, r.Type(ex)
				if most, ok := r.Int(r.Attr(ex, "_max_tasks_per_child")); ok {
					t.Size = int(most)
				}
			}
			return !t.Queued
		})
	}
}

// generatorHolds finds locks that suspended generators hold: one that was left in
// the midst of a with statement and not closed.
func (r *reader) generatorHolds() {
	for _, gen := range r.tracked.generators {
		held, frame, ok := r.GeneratorHolds(gen)
		if !ok {
			continue
		}
		for _, h := range held {
			for _, lock := range r.locksOf(h.Obj) {
				n, known := r.things[lock]
				if !known || len(r.facts.Things[n].Holders) > 0 || r.facts.Things[n].Generator != nil {
					continue
				}
				r.facts.Things[n].Generator = &hang.Frame{Func: frame.Func, File: frame.File, Line: h.Line}
			}
		}
	}
}

// inQueues notes of events that are waited for in which queue the item lies that
// has them: a job that nobody takes.
func (r *reader) inQueues(objs []uint64, waited map[int]bool) {
	for _, queue := range r.tracked.queues {
		list := queue
		if items := r.Attr(queue, "queue"); items != 0 {
			list = items
		} else if items := r.Attr(queue, "_queue"); items != 0 {
			list = items
		}
		for _, item := range r.Items(list, 200) {
			r.reach(item, 2, map[uint64]int{}, func(obj uint64) {
				n, ok := r.things[obj]
				if !ok || !waited[n] || obj != objs[n] || r.facts.Things[n].Kind != hang.Event || r.facts.Things[n].InQueue != "" {
					return
				}
				r.facts.Things[n].InQueue = r.nameOf(n, queue)
			})
		}
	}
}
