package pystate

import (
	"slices"

	"pyrr/internal/hang"
)

// nameOf finds how the program calls an object: a variable of the modules of
// those that wait for it or hold it, an attribute of their self, a variable of
// their functions.
func (r *reader) nameOf(thing int, obj uint64) string {
	places, t := r.placesOf(thing), &r.facts.Things[thing]
	same := map[uint64]bool{obj: true}
	if t.Kind == hang.Lock && r.Buffer(obj) != 0 {
		for _, p := range places {
			r.filesOf(obj, p.unit, p.frame, same)
		}
	}
	if t.Kind == hang.Lock && r.SemLock(obj).Handle != 0 {
		for _, p := range places {
			r.around(obj, p.unit, p.frame, same)
		}
	}
	r.wrapped(thing, obj, same)
	for _, p := range places {
		if len(places) > 6 {
			places = places[:6]
		}
		u, from := r.units[p.unit], p.frame
		for from+1 < len(u.frames) && same[r.local(u, from, "self")] {
			from++ // a method of its own, which calls it self
		}
		for k := from; k < len(u.frames) && k < from+2; k++ {
			if hang.Library(u.frames[k].File) {
				continue
			}
			if name := r.nameIn(u, k, same); name != "" {
				return name
			}
		}
	}
	return ""
}

// wrapped adds the objects of packages that have a thing as an attribute and pass its methods
// on, as anyio's events and locks do: the program knows those.
func (r *reader) wrapped(thing int, obj uint64, same map[uint64]bool) {
	for n := range r.facts.Units {
		w := r.facts.Units[n].Wait
		if w == nil || !slices.Contains(w.On, thing) {
			continue
		}
		u := r.units[n]
		for k := 0; k+1 < len(u.frames) && k < w.Frame; k++ {
			self := r.local(u, k+1, "self")
			if self == 0 || same[self] || !libraryRule(u.frames[k+1].File) || last(u.frames[k].Func) != last(u.frames[k+1].Func) || !same[r.local(u, k, "self")] {
				continue
			}
			r.EachAttr(self, func(_ string, value uint64) bool {
				if value == obj {
					same[self] = true
				}
				return !same[self]
			})
		}
	}
}

// place is a frame of a thread or a task.
type place struct {
	unit, frame int
}

// placesOf are the frames that have to do with a thing: of who waits for it, who holds
// it, who knows it.
func (r *reader) placesOf(thing int) []place {
	var places []place
	t := &r.facts.Things[thing]
	for n := range r.facts.Units {
		w := r.facts.Units[n].Wait
		if w != nil && slices.Contains(w.On, thing) {
			places = append(places, place{n, w.Frame})
		}
	}
	for _, h := range t.Holders {
		if h.Frame >= 0 {
			places = append(places, place{h.Unit, h.Frame})
		}
	}
	for _, n := range t.Known {
		for k := range r.facts.Units[n].Frames {
			if !hang.Library(r.facts.Units[n].Frames[k].File) {
				places = append(places, place{n, k})
				break
			}
		}
	}
	return places
}

// nameIn is how a frame calls one of some objects, "" where it knows none of them.
func (r *reader) nameIn(u *unit, k int, same map[uint64]bool) string {
	if name := r.GlobalName(&u.frames[k], same); name != "" {
		return name
	}
	vars := r.locals(u, k)
	if self := vars["self"]; self != 0 {
		found := ""
		left := 100
		r.EachAttr(self, func(name string, value uint64) bool {
			left--
			if same[value] {
				found = "self." + name
			}
			return found == "" && left > 0
		})
		if found != "" {
			return found
		}
	}
	best := ""
	for name, value := range vars {
		if same[value] && (best == "" || name < best) {
			best = name
		}
	}
	if best != "" {
		return best
	}
	// An attribute of something that is at hand.
	for name, value := range vars {
		found := ""
		left := 40
		r.EachAttr(value, func(attr string, v uint64) bool {
			left--
			if same[v] {
				found = name + "." + attr
			}
			return found == "" && left > 0
		})
		if found != "" && (best == "" || found < best) {
			best = found
		}
	}
	if best != "" {
		return best
	}
	return ""
}
