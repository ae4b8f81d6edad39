package pystate

import (
	"slices"
	"strings"

	"pyrr/internal/hang"
)

// maxActs bounds the questions about what was done last to what is waited for.
const maxActs = 6

// asksActs asks what was done last to events, conditions and queues that somebody waits for
// who is not idle: a notification that came too early, an event that was cleared, an item
// that another took.
func (r *reader) asksActs(objs []uint64, waited map[int]bool) {
	left := maxActs
	for n := range r.facts.Things {
		t := &r.facts.Things[n]
		if !waited[n] || t.Pool != "" {
			continue
		}
		var acts []hang.Ask
		switch t.Kind {
		case hang.Condition:
			acts = []hang.Ask{{Func: "notify", Act: hang.Notified}}
		case hang.Event:
			acts = []hang.Ask{{Func: "set", Act: hang.WasSet}, {Func: "clear", Act: hang.Cleared}}
		case hang.Queue:
			acts = []hang.Ask{{Func: "_get", Act: hang.TookItem}} // which get calls where there is one
		}
		class, file := r.waitsBy(n, objs[n])
		if file == "" || len(acts) > left {
			continue
		}
		left -= len(acts)
		for _, a := range acts {
			if a.Act != hang.TookItem { // a subclass may have its own
				a.Func = class + a.Func
			}
			a.Thing, a.File, a.Self = n, file, objs[n]
			r.facts.Asks = append(r.facts.Asks, a)
		}
	}
}

// waitsBy finds the method of a thing in which somebody waits who is not idle: its file, and
// its class with a point behind it as far as the version has that. "" is for none.
func (r *reader) waitsBy(thing int, obj uint64) (class, file string) {
	for n := range r.facts.Units {
		f := &r.facts.Units[n]
		if f.Role != "" || f.Wait == nil || !slices.Contains(f.Wait.On, thing) || f.Wait.How != "wait" && f.Wait.How != "get" {
			continue
		}
		u := r.units[n]
		for k := range u.frames {
			frame := &u.frames[k]
			if k >= hang.MaxFrames || !hang.Library(frame.File) {
				break
			}
			switch name := last(frame.Func); {
			case r.local(u, k, "self") != obj || name != "wait" && name != "get":
			case k+1 < len(u.frames) && last(u.frames[k+1].Func) == "start" && ruleKey(u.frames[k+1].File) == "threading.py":
				return "", "" // of a thread that begins
			default:
				return strings.TrimSuffix(frame.Func, name), frame.File
			}
		}
	}
	return "", ""
}
