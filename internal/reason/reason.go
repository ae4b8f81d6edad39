// Package reason says why a recorded program hung or failed: it puts together what
// the log, the index of stacks and Python's own objects show at the ends of its
// processes, and asks package hang for the verdict.
//
// It prints nothing. Begin with Of.
package reason

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pyrr/internal/compare"
	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// Reason is a recording's end with its reason, which all commands share that
// say why.
type Reason struct {
	// Ends are the processes that are shown, those that did not end by themselves
	// unless all were wanted.
	Ends []Ending
	Why  *hang.Verdict
	// Death is the stack of the thread that ended the program, where it ended with an
	// error and no exception says why.
	Death stack.Stack
	// Unlike is how it differs from a recording that was named, nil for none.
	Unlike *compare.Result
}

// Of looks at the end of a recording.
func Of(rec *recording.Recording, all bool) (*Reason, error) {
	every, err := Endings(rec, true)
	if err != nil {
		return nil, err
	}
	r := &Reason{Ends: every, Why: Judge(rec, every)}
	if d, st := deathOf(rec, every); d != nil && r.Why.Ended() {
		r.Death = st
	}
	if !all {
		r.Ends = StoppedOnes(every)
	}
	return r, nil
}

// Says reports whether there is anything to explain: a hang, a failure, an end with
// an error.
func (r *Reason) Says() bool { return len(r.Ends) > 0 || r.Why.Raised != nil || r.Why.Ended() }

// First is the thread that a report is about: the one at which the chain of
// those who wait for each other ends.
func (r *Reason) First() (Waiting, bool) {
	if list := ThreadsByVerdict(r.Why, r.Ends); len(list) > 0 {
		return *list[0], true
	}
	return Waiting{}, false
}

// Subject is the thread of the verdict that a spec is about: the last of the chain
// that does not wait for work, as servers do.
func (r *Reason) Subject() (Waiting, bool) {
	list := ThreadsByVerdict(r.Why, r.Ends)
	for _, w := range list[:min(len(list), len(r.Why.Units))] {
		if Suspicion(w) != 1 {
			return *w, true
		}
	}
	return r.First()
}

// SinceWhen says since when and for how long the one waits that a verdict is about;
// "" where it is about no waiting.
func SinceWhen(why *hang.Verdict) string {
	if why.For <= 0 || why.Raised != nil {
		return ""
	}
	if why.Attached {
		return "Since before pyrr attached."
	}
	return fmt.Sprintf("Since %s, for %s.", printable.AtTime(why.Since), printable.Seconds(why.For))
}

// Text is the reason with since when, for the forms that have one line for it.
func Text(why *hang.Verdict) string {
	return strings.TrimSpace(why.Sentence + " " + SinceWhen(why))
}

// Judge says why the program hung, from what its processes did at their ends.
// all are those of every process, also of those that ended by themselves.
func Judge(rec *recording.Recording, all []Ending) *hang.Verdict {
	paths := stack.Paths{Root: rec.Header().Cwd}
	in := &hang.Input{
		Midst: rec.Header().Test != "",
		Short: func(file string) string {
			short, origin := paths.Short(file)
			if origin == stack.Elsewhere && filepath.IsAbs(short) {
				short = filepath.Base(short)
			}
			return short
		},
		Text: func(file string, line int) string { return SourceLine(rec, file, line) },
		Source: func(file string) string {
			texts, _ := rec.Sources()
			return string(texts[file])
		},
		Seen: func(proc int, d *hang.Dead) []hang.Frame { return lastSeen(rec, proc, d) },
	}
	death, _ := deathOf(rec, all)
	watched := cut(all, death, in.Short)
	if watched != nil {
		if v := judge(rec, in, all, nil); v.Degree != hang.None {
			v.Evidence = append(v.Evidence, hang.Evidence{Text: watched.Cut, Proc: death.Proc, Event: death.Event})
			return v // it hung, and a watchdog noticed
		}
		watched.Cut, in.Procs, in.NoValues = "", nil, false
	}
	return judge(rec, in, all, death)
}

// judge adds to what is known of all the processes, and says why.
func judge(rec *recording.Recording, in *hang.Input, all []Ending, death *hang.Death) *hang.Verdict {
	state, _ := logview.AtEnd(rec) // what could be read before an error
	index, err := rec.StackIndex()
	if err != nil {
		index = nil
	}
	for i := range all {
		p := hangProcess(&all[i], state)
		in.Procs = append(in.Procs, p)
		if !p.Hangs {
			continue
		}
		p.Stopped = stopped(state, index, p.ID)
		p.Signal = lastSent(state, index, p.ID, func(name string) bool { return name != "SIGCHLD" && name != "" })
		addStreams(p, state)
		for k, c := range p.Threads {
			in.Midst = in.Midst || c.Attached
			w := &all[i].Threads[k]
			var asked *askedLock
			if c.Call != "" && c.For < time.Duration(all[i].Time)/2 && (w.TID == int32(w.Proc.PID) || len(p.Threads) <= 20) && repeats(w.Nr) {
				c.Loop, asked = loopOf(rec, index, w.Proc, c, w.Nr)
			} else if c.Call == "" && (w.TID == int32(w.Proc.PID) || len(p.Threads) <= 20) {
				c.Loop, asked = between(rec, index, w.Proc, c, all[i].Time)
			}
			c.Owner = ownerOf(state, index, w, c, asked)
			if c.Peer != nil {
				c.Peer.Transaction = transactionOf(state, index, w)
				if q := c.Peer; len(q.Ends) == 0 && q.LastSent > q.LastGot {
					q.Asked = askedBy(rec, w.Proc.ID, q.SentEvent)
				}
			}
		}
	}
	for k, p := range in.Procs {
		p.Refused = refusedOf(rec, &all[k], p)
	}
	v := verdict(in, all, death)
	in.NoValues = true
	v.Plain = verdict(in, all, death).Sentence
	return v
}

func verdict(in *hang.Input, all []Ending, death *hang.Death) *hang.Verdict {
	if v := failedOf(in, all); v != nil {
		return v
	}
	if death != nil {
		return hang.Ended(in, death)
	}
	v := hang.Judge(in)
	if v.Degree == hang.None && slices.ContainsFunc(all, func(e Ending) bool { return e.Why == recording.EndTruncated }) {
		v.Sentence = "No verdict: the end of the recording is missing."
	}
	return v
}

// failedOf is the verdict on a test that failed or a program that ended with an
// exception, nil where something hangs or nothing is wrong.
func failedOf(in *hang.Input, all []Ending) *hang.Verdict {
	for i := range all {
		e := &all[i]
		switch {
		case e.Why == recording.EndTimeout:
			return nil
		case e.Facts != nil && e.Facts.Raised != nil && (e.Why == recording.EndTest || e.Why == recording.EndExited):
			event := e.Facts.Raised.Event
			if event == 0 {
				event = e.At.Event
			}
			return hang.Failed(in, e.Proc.ID, e.Facts.Raised, event)
		}
	}
	return nil
}

func hangProcess(e *Ending, state *logview.State) *hang.Process {
	p := &hang.Process{ID: e.Proc.ID, PID: e.Proc.PID, Parent: e.Proc.Parent, Forked: e.Proc.Fork,
		Hangs: e.Stopped(), Status: int(e.Status),
		Event: e.At.Event, Time: e.Time, Facts: e.Facts}
	if sig := int(e.Status) & 0x7f; e.Why == recording.EndExited && sig != 0 {
		p.Killed = linux.Signal(sig)
	}
	if len(e.Proc.Argv) > 0 {
		p.Name = filepath.Base(e.Proc.Argv[0])
	}
	if state != nil && state.Proc(e.Proc.ID) != nil {
		for _, c := range state.Proc(e.Proc.ID).Children {
			if c.Proc == nil {
				kid := hang.Kid{PID: c.PID, Exe: baseName(c.Exe), Reaped: c.Reaped != nil, Killed: killed(state, c.PID)}
				feeders(state, c, &kid)
				hearers(state, c, &kid)
				p.Kids = append(p.Kids, kid)
			}
		}
	}
	for k := range e.Threads {
		w := &e.Threads[k]
		c := &hang.Call{TID: w.TID, Num: w.Num, Name: w.Name, FD: -1, Since: w.Since, For: w.For, Event: w.Event, Early: w.Early, Attached: w.Attached}
		if w.Call != "" {
			c.Call, c.Text = linux.Name(int(w.Nr)), w.Call
			if (c.Call == "select" || c.Call == "pselect6") && w.Args[0] == 0 {
				c.Call = "clock_nanosleep" // as time.sleep does before 3.11
			}
			switch {
			case c.Call == "wait4":
				c.PID = max(0, int(int32(w.Args[0])))
			case strings.HasPrefix(c.Call, "recv"), strings.HasPrefix(c.Call, "send"), strings.HasPrefix(c.Call, "accept"),
				strings.HasPrefix(c.Call, "read"), strings.HasPrefix(c.Call, "write"), strings.HasPrefix(c.Call, "pread"), strings.HasPrefix(c.Call, "pwrite"),
				c.Call == "connect", c.Call == "flock", c.Call == "fcntl":
				c.FD = int(int32(w.Args[0]))
			}
		}
		switch {
		case c.Call == "poll":
			c.Limit = limitOf(int32(w.Args[2]))
		case strings.HasPrefix(c.Call, "epoll_") && c.Call != "epoll_pwait2":
			c.Limit = limitOf(int32(w.Args[3]))
		}
		addOpens(c, state, e.Proc.ID)
		addPeers(c, state, e.Proc.ID)
		held(c, state, e)
		for _, f := range w.Stack.Frames {
			if f.Kind == stack.Python && len(c.Frames) < hang.MaxFrames {
				c.Frames = append(c.Frames, hang.Frame{Func: f.Func, File: f.File, Line: f.Line})
			}
		}
		p.Threads = append(p.Threads, c)
	}
	addUnread(p, state)
	return p
}

// limitOf is the time-out of a poll in milliseconds, below 0 for none. One of a minute
// and more says little.
func limitOf(ms int32) time.Duration {
	if ms <= 0 || ms >= 60_000 {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// addPeers says what is at the other ends of the descriptors that a thread waits
// for.
func addPeers(c *hang.Call, state *logview.State, proc int) {
	if state == nil || c.Call == "" {
		return
	}
	p := state.Proc(proc)
	if p == nil {
		return
	}
	t := p.Thread(c.TID)
	if t == nil {
		return
	}
	wants := p.Wants(t)
	for _, w := range wants {
		if w.File != nil {
			peer := peerOf(state, w.File)
			if strings.HasPrefix(c.Call, "epoll") {
				edgeOf(state, w.File, peer)
			}
			c.Peers = append(c.Peers, peer)
		}
	}
	if len(wants) == 1 && c.FD < 0 {
		c.FD = wants[0].FD // a poll of one, as of a socket with a time limit
	}
	if len(c.Peers) > 1 {
		c.Peer = besideWakers(c.Peers, proc)
		if c.Peer != nil && !strings.HasPrefix(c.Call, "epoll") && c.Peer.What != "terminal" {
			c.Peer = nil // a select of the program's own may wait for either
		}
		for k := range wants {
			if c.Peer != nil && wants[k].File != nil && c.FD < 0 && c.Peer.What == "terminal" && len(c.Peers) == len(wants) && c.Peers[k] == c.Peer {
				c.FD = wants[k].FD
			}
		}
	}
	if len(c.Peers) == 1 {
		c.Peer = c.Peers[0]
		if f := wants[0].File; c.Peer.Unrecorded != "" && f.Other != nil {
			c.Peer.Unread = unread(p, f.Other)
		}
	}
}

func peerOf(state *logview.State, f *logview.File) *hang.Peer {
	out := &hang.Peer{What: f.Kind.String(), Got: f.In.Bytes, Sent: f.Out.Bytes, LastGot: f.In.Last.Time, LastSent: f.Out.Last.Time,
		GotEvent: f.In.Last.Pos.Event, SentEvent: f.Out.Last.Pos.Event, Before: f.Inherited}
	switch f.Kind {
	case linux.ObjSocket:
		out.What = "connection"
		out.Addr = f.Remote
		if out.Addr != "" {
			out.What = "connection to"
		}
		if f.Type == sockDgram && f.Other == nil {
			return datagrams(out, state, f)
		}
		if f.Listening {
			out.What, out.Addr, out.Accepted = "listening socket", f.Local, f.Accepted
		}
	case linux.ObjFile:
		out.Addr = f.Path
		if f.Path == "/dev/tty" || f.Path == "/dev/ptmx" || strings.HasPrefix(f.Path, "/dev/pts/") {
			out.What = "terminal"
			if f.Other != nil || f.Path == "/dev/ptmx" {
				out.Addr = ""
			}
		}
	case linux.ObjUnknown:
		out.What = "descriptor"
	}
	if f.Other == nil {
		for _, l := range state.Files {
			if l.Listening && slices.Contains(l.Backlog, f) {
				out.Backlog = true
				for _, h := range l.Holders {
					if h.Proc != nil {
						out.Listeners = append(out.Listeners, hang.End{Proc: h.Proc.ID, FD: h.FD})
					}
				}
				out.Watched = watchers(state, l)
				return out
			}
		}
		out.Outside = f.Kind == linux.ObjSocket || f.Inherited
		return out
	}
	for _, h := range f.Other.Holders {
		switch {
		case h.Proc != nil:
			out.Ends = append(out.Ends, hang.End{Proc: h.Proc.ID, FD: h.FD})
		case h.Of != nil && h.Of.Reaped == nil:
			out.Unrecorded, out.Program = fmt.Sprintf("pid %d", h.Of.PID), h.Of.PID
			if h.Of.Exe != "" {
				out.Unrecorded += " " + filepath.Base(h.Of.Exe)
			}
		}
	}
	out.Coming = f.Other.Out.Bytes > f.In.Bytes && !f.Inherited
	last := f.Other.In
	if out := f.Other.Out; last.Calls == 0 || out.Calls > 0 && out.Last.Time > last.Last.Time {
		last = out
	}
	if last.Calls > 0 {
		out.Used = hang.User{Proc: last.Last.Proc, TID: last.Last.TID}
	}
	out.Closed = f.Other.Closed()
	out.Watched = watchers(state, f.Other)
	return out
}

// watchers are the processes that watch a file by epoll.
func watchers(state *logview.State, f *logview.File) []int {
	var out []int
	for _, l := range state.Files {
		for _, w := range l.Watched {
			if w.File != f {
				continue
			}
			for _, h := range l.Holders {
				if h.Proc != nil && !slices.Contains(out, h.Proc.ID) {
					out = append(out, h.Proc.ID)
				}
			}
		}
	}
	return out
}

// baseName is filepath.Base, but "" for no path.
func baseName(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}
