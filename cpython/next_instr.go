package cpython

import (
	"fmt"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
)

// NextInstr names the place that holds next_instr at a dispatch: a register, or, where the
// compiler had none left, the word of the stack at Off from it. The instruction about to run is at the
// place's value plus Bias: up to 3.10 next_instr already points behind it.
type NextInstr struct {
	Reg     Reg
	Bias    int
	InStack bool  `json:",omitempty"`
	Off     int32 `json:",omitempty"`
}

// What the encoding of a NextInstr has above the register's number.
const (
	// nextInstrExact says that Bias is 0 although the version has moved
	// next_instr on by then.
	nextInstrExact = 1 << 8
	nextInstrStack = 1 << 9 // InStack; Off is in the upper half
)

// Encode returns n as recordings hold it: never 0.
func (n NextInstr) Encode(v Version) uint64 {
	e := 1 + uint64(n.Reg)
	if n.Bias != v.Rules().NextInstrBias() {
		e |= nextInstrExact
	}
	if n.InStack {
		e |= nextInstrStack | uint64(uint32(n.Off))<<32
	}
	return e
}

// DecodeNextInstr is the inverse of Encode.
func DecodeNextInstr(e uint64, v Version) NextInstr {
	n := NextInstr{Reg: Reg(e-1) % numRegs, Bias: v.Rules().NextInstrBias()}
	if e&nextInstrExact != 0 {
		n.Bias = 0
	}
	if e&nextInstrStack != 0 {
		n.InStack, n.Off = true, int32(uint32(e>>32))
	}
	return n
}

// At returns the address of the instruction that a thread at a dispatch is about to run, of
// whose memory m is; 0 where its stack can't be read.
func (n NextInstr) At(m mem.Reader, regs *linux.Regs) uint64 {
	v := n.Reg.Value(regs)
	if n.InStack {
		var err error
		if v, err = mem.U64(m, v+uint64(int64(n.Off))); err != nil {
			return 0
		}
	}
	return v + uint64(int64(n.Bias))
}

// String names the place, as "r12" or "[rsp+8]".
func (n NextInstr) String() string {
	if n.InStack {
		return fmt.Sprintf("[%v%+d]", n.Reg, n.Off)
	}
	return n.Reg.String()
}

// check holds a place to what can be one.
func (n NextInstr) check(v Version) error {
	if n.Reg >= numRegs || n.Bias != 0 && n.Bias != v.Rules().NextInstrBias() {
		return fmt.Errorf("next instruction at %v%+d", n.Reg, n.Bias)
	}
	return nil
}
