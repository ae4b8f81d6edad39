package pystate

import (
	"strings"

	"pyrr/internal/hang"
)

// Rules of pyzmq, whose waiting is in C++.
func init() {
	rules["context.py:term"] = func(w *waiter, k int) {
		obj := w.self(k)
		if !strings.HasSuffix(w.u.frames[k].File, "/zmq/sugar/context.py") || obj == 0 {
			return
		}
		w.on(k, hang.Object, "term", obj)
		w.facts.Things[w.found.On[0]].State = w.openSockets(obj)
	}
}

// openSockets names the sockets of a zmq.Context that were not closed: those that its
// _sockets has, a WeakSet.
func (w *waiter) openSockets(context uint64) string {
	const most = 3
	list := w.Items(w.Attr(context, "_sockets.data"), most+1)
	var names []string
	for _, ref := range list[:min(len(list), most)] {
		name := w.Str(w.Attr(w.Deref(ref), "_type_name"))
		for k := range w.u.frames {
			if k >= hang.MaxFrames || hang.Library(w.u.frames[k].File) {
				continue
			}
			if v := w.nameIn(w.u, k, map[uint64]bool{w.Deref(ref): true}); v != "" {
				name = strings.TrimSpace(v + " (" + name + ")")
				break
			}
		}
		names = append(names, name)
	}
	if len(list) > most {
		names = append(names, "others")
	}
	return strings.TrimSuffix(strings.ReplaceAll(strings.Join(names, ", "), " ()", ""), " ")
}
