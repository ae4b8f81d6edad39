package hang

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Kinds of what descriptors stand for that sentences know (Peer.What).
const (
	Datagrams = "datagram socket"
	EventFD   = "eventfd"
)

// outputOf says of a child whose output goes to a pipe that nobody reads who could: a
// child that writes much waits there for ever.
func (j *judge) outputOf(n node, pid int) string {
	p := j.procs[n.proc]
	if p == nil {
		return ""
	}
	for i := range p.Kids {
		c := &p.Kids[i]
		if c.PID != pid || c.Reaped || len(c.Heard) == 0 {
			continue
		}
		var who []string
		for _, proc := range c.Heard {
			if o := j.procs[proc]; o != nil && o.Hangs {
				who = append(who, j.name(j.mainOf(o)))
			}
		}
		if len(who) == 0 {
			return ""
		}
		return "; its output goes to a pipe that nobody reads, whose reading end only " + strings.Join(who, " and ") + " has open"
	}
	return ""
}

// inputOf says of a child that is not recorded who keeps the pipe open that it reads on
// its standard input: it may wait for the end of that.
func (j *judge) inputOf(n node, pid int) string {
	p := j.procs[n.proc]
	if p == nil {
		return ""
	}
	for i := range p.Kids {
		c := &p.Kids[i]
		if c.PID != pid || c.Reaped {
			continue
		}
		who := c.FedBy
		for _, proc := range c.Fed {
			if o := j.procs[proc]; o != nil {
				who = append(who[:len(who):len(who)], j.name(j.mainOf(o)))
			}
		}
		if len(who) == 0 {
			return ""
		}
		verb := "has"
		if len(who) > 1 {
			verb = "have"
		}
		return fmt.Sprintf("; its input comes from a pipe whose writing end %s %s open", strings.Join(who, " and "), verb) + j.unsentTo(n, pid)
	}
	return ""
}

// keptOpen says of one that waits for data from an end that no process of the recording
// has open any more, nor a child of those, that some program must have: else it would end.
func (j *judge) keptOpen(n node) string {
	says, by, ended := ", whose other end a program has open that is not recorded", "", 0
	if p := j.procs[n.proc]; p != nil {
		for i := range p.Kids {
			if c := &p.Kids[i]; c.Reaped {
				by = ": one that " + j.childName(n, c.PID) + ", which has ended, had started"
				ended++
			}
		}
	}
	if ended == 1 {
		says += by
	}
	return says
}

// children says which children there are, of one that waits for any.
func (j *judge) children(n node) string {
	const most = 3
	p := j.procs[n.proc]
	if p == nil {
		return ""
	}
	var names []string
	for _, o := range j.in.Procs {
		if o.Parent == n.proc && o.Hangs {
			names = append(names, j.procName(o))
		}
	}
	for i := range p.Kids {
		if c := &p.Kids[i]; !c.Reaped {
			names = append(names, j.childName(n, c.PID))
		}
	}
	switch {
	case len(names) == 0:
		return ""
	case len(names) == 1:
		return "; " + names[0] + " still runs"
	case len(names) > most:
		return fmt.Sprintf("; %s and %d more still run", strings.Join(names[:most], ", "), len(names)-most)
	}
	return "; " + strings.Join(names, ", ") + " still run"
}

// meanwhile says what one of the other threads does that are in the program's own code.
// It stands beside a wait that leads to nobody.
func (j *judge) meanwhile(n node, asked func(*Unit, *Call) bool, does func(to node, at Frame) string) string {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil {
		return ""
	}
	for k := range p.Facts.Units {
		to := node{n.proc, k}
		u := j.unit(to)
		if to == n || slices.ContainsFunc(j.way, func(h hop) bool { return h.node == to }) || u.Kind != Thread || u.Role != "" || !asked(u, j.call(to)) {
			continue
		}
		if f, ok := j.place(to); ok && f.own() {
			return "; meanwhile " + j.name(to) + " " + does(to, f)
		}
	}
	return ""
}

// beside is what of the other threads may have to do with a wait that leads to nobody:
// the exception that one died of, else where others wait in the program's own code.
func (j *judge) beside(n node) string {
	if d := j.died(n.proc, ""); d != "" {
		return "; " + d
	}
	return j.meanwhile(n, func(u *Unit, c *Call) bool {
		return !u.Main && u.Wait == nil && c != nil && !c.Early
	}, func(_ node, at Frame) string { return "waits at " + j.at(at) })
}

// company says what another thread waits for, of one that waits for a signal: that may have
// been the one to send it.
func (j *judge) company(n node) string {
	if d := j.died(n.proc, ""); d != "" {
		return "; " + d
	}
	return or(j.signalled(n), j.stuckFor(n, 0))
}

// signalled says of one that waits for a signal which one was sent before that.
func (j *judge) signalled(n node) string {
	p, c := j.procs[n.proc], j.call(n)
	if p == nil || c == nil || p.Signal == nil || p.Signal.Time > c.Since {
		return ""
	}
	s := p.Signal
	by := ""
	if to, ok := j.threadNode(s.Proc, s.TID); ok && to != n {
		by = " by " + j.name(to)
	} else if ok {
		by = " by itself"
	}
	if s.Where != nil {
		by += " at " + j.at(*s.Where)
	}
	j.cite(Evidence{Text: s.Signal + " was sent to it" + by, Proc: s.Proc, Event: s.Event})
	return "; " + s.Signal + " was sent to it" + by + ", before that"
}

// stuckFor says what another thread waits for, without a time limit and for so long.
func (j *judge) stuckFor(n node, long time.Duration) string {
	return j.meanwhile(n, func(u *Unit, c *Call) bool {
		if u.Wait == nil || len(u.Wait.On) == 0 && u.Wait.How != "join" {
			return false
		}
		return long == 0 || !u.Wait.Limit && c != nil && !c.Early && c.For >= long
	}, func(to node, _ Frame) string { return j.stuckOn(to) })
}

// stuckOn is stuck, and where it surely waits for one that has no part in the way, what that
// one does.
func (j *judge) stuckOn(n node) string {
	for _, e := range j.steps(n) {
		if e.sure && e.kind == "join" && e.to != n && !slices.ContainsFunc(j.way, func(h hop) bool { return h.node == e.to }) {
			does, _, _ := strings.Cut(j.stuck(e.to), "; ")
			return strings.TrimPrefix(fmt.Sprintf(e.say, "", j.name(e.to)), " ") + ", which " + does
		}
	}
	return j.stuck(n)
}

// unread says what the process has not read, of one that waits for other descriptors.
func (j *judge) unread(n node) string {
	p := j.procs[n.proc]
	if p == nil || len(p.Unread) == 0 {
		return ""
	}
	r := &p.Unread[0]
	from := ""
	if to, ok := j.threadNode(r.Proc, r.TID); ok {
		from = ", sent by " + j.name(to)
	}
	j.cite(Evidence{Text: fmt.Sprintf("%s were written that descriptor %d has not read", bytesText(r.Bytes), r.FD), Proc: r.Proc, Event: r.Event})
	return fmt.Sprintf("; %s lie unread in the %s of descriptor %d, which it does not watch%s", bytesText(r.Bytes), r.What, r.FD, from)
}

// compiled tells a frame that Cython makes up for its code: its function has the name of
// the package before it, and its file is a path within that's sources.
func (f *Frame) compiled() bool {
	pkg, _, ok := strings.Cut(f.Func, ".")
	return ok && !path.IsAbs(f.File) && strings.Count(f.Func, ".") > 1 && strings.Contains("/"+f.File, "/"+pkg+"/")
}

// generated tells the text that an extension was made from, which is seldom there: C of
// Cython has names such as src/pkg/module.pxd.
func generated(file string) bool {
	switch path.Ext(file) {
	case ".pxd", ".pyx", ".pxi":
		return true
	}
	return false
}
