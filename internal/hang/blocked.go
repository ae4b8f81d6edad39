package hang

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// blockedLoop leads from a task to the thread that runs its loop, where that
// thread waits in something else than the loop: until then no task goes on.
func (j *judge) blockedLoop(n node, u *Unit) (edge, bool) {
	if u == nil || u.Kind == Thread || u.TID == 0 {
		return edge{}, false
	}
	to, ok := j.threadNode(n.proc, u.TID)
	if !ok || u.Running && (u.Kind != Task || len(u.Frames) != 1 || !j.isHead(u.Frames[0])) {
		return edge{}, false // but one that has yet to begin can't, either
	}
	if u.Kind == Greenlet {
		if w := j.unit(to); w == nil || !j.blocks(to) {
			return edge{}, false
		}
		return edge{to: to, sure: true, kind: "blocked loop", thing: -1, say: "%[1]s can't run while %[2]s blocks gevent's loop"}, true
	}
	if runs := j.runningTask(to); runs.unit < 0 || !j.blocks(to) {
		return edge{}, false
	}
	return edge{to: to, sure: true, kind: "blocked loop", thing: -1, say: "%[1]s can't go on while %[2]s blocks its event loop"}, true
}

// isHead says whether a frame stands at the head of its function: that has yet to begin.
func (j *judge) isHead(f Frame) bool {
	return j.in.Text != nil && f.own() && strings.HasPrefix(strings.TrimSpace(j.in.Text(f.File, f.Line)), "async def ")
}

// blocks says whether a thread waits, and not for the events of a loop.
func (j *judge) blocks(n node) bool {
	u, c := j.unit(n), j.call(n)
	if u != nil && u.Wait != nil {
		return u.Wait.How != "loop" && u.Wait.How != "gather"
	}
	if c == nil || c.Call == "" || strings.HasPrefix(c.Call, "epoll") {
		return false
	}
	long := c.For
	if c.Loop != nil && !c.Loop.Moves && c.Loop.Every < time.Second {
		long += c.Loop.For // a package looks again and again, within one call of the program's
	}
	return long > time.Second/4
}

// runningTask is the task whose code a thread runs just now, unit -1 for none.
func (j *judge) runningTask(thread node) node {
	t, p := j.unit(thread), j.procs[thread.proc]
	if t != nil && t.Kind == Thread {
		for k := range p.Facts.Units {
			if u := &p.Facts.Units[k]; u.Kind == Task && u.Running && u.TID == t.TID && len(t.Frames) > 0 && len(u.Frames) > 0 && sameFrames(t.Frames, u.Frames) {
				return node{thread.proc, k}
			}
		}
	}
	return node{thread.proc, -1}
}

// actor is who does what a unit is at: of a task whose code runs just now, the thread that
// runs it, which knows what that waits for.
func (j *judge) actor(n node) node {
	if u := j.unit(n); u != nil && u.Kind == Task && u.Running {
		if to, ok := j.threadNode(n.proc, u.TID); ok && j.runningTask(to) == n {
			return to
		}
	}
	return n
}

// sameFrames says whether the innermost frames of a thread are those of a task.
func sameFrames(thread, task []Frame) bool {
	n := min(len(thread), len(task))
	return slices.Equal(thread[:n], task[:n])
}

// sameLoop tells the thread that runs the loop of a task: what the task waits
// for is done by tasks.
func (j *judge) sameLoop(task, thread node) bool {
	a, b := j.unit(task), j.unit(thread)
	return a != nil && b != nil && a.Kind == Task && b.Kind == Thread && a.TID == b.TID && b.Wait != nil && (b.Wait.How == "loop" || b.Wait.How == "gather")
}

// allBlocked says whether all, except for idle ones, that have at hand what one waits for
// can't go on while that one waits: it blocks the loop that runs them.
func (j *judge) allBlocked(h *hop) bool {
	for _, e := range j.steps(h.node) {
		if u := j.unit(e.to); e.thing != h.edge.thing || u == nil || u.Role != "" {
			continue
		}
		b, ok := j.blockedLoop(e.to, j.unit(e.to))
		if !ok || b.to != h.node {
			return false
		}
	}
	return true
}

// onlyOne is what is not known of one who alone has at hand what another waits for.
func (j *judge) onlyOne(h *hop) string {
	if !j.alone(h) {
		return fmt.Sprintf("that %s should have acted", j.name(h.edge.to))
	}
	return fmt.Sprintf("that %s should have acted: nobody else has %s at hand", j.name(h.edge.to), j.thingOf(*h))
}
