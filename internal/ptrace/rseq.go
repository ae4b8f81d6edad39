//go:build linux

package ptrace

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RseqConfig is struct ptrace_rseq_configuration (linux/ptrace.h): what a thread
// registered by rseq(2).
type RseqConfig struct {
	Addr      uint64 // of its struct rseq, 0 for none
	Size      uint32
	Signature uint32
	Flags     uint32
	_         uint32
}

// Rseq reads what a stopped thread registered. Kernels before 5.13, and those
// without rseq, have no answer.
func Rseq(tid int) (c RseqConfig, ok bool) {
	const getRseqConfiguration = 0x420f
	err := callPtr(getRseqConfiguration, tid, unsafe.Sizeof(c), unsafe.Pointer(&c))
	return c, err == nil
}

// RobustList is the head of the list of robust mutexes that a thread registered
// (get_robust_list(2)), 0 for none.
func RobustList(tid int) uint64 {
	var head, size uint64
	_, _, e := syscall.RawSyscall(unix.SYS_GET_ROBUST_LIST, uintptr(tid), uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return 0
	}
	return head
}
