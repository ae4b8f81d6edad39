//go:build !linux || !amd64

package ptrace

import (
	"pyrr/internal/linux"
	"pyrr/internal/sys"
)

// Where threads of another processor are not traced, recordings are read only: what
// needs registers fails with sys.ErrElsewhere.

const (
	auditArch = 0
	idleCall  = 0
)

// vsyscalls: no page has any.
var vsyscalls []uint32

// Gadget is the machine code that injected calls run: none.
var Gadget []byte

func PC(int) (uint64, error)                { return 0, sys.ErrElsewhere }
func SetPC(int, uint64) error               { return sys.ErrElsewhere }
func Result(int) (int64, error)             { return 0, sys.ErrElsewhere }
func SetResult(int, int64) error            { return sys.ErrElsewhere }
func SetNumber(int, int) error              { return sys.ErrElsewhere }
func SetArg(int, int, uint64) error         { return sys.ErrElsewhere }
func SetCount(int, uint64) error            { return sys.ErrElsewhere }
func returnsPC() uintptr                    { return 0 }
func GetRegs(int, *linux.Regs) error        { return sys.ErrElsewhere }
func SetRegs(int, *linux.Regs) error        { return sys.ErrElsewhere }
func SetDebugReg(int, int, uint64) error    { return sys.ErrElsewhere }
func DebugReg(int, int) (uint64, error)     { return 0, sys.ErrElsewhere }
func GetXState(int, []byte) ([]byte, error) { return nil, sys.ErrElsewhere }
func SetXState(int, []byte) error           { return sys.ErrElsewhere }
