package page

import "strings"

// near is how many lines a moment may be away from the line that a fact names.
const near = 40

// nearest is the moment for a fact that has a line and no event, as the taking of a lock
// that was free: one in the same thread, if the fact begins with its name, at that line,
// else soon after it, else before it. The number is 0 where there is none.
func (d *document) nearest(w *walk, t *tree, nodes []uint64, text string, proc, file, line int) (at int, event uint64) {
	known := map[uint64]int{} // by node: how many lines behind, none where it is elsewhere
	const none = near + 1
	away := func(node uint64) int {
		best, ok := known[node]
		if ok {
			return best
		}
		best = none
		for n := node; n != 0; n = uint64(t.parent[n]) {
			if f := &t.frames[t.frame[n]]; f.File == file && better(f.Line-line, best) {
				best = f.Line - line
			}
		}
		known[node] = best
		return best
	}
	named := make([]bool, len(w.lanes))
	any := false
	for i := range w.lanes {
		l := &w.lanes[i]
		named[i] = l.Name != "" && (strings.HasPrefix(text, l.Name+" ") || strings.HasPrefix(text, "thread "+l.Name+" "))
		any = any || named[i]
	}
	best := none
	for i := range w.rows {
		r := &w.rows[i]
		if any && !named[r.lane] || proc >= 0 && w.lanes[r.lane].Proc != proc {
			continue
		}
		if k := away(nodes[i]); better(k, best) || k <= 0 && k == best {
			best, at, event = k, w.lanes[r.lane].Proc, r.n
		}
	}
	return at, event
}

// better says whether a place so many lines behind is nearer than another: at the line,
// else the next behind it, else the last before it.
func better(a, b int) bool {
	switch {
	case a > near || a < -near:
		return false
	case b > near:
		return true
	case (a >= 0) != (b >= 0):
		return a >= 0
	case a >= 0:
		return a < b
	}
	return a > b
}
