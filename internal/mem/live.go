package mem

import (
	unix "pyrr/internal/sys"
)

// Live reads a process by process_vm_readv(2). PID is the id of any of its
// threads; the caller must be allowed to trace it.
type Live struct{ PID int }

// ReadAt implements Reader.
func (l Live) ReadAt(p []byte, addr uint64) error {
	if len(p) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMReadv(l.PID, local, remote, 0)
	if err != nil {
		return &Error{Addr: addr, Len: len(p), Err: err}
	}
	if n != len(p) {
		return &Error{Addr: addr + uint64(n), Len: len(p) - n, Err: unix.EFAULT}
	}
	return nil
}

// ReadSome implements PartReader.
func (l Live) ReadSome(p []byte, addr uint64) int {
	if len(p) == 0 {
		return 0
	}
	local := []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMReadv(l.PID, local, remote, 0)
	if err != nil {
		return 0
	}
	return n
}
