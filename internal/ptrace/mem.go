//go:build linux

package ptrace

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/mem"
)

// Span is local memory and the tracee's address that it is copied to or from.
type Span struct {
	Addr uint64
	Data []byte
}

const iovMax = 1024 // UIO_MAXIOV of the kernel

// ReadV fills all spans from the memory of thread tid with one
// process_vm_readv(2). It returns the number of bytes read; they fill the
// spans in order, so a short count says which spans are whole.
func ReadV(tid int, spans []Span) (int, error) {
	return transfer(unix.SYS_PROCESS_VM_READV, tid, spans)
}

func writeV(tid int, spans []Span) (int, error) {
	return transfer(unix.SYS_PROCESS_VM_WRITEV, tid, spans)
}

func transfer(nr uintptr, tid int, spans []Span) (int, error) {
	var lbuf [16]unix.Iovec
	var rbuf [16]unix.RemoteIovec
	local, remote := lbuf[:0], rbuf[:0]
	total := 0
	for len(spans) > 0 {
		local, remote = local[:0], remote[:0]
		want := 0
		n := min(len(spans), iovMax)
		for _, s := range spans[:n] {
			if len(s.Data) == 0 {
				continue
			}
			local = append(local, unix.Iovec{Base: &s.Data[0], Len: uint64(len(s.Data))})
			// Each range of the other process costs; what adjoins is one.
			if k := len(remote) - 1; k >= 0 && remote[k].Base+uintptr(remote[k].Len) == uintptr(s.Addr) {
				remote[k].Len += len(s.Data)
			} else {
				remote = append(remote, unix.RemoteIovec{Base: uintptr(s.Addr), Len: len(s.Data)})
			}
			want += len(s.Data)
		}
		spans = spans[n:]
		if want == 0 {
			continue
		}
		r, _, e := syscall.RawSyscall6(nr, uintptr(tid), uintptr(unsafe.Pointer(&local[0])), uintptr(len(local)),
			uintptr(unsafe.Pointer(&remote[0])), uintptr(len(remote)), 0)
		if e != 0 {
			return total, e
		}
		total += int(r)
		if int(r) < want {
			return total, unix.EFAULT
		}
	}
	return total, nil
}

// WriteV writes all spans to the memory of thread tid. Read-only and
// execute-only pages are written too, by /proc/PID/mem, as a debugger does.
func WriteV(tid int, spans []Span) error {
	if len(spans) == 0 {
		return nil
	}
	n, err := writeV(tid, spans)
	if err == nil {
		return nil
	}
	if Gone(err) {
		return err
	}
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", tid), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open memory of %d: %w", tid, err)
	}
	defer f.Close()
	for _, s := range spans {
		if n >= len(s.Data) {
			n -= len(s.Data)
			continue
		}
		n = 0
		if len(s.Data) == 0 {
			continue
		}
		if _, err := unix.Pwrite(int(f.Fd()), s.Data, int64(s.Addr)); err != nil {
			return fmt.Errorf("write %d bytes at %#x of %d: %w", len(s.Data), s.Addr, tid, err)
		}
	}
	return nil
}

// WriteUser writes data at addr as far as the program itself could, and returns
// how much that was.
func WriteUser(tid int, addr uint64, data []byte) (int, error) {
	return writeV(tid, []Span{{Addr: addr, Data: data}})
}

// Write writes data at addr.
func Write(tid int, addr uint64, data []byte) error {
	return WriteV(tid, []Span{{Addr: addr, Data: data}})
}

// WriteU64 writes a 64-bit word.
func WriteU64(tid int, addr, v uint64) error {
	var b [8]byte
	*(*uint64)(unsafe.Pointer(&b[0])) = v
	return WriteV(tid, []Span{{Addr: addr, Data: b[:]}})
}

// Mem reads the memory of the address space of a thread.
type Mem int

// ReadAt implements mem.Reader.
func (m Mem) ReadAt(p []byte, addr uint64) error {
	if len(p) == 0 {
		return nil
	}
	n, err := ReadV(int(m), []Span{{Addr: addr, Data: p}})
	if err != nil {
		// A mapping without PROT_READ is readable for a debugger all the same.
		if f, ferr := os.Open(fmt.Sprintf("/proc/%d/mem", int(m))); ferr == nil {
			k, perr := unix.Pread(int(f.Fd()), p[n:], int64(addr)+int64(n))
			f.Close()
			if perr == nil && n+k == len(p) {
				return nil
			}
		}
		return &mem.Error{Addr: addr + uint64(n), Len: len(p) - n, Err: err}
	}
	return nil
}

// FileMem reads the memory of a process by /proc/PID/mem, which shows what the
// process itself has no access to as well. It reads nothing once that has executed
// another program.
type FileMem struct{ f *os.File }

// OpenMem opens the memory of the address space of a thread. The file is closed when
// nobody has the reader any more.
func OpenMem(tid int) (FileMem, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return FileMem{}, fmt.Errorf("open memory of %d: %w", tid, err)
	}
	return FileMem{f}, nil
}

// ReadAt implements mem.Reader.
func (m FileMem) ReadAt(p []byte, addr uint64) error {
	if len(p) == 0 {
		return nil
	}
	n, err := unix.Pread(int(m.f.Fd()), p, int64(addr))
	if err == nil && n < len(p) {
		err = unix.EFAULT
	}
	if err != nil {
		return &mem.Error{Addr: addr + uint64(max(n, 0)), Len: len(p) - max(n, 0), Err: err}
	}
	return nil
}

// ReadBatch fills each of bufs from the address with the same index, in
// order, and returns how many were filled whole.
func (m Mem) ReadBatch(bufs [][]byte, addrs []uint64) int {
	spans := make([]Span, len(bufs))
	for i := range bufs {
		spans[i] = Span{Addr: addrs[i], Data: bufs[i]}
	}
	n, _ := ReadV(int(m), spans)
	for i := range bufs {
		if n < len(bufs[i]) {
			return i
		}
		n -= len(bufs[i])
	}
	return len(bufs)
}

// ReadSome implements mem.PartReader.
func (m Mem) ReadSome(p []byte, addr uint64) int {
	n, _ := ReadV(int(m), []Span{{Addr: addr, Data: p}})
	return n
}
