package hang

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// finalLoop says what a thread does that looks again and again.
func (j *judge) finalLoop(n node, c *Call, at string) (says, degree, kind, missing string) {
	grows := ""
	if c.Loop.Grows {
		grows = ", at growing intervals"
	}
	turns := func(unit string) string {
		return fmt.Sprintf("%d %s in %s, every %s%s", c.Loop.Count, unit, lasting(c.Loop.For), lasting(c.Loop.Every), grows)
	}
	starved := ""
	if strings.Contains(at, " in ") { // the loop is that of a package
		starved = or(j.starvedBeside(n), j.jobBeside(n))
	}
	if gives := j.givesWay(n, c); gives != "" {
		return "tries again and again" + at + ": " + turns("times") + gives, Likely, "livelock", "whether one of them would have got both"
	}
	switch {
	case starved != "":
		return "waits" + at + ", which polls: " + turns("times") + starved, Likely, "starved pool", "whether that job would have ended the loop"
	case c.Loop.Moves && c.Peer != nil && c.Limit > 0 && c.For >= time.Second && c.For > 3*c.Loop.Every:
		// A client that tries again once its own time-out is over.
		return j.readsAll(n, j.doing(c)) + at + j.came(c) + ", with a time-out of " + lasting(c.Limit) + j.askedOf(c.Peer), Likely, c.Call, "what the other end does"
	case c.Loop.Moves:
		says = "goes on in a loop" + at + ": " + turns("turns")
		if strings.Contains(at, " in ") { // the loop is that of a package
			if other := j.stuckFor(n, c.Loop.For/2); other != "" && (c.Peer == nil || c.Peer.What == EventFD) {
				return "waits" + at + ", which polls: " + turns("times") + other, Likely, "poll", "what would end the loop"
			}
			says += or(j.beside(n), j.stuckFor(n, time.Second))
		}
		return says, None, "busy", ""
	case c.Loop.PID > 0:
		return fmt.Sprintf("asks again and again whether %s has ended%s: %s", j.childName(n, c.Loop.PID), at, turns("times")), Likely, "poll", "what the child does: it is not recorded"
	case c.Loop.Fails != "":
		says = "retries" + at + ": " + turns("times") + "; each time " + c.Loop.Fails
		if d := j.lostChild(n.proc); d != "" {
			says += "; " + d
		}
		return says, Likely, "retry", "what would make the call succeed"
	}
	if p := c.Peer; p != nil && strings.HasPrefix(p.What, "connection") && c.Call != "" && strings.Contains(at, " in ") {
		all := *c // a package looks in short turns: it waits as long as all of them last
		all.For += c.Loop.For
		return j.finalPeer(n, &all, j.readsAll(n, j.doing(c))+at)
	}
	head := j.loopAt(n)
	if head.ends {
		return "goes on" + head.in(" in ") + at + ": " + turns("turns"), None, "busy", ""
	}
	says = "polls" + at + ": " + turns("times")
	if strings.Contains(at, " in ") { // the loop is that of a package
		return "waits" + at + ", which polls: " + turns("times") + or(or(or(j.beside(n), j.stuckFor(n, c.Loop.For/2)), j.leftOver(n)), j.lonely(n)), Likely, "poll", "what would end the loop"
	}
	if head.text != "" {
		says = "polls" + head.in(" ") + at + ": " + turns("times")
	}
	if c.Loop.Instr > 0 {
		says += fmt.Sprintf(", the same %d instructions each time: what it looks for does not come", c.Loop.Instr)
	}
	if j.frozen(n, head.text) {
		return says + "; freezegun keeps that time from going on", Likely, "poll", "whether it does so all the while"
	}
	if d := j.died(n.proc, ""); d != "" {
		says += "; " + d
	} else if d := j.lostChild(n.proc); d != "" {
		says += "; " + d
	} else {
		says += j.lonely(n)
	}
	return says, Likely, "poll", "what would end the loop"
}

// finalNap says of one that waits for a thing with a time limit, again and again, how
// often it has.
func (j *judge) finalNap(n node, c *Call, t *Thing, at, fate string) (says, degree, kind, missing string) {
	what := j.thingName(t)
	if c.Loop.Moves {
		return j.finalLoop(n, c, at)
	}
	head := j.loopAt(n)
	if head.ends {
		return j.finalLoop(n, c, at)
	}
	in := head.in(" in ")
	says = fmt.Sprintf("waits again and again for %s%s%s: %d times in %s, every %s", what, in, at, c.Loop.Count, lasting(c.Loop.For), lasting(c.Loop.Every))
	return says + nobodyButFate(fate), Likely, "poll", "what would end the loop"
}

// finalOpen says of one that opens a file and does not come to it that it is a FIFO,
// and who else waits so.
func (j *judge) finalOpen(n node, c *Call, does string) (says, degree, kind, missing string) {
	other := "writing"
	switch c.OpensFor {
	case "writing":
		other = "reading"
	case "reading and writing":
		return does, Likely, c.Call, "why the file does not open"
	}
	says = does + ", a FIFO that nobody opens for " + other
	for _, p := range j.in.Procs {
		if !p.Hangs {
			continue
		}
		for _, o := range p.Threads {
			if to, ok := j.threadNode(p.ID, o.TID); ok && to != n && o.Opens != "" {
				return says + "; " + j.name(to) + " " + j.doing(o) + j.where(to), Likely, "fifo", "who should have opened its other end"
			}
		}
	}
	if d := j.lostChild(n.proc); d != "" {
		says += "; " + d
	}
	return says, Likely, "fifo", "who should have opened its other end"
}

// finalEvent is a wait for an event.
func finalEvent(u *Unit, t *Thing, at, what, nobody string) (says, degree, kind, missing string) {
	switch {
	case starts(u):
		return "waits until the thread that it starts has begun" + at, None, "start", ""
	case t.InQueue != "":
		return "waits for " + what + at + " of a job that lies in queue " + t.InQueue + ", from which nobody takes it", Likely, "event", "who should have taken the job from the queue"
	}
	return "waits for " + what + at + ", which nobody sets" + nobody, Likely, "event", "who should have set it"
}

// finalCondition is a wait for a condition, or for those that it has notified.
func (j *judge) finalCondition(n node, t *Thing, at, what, nobody string) (says, degree, kind, missing string) {
	if j.unit(n).Wait.How == "notify" {
		lost := ""
		if l := j.lostChild(n.proc); l != "" {
			lost = "; " + l
		}
		return "waits in notify" + at + " for one that had waited for " + what + " to say that it woke" + lost, Likely, "condition", "who that was"
	}
	if took := j.tookBefore(n, t); took != "" && t.Pool != "" {
		return "waits for " + what + at + ", which nobody notifies; what the " + t.Pool + " gave out last was " + strings.TrimPrefix(took, "last ") + " and was not given back", Likely, "pool", "whether that one is the one that is missing"
	}
	return "waits for " + what + at + ", which nobody notifies" + nobody, Likely, "condition", "who should have notified it"
}

func (j *judge) finalBarrier(n node, t *Thing, at, fate string) (says, degree, kind, missing string) {
	if fate == "" {
		fate = j.died(n.proc, "")
	}
	return fmt.Sprintf("waits at %s%s, to which %d of %d have come%s", j.thingName(t), at, max(t.Count, j.atBarrier(t)), t.Size, nobodyButFate(fate)), Likely, "barrier", "who should have come"
}

// finalObject says of what one waits that is none of the kinds that are known better: a
// stream, say.
func (j *judge) finalObject(n node, t *Thing, how, at string) (says, degree, kind, missing string) {
	if peer := j.stream(n.proc, t); peer != nil && j.flows(n, peer, how) {
		return fmt.Sprintf("is at an exchange over the %s%s that goes on: %s came so far", strings.TrimSpace(peer.What+" "+address(peer)), at, bytesText(peer.Got)), None, "busy", ""
	} else if peer != nil {
		return j.finalPeer(n, j.streamCall(n, t, peer, how), rest(j.unit(n), j.streams(t, peer, how))+at)
	}
	if how == "term" && t.State != "" {
		return "waits in Context.term" + at + " until its sockets are closed: " + t.State, Likely, "open sockets", "whether a message that was not sent keeps them"
	}
	if how == "term" {
		return "waits in Context.term" + at + ": its sockets are closed, so one has messages that were not sent, and no limit to LINGER", Likely, "unsent messages", "which messages: the library keeps that to itself"
	}
	if how == "drain" {
		return j.wants(t, how, at), Likely, how, "why the other end does not read"
	}
	return "waits for " + j.thingName(t) + at, Likely, how, "what became of it"
}

// atBarrier is how many wait at a barrier of several processes: each knows of those that
// came before it.
func (j *judge) atBarrier(t *Thing) int {
	count := 0
	for _, p := range j.in.Procs {
		if !t.Shared || !p.Hangs || p.Facts == nil {
			continue
		}
		for k := range p.Facts.Units {
			w := p.Facts.Units[k].Wait
			if w == nil || len(w.On) == 0 {
				continue
			}
			if o := &p.Facts.Things[w.On[0]]; o.Kind == Barrier && o.Shared && o.Name == t.Name && o.Size == t.Size {
				count++
			}
		}
	}
	return min(count, t.Size)
}

func queuedBehind(n int) string {
	if n == 1 {
		return "1 job is queued"
	}
	return fmt.Sprintf("%d jobs are queued", n)
}

// behind says what is queued in a pool of which all workers wait.
func (j *judge) behind(n node, u *Unit) string {
	if j.jobOf(n) != "" {
		return " behind it, as all workers of its pool wait"
	}
	return fmt.Sprintf("; %s behind it, as all workers of its pool wait", queuedBehind(u.Behind))
}

// AtPool is what a worker of a pool of threads leaves waiting, of which all are at jobs.
type AtPool struct {
	// Queued are the jobs that wait for one of the Workers, Behind the same where all of
	// those are known to wait for something.
	Queued  int `json:"queued,omitempty"`
	Workers int `json:"workers,omitempty"`
	Behind  int `json:"behind,omitempty"`
}

// starvedBeside says, of one that waits in a loop of a package's, which pool of the process
// has no worker left: all are at jobs that wait, and others are queued behind them.
func (j *judge) starvedBeside(n node) string {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil {
		return ""
	}
	for k := range p.Facts.Units {
		to, u := node{n.proc, k}, &p.Facts.Units[k]
		f, ok := j.place(to)
		if u.Queued == 0 || to == n || !ok || !f.own() || u.Behind == 0 && (u.Workers > 1 || j.packageCall(to) != j.packageCall(n)) {
			continue
		}
		who := j.name(to) + ", the only worker of its pool,"
		if u.Workers > 1 {
			who = fmt.Sprintf("each of the %d workers of the pool of %s", u.Workers, j.name(to))
		}
		is := "is"
		if u.Queued > 1 {
			is = "are"
		}
		j.cite(Evidence{Text: j.name(to) + " waits" + j.via(to) + "; " + queuedBehind(u.Queued) + " behind it", Proc: n.proc, Event: j.eventOf(to), File: f.File, Line: f.Line})
		return "; meanwhile " + who + " waits" + j.via(to) + ", and " + jobsOf(u.Queued) + " " + is + " queued behind it"
	}
	return ""
}

// jobBeside says, of one that waits in a function of a package, who waits in the same one in
// a job that a package has called: if there is but one such thread, it may be the one that
// should run what is waited for.
func (j *judge) jobBeside(n node) string {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil || j.unit(n) == nil {
		return ""
	}
	says := ""
	for k := range p.Facts.Units {
		to, u := node{n.proc, k}, &p.Facts.Units[k]
		own := slices.IndexFunc(u.Frames, func(f Frame) bool { return f.own() })
		if to == n || u.Kind != Thread || own < 1 || j.packageCall(to) != j.packageCall(n) ||
			!slices.ContainsFunc(u.Frames[own:], func(f Frame) bool { return Installed(f.File) && !Machinery(f.File) }) {
			continue
		}
		if says != "" {
			return ""
		}
		f := u.Frames[own]
		says = "; meanwhile " + j.name(to) + " waits in it, too, in the job " + lastName(f.Func) + " (" + j.at(f) + "), and runs no other"
		j.cite(Evidence{Text: j.name(to) + " waits in the job " + lastName(f.Func), Proc: n.proc, Event: j.eventOf(to), File: f.File, Line: f.Line})
	}
	return says
}

// packageCall is the function of a package in which a thread of the program waits.
func (j *judge) packageCall(n node) Frame {
	for _, f := range j.unit(n).Frames {
		if Installed(f.File) && !Machinery(f.File) {
			f.Line = 0
			return f
		}
	}
	return Frame{}
}

// jobOf is the function of a job that is queued in a pool and has at hand what a unit
// waits for, "" for none.
func (j *judge) jobOf(n node) string {
	if u := j.unit(n); u != nil && u.Wait != nil {
		if t := j.thing(n.proc, first(u.Wait.On)); t != nil {
			for _, f := range t.Fate {
				if f.Kind == QueuedJob {
					return f.Name
				}
			}
		}
	}
	return ""
}

// stream is what is at the other end of the connection that a thing reads from, nil for
// none.
func (j *judge) stream(proc int, t *Thing) *Peer {
	if p := j.procs[proc]; p != nil && t.Kind == Object && t.Count > 0 {
		return p.Streams[t.Count]
	}
	return nil
}

// flows says whether a connection was used just now, or has bytes on their way: who
// waits for it goes on. One that waits until it takes more is not helped by those.
func (j *judge) flows(n node, peer *Peer, how string) bool {
	const just = int64(time.Second / 4)
	last := max(peer.LastGot, peer.LastSent)
	p := j.procs[n.proc]
	return p != nil && peer.Got > 0 && (p.Time-last < just || peer.Coming && how != "drain")
}

// ownEnds are the descriptors that the process itself has of the other end.
func ownEnds(n node, p *Peer) []int {
	var out []int
	for _, e := range p.Ends {
		if e.Proc == n.proc {
			out = append(out, e.FD)
		}
	}
	return out
}

// streams says what one does that waits for a connection through its event loop.
func (j *judge) streams(t *Thing, peer *Peer, how string) string {
	c := &Call{Call: "read", Peer: peer, FD: t.Count}
	switch how {
	case "handshake":
		return "waits in the TLS handshake for data from the " + strings.TrimSpace(peer.What+" "+address(peer))
	case "drain":
		c.Call = "write"
	case "accept", "connect":
		c.Call = how
	}
	return j.doing(c)
}

// streamCall is a call that stands for such a wait: since the last bytes came.
func (j *judge) streamCall(n node, t *Thing, peer *Peer, how string) *Call {
	c := &Call{Call: "read", Peer: peer, FD: t.Count}
	if how == "drain" {
		c.Call = "write"
	}
	if p := j.procs[n.proc]; p != nil {
		c.For = time.Duration(p.Time - peer.LastGot)
	}
	return c
}

// childName is how a sentence calls a child that may not be recorded.
func (j *judge) childName(n node, pid int) string {
	// One that was forked and then became a program is known by that one.
	if p := j.procs[n.proc]; p != nil {
		for _, c := range p.Kids {
			if c.PID == pid && c.Exe != "" {
				return fmt.Sprintf("child %d (%s)", pid, c.Exe)
			}
		}
	}
	for _, p := range j.in.Procs {
		if p.PID == pid {
			return j.procName(p)
		}
	}
	return fmt.Sprintf("child %d", pid)
}

// lonely says of one who looks for something to come that nobody else of the program runs who
// could bring it.
func (j *judge) lonely(n node) string {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil || len(p.Threads) != 1 || p.Parent != 0 || slices.ContainsFunc(p.Kids, func(c Kid) bool { return !c.Reaped }) ||
		slices.ContainsFunc(p.Facts.Units, func(u Unit) bool { return u.Kind != Thread }) ||
		slices.ContainsFunc(j.in.Procs, func(o *Process) bool { return o != p && o.Hangs }) {
		return ""
	}
	return "; no other thread or process of the program runs"
}
