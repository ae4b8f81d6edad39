package hang

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// steps are the edges from a unit to those that could end its waiting.
func (j *judge) steps(n node) []edge {
	if out, ok := j.edges[n]; ok {
		return out
	}
	j.edges[n] = nil // while it is made
	out := j.stepsOf(n)
	j.edges[n] = out
	return out
}

func (j *judge) stepsOf(n node) []edge {
	u := j.unit(n)
	var out []edge
	if p := j.procs[n.proc]; p != nil && p.Stopped != nil || u != nil && u.Stopped || j.goesRound(n) || j.withheldFrom(n) != nil || j.passingMutex(n, u) {
		return nil
	}
	if e, ok := j.wantsGIL(n); ok {
		return []edge{e}
	}
	if u != nil && u.Wait != nil {
		out = j.waitSteps(n, u)
	}
	if len(out) == 0 {
		out = j.managed(n, j.callSteps(n))
	}
	if e, ok := j.blockedLoop(n, u); ok {
		out = append(out, e)
	}
	return out
}

func (j *judge) waitSteps(n node, u *Unit) []edge {
	w := u.Wait
	var out []edge
	at := j.limitedAt(n, u)
	for _, to := range w.Units {
		if to == n.unit && w.How != "serve_forever" {
			continue
		}
		e := edge{to: node{n.proc, to}, sure: true, kind: w.How, thing: -1}
		switch {
		case w.How == "loop" || w.How == "gather":
			e.say = "%[1]s runs the event loop for %[2]s"
		case w.How == "join" && u.Main && at == "" && !slices.ContainsFunc(u.Frames, func(f Frame) bool { return f.own() }):
			e.say = "%[1]s is at its end and joins %[2]s" // a function of atexit
		case w.How == "join":
			e.say = "%[1]s joins %[2]s" + at
		case w.How == "serve_forever":
			e.say = "%[1]s waits for the end of serve_forever" + at + ", which %[2]s runs"
		case w.How == "group":
			e.say = "%[1]s waits in a task group" + at + " for %[2]s" + j.cancelledFor(w)
		case w.How == "cancel":
			e.say = "%[1]s has cancelled %[2]s, which went over its time limit, and waits for its end" + at
		case w.How == "shutdown":
			e.say = "%[1]s is at its end and joins %[2]s"
		default:
			e.kind, e.say = "await", "%[1]s awaits %[2]s"+at
		}
		out = append(out, e)
	}
	if w.How == "loop" && len(w.Units) == 0 {
		out = j.foreverSteps(n, u)
	}
	for _, t := range w.On {
		if w.Window == "" { // else it is for the other end to act
			out = append(out, j.thingSteps(n, u, t, at)...)
		}
	}
	if w.PID != 0 {
		out = append(out, j.childSteps(n, w.PID, at)...)
	}
	for k := range out {
		if w.Limit && out[k].kind != "loop" && out[k].kind != "gather" && w.How != "cancel" {
			out[k].limit = max(time.Nanosecond, time.Duration(w.Seconds*1e9))
		}
	}
	return out
}

// waitAt is where a unit waits: the line of the user's code, and the function of
// an installed package that waits for it, if there is one.
func (j *judge) waitAt(u *Unit) string {
	w := u.Wait
	if w.Frame >= len(u.Frames) || u.Frames[w.Frame].Line == 0 {
		return ""
	}
	f := u.Frames[w.Frame]
	if !f.own() && strings.HasSuffix(f.File, "/threading.py") {
		return ""
	}
	via := ""
	for k := 0; k < w.Frame; k++ {
		if p := u.Frames[k]; Installed(p.File) && !Machinery(p.File) && !strings.HasSuffix(p.File, "/trio/_core/_traps.py") && !strings.Contains(p.File, "/eventlet/hubs/") {
			via = " in " + p.Func
			break
		}
	}
	return " (" + j.at(f) + via + j.calledByTest(u.Frames, f) + ")"
}

// thingSteps are the edges through a thing.
func (j *judge) thingSteps(n node, u *Unit, number int, at string) []edge {
	t := j.thing(n.proc, number)
	if t == nil {
		return nil
	}
	if u.Wait.How == HowManager {
		return nil // see managed
	}
	what := j.thingName(t)
	var out []edge
	add := func(to node, sure bool, kind, say string, h *Hold) {
		if to == n && t.Kind == RLock {
			return // it may take it again
		}
		out = append(out, edge{to: to, sure: sure, kind: kind, say: say, thing: number, hold: h, asks: u.Wait.Asks || strings.Contains(say, "again and again")})
	}
	if peer := j.stream(n.proc, t); peer != nil {
		return j.streamSteps(n, u, t, peer, at)
	}
	switch t.Kind {
	case Lock, RLock, Import, Semaphore:
		held := j.heldBy(n)
		for i := range t.Holders {
			h := &t.Holders[i]
			if h.Line == 0 && len(t.Taken) > 0 && t.Taken[0].Unit == h.Unit {
				h.Took = &t.Taken[0]
			}
			sure := t.Kind != Semaphore || len(t.Holders) == 1
			add(node{n.proc, h.Unit}, sure, "holds", "%[1]s waits for "+what+at+held+others(t), h)
		}
		if t.Key != "" && !slices.ContainsFunc(out, func(e edge) bool { return e.to != n }) {
			// What a fork has of its parent's hold is a copy.
			if others := j.otherHolders(n, t, what, at); len(out) == 0 || len(others) > 0 {
				out = others
			}
		}
		if len(out) == 0 && t.Locked && len(t.Taken) > 0 && t.Kind != Semaphore && t.Generator == nil {
			k := &t.Taken[0]
			if to := (node{n.proc, k.Unit}); k.Unit >= 0 && (to != n || !j.released(n, t)) {
				add(to, true, "holds", "%[1]s waits for "+what+at+", which %[2]s took at "+j.at(k.Where)+" and never released", &Hold{Unit: k.Unit, Frame: -1, Took: k})
			}
		}
	case Future:
		if t.Pending {
			for _, w := range t.Owed {
				add(node{n.proc, w}, w == n.unit || j.blocks(node{n.proc, w}), "loop", "%[1]s waits for the result of a coroutine"+at+" that the event loop of %[2]s is to run", nil)
			}
			return out
		}
		if t.Queued {
			busy := len(t.Owed) > 0
			for _, w := range t.Owed {
				o := j.unit(node{n.proc, w})
				busy = busy && o != nil && o.Role == "" && o.Wait != nil
			}
			for _, w := range t.Owed {
				add(node{n.proc, w}, busy, "pool", "%[1]s waits for "+what+at+", queued behind %[2]s", nil)
			}
			return out
		}
		for _, w := range t.Owed {
			add(node{n.proc, w}, true, "runs", "%[1]s waits for "+what+at+whose(t)+" %[2]s runs", nil)
		}
	}
	if len(out) == 0 && t.Kind == Future && !t.Async {
		out = j.busyWorkers(n, what, at)
	}
	if len(out) > 0 {
		return out
	}
	for _, k := range t.Known {
		if k == n.unit || j.sameLoop(n, node{n.proc, k}) {
			continue
		}
		add(j.actor(node{n.proc, k}), false, "knows", "%[1]s "+j.wants(t, u.Wait.How, at)+", which %[2]s has at hand", nil)
	}
	return out
}

// streamSteps lead to those who have the other end of a connection that a task reads or
// writes through its event loop.
func (j *judge) streamSteps(n node, u *Unit, t *Thing, peer *Peer, at string) []edge {
	if j.flows(n, peer, u.Wait.How) {
		return nil
	}
	out := slices.DeleteFunc(j.peerSteps(n, peer, "%[1]s "+rest(u, j.streams(t, peer, u.Wait.How))+at), func(e edge) bool { return j.sameLoop(n, e.to) })
	for k := range out {
		out[k].sure = out[k].sure && u.Wait.How != HowAnswer
	}
	return out
}

// whose is what of a job the one who is at it runs: the job, or its callback.
func whose(t *Thing) string {
	if t.Callback != nil {
		return ", whose callback"
	}
	return ", which"
}

// others says how many hold a semaphore besides one.
func others(t *Thing) string {
	if t.Kind != Semaphore || len(t.Holders) < 2 {
		return ""
	}
	return fmt.Sprintf(" and %d more", len(t.Holders)-1)
}

// wants says what one does that waits for a thing.
func (j *judge) wants(t *Thing, how, at string) string {
	what := j.thingName(t)
	switch {
	case t.Kind == Queue && how == "put":
		return "waits for room in " + what + at
	case t.Kind == Queue && how == "join":
		return "waits in " + or(t.Name, "Queue") + ".join" + at
	case t.Kind == Queue:
		return "waits for an item of " + what + at
	case t.Kind == Future && t.Async:
		return "awaits a future" + at
	case t.Kind == Object && how == "drain":
		return "waits in drain" + at + " until the connection takes more"
	}
	return "waits for " + what + at
}

// busyWorkers lead to the child processes that are workers of a pool and in a job: those of
// the standard library surely, those of packages if there is but one.
func (j *judge) busyWorkers(n node, what, at string) []edge {
	var out, other []edge
	for _, p := range j.in.Procs {
		if !p.Hangs || p.Parent != n.proc || p.Facts == nil {
			continue
		}
		to := j.mainOf(p)
		u := j.unit(to)
		if u == nil || u.Role != "" {
			continue
		}
		if k := slices.IndexFunc(u.Frames, func(f Frame) bool { return f.own() }); k >= 0 && k+1 < len(u.Frames) && Installed(u.Frames[k+1].File) {
			other = append(other, edge{to: to, kind: "runs", thing: -1, say: "%[1]s waits for " + what + at + "; %[2]s is at a job"})
		}
		for k := range u.Frames {
			f := &u.Frames[k]
			if strings.HasSuffix(f.File, "/multiprocessing/pool.py") && lastName(f.Func) == "worker" || strings.HasSuffix(f.File, "/futures/process.py") && lastName(f.Func) == "_process_worker" {
				out = append(out, edge{to: to, kind: "runs", thing: -1, say: "%[1]s waits for " + what + at + "; %[2]s is at a job"})
				break
			}
		}
	}
	for k := range out {
		out[k].sure = len(out) == 1
	}
	if len(out) == 0 && len(other) == 1 {
		return other
	}
	return out
}

// released says whether somebody else could release what a unit took itself and
// waits for: one that has it at hand, is not idle, and does not wait for the unit.
func (j *judge) released(n node, t *Thing) bool {
	for _, k := range t.Known {
		to := node{n.proc, k}
		if k == n.unit || j.unit(to).Role != "" {
			continue
		}
		if !j.leads(to, n) {
			return true
		}
	}
	return false
}

// leads says whether one surely waits for another, over however many.
func (j *judge) leads(from, to node) bool {
	seen := map[node]bool{}
	for at := from; !seen[at] && len(seen) < 50; {
		seen[at] = true
		next := at
		for _, e := range j.steps(at) {
			if e.sure {
				next = e.to
				break
			}
		}
		if at = next; at == to {
			return true
		}
	}
	return false
}

// otherHolders finds who holds a thing of several processes.
func (j *judge) otherHolders(n node, t *Thing, what, at string) []edge {
	var out []edge
	for _, p := range j.in.Procs {
		if p.ID == n.proc || p.Facts == nil {
			continue
		}
		for i := range p.Facts.Things {
			o := &p.Facts.Things[i]
			if o.Key != t.Key {
				continue
			}
			for k := range o.Holders {
				if !p.Hangs {
					continue // see lostTo
				}
				out = append(out, edge{to: node{p.ID, o.Holders[k].Unit}, sure: true, kind: "holds", thing: -1, hold: &o.Holders[k],
					say: "%[1]s waits for " + what + at + ", held by %[2]s"})
			}
		}
	}
	return out
}

// childSteps leads to a child process that is waited for.
func (j *judge) childSteps(n node, pid int, at string) []edge {
	for _, p := range j.in.Procs {
		if p.PID != pid || !p.Hangs || p.ID == n.proc {
			continue
		}
		e := edge{to: j.mainOf(p), sure: true, kind: "waits for the child", thing: -1, say: "%[1]s waits for the end of %[2]s" + at}
		if u := j.unit(n); atEnd(u) {
			e.say = "%[1]s is at its end and joins %[2]s" // a function of atexit
		}
		return []edge{e}
	}
	return nil
}

// mainOf is the main thread of a process.
func (j *judge) mainOf(p *Process) node {
	if p.Facts != nil {
		for n := range p.Facts.Units {
			if u := &p.Facts.Units[n]; u.Kind == Thread && u.Main {
				return node{p.ID, n}
			}
		}
	}
	return node{p.ID, -1}
}

// thingName is how a sentence calls a thing.
func (j *judge) thingName(t *Thing) string {
	name := ""
	if t.Name != "" {
		name = " " + t.Name
	}
	switch t.Kind {
	case Lock, RLock:
		switch t.Class {
		case "", "lock", "RLock", "Lock", "_RLock", "SemLock", "LockType":
			return "lock" + name
		case "BufferedWriter", "BufferedReader", "BufferedRandom":
			if name == "" {
				return "the lock of a file's buffer"
			}
			return "the lock of the buffer of" + name
		}
		return "the " + t.Class + name
	case Import:
		return fmt.Sprintf("the import lock of module %q", t.Name)
	case Event:
		return "event" + name
	case Condition:
		return "condition" + name
	case Semaphore:
		if t.Class == "CapacityLimiter" {
			return "a token of CapacityLimiter" + name
		}
		return "semaphore" + name
	case Barrier:
		return "barrier" + name
	case Queue:
		if name == "" && t.Class != "" && t.Class != "Queue" {
			return "a " + t.Class
		}
		return "queue" + name
	case Channel:
		return "channel" + name
	case Future:
		if t.Async {
			return "a future"
		}
		return "the result of a job"
	case Subprocess:
		return "process" + name
	case Object:
		return strings.TrimSpace(t.Class + name)
	}
	return t.Kind + name
}
