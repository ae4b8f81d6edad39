package hang

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// cycle is the verdict on a circle.
func (j *judge) cycle(root node, circle []hop) *Verdict {
	v := &Verdict{Degree: Proven, Kind: "deadlock"}
	first := circle[0]
	if len(circle) == 1 {
		j.selfDeadlock(v, first)
	} else if pool := j.starved(circle, v); !pool {
		// The one that the root waits for, or the root itself, comes first.
		v.Sentence = "Deadlock: " + j.told(circle, true) + j.diedInRing(circle) + "."
	}
	for _, h := range circle {
		v.Units = append(v.Units, j.ref(h.node))
		j.evidence(v, h)
		v.key = append(v.key, j.keyOf(h))
	}
	// Who is in a call that names what it waits for comes first in reports.
	tells := func(h hop) bool {
		c := j.call(h.node)
		return c != nil && c.Call != "" && c.Call != "futex" && !strings.HasPrefix(c.Call, "wait")
	}
	for k, h := range circle {
		if tells(h) && !tells(first) {
			v.Units[0], v.Units[k] = v.Units[k], v.Units[0]
			break
		}
	}
	if f, ok := j.place(first.node); ok {
		v.Where = &f
	}
	if k := slices.IndexFunc(circle, func(h hop) bool { return h.edge.asks }); k >= 0 {
		v.Degree, v.Kind, v.Missing = Likely, "circle", "whether "+j.name(circle[k].node)+" would have given up"
		v.Sentence = capital(strings.TrimPrefix(v.Sentence, "Deadlock: "))
	}
	if k := slices.IndexFunc(circle, func(h hop) bool { return h.edge.limit > 0 }); k >= 0 && v.Degree == Proven {
		v.Degree, v.Kind, v.Missing = Likely, "circle", j.afterLimit(&circle[k])
		v.Sentence = capital(strings.TrimPrefix(v.Sentence, "Deadlock: "))
		v.Sentence = strings.TrimSuffix(v.Sentence, ".") + j.tryAgain(circle) + "."
	}
	inside := false
	for _, h := range circle {
		inside = inside || h.node == root
	}
	if !inside {
		path := j.approach(v, root, circle)
		own := func(h hop) bool { f, ok := j.place(h.node); return ok && f.own() }
		if len(path) > 0 && !slices.ContainsFunc(circle, own) && slices.ContainsFunc(path, own) {
			j.byTheWay(v, path, circle)
		}
	}
	return v
}

// ring is the verdict on a circle of which a link is not sure; nil where others than
// those on it could act.
func (j *judge) ring(circle []hop, root node) *Verdict {
	if len(circle) < 2 {
		return nil
	}
	missing, knot := "", slices.ContainsFunc(circle, func(h hop) bool { return j.allHoldersWait(&h) })
	for k := range circle {
		h := &circle[k]
		u := j.unit(h.edge.to)
		switch {
		case h.edge.sure && (h.edge.kind == "holds" || h.edge.kind == "blocked loop" || h.edge.kind == "loop" && h.edge.thing >= 0 || knot):
			continue
		case j.allHoldersWait(h):
			missing = "that nobody else has taken " + j.thingOf(*h)
		case !h.edge.sure && h.edge.kind == "other end" && j.allWaitFor(h):
			missing = "that nobody else has the other end of what " + j.name(h.node) + " waits for"
		case h.edge.sure || u != nil && u.Main:
			return nil // who joins says nothing of why; all is at the main thread's hand
		case h.edge.limit > 0:
			missing = j.afterLimit(h)
		case h.edge.kind != "knows" || !j.alone(h) && !j.allBlocked(h):
			return nil
		default:
			missing = j.onlyOne(h)
		}
	}
	if f, ok := j.place(circle[0].node); circle[0].node != root && (!ok || !f.own()) {
		return nil // the way to it says more
	}
	v := j.cycle(root, circle)
	v.Degree, v.Kind, v.Missing = Likely, "circle", missing
	v.Sentence = capital(strings.TrimPrefix(v.Sentence, "Deadlock: "))
	return v
}

// alone says whether an edge leads to the only one, except for idle ones, that has at
// hand what is waited for.
func (j *judge) alone(h *hop) bool {
	for _, e := range j.steps(h.node) {
		if e.to == h.edge.to || e.thing != h.edge.thing {
			continue
		}
		if u := j.unit(e.to); u == nil || u.Role == "" {
			return false
		}
	}
	return true
}

// told says a path in one sentence; of a circle the last leads to the first.
func (j *judge) told(path []hop, circle bool) string {
	var b strings.Builder
	for k := range path {
		h := &path[k]
		if h.edge == nil {
			break
		}
		from := j.name(h.node)
		if k > 0 {
			if left := len(path) - k; b.Len() > 80 && left > 2 {
				// The middle of a long path is left out, and said to be.
				last := &path[len(path)-1]
				if last.edge == nil {
					last = &path[len(path)-2]
				}
				fmt.Fprintf(&b, ", and so on over %d more, of whom the last, ", left)
				fmt.Fprintf(&b, last.edge.say, j.name(last.node), j.name(last.edge.to))
				return b.String()
			}
			b.WriteString(", ")
			from = "which"
			// "A joins B, which …": the one before ends with its name.
		}
		to := j.name(h.edge.to)
		if k > 0 && h.edge.to.proc == h.node.proc {
			// Of which process it is has just been said.
			to = strings.TrimSuffix(to, " of "+j.procName(j.procs[h.edge.to.proc]))
		}
		fmt.Fprintf(&b, h.edge.say, from, to)
	}
	return b.String()
}

// selfDeadlock is a unit that waits for what it holds itself.
func (j *judge) selfDeadlock(v *Verdict, h hop) {
	name := j.name(h.node)
	what := "itself"
	if t := j.thing(h.node.proc, h.edge.thing); t != nil {
		what = j.thingName(t)
		if t.Kind == Future && t.Queued {
			j.poolSelf(v, h, t)
			return
		}
	}
	v.Kind = "self-deadlock"
	switch h.edge.kind {
	case "holds":
		if h.edge.thing < 0 { // a lock that another process keeps
			v.Sentence = "Deadlock: " + strings.Replace(fmt.Sprintf(h.edge.say, name, "it"), "which it holds", "which it holds itself", 1) + "."
			return
		}
	case "serve_forever":
		v.Sentence = fmt.Sprintf("Deadlock: %s waits for the end of serve_forever%s, which it runs itself.", name, j.where(h.node))
		return
	case "accepts":
		v.Sentence = "Deadlock: " + fmt.Sprintf(h.edge.say, name, "itself") + "."
		return
	case "loop":
		v.Sentence = "Deadlock: " + strings.ReplaceAll(fmt.Sprintf(h.edge.say, name, "itself"), "the event loop of itself", "its own event loop") + "."
		return
	}
	if f, ok := j.takenByParent(h); ok {
		v.Sentence = fmt.Sprintf("Deadlock: %s waits for %s%s, which was taken before it was forked (%s): its copy is never released.", name, what, j.where(h.node), j.at(f))
		return
	}
	v.Sentence = fmt.Sprintf("Deadlock: %s waits for %s%s, which it holds itself%s.", name, what, j.where(h.node), j.taken(h))
}

// taken says where the holder took a thing.
func (j *judge) taken(h hop) string {
	e := h.edge
	if e == nil || e.hold == nil {
		return ""
	}
	if f, ok := j.heldAt(e); ok {
		return " since " + j.at(f) + j.calledFrom(e)
	}
	return ""
}

// calledFrom says, of a holder whose line is not of the user's code, which line of
// that called it.
func (j *judge) calledFrom(e *edge) string {
	u := j.unit(e.to)
	if u == nil || e.hold.Frame < 0 || u.Frames[e.hold.Frame].own() {
		return ""
	}
	for k := e.hold.Frame; k < len(u.Frames); k++ {
		if u.Frames[k].own() {
			return ", called at " + j.at(u.Frames[k])
		}
	}
	return ""
}

// heldAt is the line at which a holder took what it holds.
func (j *judge) heldAt(e *edge) (Frame, bool) {
	u := j.unit(e.to)
	if e.hold != nil && e.hold.Took != nil {
		return e.hold.Took.Where, true
	}
	if u == nil || e.hold == nil || e.hold.Frame < 0 || e.hold.Frame >= len(u.Frames) || e.hold.Line == 0 {
		return Frame{}, false
	}
	f := u.Frames[e.hold.Frame]
	f.Line = e.hold.Line
	return f, true
}

// starved tells a pool whose workers all wait for jobs of the same pool.
func (j *judge) starved(circle []hop, v *Verdict) bool {
	for _, h := range circle {
		t := j.thing(h.node.proc, h.edge.thing)
		if h.edge.kind == "pool" && t != nil && t.Queued {
			u := j.unit(h.node)
			for _, w := range t.Owed {
				if u != nil && w == h.node.unit {
					j.poolSelf(v, h, t)
					return true
				}
			}
		}
	}
	return false
}

func (j *judge) poolSelf(v *Verdict, h hop, t *Thing) {
	v.Kind = "starved pool"
	who := "The only worker"
	if n := len(t.Owed); n == 2 {
		who = "Both workers"
	} else if n > 2 {
		who = fmt.Sprintf("All %d workers", n)
	}
	verb := "wait"
	if len(t.Owed) == 1 {
		verb = "waits"
	}
	v.Sentence = fmt.Sprintf("Deadlock: %s of pool %q %s%s for jobs that are queued in the same pool, so no worker is left to run them.",
		lower(who), poolName(j.name(h.node)), verb, j.where(h.node))
}

// poolName is what the workers of a pool have in common in their names.
func poolName(worker string) string {
	worker = strings.TrimPrefix(worker, "thread ")
	if i := strings.LastIndexByte(worker, '_'); i > 0 {
		return worker[:i]
	}
	return worker
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// approach adds how the root comes to a circle that it is not part of.
func (j *judge) approach(v *Verdict, root node, circle []hop) []hop {
	in := map[node]bool{}
	for _, h := range circle {
		in[h.node] = true
	}
	at, path := root, []hop{}
	seen := map[node]bool{}
	for len(path) < 10 && !in[at] && !seen[at] {
		seen[at] = true
		e, ok := j.best(at)
		if !ok {
			return nil
		}
		path = append(path, hop{at, &e})
		at = e.to
	}
	for _, h := range path {
		j.evidence(v, h)
	}
	if !in[at] {
		return nil
	}
	return path
}

// evidence adds what a hop says, with its place.
func (j *judge) evidence(v *Verdict, h hop) {
	e := Evidence{Proc: h.node.proc}
	if f, ok := j.place(h.node); ok {
		e.File, e.Line = f.File, f.Line
	}
	c := j.call(h.node)
	if c == nil {
		c = j.loopCall(h.node)
	}
	if c != nil {
		e.Event = c.Event
	}
	if h.edge != nil {
		e.Text = fmt.Sprintf(h.edge.say, j.name(h.node), j.name(h.edge.to))
	} else {
		e.Text = j.name(h.node) + " " + j.stuck(h.node)
	}
	if c != nil && c.For > 0 {
		e.Text += ", " + c.lasting()
	}
	v.Evidence = append(v.Evidence, e)
	if h.edge != nil && h.edge.hold != nil {
		if f, ok := j.heldAt(h.edge); ok {
			t := j.thing(h.node.proc, h.edge.thing)
			what := "it"
			if t != nil {
				what = j.thingName(t)
			}
			says, event := "took %s at %s", tookAt(h.edge.hold)
			if event == 0 { // when it did is not known; it has it where it waits
				says, event = "holds %s since %s", j.eventOf(h.edge.to)
			}
			v.Evidence = append(v.Evidence, Evidence{Text: j.name(h.edge.to) + " " + fmt.Sprintf(says, what, j.at(f)),
				Proc: h.edge.to.proc, Event: event, File: f.File, Line: f.Line})
		}
	}
}

func tookAt(h *Hold) uint64 {
	if h.Took == nil {
		return 0
	}
	return h.Took.Event
}

// loopCall is the thread that runs the loop of a task.
func (j *judge) loopCall(n node) *Call {
	u, p := j.unit(n), j.procs[n.proc]
	if u == nil || u.Kind != Task || p == nil {
		return nil
	}
	for _, t := range p.Threads {
		if t.TID == u.TID {
			return t
		}
	}
	return nil
}

// lasting says how long a thread has been in its call.
func (c *Call) lasting() string {
	if c.Attached {
		return "since before pyrr attached"
	}
	return "for " + lasting(c.For)
}

// lasting is a duration for people.
func lasting(d time.Duration) string {
	if d > 0 && d < time.Millisecond {
		return fmt.Sprintf("%.2g ms", float64(d)/1e6)
	}
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// keyOf is what a hop adds to a fingerprint: no names that a run makes up, no
// lines.
func (j *judge) keyOf(h hop) string {
	var b strings.Builder
	u := j.unit(h.node)
	if u != nil {
		b.WriteString(u.Kind)
		if f, ok := j.place(h.node); ok {
			b.WriteString(" " + j.short(f.File) + ":" + j.function(h.node, f))
		}
		if u.Wait != nil {
			b.WriteString(" " + u.Wait.How)
			for _, n := range u.Wait.On {
				if t := j.thing(h.node.proc, n); t != nil && t.Kind == Future {
					b.WriteString(" " + t.Kind) // its name is that of a loop's variable, or none
				} else if t != nil {
					b.WriteString(" " + t.Kind + " " + t.Name)
				}
			}
		}
	}
	if c := j.call(h.node); c != nil && (u == nil || u.Wait == nil) {
		b.WriteString(" " + callKind(c))
	}
	if h.edge != nil {
		b.WriteString(" -> " + h.edge.kind)
	}
	return b.String()
}

// callKind is the call that a thread is in, with one name for the ways to sleep: which one
// time.sleep takes depends on the version.
func callKind(c *Call) string {
	if c.Call == "" && c.Loop != nil {
		c = &Call{Call: c.Loop.Call} // it is between two of them
	}
	if strings.Contains(c.Call, "nanosleep") || (c.Call == "select" || c.Call == "pselect6") && c.Peer == nil && len(c.Peers) == 0 {
		return "sleep"
	}
	return c.Call
}

// function is the name of the function that a frame is of; for a comprehension, which
// has no frame of its own from 3.12 on, that of the function around it.
func (j *judge) function(n node, f Frame) string {
	name := lastName(f.Func)
	if u := j.unit(n); u != nil && comprehensions[name] {
		for k := range u.Frames {
			if o := lastName(u.Frames[k].Func); u.Frames[k].own() && !comprehensions[o] {
				return o
			}
		}
	}
	return name
}

var comprehensions = map[string]bool{"<listcomp>": true, "<setcomp>": true, "<dictcomp>": true}

func lastName(s string) string { return s[strings.LastIndexByte(s, '.')+1:] }
