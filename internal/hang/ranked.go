package hang

import (
	"slices"
	"strings"

	"pyrr/internal/lazyregexp"
)

// best is the edge to follow where there is no circle.
func (j *judge) best(n node) (edge, bool) {
	if list := j.ranked(n); len(list) > 0 {
		return list[0], true
	}
	return edge{}, false
}

// ranked are the edges that may be followed, the best first: a sure one before one
// that is only likely, to one that waits itself before one that does not.
func (j *judge) ranked(n node) []edge {
	var out []edge
	var scores []int
	asleep := j.unit(n) != nil && j.unit(n).Kind == Task && j.asleep(n, j.unit(n))
	for _, e := range j.steps(n) {
		if !e.sure && asleep {
			continue // what it waits for has come, or would not reach it
		}
		s := 0
		if e.sure {
			s += 10
		}
		if u := j.unit(e.to); u != nil {
			if u.Role != "" {
				if !e.sure {
					continue // an idle one owes nothing
				}
				s -= 5
			}
			if !e.sure && (j.helper(e.to) || j.idleAcceptor(e.to) || j.cannotAct(n, e)) {
				continue
			}
			if u.Wait != nil && !u.Wait.Limit {
				s++
			}
			if e.kind == "knows" && j.wouldAct(n, e) {
				s += 3
			}
		}
		if s < 0 {
			continue
		}
		k := len(out)
		for k > 0 && scores[k-1] < s {
			k--
		}
		out, scores = slices.Insert(out, k, e), slices.Insert(scores, k, s)
	}
	return out
}

// wouldAct says whether a function of the program's that a unit is in has the call by which it
// would bring about what another waits for.
func (j *judge) wouldAct(n node, e edge) bool {
	t, u, by := j.thing(n.proc, e.thing), j.unit(e.to), j.unit(n)
	if t == nil || u == nil || by == nil || by.Wait == nil {
		return false
	}
	call, _ := j.callOf(t, by.Wait.How)
	if call == nil {
		return false
	}
	for _, f := range Within(u.Frames) {
		if !f.own() || f.Func == "<module>" {
			continue
		}
		if f.Line = j.headOf(f); f.Line > 0 && j.below(f, call) > 0 {
			return true
		}
	}
	return false
}

// headOf is the line of the def of the function that a frame is of, 0 for none.
func (j *judge) headOf(f Frame) int {
	const most = 200
	least := indent(j.in.Text(f.File, f.Line))
	for line := f.Line; line > 0 && line > f.Line-most; line-- {
		text := j.in.Text(f.File, line)
		code := strings.TrimPrefix(strings.TrimSpace(text), "async ")
		if code == "" || indent(text) > least {
			continue
		}
		if least = indent(text); strings.HasPrefix(code, "def ") {
			return line
		}
	}
	return 0
}

// calls matches what may run code of others: a call, or a with statement's end.
var calls = lazyregexp.New(`[\w\])]\(|^(?:async )?with |\bawait |\byield `)

// cannotAct says of one that has a thing at hand that it would not bring about what another
// waits for: it waits for what is surely held, and the functions of the program that it is
// in have no call at all, neither that one nor others, from where it waits to their ends.
func (j *judge) cannotAct(n node, e edge) bool {
	t, u, by := j.thing(n.proc, e.thing), j.unit(e.to), j.unit(n)
	if e.kind != "knows" || t == nil || u == nil || u.Wait == nil || by == nil || by.Wait == nil || j.in.Text == nil {
		return false
	}
	if call, _ := j.callOf(t, by.Wait.How); call == nil {
		return false
	}
	own := 0
	for _, f := range Within(u.Frames) {
		if !f.own() {
			continue
		}
		own++
		head := f
		if head.Line = j.headOf(f); f.Func == "<module>" || head.Line == 0 || j.loops(head, f.Line) || j.below(f, calls()) > 0 || j.callsMore(f) {
			return false
		}
	}
	return own > 0
}

// callsMore says whether the line in which one waits has more than that: another call may
// come behind it.
func (j *judge) callsMore(f Frame) bool {
	code := strings.TrimPrefix(strings.TrimSpace(j.in.Text(f.File, f.Line)), "async ")
	waits := 1
	if strings.HasPrefix(code, "with ") {
		code, waits = strings.TrimPrefix(code, "with "), 0
	}
	return len(calls().FindAllString(code, 2)) > waits
}

// loops says whether a function has a loop above a line of it.
func (j *judge) loops(head Frame, line int) bool {
	for at := head.Line + 1; at < line; at++ {
		code := strings.TrimPrefix(strings.TrimSpace(j.in.Text(head.File, at)), "async ")
		if strings.HasPrefix(code, "for ") || strings.HasPrefix(code, "while ") {
			return true
		}
	}
	return false
}
