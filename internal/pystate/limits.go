package pystate

import (
	"strconv"
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
)

// limited says whether a frame's argument timeout is not None.
func (w *waiter) limited(k int) bool {
	for _, name := range []string{"timeout", "endtime"} {
		v := w.local(w.u, k, name)
		if w.Type(v) == "Timeout" { // of eventlet, or gevent
			v = w.Attr(v, "seconds")
		}
		if v != 0 && !w.None(v) {
			if n, ok := w.Int(v); !ok || n != -1 {
				return true
			}
		}
	}
	return false
}

func (w *waiter) limit(yes bool) {
	if w.found != nil {
		w.found.Limit = w.found.Limit || yes
	}
}

// limits notes after how many seconds a wait ends of itself: what the function of the
// library that was called was given, or a lock's acquire, which is no function of Python.
func (w *waiter) limits() {
	if w.found.How == "sleep" {
		return
	}
	if w.timedLock() {
		w.found.Limit = true
		w.found.Seconds = w.onStack()
	}
	if !w.found.Limit {
		return
	}
	for k := range w.u.frames {
		if k >= hang.MaxFrames || !hang.Library(w.u.frames[k].File) {
			return
		}
		if s := w.seconds(w.local(w.u, k, "timeout")); s > 0 {
			w.found.Seconds = s
		}
	}
}

// timedLock tells a thread in an acquire with a time limit, right under the program's code.
func (w *waiter) timedLock() bool {
	t := w.u.thread
	return w.found.How == "acquire" && t != nil && t.Call && t.Args[3] != 0 && strings.HasPrefix(linux.Name(int(t.Nr)), "futex")
}

// onStack is the only number among the arguments of the call that the innermost frame is
// in, 0 where there is none or there are several.
func (w *waiter) onStack() float64 {
	only := 0.0
	if len(w.u.frames) == 0 {
		return 0
	}
	for _, obj := range w.StackValues(&w.u.frames[0]) {
		if s := w.seconds(obj); s > 0 {
			if only > 0 {
				return 0
			}
			only = s
		}
	}
	return only
}

func (w *waiter) seconds(obj uint64) float64 {
	if kind := w.Type(obj); kind != "int" && kind != "float" {
		return 0
	}
	s, err := strconv.ParseFloat(w.Text(obj, 30), 64)
	if err != nil {
		return 0
	}
	return s
}
