package hang

import (
	"slices"
	"strings"
)

// keeps says what a unit holds while it waits for what leads to nobody, and who waits for
// that meanwhile: often those who would have acted. The things of the way to it are known.
func (j *judge) keeps(n node, way []hop) string {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil {
		return ""
	}
	for k := range p.Facts.Units {
		from := node{n.proc, k}
		if from == n || slices.ContainsFunc(way, func(h hop) bool { return h.node == from }) {
			continue
		}
		for _, e := range j.steps(from) {
			t := j.thing(n.proc, e.thing)
			if e.kind != "holds" || e.to != n || t == nil {
				continue
			}
			h := hop{from, &e}
			j.cite(Evidence{Text: j.name(from) + " " + j.wants(t, "acquire", j.where(from)), Proc: n.proc, Event: j.eventOf(from)})
			return "; it holds " + j.thingName(t) + j.taken(h) + ", for which " + j.name(from) + " waits" + j.where(from)
		}
	}
	return ""
}

// eventOf is that of the call that a unit is in, 0 for none.
func (j *judge) eventOf(n node) uint64 {
	if c := j.call(n); c != nil {
		return c.Event
	}
	return 0
}

// helper tells a thread of a package that waits for the next job in the package's own code:
// that it has something at hand does not say that it owes anybody that.
func (j *judge) helper(n node) bool {
	u := j.unit(n)
	if u == nil || u.Kind != Thread || u.Main || u.Wait == nil || u.Wait.How != "get" || len(u.Frames) == 0 || slices.ContainsFunc(u.Frames, func(f Frame) bool { return f.own() }) {
		return false
	}
	t := j.thing(n.proc, first(u.Wait.On))
	return t != nil && t.Kind == Queue && strings.HasPrefix(or(t.State, "empty"), "empty")
}

// reactor says of a thread that waits in a callback of an event loop which is no asyncio's
// that the loop stands still meanwhile.
func (j *judge) reactor(n node) string {
	u := j.unit(n)
	if u == nil || u.Kind != Thread || u.Wait == nil {
		return ""
	}
	for k := range u.Frames {
		f := &u.Frames[k]
		if name := lastName(f.Func); k > u.Wait.Frame && (name == "mainLoop" || name == "run") && strings.HasSuffix(f.File, "/twisted/internet/base.py") {
			return "; it runs Twisted's reactor, which stands still meanwhile"
		}
	}
	return ""
}

// stands adds to what the last of a path waits for what it keeps from others by that.
func (j *judge) stands(n node, way []hop, says, missing string) (string, string) {
	also := or(j.keeps(n, way), j.reactor(n))
	if also == "" {
		return says, missing
	}
	return strings.Replace(says, "; no other thread or task has it at hand", "", 1) + also, "whether that keeps away who should have acted"
}
