// Package backtrace reads the stacks of stopped threads with all that is known
// of each frame, C's and Python's merged, and prints them as gdb does and as
// OpenResty's python_bt does.
//
// It knows no commands and no flags. Begin with Walk.Frames.
package backtrace

import (
	"pyrr/cpython"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/internal/stackwalk"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// Frame is a frame with all that is known of it.
type Frame struct {
	stack.Frame
	PC            uint64
	Debug         bool // DWARF describes it, and Args are its arguments
	Args          []unwind.Arg
	Inlined, Tail bool
	Signal        bool
	Locals        []cpython.Variable
	LocalsErr     string
	Python        *cpython.Frame // where it is Python's
	// Index and Level name a frame of C for ScopeOf: its number in the walk, and how
	// many functions are inlined deeper in it.
	Index, Level   int
	SharesPhysical bool // with the frame before it, which is inlined into it
}

// Want says what of frames costs more than their names.
type Want struct {
	// Args are the arguments of C functions, and their source lines.
	Args bool
	// Locals are the variables of Python frames.
	Locals bool
}

// Walk reads stacks of a recording that is replayed.
type Walk struct{ *stackwalk.Walk }

// At makes the walk know a process that it has not followed.
func (w Walk) At(p *replay.Process) {
	code := stackwalk.NewCodeMap()
	for _, m := range p.Modules() {
		code.Follow(w.Rec, w.Files, p.Mem(), &recording.Event{Memory: recording.Memory{Maps: []recording.Mapping{{Start: m.Start, End: m.Start + 1, File: m.File, Name: m.Name}}}})
	}
	code.Follow(w.Rec, w.Files, p.Mem(), &recording.Event{Memory: recording.Memory{Maps: p.Engine()}})
	w.Procs[p.Info.ID] = &stackwalk.Process{Code: code, Numbers: map[int32]int{}, Tries: map[int32]uint64{}}
}

// Frames reads the merged stack of a thread.
func (w Walk) Frames(p *replay.Process, t *replay.Thread, rt *cpython.Runtime, all []cpython.Thread, want Want) []Frame {
	m := p.Mem()
	code := w.Procs[p.Info.ID].Code
	raw := code.Walk(p, t)
	var described []unwind.Described
	if want.Args {
		described = code.Modules.Explain(m, raw)
	} else {
		for i := range raw {
			described = append(described, unwind.Described{Frame: raw[i].Describe(), Index: i, PC: raw[i].PC, Signal: raw[i].Signal})
		}
	}
	byIndex := map[int][]unwind.Described{}
	for _, d := range described {
		byIndex[d.Index] = append(byIndex[d.Index], d)
	}
	merged := stackwalk.MergedFrames(rt, all, p, t, raw)
	numbers := map[*unwind.Frame]int{}
	for i := range raw {
		numbers[&raw[i]] = i
	}
	var out []Frame
	levels := map[int]int{}
	for i := range merged {
		mf := &merged[i]
		if mf.Python != nil {
			b := Frame{Frame: mf.Python.Frame, Python: mf.Python}
			if want.Locals {
				var err error
				if b.Locals, err = rt.Locals(m, *mf.Python); err != nil {
					b.LocalsErr = err.Error()
				}
			}
			out = append(out, b)
			continue
		}
		for j, d := range byIndex[numbers[mf.C]] {
			b := Frame{Frame: d.Frame, PC: d.PC, Debug: d.Debug, Args: d.Args, Inlined: d.Inlined, Tail: d.Tail, Signal: d.Signal}
			b.Eval = mf.Eval
			b.Index, b.Level = d.Index, levels[d.Index]
			if !d.Tail {
				levels[d.Index]++
			}
			b.SharesPhysical = j > 0 && !d.Tail
			out = append(out, b)
		}
	}
	return out
}

// Scope returns what names of C mean in a frame of C, or in the innermost frame of a
// thread where f is nil.
func (w Walk) Scope(p *replay.Process, t *replay.Thread, f *Frame) *unwind.Scope {
	code := w.Procs[p.Info.ID].Code
	raw := code.Walk(p, t)
	if f == nil || f.Index >= len(raw) {
		return code.Modules.ScopeOf(p.Mem(), raw, 0, 0)
	}
	return code.Modules.ScopeOf(p.Mem(), raw, f.Index, f.Level)
}

// Scopes returns what names of C mean in the frames of a thread, from the innermost
// outward, inlined functions first, of so many frames at most.
func (w Walk) Scopes(p *replay.Process, t *replay.Thread, most int) []*unwind.Scope {
	code := w.Procs[p.Info.ID].Code
	raw := code.Walk(p, t)
	var out []*unwind.Scope
	for i := range raw[:min(len(raw), most)] {
		for level := 0; level < most; level++ {
			sc := code.Modules.ScopeOf(p.Mem(), raw, i, level)
			if level > 0 && !sc.Known() {
				break
			}
			if out = append(out, sc); !sc.Known() {
				break
			}
		}
	}
	return out
}

// Args returns the arguments of the C function that a thread is in, none where no debug
// information describes it.
func (w Walk) Args(p *replay.Process, t *replay.Thread) []unwind.Arg {
	code := w.Procs[p.Info.ID].Code
	described := code.Modules.Explain(p.Mem(), code.Walk(p, t))
	if len(described) == 0 {
		return nil
	}
	return described[0].Args
}
