package pystate

import (
	"maps"
	"slices"
	"strings"

	"pyrr/internal/hang"
)

// nameOf finds how the program calls an object: a variable of the modules of
// those that wait for it or hold it, an attribute of their self, a variable of
// their functions.
func (r *reader) nameOf(thing int, obj uint64) string {
	places := r.placesOf(thing)
	same := r.sameAs(thing, obj, places)
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

// sameAs are the objects by which the program knows one: itself, what it is a part of.
func (r *reader) sameAs(thing int, obj uint64, places []place) map[uint64]bool {
	t := &r.facts.Things[thing]
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
	return same
}

// A name that so many things have is no mistake of two that another name could mend, and the
// other names of one are looked for in so many frames of the program's at most.
const (
	maxNamesakes = 8
	maxNamings   = 64
)

// distinguish gives those things that have one name, as two locks that are the argument
// `first` of two calls or the attribute `self.lock` of two objects, the names that other
// frames have for them, where those tell all of them apart.
func (r *reader) distinguish(objs []uint64) {
	type called struct {
		kind string
		name string
	}
	namesakes := map[called][]int{}
	for n := range r.facts.Things {
		if t := &r.facts.Things[n]; t.Name != "" {
			namesakes[called{t.Kind, t.Name}] = append(namesakes[called{t.Kind, t.Name}], n)
		}
	}
	for by, things := range namesakes {
		if len(things) < 2 || len(things) > maxNamesakes {
			continue
		}
		names := map[string]bool{}
		others := make([]string, len(things))
		for i, n := range things {
			others[i] = r.otherName(n, objs[n], by.name)
			names[others[i]] = true
		}
		if len(names) < len(things) || names[""] {
			continue
		}
		for i, n := range things {
			r.facts.Things[n].Name = others[i]
		}
	}
}

// otherName is how a frame of the program that does not call a thing by one name calls it;
// the main thread's frames, where it was mostly made, come first.
func (r *reader) otherName(thing int, obj uint64, not string) string {
	part := r.partOf[thing]
	if part.of != 0 {
		obj = part.of
	}
	same := r.sameAs(thing, obj, r.placesOf(thing))
	left := maxNamings
	for _, main := range []bool{true, false} {
		for n, u := range r.units {
			if r.facts.Units[n].Main != main {
				continue
			}
			for k := 0; k < len(u.frames) && left > 0; k++ {
				if hang.Library(u.frames[k].File) {
					continue
				}
				left--
				name := r.nameIn(u, k, same)
				if part.of != 0 && name != "" {
					name = strings.TrimSuffix(name+"."+part.name, ".")
				}
				if name != "" && name != not && name != "self" && !strings.HasPrefix(name, "self.") {
					return name
				}
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
		if name := within(100, same, func(f func(string, uint64) bool) { r.EachAttr(self, f) }); name != "" {
			return "self." + name
		}
	}
	names := slices.Sorted(maps.Keys(vars))
	for _, name := range names {
		if same[vars[name]] {
			return name
		}
	}
	// An attribute of something that is at hand.
	for _, name := range names {
		if attr := within(40, same, func(f func(string, uint64) bool) { r.EachAttr(vars[name], f) }); attr != "" {
			return name + "." + attr
		}
	}
	return r.itemIn(u, k, vars, names, same)
}

// itemIn is the name of one of some objects that is an item of a list, tuple or dict that a
// frame, its self or its module has. What a function was called with is no name.
func (r *reader) itemIn(u *unit, k int, vars map[string]uint64, names []string, same map[uint64]bool) string {
	found := ""
	in := func(name string, value uint64) bool {
		if name != "args" && name != "kwargs" && !strings.HasPrefix(name, "__") {
			if item := within(40, same, func(f func(string, uint64) bool) { r.EachItem(value, f) }); item != "" {
				found = name + item
			}
		}
		return found == ""
	}
	for _, name := range names {
		if !in(name, vars[name]) {
			return found
		}
	}
	if self := vars["self"]; self != 0 {
		left := 100
		r.EachAttr(self, func(name string, value uint64) bool {
			left--
			return in("self."+name, value) && left > 0
		})
	}
	if found == "" {
		r.EachGlobal(&u.frames[k], 200, func(name func() string, value uint64) bool { return in(name(), value) })
	}
	return found
}

// within is the name of the first of so many parts of an object that is one of some, "" for none.
func within(most int, same map[uint64]bool, each func(func(name string, value uint64) bool)) (found string) {
	each(func(name string, value uint64) bool {
		most--
		if same[value] {
			found = name
		}
		return found == "" && most > 0
	})
	return found
}
