package stackwalk

import (
	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/pystate"
	"pyrr/replay"
)

// maxLines bounds the lines of a loop that are kept.
const maxLines = 12

// busy watches a thread that computes through its last instructions.
type busy struct {
	tid       int32
	end       uint64
	rt        *cpython.Runtime
	thread    cpython.Thread
	steps     []hang.Frame // the innermost frame before each instruction
	code      []uint64     // and the address of the instruction
	first     []pystate.Values
	collected *hang.Busy
}

// Last takes one of the last instructions of a thread that computes.
func (x *indexer) Last(p *replay.Process, t *replay.Thread, from, at, end uint64) {
	defer func() {
		if recover() != nil {
			delete(x.busy, p.Info.ID)
		}
	}()
	b := x.busy[p.Info.ID]
	if b == nil || b.end != end {
		rt, err := p.Runtime()
		if err != nil {
			return
		}
		pt, err := p.PyThread(t)
		if err != nil {
			return
		}
		b = &busy{tid: t.TID, end: end, rt: rt, thread: pt}
		x.busy[p.Info.ID] = b
	}
	next := p.NextInstr(t)
	frames, err := b.rt.Frames(p.Mem(), b.thread, cpython.Options{Limit: 1, NextInstr: next})
	if err != nil || len(frames) == 0 {
		return
	}
	f := frames[0]
	b.steps = append(b.steps, hang.Frame{Func: f.Func, File: f.File, Line: f.Line})
	b.code = append(b.code, next)
	if b.first == nil {
		b.first = pystate.ReadValues(b.rt, p.Mem(), b.thread, next)
	}
	if at == end {
		b.collected = b.collect(pystate.ReadValues(b.rt, p.Mem(), b.thread, next), end-from)
	}
}

// collect finds the loop that the steps go round in.
func (b *busy) collect(last []pystate.Values, instr uint64) *hang.Busy {
	out := &hang.Busy{TID: b.tid, Instr: instr, Turn: period(b.code)}
	turn := b.steps
	if out.Turn > 0 {
		turn = b.steps[len(b.steps)-out.Turn:]
	}
	in := map[hang.Frame]bool{} // functions, without lines
	for k := range turn {
		f := turn[k]
		if k == 0 || turn[k-1] != f {
			b.count(out, f)
		}
		f.Line = 0
		in[f] = true
	}
	// The loop is in the outermost of the frames that a turn goes through.
	for k := range last {
		f := last[k].Frame
		f.Line = 0
		if !in[f] {
			continue
		}
		out.Func = f
		out.Same, out.Changed = nil, nil
		for _, was := range b.first {
			if was.Addr == last[k].Addr {
				out.Same, out.Changed = pystate.Compare(was, last[k])
			}
		}
	}
	return out
}

func (b *busy) count(out *hang.Busy, f hang.Frame) {
	for k := range out.Lines {
		if out.Lines[k].Frame == f {
			out.Lines[k].Count++
			return
		}
	}
	if len(out.Lines) < maxLines {
		out.Lines = append(out.Lines, hang.BusyLine{Frame: f, Count: 1})
	}
}

// period is after how many instructions the last ones repeat, 0 for never: three
// turns at least must be seen.
func period(code []uint64) int {
	n := len(code)
	for p := 1; p <= n/3; p++ {
		same := true
		for k := n - 1; same && k >= n-2*p; k-- {
			same = code[k] == code[k-p]
		}
		if same {
			return p
		}
	}
	return 0
}
