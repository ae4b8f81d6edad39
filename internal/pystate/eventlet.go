package pystate

import (
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
)

// runsHub tells the frame that runs the loop of gevent's or eventlet's hub.
func runsHub(f *cpython.Frame) bool {
	return last(f.Func) == "run" && (strings.HasSuffix(f.File, "/gevent/hub.py") || strings.HasSuffix(f.File, "/eventlet/hubs/hub.py"))
}

// eventletWait finds what a suspended greenlet waits for in a function of eventlet's, which
// are of Python: the outermost that the program has called.
func (w *waiter) eventletWait() {
	for k := range w.u.frames {
		f := &w.u.frames[k]
		if !hang.Library(f.File) {
			return
		}
		_, name, ok := strings.Cut(f.File, "/eventlet/")
		if !ok {
			continue
		}
		switch obj := w.self(k); name + ":" + last(f.Func) {
		case "greenthread.py:sleep":
			w.found = &hang.Wait{How: "sleep", Limit: true}
		case "greenthread.py:wait":
			if n, ok := w.green[obj]; ok && n != w.n {
				w.found = &hang.Wait{How: "join", Units: []int{n}}
			}
		case "event.py:wait":
			w.on(k, hang.Event, "wait", obj)
		case "semaphore.py:acquire":
			w.on(k, hang.Semaphore, "acquire", obj)
		case "queue.py:get", "queue.py:put", "queue.py:join":
			w.on(k, hang.Queue, last(f.Func), obj)
		}
	}
}
