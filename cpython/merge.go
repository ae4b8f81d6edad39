package cpython

import (
	"encoding/binary"
	"slices"
	"sort"
	"strings"

	"pyrr/internal/mem"
	"pyrr/internal/unwind"
)

// evalLoop is the function that runs Python frames (Python/ceval.c); all
// builds export it.
const evalLoop = "_PyEval_EvalFrameDefault"

// MergedFrame is a C frame or a Python frame of a thread; one of the two is
// set.
type MergedFrame struct {
	C      *unwind.Frame
	Python *Frame
	// Eval marks a C frame of the evaluation loop that runs the Python frames
	// before it: those say all that it does.
	Eval bool
}

// Merge puts a thread's Python frames where the C frames of the evaluation
// loop are that run them, innermost first. A thread that has run several
// interpreters has Python frames of each. Frames that can't be placed stand
// before the next ones outside them.
//
// From 3.11 on a call of the loop runs several Python frames, the outermost of
// which has its Entry inside the call's own stack frame. That needs no symbol,
// and holds where the compiler has split or inlined the loop. Up to 3.10 each
// frame has a call of its own.
func (r *Runtime) Merge(c []unwind.Frame, threads ...[]Frame) []MergedFrame {
	return r.MergeTo(nil, c, threads...)
}

// MergeTo is Merge into the memory of a slice that is no longer needed.
func (r *Runtime) MergeTo(out []MergedFrame, c []unwind.Frame, threads ...[]Frame) []MergedFrame {
	var groups []group
	for _, py := range threads {
		groups = append(groups, r.place(c, py)...)
	}
	if len(threads) > 1 {
		sort.SliceStable(groups, func(i, j int) bool { return groups[i].at < groups[j].at })
	}
	n := len(c)
	for i := range groups {
		n += len(groups[i].frames)
	}
	out = slices.Grow(out[:0], n)
	emit := func(g *group) {
		for i := range g.frames {
			out = append(out, MergedFrame{Python: &g.frames[i]})
		}
	}
	next := 0
	for i := range c {
		f := MergedFrame{C: &c[i]}
		for next < len(groups) && groups[next].at == i {
			if groups[next].placed {
				f.Eval = true
				r.markHandler(out, &c[i])
			}
			emit(&groups[next])
			next++
		}
		out = append(out, f)
	}
	for ; next < len(groups); next++ {
		emit(&groups[next])
	}
	return out
}

// group are the Python frames that one call of the evaluation loop runs.
type group struct {
	frames []Frame
	at     int // index of its C frame; of the one to stand before if not placed
	placed bool
}

func (r *Runtime) place(c []unwind.Frame, py []Frame) []group {
	var groups []group
	if r.l.rules.interpreterFrames {
		for start := 0; start < len(py); {
			end := start
			for end < len(py)-1 && py[end].Entry == 0 {
				end++
			}
			groups = append(groups, group{frames: py[start : end+1], at: -1})
			start = end + 1
		}
		from := 0
		for i := range groups {
			g := &groups[i]
			entry := g.frames[len(g.frames)-1].Entry
			for j := from; entry != 0 && j < len(c); j++ {
				if sp := c[j].SP(); entry >= sp && entry < c[j].CFA {
					g.at, g.placed, from = j, true, j
					break
				}
			}
		}
	} else {
		// Both stacks end where the thread began, but a call that has just
		// been made has not made its frame known yet.
		for i := range py {
			groups = append(groups, group{frames: py[i : i+1], at: -1})
		}
		g := len(groups) - 1
		for j := len(c) - 1; j >= 0 && g >= 0; j-- {
			if isEvalLoop(&c[j]) {
				groups[g].at, groups[g].placed = j, true
				g--
			}
		}
	}
	at := len(c)
	for i := len(groups) - 1; i >= 0; i-- {
		if groups[i].placed {
			at = groups[i].at
		} else {
			groups[i].at = at
		}
	}
	return groups
}

// isEvalLoop tells a frame of the evaluation loop by its symbol.
func isEvalLoop(f *unwind.Frame) bool {
	if f.Module == nil || f.Function == 0 {
		return false
	}
	// Parts that the compiler has split off have a table entry of their own.
	name, _, ok := f.Module.Symbol(f.Function)
	if !ok {
		return false
	}
	base, _, _ := strings.Cut(name, ".")
	return base == evalLoop
}

// markHandler marks the last C frame of out, which the frame eval called, as a
// part of the loop: in the tail-calling interpreters each opcode is a function
// (Python/ceval.c, _TAIL_CALL_…, without a name where the build is stripped).
func (r *Runtime) markHandler(out []MergedFrame, eval *unwind.Frame) {
	n := len(out) - 1
	if !r.l.rules.tailCalls || n < 0 || out[n].C == nil || out[n].C.Module != eval.Module || out[n].C.Module == nil {
		return
	}
	f := out[n].C
	name, _, ok := f.Module.Symbol(f.Function)
	if !ok || strings.HasPrefix(name, "_TAIL_CALL_") {
		out[n].Eval = true
	}
}

// StubTarget returns where a thread goes on that stands in the stubs at area:
// what the dispatch table had before. Unwinding starts there, since the stubs
// have no stack frame.
func StubTarget(m mem.Reader, area, pc uint64) (uint64, bool) {
	if pc-area >= AreaCodeSize {
		return 0, false
	}
	// Behind the int3 of the last stub the program counter is the next one's.
	slot := (pc - area) / stubSize * stubSize
	jump := area + slot + stubJump
	var code [6]byte
	if m.ReadAt(code[:], jump) != nil {
		return 0, false
	}
	switch {
	case code[0] == 0xe9: // jmp rel32
		return jump + 5 + uint64(int64(int32(binary.LittleEndian.Uint32(code[1:])))), true
	case code[0] == 0xff && code[1] == 0x25: // jmp [rip+rel32]
		to, err := mem.U64(m, jump+6+uint64(int64(int32(binary.LittleEndian.Uint32(code[2:])))))
		return to, err == nil && to != 0
	}
	return 0, false
}
