package facts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pyrr/assert"
	"pyrr/internal/hang"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/reason"
	"pyrr/internal/stack"
	"pyrr/internal/stackwalk"
)

// State implements assert.Source: what threads, tasks and locks were when the
// recording ended, as pyrr explain has it.
func (s *Source) State() (*assert.State, error) {
	r, err := reason.Of(s.rec, true)
	if err != nil {
		return nil, sourceError(err)
	}
	out := &assert.State{Fingerprint: r.Why.Fingerprint()}
	for i := range r.Ends {
		e := &r.Ends[i]
		if out.Unknown == "" && e.Stopped() {
			out.Unknown = unread(e)
		}
		if e.Facts == nil {
			continue
		}
		x := stateReader{out: out, end: e}
		x.units()
		x.locks()
	}
	addDeadlocks(out, r)
	return out, nil
}

// unread says why it is not known what the objects of a stopped process were, "" for one
// that is no Python, and so has none.
func unread(e *reason.Ending) string {
	switch p := &e.Proc; {
	case p.Python != "" && e.Facts == nil:
		return fmt.Sprintf("what the objects of process %d were at the end is not in the recording; pyrr record keeps it for those that did not end by themselves", p.ID)
	case namedPython(p.Exe) && (e.Facts == nil || e.Facts.Python == ""):
		return fmt.Sprintf("the objects of process %d can't be read: its interpreter is none that pyrr knows (pyrr doctor says why)", p.ID)
	}
	return ""
}

// stateReader turns what is known of a process at its end into what specs see.
type stateReader struct {
	out *assert.State
	end *reason.Ending
}

// event begins an event at the end of the process.
func (x *stateReader) event(kind string, tid int32) assert.Event {
	e := assert.Event{Kind: kind, Proc: x.end.Proc.ID, PID: x.end.Proc.PID, TID: int(tid), Pos: x.end.At, Call: assert.Call{FD: -1},
		Start: since(x.end.Time), End: since(x.end.Time)}
	for i := range x.end.Threads {
		if w := &x.end.Threads[i]; w.TID == tid {
			e.Thread, e.ThreadName = w.Num, w.Name
		}
	}
	return e
}

func (x *stateReader) add(e assert.Event, frames []stack.Frame) {
	x.out.Events = append(x.out.Events, e)
	x.out.Stacks = append(x.out.Stacks, assert.Stacks{Proc: e.Proc, Python: stack.Stack{Thread: e.TID, Name: e.Name, Frames: frames}, NoPython: len(frames) == 0})
}

func (x *stateReader) units() {
	for n := range x.end.Facts.Units {
		u := &x.end.Facts.Units[n]
		frames := framesOfUnit(u)
		if u.Kind == hang.Task {
			x.out.Tasks = append(x.out.Tasks, assert.Stacks{Proc: x.end.Proc.ID, Python: stack.Stack{Name: u.Name, Frames: frames}})
		}
		e := x.event(u.Kind+" waits", u.TID)
		e.Name = unitName(u)
		call := time.Duration(-1)
		for i := range x.end.Threads {
			if w := &x.end.Threads[i]; u.Kind == hang.Thread && w.TID == u.TID && w.Call != "" {
				call, e.Pos.Event, e.Pos.Instr, e.Start = w.For, w.Event, w.Instr, since(w.Since)
			}
		}
		waits := u.Wait != nil || u.Kind == hang.Task && !u.Running || u.Kind == hang.Greenlet || call >= 0
		if !waits {
			continue
		}
		e.Waits = waitsIn(x.end.Facts, u)
		x.add(e, frames)
	}
}

// waitsIn is what a unit waits in, as sentences have it: Queue.join.
func waitsIn(facts *hang.Facts, u *hang.Unit) string {
	if u.Wait == nil {
		return ""
	}
	class := ""
	if len(u.Wait.On) > 0 {
		class = facts.Things[u.Wait.On[0]].Class
	}
	switch {
	case u.Wait.How == "join" && class == "":
		class = "Thread"
	case class == "" && u.Wait.PID > 0:
		class = "Process"
	}
	how := u.Wait.How
	if class == "" || how == "" || strings.Contains(how, " ") {
		return ""
	}
	return class + "." + how
}

func (x *stateReader) locks() {
	facts := x.end.Facts
	for n := range facts.Things {
		t := &facts.Things[n]
		switch t.Kind {
		case hang.Lock, hang.RLock, hang.Semaphore, hang.Import:
		default:
			continue
		}
		var names []string
		if t.Name != "" {
			names = append(names, t.Name)
		}
		for _, h := range t.Holders {
			u := &facts.Units[h.Unit]
			e := x.event(assert.KindLock, u.TID)
			e.Locks, e.Holder = names, unitName(u)
			frames := framesOfUnit(u)
			if h.Frame >= 0 && h.Frame < len(frames) && h.Line > 0 {
				frames = slices.Clone(frames[h.Frame:])
				frames[0].Line = h.Line // where it was taken, not where its holder is
			}
			if h.Took != nil {
				frames = tookAt(h.Took)
			}
			x.add(e, frames)
		}
		if len(t.Holders) == 0 && t.Locked {
			e := x.event(assert.KindLock, 0)
			e.Locks = names
			x.add(e, nil)
		}
	}
}

// tookAt is the stack at which a thread took a thing, as far as it is known.
func tookAt(t *hang.Taken) []stack.Frame {
	out := []stack.Frame{{Kind: stack.Python, Func: t.Where.Func, File: t.Where.File, Line: t.Where.Line}}
	if t.From != nil {
		out = append(out, stack.Frame{Kind: stack.Python, Func: t.From.Func, File: t.From.File, Line: t.From.Line})
	}
	return out
}

// addDeadlocks adds the circles of those who wait for each other: that of the
// verdict, and others that the main thread does not wait for.
func addDeadlocks(out *assert.State, r *reason.Reason) {
	ends := map[int]*reason.Ending{}
	for i := range r.Ends {
		ends[r.Ends[i].Proc.ID] = &r.Ends[i]
	}
	seen := map[hang.Ref]bool{}
	add := func(circle []hang.Ref) {
		if len(circle) == 0 || ends[circle[0].Proc] == nil {
			return
		}
		x := stateReader{out: out, end: ends[circle[0].Proc]}
		e := x.event(assert.KindDeadlock, circle[0].TID)
		var frames []stack.Frame
		for k, ref := range circle {
			seen[ref] = true
			name, locks, at := member(ends[ref.Proc], ref)
			e.Members = append(e.Members, name)
			for _, l := range locks {
				if !slices.Contains(e.Locks, l) {
					e.Locks = append(e.Locks, l)
				}
			}
			if k == 0 {
				frames = at
			}
		}
		x.add(e, frames)
	}
	if r.Why.Degree == hang.Proven && (strings.HasSuffix(r.Why.Kind, "deadlock") || r.Why.Kind == "starved pool") {
		add(r.Why.Units)
	}
	for _, c := range circles(r.Why.Edges) {
		if !slices.ContainsFunc(c, func(ref hang.Ref) bool { return seen[ref] }) {
			add(c)
		}
	}
}

// member returns the name of one of a deadlock, the names of what it waits for,
// and its stack.
func member(e *reason.Ending, ref hang.Ref) (name string, locks []string, frames []stack.Frame) {
	name = strings.TrimPrefix(ref.Name, ref.Kind+" ")
	if e == nil || e.Facts == nil {
		return name, nil, nil
	}
	for n := range e.Facts.Units {
		u := &e.Facts.Units[n]
		if u.Kind != ref.Kind || u.Kind == hang.Thread && u.TID != ref.TID || u.Kind != hang.Thread && u.Name != name {
			continue
		}
		if u.Wait != nil {
			for _, on := range u.Wait.On {
				if t := &e.Facts.Things[on]; t.Name != "" {
					locks = append(locks, t.Name)
				}
			}
		}
		name = unitName(u)
		if m := childName().FindStringSubmatch(ref.Name); m != nil && u.Main {
			name = m[1] + m[2] // each process has a MainThread
		}
		return name, locks, framesOfUnit(u)
	}
	return name, nil, nil
}

// childName matches what the main thread of a child process is called: by the name that
// multiprocessing gives it, else by its number.
var childName = lazyregexp.New(`^(?:child "([^"]+)"|(child \d+))`)

// circles finds those who wait for each other by edges that are sure, each once.
func circles(edges []hang.Edge) [][]hang.Ref {
	next := map[hang.Ref][]hang.Ref{}
	var order []hang.Ref
	for _, e := range edges {
		if e.Sure {
			if next[e.From] == nil {
				order = append(order, e.From)
			}
			next[e.From] = append(next[e.From], e.To)
		}
	}
	var out [][]hang.Ref
	state := map[hang.Ref]int{}
	var path []hang.Ref
	var visit func(r hang.Ref)
	visit = func(r hang.Ref) {
		state[r] = 1
		path = append(path, r)
		for _, to := range next[r] {
			switch at := slices.Index(path, to); {
			case state[to] == 1 && at >= 0:
				out = append(out, slices.Clone(path[at:]))
			case state[to] == 0 && len(path) < 500:
				visit(to)
			}
		}
		path = path[:len(path)-1]
		state[r] = 2
	}
	for _, r := range order {
		if state[r] == 0 {
			visit(r)
		}
	}
	return out
}

func unitName(u *hang.Unit) string {
	if u.Name == "" && u.Kind == hang.Thread && u.Main {
		return stackwalk.MainThread
	}
	return u.Name
}

func framesOfUnit(u *hang.Unit) []stack.Frame {
	var out []stack.Frame
	for _, f := range u.Frames {
		out = append(out, stack.Frame{Kind: stack.Python, Func: f.Func, File: f.File, Line: f.Line})
	}
	return out
}
