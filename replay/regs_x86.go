package replay

import (
	"encoding/binary"
	"fmt"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// userTop is the end of the address space of x86-64 programs.
const userTop = 1<<47 - pageSize

// leavesTrace says whether the instruction at pc would leave something of a single step
// in the program's memory: a pushf does, the trap flag.
func (p *Process) leavesTrace(pc uint64) bool {
	var b [2]byte
	return p.Mem().ReadAt(b[:], pc) == nil && (b[0] == 0x9c || b[1] == 0x9c && (b[0] == 0x66 || b[0]&0xf0 == 0x40))
}

// clearTrace takes that back, of a thread that has executed the instruction.
func (p *Process) clearTrace(r *linux.Regs) error {
	at := r.SP()
	var b [2]byte
	if err := (ptrace.Mem)(p.pid).ReadAt(b[:], at); err != nil {
		return fmt.Errorf("flags on the stack: %w", err)
	}
	b[1] &^= 1
	return p.poke(ptrace.Span{Addr: at, Data: b[:]})
}

// setSegment is arch_prctl(2): a thread sets where its segments begin.
func (p *Process) setSegment(t *Thread, a [6]uint64) error {
	const setGS, setFS = 0x1001, 0x1002
	if a[1] >= userTop && (a[0] == setFS || a[0] == setGS) {
		return p.damaged("a segment at %#x", a[1])
	}
	switch a[0] {
	case setFS:
		t.regs.FsBase, t.dirty = a[1], true
	case setGS:
		t.regs.GsBase, t.dirty = a[1], true
	}
	return nil
}

// scratch puts the registers back that a hook had in use when it faulted.
func (p *Process) scratch(t *Thread, filter bool) error {
	var b [48]byte
	if err := (ptrace.Mem)(p.pid).ReadAt(b[:], cellRax); err != nil {
		return fmt.Errorf("read the cells of a hook: %w", err)
	}
	t.regs.Rax = binary.LittleEndian.Uint64(b[0:])
	t.regs.Rcx = binary.LittleEndian.Uint64(b[8:])
	t.regs.Rdx = binary.LittleEndian.Uint64(b[16:])
	if filter {
		t.regs.Rsi = binary.LittleEndian.Uint64(b[24:])
		t.regs.Rdi = binary.LittleEndian.Uint64(b[32:])
		t.regs.R8 = binary.LittleEndian.Uint64(b[40:])
	}
	t.dirty = true
	return nil
}
