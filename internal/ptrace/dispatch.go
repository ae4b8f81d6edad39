//go:build linux

package ptrace

import (
	"unsafe"
)

// Syscall User Dispatch, set for a tracee (linux/ptrace.h, since Linux 6.4;
// Documentation/admin-guide/syscall-user-dispatch.rst).
const (
	reqSetSyscallUserDispatch = 0x4210
	// SysUserDispatch is the si_code of the SIGSYS that it sends
	// (asm-generic/siginfo.h).
	SysUserDispatch = 2
)

// sudConfig is struct ptrace_sud_config.
type sudConfig struct{ mode, selector, offset, length uint64 }

// Dispatch makes the system calls of a stopped thread end in a SIGSYS with
// SysUserDispatch, before they happen, except where the address behind the
// syscall instruction lies in [at, at+n). The kernel takes it from threads that
// exec, and does not give it to new ones.
func Dispatch(tid int, at, n uint64) error {
	c := sudConfig{mode: 1, offset: at, length: n}
	return callPtr(reqSetSyscallUserDispatch, tid, unsafe.Sizeof(c), unsafe.Pointer(&c))
}

// EndDispatch takes that back.
func EndDispatch(tid int) error {
	var c sudConfig
	return callPtr(reqSetSyscallUserDispatch, tid, unsafe.Sizeof(c), unsafe.Pointer(&c))
}
