//go:build linux && amd64

package probe

import "golang.org/x/sys/unix"

func pcOf(r *unix.PtraceRegs) uint64 { return r.Rip }

func stackOf(r *unix.PtraceRegs) uint64 { return r.Rsp }

func resultOf(r *unix.PtraceRegs) int64 { return int64(r.Rax) }

func setResult(r *unix.PtraceRegs, v int64) { r.Rax = uint64(v) }

// setCall prepares the registers for a syscall instruction. Orig_rax -1 keeps
// the kernel from restarting a call that it believes was interrupted.
func setCall(r *unix.PtraceRegs, nr int, args []uint64) {
	r.Rax = uint64(nr)
	r.Orig_rax = ^uint64(0)
	for i, p := range []*uint64{&r.Rdi, &r.Rsi, &r.Rdx, &r.R10, &r.R8, &r.R9} {
		*p = 0
		if i < len(args) {
			*p = args[i]
		}
	}
}
