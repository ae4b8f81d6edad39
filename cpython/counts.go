package cpython

import (
	"pyrr/internal/mem"
)

// Edge says how often the instruction at the byte offset To was executed right after
// the one at From by its thread; From is -1 where that was of other code.
type Edge struct {
	From, To int
	N        uint64
}

// Counts are what edges tell of a code object.
type Counts struct {
	// Instrs is how many instructions were executed, Calls how often the
	// function began to run.
	Instrs, Calls uint64
	// Lines has the lines that ran.
	Lines map[int]LineCounts
}

// LineCounts are those of a line: how often it began, as sys.monitoring tells of it,
// and how many of its instructions were executed.
type LineCounts struct{ Begun, Instrs uint64 }

// CodeBefore finds the code object whose instructions begin at most so many before an
// address, by the class that it has; from 3.11 on, where they lie in it.
func (r *Runtime) CodeBefore(m mem.Reader, e *Entry, at uint64, steps int) (uint64, bool) {
	v := newView(m)
	defer v.release()
	for n := range steps {
		addr := at - uint64(e.Bytecode) - 2*uint64(n)
		if t, err := v.u64(addr + uint64(e.Type)); err == nil && t == e.CodeType {
			return addr, true
		}
	}
	return 0, false
}

// Count makes counts of edges. A line begins where the instruction before, in the
// same frame, was of another line (PEP 669): a loop on one line begins once.
func (c *Code) Count(edges []Edge) Counts {
	out := Counts{Lines: map[int]LineCounts{}}
	ins := map[int]instruction{}
	before := map[int]instruction{} // in the order of the code
	prev := instruction{off: -1, at: -1}
	c.each(func(in instruction) {
		ins[in.at], ins[in.off] = in, in
		before[in.at], before[in.off] = prev, prev
		prev = in
	})
	entry := c.Entry()
	for _, e := range edges {
		in, ok := ins[e.To]
		if !ok {
			out.Instrs += e.N
			continue
		}
		line := c.Line(e.To)
		row := out.Lines[line]
		row.Instrs += e.N
		out.Instrs += e.N
		from, known := ins[e.From]
		again := e.From == e.To && !c.JumpsBack(e.To) // a specialisation that failed
		if e.To == entry && !again && (c.rules.Qualified || !known || !c.JumpsBack(e.From)) {
			out.Calls += e.N
		}
		if !again && c.begins(in, from, before[e.To], known, line) {
			row.Begun += e.N
		}
		out.Lines[line] = row
		if mid, fused := c.fusedLine(from, in, known); fused {
			r := out.Lines[mid]
			r.Begun += e.N
			out.Lines[mid] = r
		}
	}
	delete(out.Lines, 0)
	return out
}

// begins says whether a line begins with an instruction that was executed after
// from, or after other code.
func (c *Code) begins(in, from, prev instruction, known bool, line int) bool {
	if line == 0 || c.rules.Qualified && (has(c.rules.resume, in.op) || in.at < c.Entry()) {
		return false
	}
	if !known || has(c.rules.returns, from.op) {
		// A call has come back, in the order of the code.
		if prev.off < 0 {
			return true
		}
		from = prev
	}
	if has(c.rules.resume, from.op) && c.rules.enters(from.arg) && from.at == c.Entry() {
		return true // 3.15's generator expressions have one more, behind RETURN_GENERATOR
	}
	last := c.Line(from.at)
	if n := from.end; from.end < in.at && has(c.rules.fusable, from.op) && has(c.rules.fusable, prev.op) && prev.at == n {
		last = c.Line(n) // it was executed as one with the next
	}
	return last != line
}

// fusedLine returns the line of an instruction that was executed as one with the
// instruction before it, where it begins there.
func (c *Code) fusedLine(from, in instruction, known bool) (int, bool) {
	if !known || in.at <= from.end || !has(c.rules.fusable, from.op) {
		return 0, false
	}
	line := c.Line(from.end)
	return line, line != 0 && line != c.Line(from.at)
}
