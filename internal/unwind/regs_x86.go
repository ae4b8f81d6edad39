package unwind

// DWARF's numbers of the x86-64 registers (System V ABI, figure 3.36).
const (
	RAX = iota
	RDX
	RCX
	RBX
	RSI
	RDI
	RBP
	RSP
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
	RIP
	numRegs
)

// What each processor has: a program counter, a stack pointer, a frame pointer.
const (
	pcReg = RIP
	spReg = RSP
	fpReg = RBP
)

// Regs are the general registers of a frame by DWARF number.
type Regs struct {
	R [numRegs]uint64
	// Known has a bit for each register whose value in this frame is known:
	// in a caller those that calls preserve, and the stack pointer.
	Known uint32
}

// AllRegs makes the registers of a stopped thread known, all of them.
func AllRegs(r [numRegs]uint64) Regs { return Regs{R: r, Known: 1<<numRegs - 1} }

// Get returns a register and whether it is known.
func (r *Regs) Get(n uint64) (uint64, bool) {
	if n >= numRegs || r.Known&(1<<n) == 0 {
		return 0, false
	}
	return r.R[n], true
}

func (r *Regs) set(n uint8, v uint64) {
	r.R[n] = v
	r.Known |= 1 << n
}

// preserved are the registers that a function leaves as they were: rbx, rbp,
// r12 to r15 (System V ABI, 3.2.1).
const preserved = 1<<RBX | 1<<RBP | 1<<R12 | 1<<R13 | 1<<R14 | 1<<R15

// Equal says whether the same registers are known, and have the same values.
func (r *Regs) Equal(o *Regs) bool {
	if r.Known != o.Known {
		return false
	}
	for i := range r.R {
		if r.Known&(1<<i) != 0 && r.R[i] != o.R[i] {
			return false
		}
	}
	return true
}
