package ptrace

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
)

// Offsets into struct user (sys/user.h) for peekUser and pokeUser.
const (
	offRcx     = 88
	offRax     = 80
	offOrigRax = 120
	offRip     = 128
	offDebug   = 848 // u_debugreg[0]
)

// offArgs are those of the arguments of a system call.
var offArgs = [6]uintptr{112, 104, 96, 56, 72, 64}

const (
	ntX86XState = 0x202
	auditArch   = unix.AUDIT_ARCH_X86_64
	idleCall    = unix.SYS_PAUSE // waits for ever, with arguments of 0
)

// vsyscalls are the calls that the kernel's vsyscall page has.
var vsyscalls = []uint32{unix.SYS_GETTIMEOFDAY, unix.SYS_TIME, unix.SYS_GETCPU}

// Gadget is the machine code that injected calls run: syscall; int3.
var Gadget = []byte{0x0f, 0x05, 0xcc}

// GetRegs reads the general registers of a stopped thread.
func GetRegs(tid int, r *linux.Regs) error {
	err := callPtr(unix.PTRACE_GETREGS, tid, 0, unsafe.Pointer(r))
	return err
}

// SetRegs writes the general registers, those that hold a base of memory included.
func SetRegs(tid int, r *linux.Regs) error {
	err := callPtr(unix.PTRACE_SETREGS, tid, 0, unsafe.Pointer(r))
	return err
}

// peekUser reads a word of struct user.
func peekUser(tid int, off uintptr) (uint64, error) {
	var v uint64
	err := callPtr(unix.PTRACE_PEEKUSR, tid, off, unsafe.Pointer(&v))
	return v, err
}

// pokeUser writes a word of struct user.
func pokeUser(tid int, off uintptr, v uint64) error {
	_, err := call(unix.PTRACE_POKEUSR, tid, off, uintptr(v))
	return err
}

// PC reads the program counter of a stopped thread alone.
func PC(tid int) (uint64, error) { return peekUser(tid, offRip) }

// SetPC changes it.
func SetPC(tid int, pc uint64) error { return pokeUser(tid, offRip, pc) }

// Result reads what a system call is to return, -errno on failure, of a thread
// stopped at its end.
func Result(tid int) (int64, error) {
	v, err := peekUser(tid, offRax)
	return int64(v), err
}

// SetResult changes it.
func SetResult(tid int, v int64) error { return pokeUser(tid, offRax, uint64(v)) }

// SetNumber makes another call of the one that a thread stands at the entry of: none
// for -1.
func SetNumber(tid int, nr int) error { return pokeUser(tid, offOrigRax, uint64(nr)) }

// SetArg changes an argument of the call that a thread stands at.
func SetArg(tid, n int, v uint64) error { return pokeUser(tid, offArgs[n], v) }

// SetCount changes the register into which the code of calls without a stop
// (internal/inject) reads a count.
func SetCount(tid int, v uint64) error { return pokeUser(tid, offRcx, v) }

// DebugReg reads a debug register (Intel SDM 3, 17.2).
func DebugReg(tid, n int) (uint64, error) { return peekUser(tid, offDebug+8*uintptr(n)) }

// SetDebugReg changes it.
func SetDebugReg(tid, n int, v uint64) error { return pokeUser(tid, offDebug+8*uintptr(n), v) }

// GetXState reads the XSAVE area (NT_X86_XSTATE) of a stopped thread.
func GetXState(tid int, buf []byte) ([]byte, error) {
	iov := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	if err := callPtr(unix.PTRACE_GETREGSET, tid, ntX86XState, unsafe.Pointer(&iov)); err != nil {
		return nil, err
	}
	return buf[:iov.Len], nil
}

// SetXState writes the XSAVE area.
func SetXState(tid int, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	iov := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	err := callPtr(unix.PTRACE_SETREGSET, tid, ntX86XState, unsafe.Pointer(&iov))
	return err
}

// returnsPC is the address of a signal handler that does nothing.
func returnsPC() uintptr
