// Package mem is the one view that pyrr's readers have of a process's memory:
// live, replayed, or frozen in a recording.
//
// A read that fails is an error and never yields zeros: a stack reader that
// mistakes unreadable memory for a null pointer reports a shorter stack and
// nobody notices.
//
// It never writes. Begin with Reader.
package mem

import (
	"encoding/binary"
	"fmt"
)

// Reader reads the memory of one address space. ReadAt fills all of p from
// addr or returns an error; a short read is an error.
type Reader interface {
	ReadAt(p []byte, addr uint64) error
}

// PartReader is a Reader that can read as much as there is: ReadSome fills p
// from addr on and returns how many bytes it could read, 0 for none. At the
// end of a mapping it spares the caller to try smaller and smaller blocks.
type PartReader interface {
	ReadSome(p []byte, addr uint64) int
}

// NotingReader is a Reader that notes what is read of it, in whole pages, to keep it for
// others. Noted returns its memory without that, and what notes no more than n bytes at
// addr: for who reads a little of very much. It returns nil where nothing is noted.
type NotingReader interface {
	Reader
	Noted() (m Reader, note func(addr uint64, n int))
}

// Error says which bytes could not be read.
type Error struct {
	Addr uint64
	Len  int
	Err  error
}

func (e *Error) Error() string {
	return fmt.Sprintf("read %d bytes at %#x: %v", e.Len, e.Addr, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// U8 reads one byte.
func U8(r Reader, addr uint64) (uint8, error) {
	var b [1]byte
	err := r.ReadAt(b[:], addr)
	return b[0], err
}

// U32 reads a little-endian 32-bit value.
func U32(r Reader, addr uint64) (uint32, error) {
	var b [4]byte
	err := r.ReadAt(b[:], addr)
	return binary.LittleEndian.Uint32(b[:]), err
}

// U64 reads a little-endian 64-bit value.
func U64(r Reader, addr uint64) (uint64, error) {
	var b [8]byte
	err := r.ReadAt(b[:], addr)
	return binary.LittleEndian.Uint64(b[:]), err
}

// Bytes reads n bytes at addr.
func Bytes(r Reader, addr uint64, n int) ([]byte, error) {
	if n < 0 {
		return nil, &Error{Addr: addr, Len: n, Err: fmt.Errorf("negative length")}
	}
	b := make([]byte, n)
	if err := r.ReadAt(b, addr); err != nil {
		return nil, err
	}
	return b, nil
}

// CString reads a NUL-terminated string of at most limit bytes, never
// crossing into a page that the string does not touch. Without a NUL within
// limit it returns what it read and ok=false.
func CString(r Reader, addr uint64, limit int) (s string, ok bool, err error) {
	const page = 4096
	var out []byte
	for len(out) < limit {
		n := page - int(addr%page)
		if n > limit-len(out) {
			n = limit - len(out)
		}
		b, err := Bytes(r, addr, n)
		if err != nil {
			return string(out), false, err
		}
		for i, c := range b {
			if c == 0 {
				return string(append(out, b[:i]...)), true, nil
			}
		}
		out = append(out, b...)
		addr += uint64(n)
	}
	return string(out), false, nil
}

// Range is a span of an address space: Len bytes at Addr.
type Range struct {
	Addr uint64
	Len  uint64
}
