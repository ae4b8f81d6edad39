package hang

import (
	"regexp"
	"slices"
	"strings"
)

// acts are the methods by which a program ends the waiting for a thing, and what one does
// who calls them.
func acts(t *Thing, how string) (methods, does string) {
	switch t.Kind {
	case Event:
		return "set", "sets it"
	case Condition:
		return "notify(?:_all|All)?", "notifies it"
	case Queue:
		switch how {
		case "put":
			return "get(?:_nowait)?", "takes from it"
		case "join":
			return "task_done", "calls task_done"
		}
		return "put(?:_nowait)?", "puts into it"
	case Lock, RLock, Semaphore:
		return "release", "releases it"
	case Barrier:
		return "wait", "comes to it"
	case Future:
		return "set_(?:result|exception)", "completes it"
	}
	return "", ""
}

const unreached = ", which it can't reach"

// later says of what one waits for that another, who waits for that one, would bring it about
// further down in its code: it does not come there. "" is for nobody.
func (j *judge) later(n node, t *Thing, how string) string {
	call, does := j.callOf(t, how)
	if call == nil {
		return ""
	}
	for _, h := range j.way {
		u := j.unit(h.node)
		if h.node.proc != n.proc || u == nil || h.node != n && !slices.Contains(t.Known, h.node.unit) {
			continue
		}
		for k, f := range Within(u.Frames) {
			if !f.own() || h.node == n && k <= u.Wait.Frame {
				continue // of the one that waits itself only who called it counts
			}
			if line := j.below(f, call); line > 0 {
				at := j.at(Frame{File: f.File, Line: line})
				j.cite(Evidence{Text: j.name(h.node) + " " + does + " at " + at + ", later", Proc: n.proc, Event: j.eventOf(h.node), File: f.File, Line: line})
				if h.node == n {
					return "; it " + does + " itself at " + at + unreached
				}
				return "; " + j.name(h.node) + " " + does + " at " + at + unreached
			}
		}
	}
	return ""
}

// abroad says of what one waits for that one of another process of the program would bring it
// about further down in the function that it is in, and what that one waits for.
func (j *judge) abroad(n node, t *Thing, how string) string {
	call, does := j.callOf(t, how)
	if j.asked || call == nil || !t.Shared {
		return "" // asked of one that waits for this one in turn
	}
	j.asked = true
	defer func() { j.asked = false }()
	for _, p := range j.in.Procs {
		if p.ID == n.proc || !p.Hangs || p.Facts == nil {
			continue
		}
		for k := range p.Facts.Units {
			to, u := node{p.ID, k}, &p.Facts.Units[k]
			if u.Role != "" || j.waiting(to) == nil {
				continue
			}
			for _, f := range Within(u.Frames) {
				if !f.own() || f.Func == "<module>" {
					continue // a child that was forked has its parent's
				}
				line := j.below(f, call)
				stuck, _, _ := strings.Cut(j.stuck(to), ", which ")
				if stuck, _, _ = strings.Cut(stuck, "; "); line == 0 || stuck == "" {
					continue
				}
				at := j.at(Frame{File: f.File, Line: line})
				j.cite(Evidence{Text: j.name(to) + " " + does + " at " + at + ", later", Proc: p.ID, Event: j.eventOf(to), File: f.File, Line: line})
				return "; " + j.name(to) + " " + does + " at " + at + unreached + ": it " + stuck
			}
		}
	}
	return ""
}

// callOf matches the call by which a program ends the waiting for a thing, nil where that
// is not known, and says what one does who makes it.
func (j *judge) callOf(t *Thing, how string) (call *regexp.Regexp, does string) {
	act, does := acts(t, how)
	if act == "" || t.Name == "" || j.in.Text == nil {
		return nil, ""
	}
	name := t.Name[strings.LastIndexByte(t.Name, '.')+1:]
	call, err := regexp.Compile(`(?:^|[^\w])` + regexp.QuoteMeta(name) + `\.` + act + `\b`)
	if err != nil {
		return nil, ""
	}
	return call, does
}

// below finds the line below that of a frame, in the same function and not in one that is
// defined there, that has a call; 0 for none.
func (j *judge) below(f Frame, call *regexp.Regexp) int {
	const most = 200
	depth := -1 // of the function's head; of a module's code all is deeper
	if f.Func != "<module>" {
		least := indent(j.in.Text(f.File, f.Line))
		for line := f.Line; line > 0 && line > f.Line-most && depth < 0; line-- {
			text := j.in.Text(f.File, line)
			code := strings.TrimPrefix(strings.TrimSpace(text), "async ")
			if code == "" || indent(text) > least {
				continue
			}
			if least = indent(text); strings.HasPrefix(code, "def ") {
				depth = least
			}
		}
		if depth < 0 {
			return 0
		}
	}
	skip := -1 // how deep the head of a function that is passed over is
	for line, blank := f.Line+1, 0; line < f.Line+most && blank < 20; line++ {
		text := j.in.Text(f.File, line)
		code := strings.TrimPrefix(strings.TrimSpace(text), "async ")
		if code == "" || strings.HasPrefix(code, "#") {
			blank++
			continue
		}
		blank = 0
		switch {
		case indent(text) <= depth:
			return 0
		case skip >= 0 && indent(text) > skip:
			continue
		}
		if skip = -1; strings.HasPrefix(code, "def ") || strings.HasPrefix(code, "class ") {
			skip = indent(text)
			continue
		}
		if call.MatchString(code) {
			return line
		}
	}
	return 0
}
