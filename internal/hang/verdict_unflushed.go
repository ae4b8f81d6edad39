package hang

import (
	"fmt"
	"slices"
	"strings"
)

var _ = special{2, (*judge).notFlushed}.enter()

// withheld are bytes in the buffer of a file, of the process proc, for which others wait.
type withheld struct {
	file *Thing
	proc int
	// answer says that they are what the unit itself waits for: else they are its request.
	answer bool
	// sure says that somebody in the recording reads them.
	sure bool
}

// notFlushed: it waits for data, and what it waits for, or the request for that, lies
// in the buffer of a file that was not flushed.
func (j *judge) notFlushed(n node) (says, degree, kind, missing string) {
	w := j.withheldFrom(n)
	if w == nil {
		return "", "", "", ""
	}
	does := j.readsFrom(n)
	whose, by := "", j.mainOf(j.procs[w.proc])
	if k := slices.IndexFunc(w.file.Known, func(k int) bool { return j.unit(node{w.proc, k}).Kind == Thread }); k >= 0 {
		by = node{w.proc, w.file.Known[k]}
	}
	where := "a buffer"
	if w.file.Name != "" {
		where = "the buffer of " + w.file.Name
	}
	if w.proc != n.proc && w.proc != j.in.Procs[0].ID {
		whose = " of " + j.procName(j.procs[w.proc])
	}
	size := bytesText(uint64(w.file.Size))
	text := fmt.Sprintf(": %s for it lie unflushed in %s%s", size, where, whose)
	if !w.answer {
		text = fmt.Sprintf(": its request lies unflushed in %s (%s)", where, size)
	}
	if len(w.file.Taken) > 0 {
		took := &w.file.Taken[0]
		who := ""
		if took.Unit >= 0 && (node{w.proc, took.Unit}) != n && w.proc == n.proc {
			who = " by " + j.name(node{w.proc, took.Unit})
		}
		text += ", written at " + j.at(took.Where) + who
		j.cite(Evidence{Text: size + " came into " + where + whose + " at " + j.at(took.Where) + ", and were not flushed", Proc: w.proc, Event: took.Event, File: took.Where.File, Line: took.Where.Line})
	} else if f, ok := j.place(by); ok && f.own() && by != n && w.answer {
		text += "; " + j.name(by) + " is at " + j.at(f)
	}
	if !w.sure {
		return does + text, Likely, "unflushed", "whether the other end waits for that: it is not recorded"
	}
	return does + text, Proven, "unflushed", ""
}

// readsFrom says what one does that waits for data, and from whom.
func (j *judge) readsFrom(n node) string {
	if c := j.call(n); c != nil && c.Peer != nil && c.Call != "" {
		return j.doing(c) + j.via(n)
	}
	u := j.unit(n)
	t := j.thing(n.proc, first(u.Wait.On))
	return j.streams(t, j.stream(n.proc, t), u.Wait.How) + j.waitAt(u)
}

// awaitsData is the descriptor from which one waits for data, and what that stands for;
// nil for one that waits for something else.
func (j *judge) awaitsData(n node) (int, *Peer) {
	if u := j.unit(n); u != nil && u.Wait != nil && len(u.Wait.On) > 0 {
		t := j.thing(n.proc, u.Wait.On[0])
		if t == nil || u.Wait.How == "drain" || u.Wait.How == "accept" || u.Wait.How == "connect" {
			return -1, nil
		}
		if peer := j.stream(n.proc, t); peer != nil && !peer.Coming {
			return t.Count, peer
		}
		return -1, nil
	}
	c := j.call(n)
	if c == nil || c.Call == "" || c.Peer == nil || c.FD < 0 || c.Peer.Coming || !strings.Contains(j.doing(c), "for data from") {
		return -1, nil
	}
	return c.FD, c.Peer
}

// withheldFrom finds what was not flushed that one waits for, nil where there is nothing.
func (j *judge) withheldFrom(n node) *withheld {
	fd, peer := j.awaitsData(n)
	if peer == nil {
		return nil
	}
	for _, t := range j.files(n.proc) {
		if w := j.request(n, fd, peer, t); w != nil {
			return w
		}
	}
	for _, e := range peer.Ends {
		for _, t := range j.files(e.Proc) {
			if t.Count == e.FD {
				return &withheld{file: t, proc: e.Proc, answer: true, sure: true}
			}
		}
	}
	return nil
}

// request says whether what lies in a file is the request for what a unit waits for: it
// leads to the same program or thread, which does not get it.
func (j *judge) request(n node, fd int, peer *Peer, t *Thing) *withheld {
	to := j.procs[n.proc].Streams[t.Count]
	if to == nil || t.Count != fd && to.What == "connection" {
		return nil
	}
	out := &withheld{file: t, proc: n.proc}
	switch {
	case to.Unrecorded != "" || to.Outside:
		if t.Count != fd && (to.Unrecorded == "" || to.Program != peer.Program) {
			return nil
		}
		return out
	case t.Count != fd && !slices.ContainsFunc(to.Ends, func(e End) bool {
		return slices.ContainsFunc(peer.Ends, func(o End) bool { return o.Proc == e.Proc && (o.Proc != n.proc || j.bothAtHand(n, e, o)) })
	}):
		return nil
	}
	for _, e := range to.Ends {
		if out.sure = j.isRead(n, e); out.sure {
			return out
		}
	}
	return nil
}

// bothAtHand says whether another thread of a unit's process has two descriptors at hand: those
// of the pipes to and from it.
func (j *judge) bothAtHand(n node, a, b End) bool {
	p := j.procs[a.Proc]
	return slices.ContainsFunc(j.havers(n, p, []int{a.FD}), func(k node) bool { return slices.Contains(j.havers(n, p, []int{b.FD}), k) })
}

// isRead says whether somebody else waits for what comes to an end.
func (j *judge) isRead(n node, e End) bool {
	p := j.procs[e.Proc]
	if p == nil || !p.Hangs || p.Facts == nil {
		return false
	}
	for k := range p.Facts.Units {
		to := node{e.Proc, k}
		if fd, peer := j.awaitsData(to); to != n && peer != nil && fd == e.FD {
			return true
		}
	}
	return false
}

// files are those of a process in which bytes lie that were not flushed.
func (j *judge) files(proc int) []*Thing {
	p := j.procs[proc]
	if p == nil || p.Facts == nil || !p.Hangs {
		return nil
	}
	var out []*Thing
	for i := range p.Facts.Things {
		if t := &p.Facts.Things[i]; t.Kind == File && t.Size > 0 {
			out = append(out, t)
		}
	}
	return out
}

// unsentTo says of a child that reads a pipe which bytes for it were not flushed.
func (j *judge) unsentTo(n node, pid int) string {
	for _, t := range j.files(n.proc) {
		to := j.procs[n.proc].Streams[t.Count]
		if to == nil || to.Program != pid || to.What != "pipe" {
			continue
		}
		text := fmt.Sprintf("; %s for it lie unflushed in %s", bytesText(uint64(t.Size)), or(t.Name, "a buffer"))
		if len(t.Taken) > 0 {
			text += ", written at " + j.at(t.Taken[0].Where)
		}
		return text
	}
	return ""
}
