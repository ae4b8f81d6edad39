//go:build linux

package ptrace

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reqGetSyscallInfo is PTRACE_GET_SYSCALL_INFO (linux/ptrace.h, since Linux 5.3).
const reqGetSyscallInfo = 0x420e

// AtEntry reports whether a stopped thread is about to make a system call.
func AtEntry(tid int) bool {
	const entry = 1   // PTRACE_SYSCALL_INFO_ENTRY
	var info [88]byte // struct ptrace_syscall_info, which begins with the kind of stop
	err := callPtr(reqGetSyscallInfo, tid, unsafe.Sizeof(info), unsafe.Pointer(&info))
	return err == nil && info[0] == entry
}

// PendingTrap reports whether a stopped thread has run into something, a trap or a
// fault, whose signal is not delivered yet.
func PendingTrap(tid int) bool {
	const most = 16
	var infos [most]SigInfo
	arg := struct {
		off   uint64
		flags uint32
		nr    int32
	}{nr: most} // struct ptrace_peeksiginfo_args
	n, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_PEEKSIGINFO, uintptr(tid),
		uintptr(unsafe.Pointer(&arg)), uintptr(unsafe.Pointer(&infos)), 0, 0)
	if e != 0 {
		return false // it has none that can be known of
	}
	for i := range infos[:min(n, most)] {
		if infos[i].Code() <= 0 {
			continue
		}
		switch unix.Signal(infos[i].Signo()) {
		case unix.SIGTRAP, unix.SIGILL, unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGSYS:
			return true
		}
	}
	return false
}
