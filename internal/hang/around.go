package hang

import (
	"fmt"
	"slices"
	"strings"
	"time"
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

// unwatched says, of one that waits in a package's code for what no thread of that brings, in
// which connection of the process something lies that no thread reads: the package's loop
// may run nowhere.
func (j *judge) unwatched(n node) string {
	p := j.procs[n.proc]
	if c := j.call(n); p == nil || len(p.Unread) != 1 || p.Unread[0].What != "connection" || c == nil || p.Time-p.Unread[0].At < int64(time.Second/4) {
		return ""
	}
	r := &p.Unread[0]
	from := ""
	if to, ok := j.threadNode(r.Proc, r.TID); ok {
		from = " from " + j.name(to)
	}
	j.cite(Evidence{Text: fmt.Sprintf("%s were written that descriptor %d has not read", bytesText(r.Bytes), r.FD), Proc: r.Proc, Event: r.Event})
	return fmt.Sprintf("; %s%s lie unread in a connection (descriptor %d), which no thread reads", bytesText(r.Bytes), from, r.FD)
}

// atLoss tells one that waits for what its package keeps for it, and of which nobody is known
// who has it at hand: a queue, an event, the turns of a loop.
func (j *judge) atLoss(n node) bool {
	u := j.unit(n)
	if u == nil || u.Kind != Thread {
		return false
	}
	f := 0
	for f < len(u.Frames) && !u.Frames[f].own() {
		f++
	}
	if !slices.ContainsFunc(u.Frames[:f], func(f Frame) bool { return Installed(f.File) }) {
		return false
	}
	if u.Wait == nil || len(u.Wait.On) == 0 {
		c := j.call(n)
		return u.Wait == nil && c != nil && c.Loop != nil
	}
	t := j.thing(n.proc, u.Wait.On[0])
	if t == nil || len(t.Fate) > 0 || len(t.Taken) > 0 {
		return false
	}
	for _, k := range t.Known {
		if to := (node{n.proc, k}); !j.helper(to) && !j.idle(to) {
			return false
		}
	}
	return t.Kind == Queue || t.Kind == Event || t.Kind == Condition
}

// inJob says of a job that a package runs elsewhere, in the program's own code, what that
// waits for: in another thread, else in a child process.
func (j *judge) inJob(n node) string {
	called := func(to node) bool { // by a package, in the thread or process that is looked at
		u := j.unit(to)
		if u == nil || u.Role != "" || u.Wait == nil {
			return false
		}
		k := slices.IndexFunc(u.Frames, func(f Frame) bool { return f.own() })
		return k >= 0 && slices.ContainsFunc(u.Frames[k:], func(f Frame) bool { return Installed(f.File) && !Machinery(f.File) })
	}
	if p := j.procs[n.proc]; p != nil && p.Facts != nil {
		for k := range p.Facts.Units {
			to := node{n.proc, k}
			if u := &p.Facts.Units[k]; to != n && u.Kind == Thread && !u.Main && called(to) {
				return "; meanwhile " + j.name(to) + " " + j.stuckOn(to)
			}
		}
	}
	var waits []node // children in the program's own code, or what they were given of it
	for _, p := range j.in.Procs {
		to := j.mainOf(p)
		if p.Parent != n.proc || !p.Hangs || p.ID == n.proc {
			continue
		}
		if called(to) {
			return "; meanwhile " + j.name(to) + " " + j.stuckOn(to)
		}
		if u := j.unit(to); u != nil && u.Role == "" && u.Wait != nil && slices.ContainsFunc(u.Frames, func(f Frame) bool { return f.own() }) {
			waits = append(waits, to)
		}
	}
	if len(waits) == 1 {
		return "; meanwhile " + j.name(waits[0]) + " " + j.stuck(waits[0])
	}
	return ""
}

// finalChildOf is a wait for the end of a child, whose output may have gone full.
func (j *judge) finalChildOf(n node, t *Thing, pid int, at string) (says, degree, kind, missing string) {
	says, degree, kind, missing = j.finalChild(n, pid, at)
	if t.State != "" {
		says = strings.TrimSuffix(says, j.outputOf(n, pid)) // the loop knows more of that pipe
		says, missing = says+"; nobody reads its "+t.State+", of which the loop has taken as much as it keeps", "whether the child waits to write more"
	}
	return says, degree, kind, missing
}

// eventOf is that of the call that a unit, or the loop of a task, is in, 0 for none.
func (j *judge) eventOf(n node) uint64 {
	if c := j.call(n); c != nil {
		return c.Event
	}
	if c := j.loopCall(n); c != nil {
		return c.Event
	}
	return 0
}

// helper tells a thread of a package that waits for the next job in the package's own code:
// that it has something at hand does not say that it owes anybody that.
func (j *judge) helper(n node) bool {
	u := j.unit(n)
	if u == nil || u.Kind != Thread || u.Main || len(u.Frames) == 0 || slices.ContainsFunc(u.Frames, func(f Frame) bool { return f.own() }) {
		return false
	}
	if u.Wait == nil || u.Wait.Limit { // it reads what comes for all, or looks for that now and then
		c := j.call(n)
		return c != nil && (u.Wait != nil || c.Peer != nil || len(c.Peers) > 0 || c.Loop != nil) && slices.ContainsFunc(u.Frames, func(f Frame) bool { return Installed(f.File) && !Machinery(f.File) })
	}
	if u.Wait.How != "get" {
		return false
	}
	t := j.thing(n.proc, first(u.Wait.On))
	return t != nil && t.Kind == Queue && strings.HasPrefix(or(t.State, "empty"), "empty")
}

// answerSteps lead from one that has sent a datagram, and waits for one, to those who take
// what is sent there.
func (j *judge) answerSteps(n node, p *Peer, does string) []edge {
	var out []edge
	for _, e := range p.Ends {
		o := j.procs[e.Proc]
		if o == nil || !o.Hangs || strings.Contains(does, "writes") {
			continue
		}
		all := j.atIt(j.havers(node{}, o, []int{e.FD}), []int{e.FD})
		if user, ok := j.threadNode(p.Used.Proc, p.Used.TID); ok && p.Used.Proc == e.Proc {
			all = []node{user}
		}
		for _, to := range all {
			if to != n {
				out = append(out, edge{to: to, kind: "datagram", thing: -1, say: does + "; its own last one went to the socket " + p.To + " of %[2]s"})
			}
		}
	}
	return out
}

// reactor says of a thread that waits in a callback of an event loop which is no asyncio's
// that the loop stands still meanwhile.
func (j *judge) reactor(n node) string {
	u := j.unit(n)
	if u == nil || u.Kind != Thread {
		return ""
	}
	own := slices.IndexFunc(u.Frames, func(f Frame) bool { return f.own() })
	for k := own + 1; own >= 0 && k < len(u.Frames); k++ {
		f := &u.Frames[k]
		switch {
		case runsReactor(*f) && u.Wait != nil && k > u.Wait.Frame:
			return "; it runs Twisted's reactor, which stands still meanwhile"
		case lastName(f.Func) == "_run_once" && strings.HasSuffix(f.File, "/asyncio/base_events.py") && j.runningTask(n).unit < 0 && j.blocks(n):
			return "; it runs an event loop, which stands still meanwhile"
		}
	}
	return ""
}

func runsReactor(f Frame) bool {
	name := lastName(f.Func)
	return (name == "mainLoop" || name == "run") && strings.HasSuffix(f.File, "/twisted/internet/base.py")
}

// stands adds to what the last of a path waits for what it keeps from others by that.
func (j *judge) stands(n node, way []hop, says, missing string) (string, string) {
	also := or(j.keeps(n, way), j.reactor(n))
	if also == "" && !strings.Contains(says, "; meanwhile") && j.atLoss(n) {
		if also = or(or(j.inJob(n), j.unwatched(n)), j.stuckFor(n, 0)); also != "" {
			missing = "whether that would have acted"
			return strings.Replace(says, "; no other thread or task has it at hand", "", 1) + also, missing
		}
	}
	if also == "" {
		return says, missing
	}
	return strings.Replace(says, "; no other thread or task has it at hand", "", 1) + also, "whether that keeps away who should have acted"
}

// traffic says what came over a connection or pipe, and what was asked for last.
func (j *judge) traffic(c *Call) string {
	says := j.came(c)
	if says == "" {
		return ""
	}
	return says + j.askedOf(c.Peer)
}

// came says what went through a connection, and when last.
func (j *judge) came(c *Call) string {
	p := c.Peer
	if !strings.HasPrefix(p.What, "connection") && p.What != "pipe" || strings.HasPrefix(c.Call, "write") || strings.HasPrefix(c.Call, "send") {
		return ""
	}
	if p.Got == 0 {
		return ", which has sent nothing" + j.sinceBegan(p)
	}
	return fmt.Sprintf(", which sent %s and is silent %s", bytesText(p.Got), c.lasting())
}

// sinceBegan goes behind what is said not to have come: where the recording begins in the
// midst of a program, it may have come before.
func (j *judge) sinceBegan(p *Peer) string {
	if p.Before && j.in.Midst {
		return " since the recording began"
	}
	return ""
}

func bytesText(n uint64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// diedOnWay says of a way that ends at a connection which thread of the processes on it
// reported an exception, where nothing that is said mentions one.
func (j *judge) diedOnWay(way []hop, says string) string {
	end := way[len(way)-1].node
	if c := j.call(end); c == nil || c.Peer == nil || strings.Contains(says, " died of ") || j.unit(end) == nil || j.unit(end).Role != "" {
		return ""
	}
	for _, h := range way {
		if d := j.died(h.node.proc, ""); d != "" {
			return "; " + d
		}
	}
	return ""
}

// askedOf quotes what one has asked for last at the other end.
func (j *judge) askedOf(p *Peer) string {
	if p.Asked == "" || j.in.NoValues {
		return ""
	}
	return "; it was asked `" + p.Asked + "`"
}

// goneUser says of the other end of a connection within a process that the thread which used
// it last has ended; "" where that is not so.
func (j *judge) goneUser(proc int, p *Peer) string {
	facts := j.procs[proc].Facts
	if facts == nil || p.Used.Proc != proc {
		return ""
	}
	if _, alive := j.threadNode(proc, p.Used.TID); alive {
		return ""
	}
	for k := len(facts.Dead) - 1; k >= 0; k-- {
		if d := &facts.Dead[k]; d.TID == p.Used.TID {
			j.cite(Evidence{Text: "thread " + d.Name + " ended", Proc: proc, Event: d.Event})
			return ", whose other end thread " + d.Name + " used last, which has ended"
		}
	}
	return ""
}
