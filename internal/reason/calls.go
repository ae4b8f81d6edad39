package reason

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
)

// addOpens says which file a thread is about to open.
func addOpens(c *hang.Call, state *logview.State, proc int) {
	flags := -1
	switch c.Call {
	case "open":
		flags = 1
	case "openat":
		flags = 2
	}
	if state == nil || flags < 0 || state.Proc(proc) == nil {
		return
	}
	t := state.Proc(proc).Thread(c.TID)
	if t == nil || t.Open == nil {
		return
	}
	path, _, _ := strings.Cut(string(t.Open.Enter.In), "\x00")
	if path == "" {
		return
	}
	const accMode, wrOnly, rdWr = 3, 1, 2 // fcntl.h
	c.Opens, c.OpensFor = path, "reading"
	switch t.Open.Enter.Args[flags] & accMode {
	case wrOnly:
		c.OpensFor = "writing"
	case rdWr:
		c.OpensFor = "reading and writing"
	}
}

// unread says whether the program at the other end of what is written to, which is not
// recorded, writes itself to a pipe or connection that a process has to read.
func unread(p *logview.Process, other *logview.File) bool {
	for _, h := range other.Holders {
		if h.Of == nil {
			continue
		}
		for _, fd := range p.FDs {
			f := fd.File
			if f == nil || f.Other == nil || f.Writes || f.Other == other || f.Kind != linux.ObjPipe && f.Kind != linux.ObjSocket {
				continue
			}
			for _, o := range f.Other.Holders {
				if o.Of == h.Of {
					return true
				}
			}
		}
	}
	return false
}

// stopped is the last signal that stopped a process of the recording, sent by one of
// them, nil where it was continued or none did.
func stopped(state *logview.State, index *recording.StackIndex, proc int) *hang.Stop {
	last := lastSent(state, index, proc, func(name string) bool { return name == "SIGSTOP" || name == "SIGCONT" })
	if last == nil || last.Signal != "SIGSTOP" {
		return nil
	}
	return last
}

// killed says whether one of the recording has sent SIGKILL to a process.
func killed(state *logview.State, pid int) bool {
	return slices.ContainsFunc(state.Procs, func(p *logview.Process) bool {
		return slices.ContainsFunc(p.Sent, func(s logview.Signal) bool { return s.PID == pid && linux.Signal(s.Nr) == "SIGKILL" })
	})
}

// lastSent is the last signal of some that one of the recording sent to a process of it, nil
// for none.
func lastSent(state *logview.State, index *recording.StackIndex, proc int, fits func(name string) bool) *hang.Stop {
	if state == nil || state.Proc(proc) == nil {
		return nil
	}
	pid := state.Proc(proc).PID
	var last *logview.Signal
	for _, p := range state.Procs {
		for i := range p.Sent {
			if s := &p.Sent[i]; s.PID == pid && fits(linux.Signal(s.Nr)) && (last == nil || s.At.Time > last.At.Time) {
				last = s
			}
		}
	}
	if last == nil {
		return nil
	}
	out := &hang.Stop{Signal: linux.Signal(last.Nr), Proc: last.At.Proc, TID: last.At.TID, Event: last.At.Pos.Event, Time: last.At.Time}
	out.Pending = !slices.ContainsFunc(state.Proc(proc).Received, func(r logview.Signal) bool { return r.Nr == last.Nr && r.At.Time >= last.At.Time })
	if index != nil {
		if st, ok := stackAt(index, last.At.Proc, last.At.TID, last.At.Pos.Event); ok {
			if f, ok := OwnFrame(st); ok {
				out.Where = &hang.Frame{Func: f.Func, File: f.File, Line: f.Line}
			}
		}
	}
	return out
}

// addStreams says what is at the other ends of the connections that tasks wait for.
func addStreams(p *hang.Process, state *logview.State) {
	if state == nil || state.Proc(p.ID) == nil || p.Facts == nil {
		return
	}
	fds := state.Proc(p.ID).FDs
	for i := range p.Facts.Things {
		t := &p.Facts.Things[i]
		if t.Kind != hang.Object && t.Kind != hang.File || t.Count <= 0 || fds[t.Count] == nil || fds[t.Count].File == nil {
			continue
		}
		if p.Streams == nil {
			p.Streams = map[int]*hang.Peer{}
		}
		p.Streams[t.Count] = peerOf(state, fds[t.Count].File)
	}
}

// feeders notes who has the writing end of the pipe that a child has as its standard
// input.
func feeders(state *logview.State, c *logview.Child, kid *hang.Kid) {
	for _, f := range state.Files {
		if f.Kind != linux.ObjPipe || f.Writes || f.Other == nil || !slices.ContainsFunc(f.Holders, func(h logview.Holder) bool { return h.Of == c && h.FD == 0 }) {
			continue
		}
		for _, h := range f.Other.Holders {
			switch {
			case h.Proc != nil && !slices.Contains(kid.Fed, h.Proc.ID):
				kid.Fed = append(kid.Fed, h.Proc.ID)
			case h.Proc == nil && h.Of != c && h.Of.Reaped == nil && h.Of.Exe != "":
				kid.FedBy = append(kid.FedBy, fmt.Sprintf("child %d (%s)", h.Of.PID, baseName(h.Of.Exe)))
			}
		}
		return
	}
}

// hearers notes who has the reading end of the pipe that a child has as its standard
// output or error, where nobody reads from that.
func hearers(state *logview.State, c *logview.Child, kid *hang.Kid) {
	for _, f := range state.Files {
		if f.Kind != linux.ObjPipe || !f.Writes || f.Other == nil || !slices.ContainsFunc(f.Holders, func(h logview.Holder) bool { return h.Of == c && (h.FD == 1 || h.FD == 2) }) {
			continue
		}
		var heard []int
		for _, h := range f.Other.Holders {
			if h.Proc == nil || reads(h.Proc, f.Other) {
				heard = nil
				break
			}
			if !slices.Contains(heard, h.Proc.ID) {
				heard = append(heard, h.Proc.ID)
			}
		}
		if len(heard) > 0 {
			kid.Heard = heard
			return
		}
	}
}

// reads says whether a thread of a process waits for what comes from a file.
func reads(p *logview.Process, f *logview.File) bool {
	return slices.ContainsFunc(p.Threads, func(t *logview.Thread) bool {
		return slices.ContainsFunc(p.Wants(t), func(w logview.Want) bool { return w.File == f })
	})
}

// held notes of a thread that polls one descriptor how much it has read of that already,
// into the buffer of a file object: what is polled does not show it.
func held(c *hang.Call, state *logview.State, e *Ending) {
	if c.Peer == nil || e.Facts == nil || !strings.Contains(c.Call, "poll") && !strings.Contains(c.Call, "select") {
		return
	}
	p := state.Proc(e.Proc.ID)
	for _, w := range p.Wants(p.Thread(c.TID)) {
		for i := range e.Facts.Units {
			if u := &e.Facts.Units[i]; u.Kind == hang.Thread && u.TID == c.TID {
				c.Peer.Held = max(c.Peer.Held, u.Buffered[w.FD])
			}
		}
	}
}

// addUnread notes what lies unread in pipes and connections that no thread waits for.
func addUnread(p *hang.Process, state *logview.State) {
	if state == nil || state.Proc(p.ID) == nil {
		return
	}
	l := state.Proc(p.ID)
	wanted := map[*logview.File]bool{}
	for _, t := range l.Threads {
		for _, w := range l.Wants(t) {
			wanted[w.File] = true
		}
	}
	for _, num := range slices.Sorted(maps.Keys(l.FDs)) {
		f := l.FDs[num].File
		if f == nil || f.Other == nil || f.Inherited || f.Writes || wanted[f] || f.Other.Out.Bytes <= f.In.Bytes || f.Kind != linux.ObjPipe && f.Kind != linux.ObjSocket {
			continue
		}
		last := f.Other.Out.Last
		what := "connection"
		if f.Kind == linux.ObjPipe {
			what = "pipe"
		}
		p.Unread = append(p.Unread, hang.Unread{FD: num, What: what, Bytes: f.Other.Out.Bytes - f.In.Bytes, Proc: last.Proc, TID: last.TID, Event: last.Pos.Event, At: last.Time})
	}
}

// besideWakers is the only connection to somewhere that is watched, where all else that is
// watched are the ends of pairs within the process by which the thread is woken; nil for
// several.
func besideWakers(all []*hang.Peer, proc int) *hang.Peer {
	var found *hang.Peer
	for _, p := range all {
		inside := len(p.Ends) > 0 && !slices.ContainsFunc(p.Ends, func(e hang.End) bool { return e.Proc != proc })
		if p.What == hang.EventFD || p.What != "terminal" && p.Addr == "" && p.Sent == 0 && p.Unrecorded == "" && inside {
			continue
		}
		if found != nil || p.What == "listening socket" || p.Addr == "" && p.What != "terminal" {
			return nil
		}
		found = p
	}
	return found
}
