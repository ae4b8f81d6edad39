package unwind

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-delve/delve/pkg/dwarf/op"

	"pyrr/internal/mem"
)

// Frame is one activation of machine code, before anything is known of the
// function but its address.
type Frame struct {
	// PC is the address of the next instruction.
	PC uint64
	// CFA is the stack pointer before the call that made the frame; 0 when
	// unknown. The frame's own memory is from its stack pointer up to there.
	CFA uint64
	// Regs are the registers as they are in this frame.
	Regs Regs
	// Module is the file that PC lies in, nil for none.
	Module *Module
	// Function is the link address where the unwind table has the function's
	// beginning, 0 for unknown.
	Function uint64
	// Return is set where PC is a return address: the call is before it.
	Return bool
	// Signal marks the frame that the kernel made to run a signal's handler.
	Signal bool
	// Err says why the walk could not go on from this frame.
	Err string
}

// SP returns the stack pointer in the frame.
func (f *Frame) SP() uint64 { return f.Regs.R[spReg] }

// callPC is the address of the call, or of the instruction itself.
func (f *Frame) callPC() uint64 {
	if f.Return {
		return f.PC - 1
	}
	return f.PC
}

// DefaultLimit is the number of frames that a walk returns at most.
const DefaultLimit = 4096

// Walk returns the frames of a thread with these registers, innermost first.
// It stops where the code says that there is no caller; what stopped it
// otherwise is in the last frame. limit is the most frames to return, 0 for
// DefaultLimit.
func (s *Modules) Walk(m mem.Reader, regs Regs, limit int) []Frame {
	return s.WalkTo(m, regs, limit, nil)
}

// WalkTo is Walk, but ends before a frame, other than the innermost, of which
// known says so.
func (s *Modules) WalkTo(m mem.Reader, regs Regs, limit int, known func(*Frame) bool) []Frame {
	if limit <= 0 {
		limit = DefaultLimit
	}
	st := stackMemory{m: m, buf: s.block[:0], first: firstBlock}
	if s.extent > 0 {
		st.first = s.extent
	}
	defer func() { s.block, s.extent = st.buf[:0], st.extent() }()
	if _, ok := regs.Get(pcReg); !ok {
		return []Frame{{Err: "the program counter is unknown"}}
	}
	if s.Redirect != nil && s.Find(regs.R[pcReg]) == nil {
		if pc, ok := s.Redirect(m, regs.R[pcReg]); ok {
			regs.R[pcReg] = pc
		}
	}
	var frames []Frame
	if s.Reuse {
		frames = s.frames[:0]
		defer func() { s.frames = frames }()
	}
	if cap(frames) == 0 {
		frames = make([]Frame, 0, 48)
	}
	frames = append(frames, Frame{PC: regs.R[pcReg], Regs: regs})
	for {
		f := &frames[len(frames)-1]
		next, more, err := s.step(&st, f)
		if err != nil {
			f.Err = err.Error()
			return frames
		}
		if !more {
			return frames
		}
		n := len(frames)
		frames = append(frames, next)
		if known != nil && known(&frames[n]) {
			return frames[:n]
		}
		if n >= limit {
			frames = frames[:n]
			frames[n-1].Err = fmt.Sprintf("more than %d frames", limit)
			return frames
		}
	}
}

// step completes a frame and finds its caller.
func (s *Modules) step(st *stackMemory, f *Frame) (next Frame, more bool, err error) {
	c := s.lookup(f.PC, f.Return)
	f.Module = c.mod
	if c.err != nil {
		if next, ok := s.perfTrampoline(st, f); ok {
			return next, true, nil
		}
		return next, false, s.noCaller(st, f, c)
	}
	r := c.row
	f.Function, f.Signal = r.function, r.signal
	if r.signal {
		f.Return = false // entered by the kernel, not by a call
	}
	if r.cfaExpr == nil {
		base, ok := f.Regs.Get(uint64(r.cfaReg))
		if !ok {
			return next, false, fmt.Errorf("register %d, which the frame is relative to, is unknown", r.cfaReg)
		}
		f.CFA = base + uint64(r.cfaOff)
	} else if f.CFA, err = evaluate(st, &f.Regs, r.cfaExpr, nil); err != nil {
		return next, false, fmt.Errorf("the frame's address: %w", err)
	}
	if r.last {
		return next, false, nil
	}
	next.Regs = Regs{R: f.Regs.R, Known: f.Regs.Known & preserved}
	next.Regs.set(spReg, f.CFA)
	for i := range r.saved {
		if err := apply(st, f, &next.Regs, &r.saved[i]); err != nil {
			return next, false, fmt.Errorf("register %d of the caller: %w", r.saved[i].reg, err)
		}
	}
	if err := apply(st, f, &next.Regs, &r.ra); err != nil {
		return next, false, fmt.Errorf("return address: %w", err)
	}
	next.PC, next.Return = next.Regs.R[pcReg], !r.signal
	if next.PC == 0 {
		return next, false, nil // where a thread begins
	}
	// Each frame is above the one before, except for a handler's that the kernel
	// put on another stack. This is what ends every walk.
	if !r.signal && (f.CFA <= f.SP() || f.CFA-f.SP() > maxFrame) {
		return next, false, fmt.Errorf("the frame has %d bytes", int64(f.CFA-f.SP()))
	}
	return next, true, nil
}

// maxFrame is the largest step believed: any, within user space. The stand-in
// for the vDSO has a stack of its own, far below the others.
const maxFrame = 1 << 47

// apply gets one register of the caller.
func apply(st *stackMemory, f *Frame, to *Regs, ru *rule) error {
	var v uint64
	var err error
	switch ru.kind {
	case ruleSame:
		if f.Regs.Known&(1<<ru.reg) == 0 {
			return nil
		}
		v = f.Regs.R[ru.reg]
	case ruleUndefined:
		to.Known &^= 1 << ru.reg
		return nil
	case ruleAt:
		v, err = st.u64(f.CFA + uint64(ru.off))
	case ruleValue:
		v = f.CFA + uint64(ru.off)
	case ruleReg:
		var ok bool
		if v, ok = f.Regs.Get(uint64(ru.from)); !ok {
			to.Known &^= 1 << ru.reg
			return nil
		}
	case ruleAtExpr, ruleExpr:
		if v, err = evaluate(st, &f.Regs, ru.expr, &f.CFA); err == nil && ru.kind == ruleAtExpr {
			v, err = st.u64(v)
		}
	}
	if err != nil {
		return err
	}
	to.set(ru.reg, v)
	return nil
}

// maxExpr bounds an expression and what it may read.
const maxExpr = 4096

// evaluate runs a DWARF expression of the unwind table; first, where not nil,
// is on its stack from the start (DWARF 5, 6.4.2.3).
func evaluate(st *stackMemory, regs *Regs, expr []byte, first *uint64) (v uint64, err error) {
	if len(expr) > maxExpr || backwards(expr) {
		return 0, errors.New("an expression too long")
	}
	if first != nil {
		const constU8 = 0x0e
		expr = append(binary.LittleEndian.AppendUint64([]byte{constU8}, *first), expr...)
	}
	all := make([]*op.DwarfRegister, numRegs)
	for n := range all {
		if x, ok := regs.Get(uint64(n)); ok {
			all[n] = op.DwarfRegisterFromUint64(x)
		}
	}
	dr := op.NewDwarfRegisters(0, all, binary.LittleEndian, pcReg, spReg, fpReg, 0)
	err = guard(func() error {
		x, _, err := op.ExecuteStackProgram(*dr, expr, 8, func(p []byte, addr uint64) (int, error) {
			if len(p) > 64 {
				return 0, errors.New("a long read")
			}
			if err := st.read(p, addr); err != nil {
				return 0, err
			}
			return len(p), nil
		})
		v = uint64(x)
		return err
	})
	return v, err
}

// backwards says whether an expression has a jump, which could make it loop.
// Those in unwind tables have none.
func backwards(expr []byte) bool {
	const skip, bra = 0x2f, 0x28
	for i, b := range expr {
		if (b == skip || b == bra) && i+2 < len(expr) && int16(binary.LittleEndian.Uint16(expr[i+1:])) < 0 {
			return true
		}
	}
	return false
}

// noCaller says why a frame without a table entry is the last one.
func (s *Modules) noCaller(st *stackMemory, f *Frame, c cached) error {
	if c.mod == nil {
		if f.PC == 0 {
			return errors.New("a call of address 0")
		}
		return fmt.Errorf("no code that is known at %#x", f.PC)
	}
	if !errors.Is(c.err, errNoCFI) {
		return c.err
	}
	return fmt.Errorf("%s has no call frame information for %#x", c.mod.Name, f.PC-c.mod.Bias)
}
