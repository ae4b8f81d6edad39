package cpython

import (
	"fmt"

	"pyrr/internal/linux"
)

// Reg is a general register, in the order of its machine encoding.
type Reg uint8

const numRegs = 16

var regNames = [numRegs]string{
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
}

func (r Reg) String() string {
	if r >= numRegs {
		return fmt.Sprintf("register %d", uint8(r))
	}
	return regNames[r]
}

// MarshalText writes the register's name.
func (r Reg) MarshalText() ([]byte, error) {
	if r >= numRegs {
		return nil, fmt.Errorf("no register %d", uint8(r))
	}
	return []byte(regNames[r]), nil
}

// UnmarshalText reads the register's name.
func (r *Reg) UnmarshalText(b []byte) error {
	for i, n := range regNames {
		if n == string(b) {
			*r = Reg(i)
			return nil
		}
	}
	return fmt.Errorf("no register %q", b)
}

// Value returns the register's value.
func (r Reg) Value(regs *linux.Regs) uint64 {
	return regs.Encoded()[r%numRegs]
}
