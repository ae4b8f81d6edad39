package pystate

import (
	"fmt"
	"strings"

	"pyrr/internal/hang"
)

// describe reads what an object says of itself.
func (r *reader) describe(n int, obj uint64) {
	t := &r.facts.Things[n]
	t.Async = strings.HasPrefix(r.Module(obj), "asyncio") || strings.HasPrefix(r.Module(obj), "_asyncio")
	t.Shared = strings.HasPrefix(r.Module(obj), "multiprocessing") || strings.HasPrefix(r.Module(obj), "_multiprocessing")
	switch t.Kind {
	case hang.Lock, hang.RLock:
		r.describeLock(n, obj)
	case hang.Import:
		t.Name = r.Str(r.Attr(obj, "name"))
		if owner, ok := r.Int(r.Attr(obj, "owner")); ok {
			t.Locked = true
			r.owned(n, uint64(owner))
		}
	case hang.Condition:
		t.Count = r.Len(r.Attr(obj, "_waiters"))
	case hang.Event:
		t.State = "not set"
		if r.True(r.Attr(obj, "_flag")) || r.True(r.Attr(obj, "_value")) {
			t.State = "set"
		}
	case hang.Semaphore:
		if v, ok := r.Int(r.Attr(obj, "_value")); ok {
			t.State = fmt.Sprintf("value %d", v)
			t.Locked = v == 0
		}
	case hang.Barrier:
		count, _ := r.Int(r.Attr(obj, "_count"))
		if shared := r.Ints(r.Attr(obj, "_array"), 2); len(shared) == 2 {
			count = int64(shared[1]) // of multiprocessing: state, count
		}
		parties, _ := r.Int(r.Attr(obj, "_parties"))
		t.Count, t.Size = int(count), int(parties)
		t.State = fmt.Sprintf("%d of %d have come", count, parties)
	case hang.Queue:
		r.describeQueue(n, obj)
	case hang.Channel:
		senders, _ := r.Int(r.Attr(obj, "open_send_channels"))
		t.State, t.Count = "empty", int(senders)
		for _, name := range []string{"data", "buffer"} { // of Trio, of anyio
			if n := r.Len(r.Attr(obj, name)); n > 0 {
				t.State = fmt.Sprintf("full with %d", n)
			}
		}
	case hang.Future:
		t.State = strings.ToLower(r.Str(r.Attr(obj, "_state")))
	case hang.Object:
		t.Count = r.streamFD(obj)
		if name := r.Str(r.Attr(obj, "_name")); name != "" {
			t.Name = name
		}
	}
}

func (r *reader) describeLock(n int, obj uint64) {
	t := &r.facts.Things[n]
	if l, ok := r.Lock(obj); ok {
		t.Locked = l.Locked
		if l.Owner != 0 {
			r.owned(n, l.Owner)
		}
		return
	}
	sem := r.Attr(obj, "_semlock")
	if r.SemLock(obj).Handle != 0 {
		sem = obj
	}
	if sem != 0 {
		// Of multiprocessing: forked processes have it at the same address.
		s := r.SemLock(sem)
		t.Key = s.Name
		if t.Key == "" && s.Handle != 0 {
			t.Key = fmt.Sprintf("semaphore %#x", s.Handle)
		}
		t.Locked = s.Value == 0
		if s.Count > 0 {
			r.owned(n, s.Owner)
		}
		return
	}
	if r.Buffer(obj) != 0 {
		return // see bufferLock
	}
	if v := r.Attr(obj, "_locked"); v != 0 { // of asyncio
		t.Locked = r.True(v)
		return
	}
	for _, name := range []string{"_owner", "_owner_task"} { // of Trio, of anyio
		if task, ok := r.task[r.Attr(obj, name)]; ok {
			t.Locked = true
			r.held(obj, hang.Hold{Unit: task, Frame: -1})
			return
		}
	}
	if owner, ok := r.Int(r.Attr(obj, "_owner")); ok { // threading._RLock
		t.Locked = true
		r.owned(n, uint64(owner))
	}
}

// owned notes that the thread with an ident holds a thing.
func (r *reader) owned(n int, ident uint64) {
	t := &r.facts.Things[n]
	unit, ok := r.ident[ident]
	if !ok {
		t.Gone, t.Owner = true, ident
		return
	}
	for _, h := range t.Holders {
		if h.Unit == unit {
			return
		}
	}
	t.Holders = append(t.Holders, hang.Hold{Unit: unit, Frame: -1})
}

func (r *reader) describeQueue(n int, obj uint64) {
	t := &r.facts.Things[n]
	items := r.Attr(obj, "queue")
	if items == 0 {
		items = r.Attr(obj, "_queue")
	}
	size, _ := r.Int(r.Attr(obj, "maxsize"))
	if size == 0 {
		size, _ = r.Int(r.Attr(obj, "_maxsize"))
	}
	unfinished, _ := r.Int(r.Attr(obj, "unfinished_tasks"))
	if unfinished == 0 {
		unfinished, _ = r.Int(r.Attr(obj, "_unfinished_tasks"))
	}
	t.Count, t.Size = int(unfinished), int(size)
	switch have := r.Len(items); {
	case items == 0:
	case have == 0:
		t.State = "empty"
	case size > 0 && int64(have) >= size:
		t.State = fmt.Sprintf("full with %d", have)
	default:
		t.State = fmt.Sprintf("with %d items", have)
		if have == 1 {
			t.State = "with 1 item"
		}
	}
}

// role says what a thread is for that waits for work as it should.
func (r *reader) role(u *unit) string {
	if u.thread == nil {
		return ""
	}
	if len(u.frames) == 0 {
		if u.thread.Main {
			return ""
		}
		return "a thread without Python code"
	}
	top := func(n int, file, fn string) bool {
		for k := 0; k < len(u.frames) && k < n; k++ {
			f := &u.frames[k]
			if !hang.Library(f.File) {
				return false
			}
			if ruleKey(f.File) == file && last(f.Func) == fn {
				return true
			}
		}
		return false
	}
	switch {
	case top(1, "futures/thread.py", "_worker"):
		return "an idle worker of a pool"
	case top(4, "multiprocessing/pool.py", "_handle_workers"), top(4, "multiprocessing/pool.py", "_handle_tasks"), top(6, "multiprocessing/pool.py", "_handle_results"):
		return "a helper of a pool"
	case top(6, "multiprocessing/pool.py", "worker"):
		return "an idle worker of a pool"
	case top(6, "futures/process.py", "_process_worker"):
		return "an idle worker of a pool"
	case top(8, "futures/process.py", "run"):
		return "the manager of a process pool"
	case top(4, "multiprocessing/queues.py", "_feed"):
		if top(3, "threading.py", "wait") || top(1, "threading.py", "wait") {
			return "an idle feeder of a queue"
		}
	case top(3, "asyncio/unix_events.py", "_do_waitpid"):
		return "a watcher of a child process"
	case top(4, "socketserver.py", "serve_forever"):
		return hang.RoleServer
	case top(6, "server.py", "handle_one_request"):
		return "a server that waits for a request"
	case top(6, "handlers.py", "_monitor"):
		return "a listener of a log"
	}
	return r.timer(u)
}

// timer tells a threading.Timer whose time is not over: what it runs then is the program's.
func (r *reader) timer(u *unit) string {
	for k := 0; k < len(u.frames) && k < 4 && ruleKey(u.frames[k].File) == "threading.py"; k++ {
		self := r.local(u, k, "self")
		if last(u.frames[k].Func) != "run" || !r.IsA(self, "Timer") {
			continue
		}
		if fn := last(r.FuncName(r.Attr(self, "function"))); fn != "" {
			return fmt.Sprintf("%s that runs %s after %s s", hang.RoleTimer, fn, r.Text(r.Attr(self, "interval"), 20))
		}
		return hang.RoleTimer
	}
	return ""
}
