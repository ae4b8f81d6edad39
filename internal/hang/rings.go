package hang

import (
	"slices"
	"strings"
)

// allWaitFor says whether each that has the other end of what one waits for waits itself
// for what that one holds.
func (j *judge) allWaitFor(h *hop) bool {
	for _, e := range j.steps(h.node) {
		if !slices.ContainsFunc(j.steps(e.to), func(back edge) bool { return back.sure && back.kind == "holds" && back.to == h.node }) {
			return false
		}
	}
	return true
}

// allHoldersWait says of one that waits for a semaphore that several hold, whether each
// of those waits for it too, itself or for one that does.
func (j *judge) allHoldersWait(h *hop) bool {
	t := j.thing(h.node.proc, h.edge.thing)
	if h.edge.kind != "holds" || t == nil || t.Kind != Semaphore || len(t.Holders) < 2 {
		return false
	}
	for i := range t.Holders {
		if !j.comesTo(node{h.node.proc, t.Holders[i].Unit}, h.edge.thing) {
			return false
		}
	}
	return true
}

// comesTo says whether a unit surely waits for one, over however many, that waits for a
// thing of its process.
func (j *judge) comesTo(from node, thing int) bool {
	seen, next := map[node]bool{from: true}, []node{from}
	for len(next) > 0 && len(seen) < 500 {
		at := next[0]
		next = next[1:]
		if u := j.unit(at); u != nil && u.Wait != nil && at.proc == from.proc && slices.Contains(u.Wait.On, thing) {
			return true
		}
		for _, e := range j.steps(at) {
			if e.sure && !seen[e.to] {
				seen[e.to] = true
				next = append(next, e.to)
			}
		}
	}
	return false
}

// byTheWay is for a circle in which no line is the program's own: it tells the way to it,
// what the program waits for, and the circle at the end.
func (j *judge) byTheWay(v *Verdict, path, circle []hop) {
	last := path[len(path)-1].edge.to
	for k := range circle {
		if circle[k].node != last {
			continue
		}
		rest, ok := strings.CutPrefix(v.Sentence, "Deadlock: "+j.name(last)+" ")
		if !ok {
			return
		}
		v.Sentence = "Deadlock: " + j.told(path, false) + ", which " + rest
		if f, ok := j.place(path[0].node); ok {
			v.Where = &f
		}
		return
	}
}

// diedInRing says, of a circle of those who all wait for data of each other, which thread of
// theirs reported an exception: it may have been the one to send some.
func (j *judge) diedInRing(circle []hop) string {
	if slices.ContainsFunc(circle, func(h hop) bool { return h.edge.kind != "other end" }) {
		return ""
	}
	for _, h := range circle {
		if d := j.died(h.node.proc, ""); d != "" {
			return "; " + d
		}
	}
	return ""
}
