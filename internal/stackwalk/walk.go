package stackwalk

import (
	"slices"

	"pyrr/cpython"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// Walk reads Python stacks during a replay.
type Walk struct {
	Rec   *recording.Recording
	Procs map[int]*Process
	names map[threadKey]string
	Files *unwind.Files
}

// Process is what the walk knows of a process.
type Process struct {
	Code *codeMap

	Numbers map[int32]int // of the threads
	count   int
	Tries   map[int32]uint64 // events of a thread without a name
	dead    int32            // the thread that ended at the last event, 0 for none
}

func New(rec *recording.Recording) *Walk {
	return &Walk{Rec: rec, Procs: map[int]*Process{}, names: map[threadKey]string{}, Files: filesOf()}
}

// Follow keeps track of what an event changes.
func (w *Walk) Follow(p *replay.Process, ev *recording.Event) {
	wp := w.Procs[p.Info.ID]
	if wp == nil {
		wp = &Process{Code: NewCodeMap(), Numbers: map[int32]int{}, Tries: map[int32]uint64{}}
		w.Procs[p.Info.ID] = wp
		if parent := w.Procs[p.Info.Parent]; p.Info.Fork && parent != nil {
			wp.Code = parent.Code.clone()
		}
	}
	wp.Code.Follow(w.Rec, w.Files, p.Mem(), ev)
	if wp.dead != 0 {
		// The id may be used again, by another thread.
		delete(wp.Numbers, wp.dead)
		delete(wp.Tries, wp.dead)
		wp.dead = 0
	}
	if ev.TID != 0 && wp.Numbers[ev.TID] == 0 {
		wp.count++
		wp.Numbers[ev.TID] = wp.count
	}
	if ev.Kind == recording.KindDeath {
		wp.dead = ev.TID
	}
}

// Threads lists the Python threads of a process.
func (w *Walk) Threads(p *replay.Process) (*cpython.Runtime, []cpython.Thread, mem.Reader) {
	rt, err := p.Runtime()
	if err != nil {
		return nil, nil, nil
	}
	m := p.Mem()
	all, err := rt.Threads(m)
	if err != nil && len(all) == 0 {
		return nil, nil, nil
	}
	return rt, all, m
}

// threadOf returns the Python thread that a thread runs.
func threadOf(rt *cpython.Runtime, m mem.Reader, all []cpython.Thread, t *replay.Thread) (cpython.Thread, bool) {
	regs := t.Regs()
	return rt.Of(m, all, int(t.TID), regs.TLS())
}

// Stack returns the Python stack of a thread at the event at hand.
func (w *Walk) Stack(p *replay.Process, t *replay.Thread) (stack.Stack, bool) {
	if t == nil {
		return stack.Stack{}, false
	}
	rt, all, m := w.Threads(p)
	if rt == nil {
		return stack.Stack{}, false
	}
	pt, ok := threadOf(rt, m, all, t)
	if !ok {
		return stack.Stack{}, false
	}
	st, err := rt.Stack(m, pt, cpython.Options{NextInstr: p.NextInstr(t)})
	if err != nil {
		return stack.Stack{}, false
	}
	st.Thread = int(t.TID)
	return st, true
}

// All returns the Python stacks of all threads of a process, in the order in
// which the threads appeared.
func (w *Walk) All(p *replay.Process) []stack.Stack {
	wp := w.Procs[p.Info.ID]
	tids := make([]int32, 0, len(p.Threads()))
	for tid := range p.Threads() {
		tids = append(tids, tid)
	}
	slices.SortFunc(tids, func(a, b int32) int { return wp.Numbers[a] - wp.Numbers[b] })
	var out []stack.Stack
	for _, tid := range tids {
		if st, ok := w.Stack(p, p.Threads()[tid]); ok {
			out = append(out, st)
			if key := (threadKey{p.Info.ID, wp.Numbers[tid]}); w.names[key] == "" {
				w.names[key] = st.Name
			}
		}
	}
	return out
}

// Merged returns the C stack of a thread with its Python frames in it, without
// what the evaluation loop does.
func (w *Walk) Merged(p *replay.Process, t *replay.Thread) (stack.Stack, bool) {
	if w == nil || t == nil || w.Procs[p.Info.ID] == nil {
		return stack.Stack{}, false
	}
	raw := w.Procs[p.Info.ID].Code.Walk(p, t)
	var st stack.Stack
	rt, all, _ := w.Threads(p)
	for _, f := range MergedFrames(rt, all, p, t, raw) {
		switch {
		case f.Python != nil:
			st.Frames = append(st.Frames, f.Python.Frame)
		case !f.Eval:
			st.Frames = append(st.Frames, f.C.Describe())
		}
	}
	return st, len(st.Frames) > 0
}

// MergedFrames puts a thread's Python frames between its C frames.
func MergedFrames(rt *cpython.Runtime, all []cpython.Thread, p *replay.Process, t *replay.Thread, raw []unwind.Frame) []cpython.MergedFrame {
	if rt != nil {
		return rt.Merge(raw, framesOf(rt, p, t, all, raw)...)
	}
	out := make([]cpython.MergedFrame, len(raw))
	for i := range raw {
		out[i].C = &raw[i]
	}
	return out
}

// Name looks up the name of the event's thread, until it has one. A thread
// registers its name soon after its start, so it is asked at its first
// events, at its events 32, 64, 128 and so on, and at its end.
func (w *Walk) Name(p *replay.Process, t *replay.Thread, ev *recording.Event) {
	wp := w.Procs[p.Info.ID]
	key := threadKey{p.Info.ID, wp.Numbers[ev.TID]}
	if t == nil || w.names[key] != "" {
		return
	}
	wp.Tries[ev.TID]++
	if n := wp.Tries[ev.TID]; n > 16 && n&(n-1) != 0 && ev.Kind != recording.KindDeath && ev.Kind != recording.KindEnd {
		return
	}
	rt, all, m := w.Threads(p)
	if rt == nil {
		return
	}
	if pt, ok := threadOf(rt, m, all, t); ok {
		w.names[key] = pt.Name
	}
}

// framesOf returns a thread's Python frames in each interpreter in which it
// has some. A thread state of another interpreter may carry the ident of the
// thread that made it: from 3.11 on its frames say on which C stack they run.
func framesOf(rt *cpython.Runtime, p *replay.Process, t *replay.Thread, all []cpython.Thread, c []unwind.Frame) [][]cpython.Frame {
	regs := t.Regs()
	var lists [][]cpython.Frame
	for _, pt := range all {
		mine := rt.Runs(pt, regs.TLS(), t.TID)
		if !mine && pt.Interp == 0 {
			continue
		}
		var o cpython.Options
		if mine && (pt.HasGIL || rt.FreeThreaded()) {
			o.NextInstr = p.NextInstr(t)
		}
		frames, err := rt.Frames(p.Mem(), pt, o)
		if len(frames) == 0 {
			if mine && err != nil {
				lists = append(lists, []cpython.Frame{{Frame: stack.Frame{Kind: stack.Python, Err: err.Error()}}})
			}
			continue
		}
		if entry := frames[len(frames)-1].Entry; entry != 0 && pt.Interp != 0 && len(c) > 1 {
			mine = entry >= c[0].SP() && entry < c[len(c)-2].CFA
		}
		if mine {
			lists = append(lists, frames)
		}
	}
	return lists
}

// threadKey is a thread of a recording; Thread counts within the process.
type threadKey struct{ proc, thread int }

// Named returns the name of a thread by its number within a process, "" if it has
// none.
func (w *Walk) Named(proc, thread int) string { return w.names[threadKey{proc, thread}] }

// NameOf is named by the thread's id.
func (w *Walk) NameOf(proc int, tid int32) string {
	return w.Named(proc, w.Procs[proc].Numbers[tid])
}
