package hang

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"pyrr/internal/lazyregexp"
)

// callSteps are the edges from a thread through the system call that it is in.
func (j *judge) callSteps(n node) []edge {
	c := j.call(n)
	if c == nil || c.Call == "" && c.Loop == nil {
		return nil
	}
	at := j.where(n)
	if c.PID > 0 {
		return j.childSteps(n, c.PID, at)
	}
	const late = time.Second / 4 // after which it is in the loop no more
	if c.Loop != nil && c.Loop.PID > 0 && !c.Loop.Moves && c.For <= 3*c.Loop.Every+late {
		out := j.childSteps(n, c.Loop.PID, at)
		for k := range out {
			out[k].say = "%[1]s asks again and again whether %[2]s has ended" + at
		}
		return out
	}
	if u := j.unit(n); u != nil && u.Wait != nil && (u.Wait.How == "loop" || u.Wait.How == "gather") {
		return nil // its tasks say what they wait for
	}
	var out []edge
	if o := c.Owner; o != nil {
		if to, ok := j.threadNode(o.Proc, o.TID); ok && to != n {
			does := j.doing(c)
			if does == "sleeps" {
				does = "retries, sleeping in between"
				if c.Loop != nil {
					does = fmt.Sprintf("has retried %d times in %s", c.Loop.Count, lasting(c.Loop.For))
				}
			}
			say := "%[1]s " + does + at + ": " + o.What + " is held by %[2]s"
			if o.Lock && c.Loop != nil {
				say = fmt.Sprintf("%%[1]s has asked %d times in %s for %s%s, held by %%[2]s", c.Loop.Count, lasting(c.Loop.For), o.What, at)
			}
			if c.Call == "flock" || c.Call == "fcntl" {
				say = "%[1]s waits for " + o.What + at + ", held by %[2]s"
			}
			if o.Where != nil {
				say += " since " + j.at(*o.Where)
			}
			return []edge{{to: to, sure: true, kind: "holds", say: say, thing: -1, asks: o.Lock}}
		}
	}
	if c.Peer != nil {
		out = j.peerSteps(n, c.Peer, "%[1]s "+j.readsAll(n, j.doing(c))+at)
		if t := j.sharedQueue(n); t != nil {
			for k := range out {
				out[k].say = "%[1]s " + j.wants(t, "get", at) + ", into which %[2]s could put"
			}
		}
	}
	for k := range out {
		if c.Limit > 0 {
			out[k].sure, out[k].limit = false, c.Limit
		}
	}
	return out
}

// listenerSteps lead to those who should accept a connection.
func (j *judge) listenerSteps(n node, p *Peer, does string) []edge {
	var out []edge
	for _, e := range p.Listeners {
		o := j.procs[e.Proc]
		if o == nil || !o.Hangs {
			continue
		}
		list := j.havers(node{}, o, []int{e.FD})
		if serving := slices.DeleteFunc(slices.Clone(list), func(k node) bool { return !j.accepts(k, e.FD) }); len(serving) > 0 {
			list = serving
		} else if loop := j.loopSteps(p, does, unaccepted); len(loop) > 0 {
			return loop // that a task has it at hand does not say that it accepts
		} else {
			list = slices.DeleteFunc(list, func(k node) bool { return k == n })
		}
		for _, k := range list {
			say := does + ", which %[2]s has not accepted"
			if c := j.call(n); c != nil && c.Call == "connect" {
				say = does + ", which takes no more: %[2]s accepts none"
			}
			if k == n {
				say = does + ", which it would have to accept itself"
			}
			out = append(out, edge{to: k, kind: "accepts", say: say, thing: -1, sure: len(list) == 1 && len(p.Listeners) == 1})
		}
	}
	if len(out) == 0 {
		out = j.loopSteps(p, does, unaccepted)
	}
	return out
}

const unaccepted = ", which the event loop of %[2]s has not accepted"

// accepts says whether a unit is one that accepts connections of a listening socket: it
// is in accept, or runs a server, if also in a handler just now.
func (j *judge) accepts(n node, fd int) bool {
	if c := j.call(n); c != nil && strings.HasPrefix(c.Call, "accept") {
		return c.FD < 0 || c.FD == fd
	}
	u := j.unit(n)
	if u != nil && len(u.Serves) > 0 {
		return slices.Contains(u.Serves, fd)
	}
	return u != nil && slices.ContainsFunc(u.Frames, func(f Frame) bool {
		name := lastName(f.Func)
		return (name == "serve_forever" || name == "handle_request") && strings.HasSuffix(f.File, "/socketserver.py")
	})
}

// loopSteps lead to the thread whose event loop watches what is at the other end.
func (j *judge) loopSteps(p *Peer, does, say string) []edge {
	var out []edge
	for _, proc := range p.Watched {
		o := j.procs[proc]
		if o == nil || !o.Hangs || o.Facts == nil {
			continue
		}
		loops := map[int32]bool{}
		for k := range o.Facts.Units {
			if u := &o.Facts.Units[k]; u.Kind == Task && u.TID != 0 {
				loops[u.TID] = true
			}
		}
		if len(loops) != 1 {
			continue
		}
		for tid := range loops {
			if to, ok := j.threadNode(proc, tid); ok && j.blocks(to) {
				out = append(out, edge{to: to, sure: len(p.Watched) == 1, kind: "loop", say: does + say + ", blocked by this", thing: -1})
			}
		}
	}
	return out
}

// threadNode finds a thread of a process that did not end.
func (j *judge) threadNode(proc int, tid int32) (node, bool) {
	p := j.procs[proc]
	if p == nil || !p.Hangs {
		return node{}, false
	}
	if p.Facts != nil {
		for k := range p.Facts.Units {
			if u := &p.Facts.Units[k]; u.Kind == Thread && u.TID == tid {
				return node{proc, k}, true
			}
		}
	}
	return node{proc, -1}, len(p.Threads) > 0 && p.Threads[0].TID == tid
}

// peerSteps lead to those who have the other end of what a thread waits for.
func (j *judge) peerSteps(n node, p *Peer, does string) []edge {
	if p.Backlog {
		return j.listenerSteps(n, p, does)
	}
	if p.What == Datagrams {
		return j.answerSteps(n, p, does)
	}
	var out []edge
	here := []int{}
	fds := map[int][]int{} // by process: one may have it more than once
	for _, e := range p.Ends {
		if e.Proc == n.proc {
			here = append(here, e.FD)
		} else {
			fds[e.Proc] = append(fds[e.Proc], e.FD)
		}
	}
	others := len(fds)
	for _, proc := range slices.Sorted(maps.Keys(fds)) {
		o := j.procs[proc]
		if o == nil || !o.Hangs {
			continue
		}
		say := does + ", whose other end %[2]s has"
		if p.What == "pipe" && strings.Contains(does, "writes") {
			say = does + ", which only %[2]s reads"
		} else if p.What == "pipe" && len(here) > 0 {
			say = does + ", whose writing end it has open itself, and so has %[2]s"
		}
		to := j.mainOf(o)
		if k := j.atIt(j.havers(node{}, o, fds[proc]), fds[proc]); len(k) == 1 {
			to = k[0]
		} else if user, ok := j.threadNode(p.Used.Proc, p.Used.TID); ok && p.Used.Proc == proc && slices.Contains(k, user) && !j.idle(user) {
			to = user
		}
		out = append(out, edge{to: to, sure: others == 1, kind: "other end", say: say, thing: -1})
	}
	if others == 0 && len(here) > 0 {
		all := j.havers(n, j.procs[n.proc], here)
		for _, k := range j.atIt(all, here) {
			out = append(out, edge{to: k, kind: "other end", say: does + ", whose other end %[2]s has", thing: -1, sure: len(all) == 1})
		}
	}
	if len(out) == 0 {
		out = j.loopSteps(p, does, ", whose other end the event loop of %[2]s serves")
	}
	return out
}

// idle tells one that waits for work as it should.
func (j *judge) idle(n node) bool {
	u := j.unit(n)
	return u != nil && u.Role != ""
}

// havers are the units of a process that have one of some descriptors at hand:
// in a variable, or in the call that they are in.
func (j *judge) havers(n node, p *Process, fds []int) []node {
	if p == nil || p.Facts == nil {
		return nil
	}
	var out []node
	for k := range p.Facts.Units {
		u := &p.Facts.Units[k]
		at := node{p.ID, k}
		if at == n {
			continue
		}
		c := j.call(at)
		for _, fd := range fds {
			if slices.Contains(u.FDs, fd) || c != nil && c.Call != "" && c.FD == fd {
				out = append(out, at)
				break
			}
		}
	}
	return out
}

// hasAtHand says whether a unit's own variables lead to one of some descriptors.
func (j *judge) hasAtHand(n node, fds []int) bool {
	u := j.unit(n)
	return u != nil && slices.ContainsFunc(fds, func(fd int) bool { return slices.Contains(u.FDs, fd) })
}

// atIt are, of those who have some descriptors at hand, the ones that are in a call with
// one of them: all where nobody is.
func (j *judge) atIt(havers []node, fds []int) []node {
	var out []node
	for _, n := range havers {
		if c := j.call(n); c != nil && c.Call != "" && slices.Contains(fds, c.FD) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return havers
	}
	return out
}

// doing says what a thread does in its system call.
func (j *judge) doing(c *Call) string {
	on := "descriptor"
	if c.Peer != nil {
		on = strings.TrimSpace(c.Peer.What + " " + address(c.Peer))
	} else if c.FD >= 0 {
		on = fmt.Sprintf("descriptor %d", c.FD)
	}
	if c.FD == 0 && c.Call == "read" {
		on += " of its standard input"
	}
	if in := j.inTLS(c); in != "" {
		return "waits in the TLS " + in + " for data from the " + on
	}
	switch name := c.Call; {
	case c.Opens != "":
		return "waits to open " + path.Base(c.Opens) + " for " + c.OpensFor
	case name == "connect" && c.Peer != nil && c.Peer.Addr != "":
		return "connects to " + address(c.Peer)
	case name == "connect":
		return "connects to " + on
	case c.Peer != nil && c.Peer.What == Datagrams && (strings.HasPrefix(name, "recv") || name == "read"):
		if c.Peer.From != "" {
			return "waits for a datagram from " + c.Peer.From
		}
		return strings.TrimSpace("waits for a datagram at its socket " + c.Peer.Addr)
	case strings.HasPrefix(name, "recv"), name == "read", name == "readv", name == "pread64":
		return "waits for data from the " + on
	case strings.HasPrefix(name, "send"), strings.HasPrefix(name, "write"), name == "pwrite64":
		if c.Peer != nil && c.Peer.What == "pipe" {
			return "writes to the full " + on
		}
		return "writes to the " + on + ", which takes no more"
	case strings.HasPrefix(name, "accept"):
		return "waits for a connection to its " + on
	case name == "flock", name == "fcntl":
		return "waits for a lock on the " + on
	case strings.Contains(name, "poll"), strings.Contains(name, "select"):
		switch {
		case c.Peer != nil && (pollsForData().MatchString(c.Text) || c.Peer.What == "terminal" && selectsForData().MatchString(c.Text)):
			return "waits for data from the " + on // so does a socket with a time limit receive
		case c.Peer != nil && slices.ContainsFunc(c.Frames, runsReactor) && wakes(c.Peer):
		case c.Peer != nil:
			return "polls the " + on
		}
		if slices.ContainsFunc(c.Frames, runsReactor) {
			return "runs Twisted's reactor, to which nothing comes"
		}
		return "waits for one of several descriptors"
	case strings.Contains(name, "nanosleep"):
		return "sleeps"
	case strings.HasPrefix(name, "wait"):
		return "waits for a child process"
	case strings.HasPrefix(name, "futex"):
		return "waits for a lock"
	case name == "pause", name == "rt_sigtimedwait", name == "rt_sigsuspend":
		return "waits for a signal"
	}
	return "is in " + c.Call
}

// wakes tells the descriptor by which a loop is woken: a pipe or an eventfd of its own, to
// which nothing has come.
func wakes(p *Peer) bool {
	return p.Got == 0 && (p.What == EventFD || strings.HasPrefix(p.What, "pipe"))
}

// pollsForData is the text of a poll of one descriptor for what can be read there.
var pollsForData = lazyregexp.New(`^poll\(\[\{\d+ POLLIN\}\], 1,`)

// selectsForData is that of a select for what can be read. Before 3.10 the module gives
// sets that are empty as well; what can be written to a terminal would have ended it.
var selectsForData = lazyregexp.New(`^p?select6?\(\d+, \[[\d ]+\], (?:NULL|0x[0-9a-f]+), (?:NULL|0x[0-9a-f]+),`)

// address is where a connection leads to; of a UNIX socket the folder says little.
func address(p *Peer) string {
	if name, ok := strings.CutPrefix(p.Addr, "unix:/"); ok {
		return "unix:" + path.Base(name)
	}
	return p.Addr
}

// inTLS says in which part of TLS a thread waits for the other end's answer: handshake, or
// shutdown (unwrap); "" for neither.
func (j *judge) inTLS(c *Call) string {
	if c.Call != "read" && !strings.HasPrefix(c.Call, "recv") && !strings.Contains(c.Call, "poll") {
		return ""
	}
	for k := 0; k < len(c.Frames) && k < 4; k++ {
		switch f := &c.Frames[k]; {
		case lastName(f.Func) == "do_handshake":
			return "handshake"
		case lastName(f.Func) == "unwrap" && strings.HasSuffix(f.File, "/ssl.py"):
			return "shutdown"
		}
	}
	return ""
}
