package cpython

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"pyrr/internal/mem"
)

// coCode310 is the offset of PyCodeObject.co_code up to 3.10 (cpython/code.h),
// a bytes object.
const coCode310 = 48

// maxBytecode bounds the instructions of one code object.
const maxBytecode = 16 << 20

// Code is a code object as breakpoints see it: where its instructions lie and
// which source lines they belong to.
type Code struct {
	// Addr is the code object, Base its first instruction, and Size the bytes
	// of its instructions, inline caches included.
	Addr, Base uint64
	Size       int
	// File is co_filename, Func co_qualname, or co_name before 3.11.
	File, Func string
	FirstLine  int

	rules     *Rules
	key       codeKey
	instrs    []byte
	positions []position
	entry     int
}

// Code reads the code object at addr.
func (r *Runtime) Code(m mem.Reader, addr uint64) (*Code, error) {
	v := newView(m)
	defer v.release()
	co, s, err := r.code(v, addr)
	if err != nil {
		return nil, err
	}
	c := &Code{Addr: addr, File: co.fileText, Func: co.nameText, FirstLine: co.key.firstLine,
		rules: r.l.rules, key: co.key, positions: co.positions}
	if c.rules.Qualified {
		c.Base, c.Size = addr+uint64(r.l.code.bytecode), co.key.units*2
		if c.Size < 0 || c.Size > maxBytecode {
			return nil, fmt.Errorf("code object at %#x has %d bytes of instructions", addr, c.Size)
		}
		b, err := v.bytes(c.Base, c.Size)
		if err != nil {
			return nil, fmt.Errorf("instructions of the code object at %#x: %w", addr, err)
		}
		c.instrs = bytes.Clone(b)
		c.entry = c.findEntry()
		return c, nil
	}
	code := s.u64(coCode310)
	b, err := r.rawBytes(v, code, maxBytecode)
	if err != nil {
		return nil, fmt.Errorf("instructions of the code object at %#x: %w", addr, err)
	}
	c.Base, c.Size, c.instrs = code+uint64(r.l.bytes.value), len(b), bytes.Clone(b)
	return c, nil
}

// Holds says whether the code object is still the one that was read: a
// program may free it, and make another in its place.
func (r *Runtime) Holds(m mem.Reader, c *Code) bool {
	v := newView(m)
	defer v.release()
	co, s, err := r.code(v, c.Addr)
	if err != nil || co.key != c.key || co.fileText != c.File || co.nameText != c.Func {
		return false
	}
	return c.rules.Qualified || s.u64(coCode310)+uint64(r.l.bytes.value) == c.Base
}

// Seen is Holds by what memory had when the code object was last read, as
// Frames does for those on a stack.
func (r *Runtime) Seen(c *Code) bool {
	r.mu.Lock()
	co := r.codes.m[c.Addr]
	r.mu.Unlock()
	return c.rules.Qualified && co != nil && co.key == c.key && co.fileText == c.File && co.nameText == c.Func
}

// Identity returns places in the code object and in the name of its file, and
// the values there, that tell it from another made at the same address, cheaply.
func (r *Runtime) Identity(m mem.Reader, c *Code) (addrs, values [3]uint64, err error) {
	v := newView(m)
	defer v.release()
	file, err := r.rawString(v, c.key.filename, maxString)
	if err != nil {
		return addrs, values, fmt.Errorf("file name: %w", err)
	}
	end := file.at + uint64(max(len(file.data)-8, 0)) // of a short one the beginning
	addrs = [3]uint64{c.Addr + uint64(r.l.code.firstLine), c.Addr + uint64(r.l.code.filename), end}
	for i, a := range addrs {
		b, err := v.bytes(a, 8)
		if err != nil {
			return addrs, values, err
		}
		values[i] = binary.LittleEndian.Uint64(b)
	}
	return addrs, values, nil
}

// Line returns the line of the instruction at a byte offset, 0 for none.
func (c *Code) Line(off int) int { return int(lookup(c.positions, off, c.FirstLine).line) }

// base returns the opcode that one in memory stands for.
func (c *Code) base(op byte) byte { return c.rules.baseOf(op) }

// An instruction of the bytecode.
type instruction struct {
	off int  // of its opcode; of its EXTENDED_ARG prefixes where it has some: at
	at  int  // where it begins
	op  byte // base opcode
	arg int
	end int // behind its inline caches
}

// each walks the instructions.
func (c *Code) each(f func(in instruction)) {
	caches := &c.rules.caches
	arg, at := 0, -1
	for off := 0; off+1 < len(c.instrs); {
		if at < 0 {
			at = off
		}
		op := c.base(c.instrs[off])
		arg = arg<<8 | int(c.instrs[off+1])
		end := off + 2 + 2*int(caches[c.instrs[off]])
		if op != c.rules.extendedArg {
			f(instruction{off: off, at: at, op: op, arg: arg, end: end})
			arg, at = 0, -1
		}
		off = end
	}
}

func has(list []byte, op byte) bool { return bytes.IndexByte(list, op) >= 0 }

// Entry returns the offset of the instruction with which a call of the
// function begins to run its body: RESUME from 3.11 on, else the first.
func (c *Code) Entry() int { return c.entry }

func (c *Code) findEntry() int {
	if c.rules.InSwitch() {
		return 0
	}
	entry := -1
	c.each(func(in instruction) {
		if entry < 0 && has(c.rules.resume, in.op) && c.rules.enters(in.arg) {
			entry = in.at
		}
	})
	return max(entry, 0)
}

// Returns lists the offsets of the instructions that leave the function with
// a value.
func (c *Code) Returns() []int {
	var list []int
	c.each(func(in instruction) {
		if has(c.rules.returns, in.op) {
			list = append(list, in.at)
		}
	})
	return list
}

// LineStart is an instruction with which a source line begins.
type LineStart struct {
	Offset, Line int
	// Loop says that the line goes on here from the instruction before as
	// well, and begins again only where a jump comes back.
	Loop bool
	// Fused, when not 0, is the offset of the instruction behind, where the
	// line shows when this instruction was fused with Prev, the one before.
	Fused, Prev int
}

// LineStarts lists where lines begin, by offset, as sys.settrace would tell
// of them.
func (c *Code) LineStarts() []LineStart {
	var list []LineStart
	loops := map[int]bool{}
	prologue := c.rules.Qualified
	c.each(func(in instruction) {
		if !has(c.rules.back, in.op) {
			return
		}
		to := in.arg * c.rules.jumpUnit
		if c.rules.Qualified {
			to = in.end - 2*in.arg
		}
		if to >= 0 && to <= in.at {
			loops[to] = true
		}
	})
	same := c.reachedFromSame()
	before := -1 // line of the instruction before
	prev := instruction{off: -1, at: -1}
	c.each(func(in instruction) {
		line := c.Line(in.at)
		switch {
		case has(c.rules.resume, in.op) && (prologue || in.at == 0):
			// What makes ready for the call belongs to no line.
			prologue, before = false, -1
			prev = instruction{off: -1, at: -1}
			return
		case prologue || line == 0 || same[in.at]:
		case line != before, loops[in.at]:
			s := LineStart{Offset: in.at, Line: line, Loop: line == before}
			if f := c.rules.fusable; prev.off >= 0 && has(f, in.op) && has(f, prev.op) && in.off == in.at {
				s.Fused, s.Prev = in.end, prev.off
			}
			list = append(list, s)
		}
		before, prev = line, in
	})
	return list
}

// reachedFromSame lists the instructions that only jumps forward on their own
// line lead to: up to 3.10 memory does not tell where a thread came from.
func (c *Code) reachedFromSame() map[int]bool {
	if c.rules.Qualified {
		return nil
	}
	// FOR_ITER, JUMP_FORWARD; SETUP_FINALLY, SETUP_WITH, SETUP_ASYNC_WITH;
	// what never goes on behind: JUMP_FORWARD, JUMP_ABSOLUTE, RETURN_VALUE,
	// RAISE_VARARGS, RERAISE of 3.9 and later.
	relative, handlers, final := []byte{93, 110}, []byte{122, 143, 154}, []byte{110, 113, 83, 130, 48, 119}
	same, other := map[int]bool{}, map[int]bool{}
	last := instruction{op: 9} // NOP
	c.each(func(in instruction) {
		to := -1
		switch {
		case has(relative, in.op) || has(handlers, in.op):
			to = in.end + in.arg*c.rules.jumpUnit
		case has(c.rules.back, in.op) || has(c.rules.ahead, in.op):
			to = in.arg * c.rules.jumpUnit
		}
		if to >= 0 {
			if to > in.at && !has(handlers, in.op) && c.Line(to) == c.Line(in.at) {
				same[to] = true
			} else {
				other[to] = true
			}
		}
		if !has(final, last.op) {
			other[in.at] = true
		}
		last = in
	})
	for at := range other {
		delete(same, at)
	}
	return same
}

// Opcodes lists the opcodes that the instruction at an offset may be
// dispatched as: its own, its specialised forms and the instrumented ones.
func (c *Code) Opcodes(off int) []int {
	if off < 0 || off >= len(c.instrs) {
		return nil
	}
	return c.rules.variants(c.base(c.instrs[off]))
}

// JumpsBack says whether the instruction at an offset may jump backwards.
func (c *Code) JumpsBack(off int) bool {
	return off >= 0 && off < len(c.instrs) && has(c.rules.back, c.base(c.instrs[off]))
}

// After returns the offset behind the instruction at an offset and its inline
// caches.
func (c *Code) After(off int) int {
	end := off + 2
	c.each(func(in instruction) {
		if in.off == off || in.at == off || off > in.off && off < in.end {
			end = in.end
		}
	})
	return end
}

// StartsLine says whether a line begins at an offset.
func (c *Code) StartsLine(off int) bool {
	for _, s := range c.LineStarts() {
		if s.Offset == off {
			return true
		}
	}
	return false
}
