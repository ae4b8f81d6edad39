package pystate

import (
	"strings"

	"pyrr/internal/hang"
)

// window notes, of one that waits in a package's function, the number by which the package
// counts how much the other end still takes, where that is used up: channels of SSH and
// streams of HTTP/2 have one.
func (w *waiter) window() {
	frames, sends := w.facts.Units[w.n].Frames, false
	for k := 0; k < w.found.Frame && k < len(frames) && w.found.Window == ""; k++ {
		name := strings.ToLower(last(frames[k].Func))
		for _, word := range []string{"send", "write", "drain", "window", "flow"} {
			sends = sends || strings.Contains(name, word)
		}
		if self := w.self(k); self != 0 && hang.Installed(frames[k].File) && !hang.Machinery(frames[k].File) {
			w.found.Window = w.usedUp(self, 1)
		}
	}
	if !sends {
		w.found.Window = "" // it is none that this one waits for
	}
	if class, _, ok := strings.Cut(w.found.Window, "."); ok {
		w.found.Unread, w.found.Bytes = w.unreadIn(class)
	}
}

// unreadIn finds, of the objects of a class, the one with most bytes that came and lie unread
// in a buffer of its own, "CLASS.NAME": where both ends are in one process, that is why the
// other end takes no more.
func (r *reader) unreadIn(class string) (where string, most int) {
	left := 200
	r.EachTracked(func(obj uint64, c string) bool {
		if c != class {
			return true
		}
		left--
		pkg, _, _ := strings.Cut(r.Module(obj), ".")
		r.EachAttr(obj, func(name string, value uint64) bool {
			low := strings.ToLower(name)
			if !strings.Contains(low, "buf") || strings.Contains(low, "out") || strings.Contains(low, "send") || strings.Contains(low, "write") {
				return true
			}
			n := r.bytesIn(value)
			if p, _, _ := strings.Cut(r.Module(value), "."); n == 0 && pkg != "" && p == pkg {
				r.EachAttr(value, func(_ string, part uint64) bool { n = max(n, r.bytesIn(part)); return true })
			}
			if n > most {
				where, most = class+"."+name, n
			}
			return true
		})
		return left > 0
	})
	return where, most
}

// bytesIn is how many bytes there are in an object that has some, or in a list of such.
func (r *reader) bytesIn(obj uint64) (n int) {
	switch r.Type(obj) {
	case "bytes", "bytearray", "array", "array.array":
		return r.Len(obj)
	case "list", "deque":
		for _, item := range r.Items(obj, 1000) {
			if t := r.Type(item); t == "bytes" || t == "bytearray" {
				n += r.Len(item)
			}
		}
	}
	return n
}

// usedUp finds an attribute that is such a number and is used up, of an object or of those
// of the same package that it has, "CLASS.NAME".
func (w *waiter) usedUp(obj uint64, depth int) (found string) {
	pkg, _, _ := strings.Cut(w.Module(obj), ".")
	var parts []uint64
	left := 100
	w.EachAttr(obj, func(name string, value uint64) bool {
		left--
		if n, ok := w.Int(value); ok && n <= 0 && sendWindow(name) {
			found = w.Type(obj) + "." + name
		} else if p, _, _ := strings.Cut(w.Module(value), "."); !ok && p == pkg && pkg != "" {
			parts = append(parts, value)
		}
		return found == "" && left > 0
	})
	for k := 0; k < len(parts) && k < 20 && depth > 0 && found == ""; k++ {
		found = w.usedUp(parts[k], depth-1)
	}
	return found
}

// sendWindow tells the name of a window of what may be sent.
func sendWindow(name string) bool {
	name = strings.ToLower(name)
	if !strings.Contains(name, "window") || strings.Contains(name, "max") || strings.Contains(name, "inbound") {
		return false
	}
	for _, way := range []string{"out", "send", "remote", "peer"} {
		if strings.Contains(name, way) {
			return true
		}
	}
	return false
}

// leftItems notes, where but one thread or task is at anything and looks again and again in a
// package's code, the queues with items: brokers within a process keep the messages so that
// nobody takes.
func (r *reader) leftItems() {
	const most = 4
	polls := 0
	for n := range r.facts.Units {
		u := &r.facts.Units[n]
		if u.Role == "" && len(u.Frames) > 0 {
			if u.Wait != nil || !r.inPackage(n) {
				return
			}
			polls++
		}
	}
	if polls != 1 {
		return
	}
	found := map[uint64]*hang.Left{}
	var order []uint64
	for _, q := range r.tracked.queues {
		items := r.Attr(q, "queue")
		if _, waited := r.things[q]; waited || items == 0 || r.Module(q) != "queue" {
			continue
		}
		if n := r.Len(items); n > 0 && len(order) < most {
			found[q] = &hang.Left{Items: n}
			order = append(order, q)
		}
	}
	if len(order) == 0 {
		return
	}
	r.EachTracked(func(obj uint64, class string) bool {
		if class != "dict" || len(found) == 0 {
			return len(found) > 0
		}
		pairs := 0
		r.Pairs(obj, func(key, value uint64) bool {
			if q := found[value]; q != nil && q.Name == "" {
				q.Name = r.Str(key)
			}
			pairs++
			return pairs < 100
		})
		return true
	})
	for _, q := range order {
		if l := found[q]; l != nil && l.Name != "" {
			r.facts.Left = append(r.facts.Left, *l)
		}
	}
}

// inPackage tells a thread in a function of an installed package that the program's own code
// has called.
func (r *reader) inPackage(n int) bool {
	if r.units[n].thread == nil {
		return false
	}
	pkg := false
	for _, f := range r.facts.Units[n].Frames {
		if !hang.Library(f.File) {
			return pkg
		}
		pkg = pkg || hang.Installed(f.File) && !hang.Machinery(f.File)
	}
	return false
}
