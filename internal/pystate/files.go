package pystate

import (
	"slices"

	"pyrr/internal/hang"
)

// Bounds of the files with bytes that were not flushed: that are noted, and about which it
// is asked who wrote them.
const (
	maxUnflushed = 50
	maxWrote     = 2 // each has two words at most
)

// unflushed notes a file object, at hand of a unit or a standard stream (unit -1), in which
// bytes lie that its descriptor has not got: Size is how many, Count the descriptor.
func (r *reader) unflushed(unit int, obj uint64, fd int) {
	s, ok := r.Unflushed(obj)
	if !ok || r.left <= 0 {
		return
	}
	key := r.Buffer(obj)
	if key == 0 {
		key = obj
	}
	n, known := r.files[key]
	if !known {
		if len(r.files) == maxUnflushed || len(r.facts.Things) >= maxThings {
			return
		}
		n = len(r.facts.Things)
		r.files[key] = n
		r.facts.Things = append(r.facts.Things, hang.Thing{Kind: hang.File, Addr: obj, Class: r.Type(obj), Count: fd, Name: r.streamOf(key)})
	}
	t := &r.facts.Things[n]
	if s.Bytes > t.Size { // a text file has them of its buffer, too
		t.Size, t.Addr = s.Bytes, obj
	}
	if unit >= 0 && !slices.Contains(t.Known, unit) {
		t.Known = append(t.Known, unit)
	}
}

// standard notes what lies in the standard streams.
func (r *reader) standard() {
	for _, name := range []string{"stdout", "stderr"} {
		obj := r.Global("sys", name)
		if fd, ok := r.Descriptor(obj); ok {
			r.unflushed(-1, obj, fd)
		}
	}
}

// asksWrote asks where was written what lies in files, of those that may be a pipe or a
// connection that somebody in the recording reads: the standard streams of the first process
// lead out of it.
func (r *reader) asksWrote() {
	asked := 0
	for n := range r.facts.Things {
		t := &r.facts.Things[n]
		if t.Kind != hang.File || asked == maxWrote || t.Count <= 2 && r.facts.Proc == 1 {
			continue
		}
		if s, ok := r.Unflushed(t.Addr); ok {
			asked++
			r.facts.Asks = append(r.facts.Asks, hang.Ask{Thing: n, Word: s.Word, Len: 8, Mask: ^uint64(0), Free: s.Empty, Through: s.Through, Act: hang.WroteFile})
		}
	}
}

// has notes what a unit has in reach: things that are waited for, descriptors.
func (r *reader) has(unit int, obj uint64, want map[uint64]int) {
	if t, ok := want[obj]; ok {
		r.knows(t, unit)
	}
	u := &r.facts.Units[unit]
	fd, ok := r.Descriptor(obj)
	if !ok {
		fd = r.streamFD(obj)
		ok = fd > 0
	}
	if n := r.Unused(obj); ok && n > 0 && len(u.Buffered) < 50 {
		if u.Buffered == nil {
			u.Buffered = map[int]int{}
		}
		u.Buffered[fd] = n
	}
	if ok {
		r.unflushed(unit, obj, fd)
	}
	if ok && len(u.FDs) < 200 && !slices.Contains(u.FDs, fd) {
		u.FDs = append(u.FDs, fd)
	}
}

func (r *reader) knows(thing, unit int) {
	t := &r.facts.Things[thing]
	if w := r.facts.Units[unit].Wait; w != nil && slices.Contains(w.On, thing) {
		return // it waits for it itself
	}
	if !slices.Contains(t.Known, unit) {
		t.Known = append(t.Known, unit)
	}
}
