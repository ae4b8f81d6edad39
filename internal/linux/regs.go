// Package linux holds the x86-64 Linux kernel ABI as data: registers, the
// syscall table with what each call writes into memory, errno and signal
// names, ioctl codes.
//
// It makes no system call. Begin with Syscall (syscall.go), the row of the table; the
// rows are in rows_*.go, and what a call does with descriptors in fduse.go.
package linux

// Arch names the architecture that this package describes, as recordings do.
const Arch = "x86-64"
