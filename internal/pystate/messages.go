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

// partial notes of one that reads from a connection of multiprocessing how much of a message
// has come, once its size has: _recv_bytes has that, and _recv what is left
// (Lib/multiprocessing/connection.py).
func (w *waiter) partial() {
	for k := 0; k+1 < len(w.u.frames) && hang.Library(w.u.frames[k].File); k++ {
		if ruleKey(w.u.frames[k].File) != "multiprocessing/connection.py" || last(w.u.frames[k].Func) != "_recv" {
			continue
		}
		size, ok := w.Int(w.local(w.u, k, "size"))
		left, known := w.Int(w.local(w.u, k, "remaining"))
		whole, sized := w.Int(w.local(w.u, k+1, "size"))
		if ok && known && sized && whole == size && left > 0 && left <= size {
			w.facts.Units[w.n].Partial = &hang.Partial{Got: size - left, Of: size}
		}
		return
	}
}
