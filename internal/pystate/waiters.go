package pystate

import (
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
)

// maxWaiters bounds how much of a list of those who wait is looked at.
const maxWaiters = 100

// listedIn finds a lock or semaphore of a package whose call gave a future or a Deferred that
// a frame waits for: the object has that in its list of those who wait. top is the object that
// the program knows, which may have the other as a part. Both are 0 for none.
func (r *reader) listedIn(u *unit, frame int, fits func(item uint64) bool) (obj, top uint64) {
	f := &u.frames[frame]
	at := sorted(r.locals(u, frame))
	for _, name := range r.CodeNames(f) {
		if v := r.FrameGlobal(f, name); v != 0 {
			at = append(at, v)
		}
	}
	seen := map[uint64]bool{}
	var look func(v uint64, depth int) uint64
	look = func(v uint64, depth int) uint64 {
		if v == 0 || seen[v] || r.left <= 0 {
			return 0
		}
		seen[v] = true
		r.left--
		var parts []uint64
		found, left := uint64(0), 60
		r.EachAttr(v, func(_ string, part uint64) bool {
			switch r.Type(part) {
			case "list", "deque":
				for _, item := range r.Items(part, maxWaiters) {
					if fits(item) {
						found = v
					}
				}
			case "str", "int", "bool", "NoneType", "type", "module", "dict", "function", "":
			default:
				parts = append(parts, part)
			}
			left--
			return found == 0 && left > 0
		})
		if found != 0 && lockLike(r.Type(found)) {
			if top == 0 || lockLike(r.Type(v)) {
				top = v
			}
			return found
		}
		for k := 0; depth > 0 && k < len(parts); k++ {
			if found := look(parts[k], depth-1); found != 0 {
				if lockLike(r.Type(v)) {
					top = v
				}
				return found
			}
		}
		return 0
	}
	for _, v := range at {
		if obj = look(v, 2); obj != 0 {
			return obj, top
		}
	}
	return 0, 0
}

// lockLike tells, by its name, a class that a lock or semaphore has.
func lockLike(class string) bool {
	return strings.HasSuffix(class, "Lock") || strings.HasSuffix(class, "Semaphore")
}

// promised is the thing of such an object; who took it is asked for.
func (r *reader) promised(obj, top uint64) (int, bool) {
	fn := r.Found(obj, "acquire")
	file, _ := r.FuncPlace(fn)
	if file == "" || !hang.Installed(file) {
		return 0, false
	}
	_, known := r.things[obj]
	kind := hang.Lock
	if strings.HasSuffix(r.Type(top), "Semaphore") {
		kind = hang.Semaphore
	}
	n := r.thing(obj, kind)
	t := &r.facts.Things[n]
	if t.Async, t.Locked = true, true; kind == hang.Lock {
		t.State = hang.Promised
	}
	t.Class = r.Type(top)
	if top != obj {
		r.partOf[n] = part{top, ""}
	}
	if !known && r.calls() < maxCalls {
		r.facts.Asks = append(r.facts.Asks, hang.Ask{Thing: n, File: file, Func: r.FuncName(fn), Self: obj})
	}
	return n, true
}

// promisedTo takes such a lock for what a task waits for that awaits a future of its.
func (w *waiter) promisedTo(future uint64) (int, bool) {
	for k := 0; k < len(w.u.frames) && k < 4; k++ {
		if hang.Library(w.u.frames[k].File) {
			continue
		}
		obj, top := w.listedIn(w.u, k, func(item uint64) bool { return item == future })
		if obj == 0 {
			return 0, false
		}
		return w.promised(obj, top)
	}
	return 0, false
}

// promisedToSuspended takes such a lock for what a suspended generator or coroutine waits for
// at its yield, by a Deferred that the lock has in its list; Count is how many it has there,
// whose calls are the last ones.
func (r *reader) promisedToSuspended(f *cpython.Frame) {
	on, waits := &unit{frames: []cpython.Frame{*f}, vars: make([]map[string]uint64, 1)}, 0
	obj, top := r.listedIn(on, 0, func(item uint64) bool {
		is := r.Type(item) == "Deferred"
		if is {
			waits++
		}
		return is
	})
	if obj == 0 {
		return
	}
	if n, ok := r.promised(obj, top); ok {
		r.facts.Things[n].Count = waits
		r.facts.Things[n].Name = r.nameIn(on, 0, map[uint64]bool{top: true})
	}
}
