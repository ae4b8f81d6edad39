package pystate

import (
	"strings"

	"pyrr/internal/hang"
)

// streamFD is the descriptor of a stream, protocol or transport of asyncio, 0 for none.
func (r *reader) streamFD(obj uint64) int {
	for range 4 {
		class := r.Type(obj)
		switch {
		case class == "StreamReader", class == "StreamWriter", strings.HasSuffix(class, "Protocol") && class != "SSLProtocol":
			obj = r.Attr(obj, "_transport")
		case class == "_SSLProtocolTransport":
			obj = r.Attr(obj, "_ssl_protocol._transport")
		case strings.HasSuffix(class, "Transport"):
			for _, name := range []string{"_sock_fd", "_fileno"} {
				if fd, ok := r.Int(r.Attr(obj, name)); ok && fd > 0 && fd < 1<<20 {
					return int(fd)
				}
			}
			return 0
		default:
			return 0
		}
	}
	return 0
}

// came notes how much of a line, or of so many bytes, lies in the buffer of the stream that
// is waited for in the frame k.
func (w *waiter) came(k int) {
	if w.found == nil {
		return
	}
	lies := max(0, w.Len(w.Attr(w.self(k), "_buffer")))
	for k++; k < len(w.u.frames) && ruleKey(w.u.frames[k].File) == "asyncio/streams.py"; k++ {
		switch last(w.u.frames[k].Func) {
		case "readuntil":
			// Since 3.13 it is a list of them.
			if sep := w.Text(w.local(w.u, k, "separator"), 10); sep == `b'\n'` || sep == `[b'\n']` {
				w.found.Come = lies
			}
		case "readexactly":
			if n, ok := w.Int(w.local(w.u, k, "n")); ok {
				w.found.Come, w.found.Of = lies, int(n)
			}
		}
	}
}

// onSocket takes a socket for what is waited for by a method of an event loop.
func (w *waiter) onSocket(k int, how string) {
	sock := w.local(w.u, k, "sock")
	fd, ok := w.Descriptor(sock)
	if !ok {
		return
	}
	w.on(k, hang.Object, how, sock)
	w.facts.Things[w.found.On[0]].Count = fd
}

// cancelled takes the task that wait_for has cancelled and whose end it waits for.
func (w *waiter) cancelled(k int, how string) {
	if n, ok := w.task[w.local(w.u, k, "fut")]; ok && n != w.n && w.found == nil {
		w.found = &hang.Wait{How: how, Units: []int{n}, Limit: how == "wait_for"}
	}
}

// jobs of a multiprocessing.pool in the workers that are threads, by their numbers.
type poolJobs struct {
	running map[int64][]int  // units by job
	byQueue map[uint64][]int // workers by the queue that they take from
}

// poolWorkers finds what the threads of a ThreadPool are at.
func (r *reader) poolWorkers() poolJobs {
	out := poolJobs{map[int64][]int{}, map[uint64][]int{}}
	for n, u := range r.units {
		for k := range u.frames {
			f := &u.frames[k]
			if u.thread == nil || ruleKey(f.File) != "multiprocessing/pool.py" || last(f.Func) != "worker" {
				continue
			}
			if queue := r.local(u, k, "inqueue"); queue != 0 {
				out.byQueue[queue] = append(out.byQueue[queue], n)
			}
			if job, ok := r.Int(r.local(u, k, "job")); ok && r.facts.Units[n].Role == "" {
				out.running[job] = append(out.running[job], n)
			}
		}
	}
	return out
}

// poolResult says of the result of a job of a ThreadPool who is at it, or in whose queue
// it lies; ok is false for other objects.
func (r *reader) poolResult(n int, obj uint64, jobs *poolJobs) bool {
	job, ok := r.Int(r.Attr(obj, "_job"))
	if !ok || r.Module(obj) != "multiprocessing.pool" {
		return false
	}
	t := &r.facts.Things[n]
	if units := jobs.running[job]; len(units) > 0 {
		t.Owed = append(t.Owed, units...)
		return true
	}
	if r.calledBack(t, obj) {
		return true
	}
	queue := r.Attr(obj, "_pool._inqueue")
	if workers := jobs.byQueue[queue]; len(workers) > 0 && r.lies(queue, job) {
		t.Queued, t.Owed, t.Size = true, append(t.Owed, workers...), len(workers)
		return true
	}
	return false
}

// behind notes of the workers of a pool of threads, where all are at jobs, how many jobs
// wait for one of them.
func (r *reader) behind(workers []int, jobs int) {
	if jobs == 0 {
		return
	}
	wait := 0
	for _, n := range workers {
		u := &r.facts.Units[n]
		if u.Role != "" {
			return
		}
		if u.Wait != nil {
			wait++
		}
	}
	for _, n := range workers {
		u := &r.facts.Units[n]
		if u.Queued, u.Workers = jobs, len(workers); wait == len(workers) {
			u.Behind = jobs
		}
	}
}

// queuedJobs is how many jobs lie in a queue; None ends a worker.
func (r *reader) queuedJobs(queue uint64) int {
	n := 0
	for _, item := range r.Items(queue, 10_000) {
		if !r.None(item) {
			n++
		}
	}
	return n
}

// bufferLock finds the buffer of a file whose lock a thread waits for at word, of those
// that the frame has at hand and of the standard streams.
func (w *waiter) bufferLock(word uint64) bool {
	var list []uint64
	for k := 0; k < len(w.u.frames) && k < 4; k++ {
		list = append(list, w.StackValues(&w.u.frames[k])...)
		list = append(list, sorted(w.locals(w.u, k))...)
	}
	for _, name := range []string{"stdout", "stderr", "stdin", "__stdout__", "__stderr__"} {
		list = append(list, w.Global("sys", name))
	}
	for _, obj := range list {
		buffer := w.Buffer(obj)
		owner, ok := w.BufferOwner(buffer, word)
		if !ok {
			continue
		}
		n := w.thing(buffer, hang.Lock)
		w.facts.Things[n].Locked, w.facts.Things[n].Name = true, w.streamOf(buffer)
		if owner != 0 {
			w.owned(n, owner)
		}
		w.found = &hang.Wait{How: "acquire", On: []int{n}}
		return true
	}
	return false
}

// filesOf adds the files that a frame has at hand around a buffer.
func (r *reader) filesOf(buffer uint64, unit, frame int, same map[uint64]bool) {
	f := &r.units[unit].frames[frame]
	for _, v := range r.locals(r.units[unit], frame) {
		if r.Buffer(v) == buffer {
			same[v] = true
		}
	}
	for _, name := range r.CodeNames(f) {
		if v := r.FrameGlobal(f, name); r.Buffer(v) == buffer {
			same[v] = true
		}
	}
}

// around adds the locks of multiprocessing that a frame has around a semaphore.
func (r *reader) around(sem uint64, unit, frame int, same map[uint64]bool) {
	for _, v := range r.locals(r.units[unit], frame) {
		if r.Attr(v, "_semlock") == sem {
			same[v] = true
		}
	}
}

// streamOf names a standard stream by its buffer.
func (r *reader) streamOf(buffer uint64) string {
	for _, name := range []string{"stdout", "stderr", "stdin"} {
		if buffer != 0 && r.Buffer(r.Global("sys", name)) == buffer {
			return "sys." + name
		}
	}
	return ""
}

// serves takes the end of serve_forever, which shutdown waits for, and the thread
// that runs it.
func (w *waiter) serves(server uint64) {
	for n, u := range w.units {
		for k := range u.frames {
			if f := &u.frames[k]; ruleKey(f.File) == "socketserver.py" && last(f.Func) == "serve_forever" && server != 0 && w.local(u, k, "self") == server {
				w.found = &hang.Wait{How: "serve_forever", Units: []int{n}}
				return
			}
		}
	}
}

// group takes the tasks of a task group that waits for them.
func (w *waiter) group(k int) {
	out := &hang.Wait{How: "group"}
	for _, obj := range w.Items(w.Attr(w.self(k), "_tasks"), 500) {
		if n, ok := w.task[obj]; ok && n != w.n {
			out.Units = append(out.Units, n)
		}
	}
	if len(out.Units) > 0 {
		w.found = out
		out.Failed = w.failed(w.self(k))
	}
}

// failed is the exception of the task for which a task group has cancelled the others.
func (w *waiter) failed(group uint64) string {
	for _, name := range []string{"_errors", "_exceptions", "_pending_excs"} { // of asyncio, of anyio, of Trio
		for _, exc := range w.Items(w.Attr(group, name), 20) {
			if class := w.Type(exc); class != "" && class != "CancelledError" && class != "Cancelled" {
				return strings.TrimSuffix(class+": "+w.message(exc), ": ")
			}
		}
	}
	return ""
}

// message is the only argument of an exception, if that is a text.
func (w *waiter) message(exc uint64) string {
	if args := w.Args(exc); len(args) == 1 {
		return cut(w.Str(args[0]), 60)
	}
	return ""
}
