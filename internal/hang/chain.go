package hang

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// chain is the verdict on a path that ends at one who waits for nobody that
// the recording knows, or who does not wait at all.
func (j *judge) chain(path []hop) *Verdict {
	v := &Verdict{}
	end := path[len(path)-1]
	// The loop of a thread is no waiting of its own: its tasks say it.
	shown := path
	for len(shown) > 1 && shown[0].edge != nil && (shown[0].edge.kind == "loop" || shown[0].edge.kind == "gather") {
		shown = shown[1:]
	}
	shown, ended := j.pastShutdown(shown)
	for _, h := range path {
		v.key = append(v.key, j.keyOf(h))
	}
	for k := len(shown) - 1; k >= 0; k-- {
		v.Units = append(v.Units, j.ref(shown[k].node))
	}
	sure, guess := true, ""
	j.way = path
	for k := range shown {
		j.evidence(v, shown[k])
		if e := shown[k].edge; e != nil && !e.sure && sure {
			sure = false
			guess = fmt.Sprintf("that %s should have acted: it is the one that has %s at hand", j.name(e.to), j.thingOf(shown[k]))
			if e.limit > 0 {
				guess = j.afterLimit(&shown[k])
			}
		}
	}
	if f, ok := j.place(shown[0].node); ok {
		v.Where = &f
	}
	stuck, degree, kind, missing := j.finalOn(shown)
	v.Degree, v.Kind, v.Missing = degree, kind, missing
	if v.Degree == None && len(shown) > 1 {
		// Who waits for whom is known, if not when the last will be done.
		v.Degree, v.Missing = Likely, "whether "+j.name(end.node)+" would have gone on"
	}
	if !sure && v.Degree == Proven {
		v.Degree = Likely
	}
	if guess != "" && v.Missing == "" {
		v.Missing = guess
	}
	var b strings.Builder
	b.WriteString(ended)
	if path[0].edge != nil && path[0].edge.kind == "gather" && j.cancels(path[0].node) {
		b.WriteString("asyncio.run has cancelled " + j.name(shown[0].node) + " and waits for it; ")
	}
	if len(shown) > 1 {
		b.WriteString(j.told(shown[:len(shown)-1], false) + ", which " + stuck)
	} else {
		b.WriteString(j.name(end.node) + " " + stuck)
	}
	v.Sentence = capital(b.String()) + "."
	if v.Degree == None {
		v.Sentence = "No verdict: " + b.String() + "."
	}
	return v
}

func jobsOf(n int) string {
	if n == 1 {
		return "1 job"
	}
	return fmt.Sprintf("%d jobs", n)
}

func itemsOf(n int) string {
	if n == 1 {
		return "1 item lies"
	}
	return fmt.Sprintf("%d items lie", n)
}

// cancels tells a thread in asyncio's own clean-up.
func (j *judge) cancels(n node) bool {
	if u := j.unit(n); u != nil {
		for k := range u.Frames {
			if lastName(u.Frames[k].Func) == "_cancel_all_tasks" {
				return true
			}
		}
	}
	return false
}

func capital(s string) string {
	if strings.HasPrefix(s, "task ") || strings.HasPrefix(s, "thread ") || strings.HasPrefix(s, "child ") || strings.HasPrefix(s, "greenlet ") || strings.HasPrefix(s, "the ") {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}

func (j *judge) thingOf(h hop) string {
	if h.edge != nil {
		if t := j.thing(h.node.proc, h.edge.thing); t != nil {
			return j.thingName(t)
		}
	}
	return "it"
}

// stuck says what a unit waits for, without who could end that.
func (j *judge) stuck(n node) string {
	s, _, _, _ := j.final(n)
	return s
}

// final says what the last of a path waits for, and how sure it is that this
// is the reason.
func (j *judge) final(n node) (says, degree, kind, missing string) {
	for _, s := range specials {
		if says, degree, kind, missing = s.find(j, n); says != "" {
			return says, degree, kind, missing
		}
	}
	if u := j.waiting(n); u != nil {
		says, degree, kind, missing = j.finalWait(n, u)
		if strings.Contains(says, unreached) {
			missing = "whether another should have done that"
		}
		return says, degree, kind, missing
	}
	return j.finalCall(n)
}

// waiting is a unit whose waiting Python's objects explain, nil where the call that its
// thread is in says more.
func (j *judge) waiting(n node) *Unit {
	u := j.unit(n)
	if u != nil && u.Wait != nil && u.Wait.How != HowManager && (len(u.Wait.On) > 0 || len(u.Wait.Units) > 0 || u.Wait.PID > 0 || u.Kind != Thread || u.Wait.How == "loop" && len(u.Frames) > 0 && !j.watches(n)) {
		return u
	}
	return nil
}

func (j *judge) finalWait(n node, u *Unit) (says, degree, kind, missing string) {
	w, at := u.Wait, j.limitedAt(n, u)
	if len(w.On) == 0 {
		return j.finalBare(n, w, at)
	}
	t := j.thing(n.proc, w.On[0])
	if t == nil {
		return "waits" + at, None, "", ""
	}
	fate := j.fate(n, t)
	nobody := "; no other thread or task has it at hand"
	if len(t.Known) > 0 {
		nobody = ""
	}
	if copied := j.copied(n, t); copied != "" {
		nobody = copied
	} else if later := j.later(n, t, w.How); later != "" && !tellsWhy(fate) {
		nobody = later
	} else if acted := j.acted(n, t); acted != "" && !tellsWhy(fate) {
		nobody = acted
	} else if abroad := j.abroad(n, t, w.How); abroad != "" && !tellsWhy(fate) {
		nobody = abroad
	} else if would := j.byText(n, t, w.How, fate); would != "" && len(t.Known) == 0 && !tellsWhy(fate) {
		nobody = would
	} else if fate != "" {
		nobody = "; " + fate
	}
	what := j.thingName(t)
	if c := j.call(n); w.Limit && c != nil && c.Loop != nil && c.For < c.Loop.For {
		return j.finalNap(n, c, t, at, fate)
	}
	switch t.Kind {
	case Lock, RLock, Semaphore:
		return j.finalLock(n, t, at, what, nobody, fate)
	case Event:
		return finalEvent(u, t, at, what, nobody)
	case Condition:
		return j.finalCondition(n, t, at, what, nobody)
	case Barrier:
		return j.finalBarrier(n, t, at, fate)
	case Queue:
		return j.finalQueue(n, t, w, at, what, nobody, fate)
	case Channel:
		if w.How == "put" {
			return "waits until somebody receives from " + what + at + nobody, Likely, "channel", "who should have received from it"
		}
		ends := fmt.Sprintf("; %d of its senders are still open", t.Count)
		if t.Count == 1 {
			ends = "; its sender is still open" + j.sender(n, t)
		}
		return "waits for an item of " + what + at + ends + nobody, Likely, "channel", "who should have sent to it or closed it"
	case Future:
		return j.finalFuture(n, t, at, nobody, fate)
	case Subprocess:
		if w.PID > 0 {
			return j.finalChildOf(n, t, w.PID, at)
		}
	case Object:
		return j.finalObject(n, t, w.How, at)
	}
	return "waits for " + what + at, Likely, t.Kind, ""
}

// finalBare is a wait for nothing that is known.
func (j *judge) finalBare(n node, w *Wait, at string) (says, degree, kind, missing string) {
	switch {
	case w.PID > 0:
		return j.finalChild(n, w.PID, at)
	case w.How == "sleep":
		return "sleeps" + j.polledBy(n) + at, None, "sleep", ""
	case w.How == "loop":
		return "runs an event loop that has nothing to do" + at, Likely, "loop", "what it waits for"
	case strings.HasPrefix(w.How, "future") || w.How == "gather":
		return "awaits a future" + at + " that nobody completes", Likely, "future", "who should have completed the future"
	}
	return "waits" + at, None, w.How, ""
}

// finalLock is a wait for a lock or a semaphore, which nobody is going to release.
func (j *judge) finalLock(n node, t *Thing, at, what, nobody, fate string) (says, degree, kind, missing string) {
	if lost := j.lostTo(n, t); lost != "" {
		return "waits for " + what + at + ", " + lost, Proven, "lost lock", ""
	}
	if t.Gone && (len(t.Taken) == 0 || t.Taken[0].Unit >= 0) {
		return "waits for " + what + at + ", " + j.lostOwner(n, t), Proven, "lost lock", ""
	}
	if h := j.heldAtFork(n, t); h != "" {
		return "waits for " + what + at + ", " + h, Proven, "lost lock", ""
	}
	if g := t.Generator; g != nil {
		return "waits for " + what + at + ", which the suspended generator " + g.Func + " holds since " + j.at(*g) + ": it was neither exhausted nor closed", Proven, "lost lock", ""
	}
	if took := j.tookBefore(n, t); took != "" {
		degree, missing := Likely, "whether somebody was to release it"
		if t.Kind != Semaphore && t.Taken[0].Unit < 0 && t.State != Promised {
			degree, missing = Proven, ""
		}
		if t.Kind == Semaphore {
			if died := j.died(n.proc, t.Taken[0].Name); t.Taken[0].Unit < 0 && died != "" {
				took += ", which " + strings.TrimPrefix(died, "thread "+t.Taken[0].Name+" ")
			} else if fate != "" {
				took += "; " + fate
			} else if t.Taken[0].Unit < 0 {
				took += ", which has ended"
			}
			return "waits for " + what + at + ", which is used up: " + took + ", and is not released", degree, "semaphore", "which of those who took it should have released it"
		}
		return "waits for " + what + at + ", " + took + " and never released" + j.endOf(n, t), degree, "lost lock", missing
	}
	if t.Kind == Semaphore {
		return "waits for " + what + at + ", which nobody releases" + nobody, Likely, "semaphore", "who took it"
	}
	for _, e := range j.steps(n) {
		if e.sure && e.kind == "holds" {
			return "waits for " + what + at + ", held by " + j.name(e.to) + j.taken(hop{n, &e}), Likely, "lock", "who else could end what " + j.name(e.to) + " waits for"
		}
	}
	if t.Early {
		return "waits for " + what + at + ", which was taken before this test began and never released", Likely, "lost lock", "who took it: the recording begins later"
	}
	return "waits for " + what + at + ", which is locked, and no with statement of a running thread or task holds it", Likely, "lock", "who took it"
}

// finalQueue is a wait for a queue.
func (j *judge) finalQueue(n node, t *Thing, w *Wait, at, what, nobody, fate string) (says, degree, kind, missing string) {
	switch w.How {
	case "put":
		if u := j.unit(n); w.Takes > 0 {
			own := "it takes from it itself, in " + lastName(u.Frames[w.Takes].Func) + " (" + j.at(u.Frames[w.Takes]) + ")"
			return fmt.Sprintf("waits for room in %s%s, which is %s: %s", what, at, or(t.State, "full"), own), Likely, "queue", "whether another takes from it too"
		}
		return fmt.Sprintf("waits for room in %s%s, which is %s%s", what, at, or(t.State, "full"), nobody), Likely, "queue", "who should have taken from it"
	case "join":
		jobs := jobsOf(t.Count)
		if t.Count == 0 { // where that is not known, of a queue of C
			jobs = "jobs"
		}
		missing := "who should have called task_done"
		if fate == "" {
			if idle := j.takers(n, w.On[0]); idle != "" && (!j.atLoss(n) || j.inJob(n) == "") {
				nobody, missing = "; "+idle, "which job was taken without a task_done"
			}
		}
		return fmt.Sprintf("waits in %s.join%s for %s that nobody reports done%s", or(t.Name, "Queue"), at, jobs, nobody), Likely, "queue join", missing
	}
	if took := j.tookBefore(n, t); took != "" && t.Pool != "" {
		return "waits for an item of " + what + at + ", which is empty: the last one was " + strings.TrimPrefix(took, "last ") + " and was not given back", Likely, "pool", "whether that one is the one that is missing"
	}
	return fmt.Sprintf("waits for an item of %s%s, which is empty%s", what, at, nobody), Likely, "queue", "who should have put one"
}

func (j *judge) finalChild(n node, pid int, at string) (says, degree, kind, missing string) {
	if p := j.procs[n.proc]; p != nil {
		for _, c := range p.Kids {
			if c.PID != pid {
				continue
			}
			name := fmt.Sprintf("child %d", pid)
			if c.Exe != "" {
				name += " (" + c.Exe + ")"
			}
			if c.Reaped {
				return fmt.Sprintf("waits for the exit of %s%s, which has ended and whose end was fetched; nobody tells the one that waits", name, at), Likely, "ended child", "what should have woken it"
			}
			if t := j.call(n); t != nil && !strings.HasPrefix(t.Call, "wait") && j.readsPipes(t) {
				if c.Killed {
					return fmt.Sprintf("reads the output of %s%s, killed by SIGKILL: another program, which it may have started, has the pipe open", name, at), Likely, "output", "which program that is: it is not recorded"
				}
				return fmt.Sprintf("reads the output of %s%s, whose end does not come: it, or a program that it started, has the pipe open", name, at), Likely, "output", "which programs those are: they are not recorded"
			}
			return fmt.Sprintf("waits for the end of %s%s, which is not recorded", name, at) + j.inputOf(n, pid) + j.outputOf(n, pid), Likely, "child", "what the child does"
		}
	}
	for _, p := range j.in.Procs {
		if p.PID == pid && !p.Hangs {
			return fmt.Sprintf("waits for child %d%s, which has ended", pid, at), Likely, "ended child", "why nobody fetched its end"
		}
	}
	return fmt.Sprintf("waits for the end of child %d%s, which is not recorded", pid, at), Likely, "child", "what the child does"
}

// readsPipes says whether a thread waits for pipes alone.
func (j *judge) readsPipes(c *Call) bool {
	for _, p := range c.Peers {
		if p.What != "pipe" {
			return false
		}
	}
	return len(c.Peers) > 0
}

func (j *judge) finalCall(n node) (says, degree, kind, missing string) {
	c := j.call(n)
	at := j.via(n)
	if c == nil {
		if u := j.unit(n); u != nil && u.Kind != Thread && !u.Running {
			return "waits" + at, None, "waits", ""
		}
		return "runs" + at, None, "runs", ""
	}
	if b := j.busyLoop(n, c); c.Call == "" && (c.Loop == nil || c.Loop.Moves || b != nil && b.Turn > 0) {
		return j.computes(n, c, at)
	}
	does := j.doing(c)
	if u := j.unit(n); strings.HasPrefix(c.Call, "futex") && u != nil && u.Wait == nil && (c.Loop != nil && c.Loop.Every < 20*time.Millisecond || c.For < 20*time.Millisecond) {
		// It waits for the interpreter's lock, which goes round.
		return "computes" + at, None, "computes", ""
	}
	switch {
	case c.Loop != nil && (does == "sleeps" || c.For < c.Loop.For):
		return j.finalLoop(n, c, at)
	case does == "sleeps":
		return does + at, None, "sleep", ""
	case c.Opens != "":
		return j.finalOpen(n, c, does+at)
	case c.Peer == nil && strings.HasPrefix(does, "waits for a signal"):
		return does + at + j.company(n), Likely, c.Call, "who should have sent one"
	case strings.HasPrefix(c.Call, "wait") && c.PID == 0:
		return does + at + j.children(n) + j.beside(n), Likely, "child", "what the children do"
	case strings.Contains(does, "reactor, to which nothing comes"):
		return does + at + j.suspended(n.proc), Likely, c.Call, "what was to come"
	case c.Peer == nil:
		return does + at, Likely, c.Call, "the other end"
	case c.Peer.What == EventFD:
		return j.finalNative(n)
	}
	return j.finalPeer(n, c, j.readsAll(n, does)+at)
}

// finalPeer says what is known of the other end where that leads to nobody.
func (j *judge) finalPeer(n node, c *Call, does string) (says, degree, kind, missing string) {
	p := c.Peer
	own := 0
	for _, e := range p.Ends {
		if e.Proc == n.proc {
			own++
		}
	}
	switch {
	case p.Held > 0:
		return does + fmt.Sprintf(", of which it has read %s already that lie in the buffer of a file object: a poll does not see those", bytesText(uint64(p.Held))), Likely, "buffered", "whether what lies there is what it waits for"
	case p.What == "terminal" && len(p.Ends) == 0 && p.Unrecorded == "":
		return does, Proven, c.Call, ""
	case p.What == "listening socket":
		return does + ", and none comes", Likely, c.Call, "who should have connected"
	case p.Unrecorded != "" && p.Unread && strings.HasPrefix(c.Call, "write"):
		return does + fmt.Sprintf(", which %s reads; that program writes to a pipe itself, which nobody reads meanwhile", p.Unrecorded), Likely, "full pipes", "that the program waits to write: it is not recorded"
	case p.Unrecorded != "":
		return does + fmt.Sprintf(", whose other end a program has that is not recorded (%s)%s", p.Unrecorded, j.traffic(c)) + j.inputOf(n, p.Program), Likely, c.Call, "what that program does"
	case own > 0 && own == len(p.Ends) && p.What == "pipe" && !strings.Contains(does, "writes"):
		return does + ", whose writing end this process has open itself, so its end never comes", Proven, c.Call, ""
	case own > 0 && own == len(p.Ends):
		if users := j.atIt(j.havers(n, j.procs[n.proc], ownEnds(n, p)), ownEnds(n, p)); len(users) > 0 {
			return does + ", whose other end " + j.name(users[0]) + " has" + j.traffic(c), Likely, c.Call, "why nothing comes from there"
		}
		if d := j.died(n.proc, ""); d != "" {
			return does + ", whose other end nobody in this process uses; " + d, Likely, c.Call, "whether that thread should have used the other end"
		}
		if d := j.goneUser(n.proc, p); d != "" {
			return does + d + j.traffic(c), Likely, c.Call, "who else should use the other end"
		}
		if u := j.unread(n); u != "" && (strings.HasPrefix(does, "polls") || c.Call == "poll") {
			return does + ", to which nothing has come" + u, Likely, c.Call, "who should use the other end"
		}
		if user, ok := j.threadNode(p.Used.Proc, p.Used.TID); ok && user != n && user.proc == n.proc {
			return does + ", whose other end " + j.name(user) + " used last" + j.traffic(c), Likely, c.Call, "who else should use the other end"
		}
		if own := ownEnds(n, p); j.hasAtHand(n, own) {
			return does + ", whose other end it has at hand itself" + j.traffic(c), Likely, c.Call, "who should use the other end"
		}
		return does + ", whose other end nobody in this process uses" + j.traffic(c), Likely, c.Call, "who should use the other end"
	case p.Backlog && c.Call == "connect":
		return does + ", which takes no more connections: nobody accepts those that wait", Proven, c.Call, ""
	case p.Backlog:
		own := ""
		if slices.ContainsFunc(p.Listeners, func(e End) bool { return e.Proc == n.proc }) {
			own = " (its own process listens there)"
		}
		return does + ", a connection that nobody has accepted" + own + j.traffic(c), Proven, c.Call, ""
	case p.Closed:
		return does + j.keptOpen(n), Likely, c.Call, "which program that is"
	case p.What == Datagrams && p.Got == 0:
		if p.To != "" {
			return does + ", and none has come" + j.sinceBegan(p) + ": its own last one went to " + p.To, Likely, c.Call, "whether that came there, and what became of it"
		}
		return does + ", and none has come" + j.sinceBegan(p) + j.beside(n), Likely, c.Call, "who should have sent one"
	case p.Outside && p.What != Datagrams:
		return does + j.traffic(c), Proven, c.Call, ""
	}
	return does + j.traffic(c), Likely, c.Call, "what the other end does"
}
