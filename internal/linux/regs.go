// Package linux holds the x86-64 Linux kernel ABI as data: registers, the
// syscall table with what each call writes into memory, errno and signal
// names, ioctl codes.
//
// It makes no system call. Begin with Syscall (syscall.go), the row of the table; the
// rows are in rows_*.go, and what a call does with descriptors in fduse.go.
package linux

// Arch names the architecture that this package describes, as recordings do.
const Arch = "x86-64"

// Regs is struct user_regs_struct of x86-64 (sys/user.h): what
// PTRACE_GETREGS fills and PTRACE_SETREGS takes, field by field.
type Regs struct {
	R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8 uint64
	Rax, Rcx, Rdx, Rsi, Rdi, OrigRax, Rip          uint64
	Cs, Eflags, Rsp, Ss, FsBase, GsBase            uint64
	Ds, Es, Fs, Gs                                 uint64
}

// Args returns the six syscall arguments at a syscall stop, in order.
func (r *Regs) Args() [6]uint64 {
	return [6]uint64{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9}
}
