// Package moments reads what a page shows and a recording does not have written
// down: the variables of the user's frames at chosen events, and the whole of
// what was printed. One replay gives both.
//
// It chooses nothing and prints nothing. Begin with Read.
package moments

import (
	"errors"
	"strings"
	"time"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// Place is an event of a process.
type Place struct {
	Proc  int
	Event uint64
}

// Moment is what the frames of a thread held at an event, innermost first: those of
// the user's code.
type Moment struct {
	Place
	Frames []Frame
}

// Frame is a frame and its variables.
type Frame struct {
	hang.Frame
	Vars []hang.Var
}

// Task is what the frames of a task held at the end of its process.
type Task struct {
	Proc   int
	Name   string
	Frames []Frame
}

// Bounds of what is read of one moment, and of a value, in bytes.
const (
	maxFrames = 6
	maxVars   = 30
	maxValue  = 400
	maxTasks  = 200 // of a process
)

// Options say how much is read.
type Options struct {
	// Bytes bounds the names and values of all moments together, Output that of
	// what was printed.
	Bytes, Output int
	// Until is when reading ends, zero for never: what was read by then stays.
	Until time.Time
}

// Result is what a replay gave.
type Result struct {
	Moments []Moment
	// Tasks are asyncio's tasks that were not done when processes were stopped.
	Tasks []Task
	// Output is what the calls at those places printed.
	Output map[Place][]byte
	// Raises are exceptions that were raised in the user's code, or in what it called,
	// caught ones too: the last so many.
	Raises []Raise
}

// Raise is an exception as it is raised, between two events: the stack, innermost frame
// first, and the variables of the user's frames.
type Raise struct {
	Place // the event that the thread is on its way to
	TID   int32
	Instr uint64
	Text  string // much like its repr
	Stack []hang.Frame
	Vars  []Frame
}

var errEnough = errors.New("enough was read")

// Parts of Options.Bytes: what places that matter less leave to exceptions and to the
// places that matter most, and what exceptions leave to those.
const (
	toRaises = 2 // a half
	toFirst  = 4 // a quarter
)

// Read replays a recording and reads the variables at the places that are wanted: first
// of all at those that are true, at others as long as there is room. And what calls
// printed at those of output. What was read before an error is
// returned with it.
func Read(rec *recording.Recording, wanted, output map[Place]bool, o Options) (*Result, error) {
	r := &reader{wanted: wanted, o: o, out: &Result{Output: map[Place][]byte{}}, left: o.Bytes, room: o.Output, ended: map[int]bool{}}
	_, err := replay.Batch(rec, replay.Options{
		Breaks:  []*replay.Break{{Kind: replay.BreakRaise}},
		OnHit:   r.raise,
		OnEvent: r.event,
		Pass: func(proc int, number uint64, _ *recording.Event) bool {
			_, ok := wanted[Place{proc, number}]
			return !ok
		},
		OnOutput: func(p *replay.Process, _ bool, text []byte) {
			at := Place{p.Info.ID, p.Number}
			if len(text) <= r.room && output[at] {
				r.room -= len(text)
				r.out.Output[at] = append(r.out.Output[at], text...)
			}
		},
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return r.out, err
}

type reader struct {
	wanted     map[Place]bool
	o          Options
	out        *Result
	left, room int
	ended      map[int]bool // processes whose tasks were read
	looks      int          // exceptions whose stacks were looked at
}

func (r *reader) event(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
	if !r.o.Until.IsZero() && time.Now().After(r.o.Until) {
		return errEnough
	}
	at := Place{p.Info.ID, p.Number}
	first, ok := r.wanted[at]
	if t == nil || !ok || r.left <= 0 || !first && r.left <= r.o.Bytes/toRaises {
		return nil
	}
	rt, err := p.Runtime()
	if err != nil {
		return nil // there is no interpreter yet
	}
	m := p.Mem()
	if (ev.Kind == recording.KindEnd || ev.Kind == recording.KindTimeout) && !r.ended[p.Info.ID] {
		r.ended[p.Info.ID] = true
		tasks, _ := rt.Tasks(m) // those that could be read
		for i := range tasks[:min(len(tasks), maxTasks)] {
			if frames := r.frames(rt, m, tasks[i].Frames); len(frames) > 0 {
				r.out.Tasks = append(r.out.Tasks, Task{p.Info.ID, tasks[i].Name, frames})
			}
		}
	}
	all, _ := rt.Threads(m)
	regs := t.Regs()
	pt, ok := rt.Of(m, all, int(t.TID), regs.TLS())
	if !ok {
		return nil
	}
	frames, err := rt.Frames(m, pt, cpython.Options{NextInstr: p.NextInstr(t), Limit: 200})
	if err != nil && len(frames) == 0 {
		return nil
	}
	if own := r.frames(rt, m, frames); len(own) > 0 {
		r.out.Moments = append(r.out.Moments, Moment{at, own})
	}
	return nil
}

// frames takes those of the user's code.
func (r *reader) frames(rt *cpython.Runtime, m mem.Reader, all []cpython.Frame) []Frame {
	var out []Frame
	for i := range all {
		f := &all[i]
		if hang.Library(f.File) || len(out) == maxFrames {
			continue
		}
		if vars, err := rt.Locals(m, *f); err == nil {
			out = append(out, r.frame(f, vars))
		}
	}
	return out
}

// frame takes the variables that tell something.
func (r *reader) frame(f *cpython.Frame, vars []cpython.Variable) Frame {
	out := Frame{Frame: hang.Frame{Func: f.Func, File: f.File, Line: f.Line}}
	for _, v := range vars {
		if len(out.Vars) == maxVars || r.left <= 0 {
			break
		}
		if strings.HasPrefix(v.Name, "__") || strings.HasPrefix(v.Name, "@py_") || strings.HasPrefix(v.Value, "<function ") ||
			strings.HasPrefix(v.Value, "<module ") || strings.HasPrefix(v.Value, "<class ") {
			continue // what a module is made of
		}
		value := v.Value
		if len(value) > maxValue {
			value = strings.ToValidUTF8(value[:maxValue], "") + "…"
		}
		r.left -= len(v.Name) + len(value)
		out.Vars = append(out.Vars, hang.Var{Name: v.Name, Value: value})
	}
	return out
}
