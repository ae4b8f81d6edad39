package cpython

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"pyrr/internal/mem"
)

const (
	pageSize = 4096
	// viewBudget bounds what one request may fetch from a process, so that
	// forged pointers and lengths cost bounded time.
	viewBudget = 64 << 20
)

var errBudget = errors.New("too much memory to read")

// view reads one stopped process through a cache of its pages: structs that
// are neighbours (frames in a datastack chunk, small objects in an arena)
// cost one system call together. A view is valid only while the process
// stays stopped.
type view struct {
	m     mem.Reader
	pages map[uint64]*[pageSize]byte // nil: cannot be read whole
	spare []*[pageSize]byte
	left  int
}

var views = sync.Pool{New: func() any { return &view{pages: make(map[uint64]*[pageSize]byte)} }}

func newView(m mem.Reader) *view {
	v := views.Get().(*view)
	v.m, v.left = m, viewBudget
	return v
}

// release gives the pages back; slices that bytes returned are dead then.
func (v *view) release() {
	for k, p := range v.pages {
		if p != nil && len(v.spare) < 1024 {
			v.spare = append(v.spare, p)
		}
		delete(v.pages, k)
	}
	v.m = nil
	views.Put(v)
}

func (v *view) page(n uint64) *[pageSize]byte {
	if p, ok := v.pages[n]; ok {
		return p
	}
	var p *[pageSize]byte
	if k := len(v.spare); k > 0 {
		p, v.spare = v.spare[k-1], v.spare[:k-1]
	} else {
		p = new([pageSize]byte)
	}
	v.left -= pageSize
	if err := v.m.ReadAt(p[:], n*pageSize); err != nil {
		v.spare = append(v.spare, p)
		p = nil
	}
	v.pages[n] = p
	return p
}

// bytes returns n bytes at addr. The caller must not change them and must not
// keep them beyond the view.
func (v *view) bytes(addr uint64, n int) ([]byte, error) {
	if n < 0 || addr+uint64(n) < addr {
		return nil, &mem.Error{Addr: addr, Len: n, Err: errors.New("not a range of addresses")}
	}
	if v.left < n {
		return nil, &mem.Error{Addr: addr, Len: n, Err: errBudget}
	}
	off := int(addr % pageSize)
	if off+n <= pageSize {
		if p := v.page(addr / pageSize); p != nil {
			return p[off : off+n : off+n], nil
		}
	}
	b := make([]byte, n)
	if n <= 4*pageSize {
		if err := v.gather(b, addr); err == nil {
			return b, nil
		}
	}
	v.left -= n + 64
	if err := v.m.ReadAt(b, addr); err != nil {
		return nil, err
	}
	return b, nil
}

// gather fills b from cached pages.
func (v *view) gather(b []byte, addr uint64) error {
	for len(b) > 0 {
		p := v.page(addr / pageSize)
		if p == nil {
			return errNotWhole
		}
		n := copy(b, p[addr%pageSize:])
		b, addr = b[n:], addr+uint64(n)
	}
	return nil
}

var errNotWhole = errors.New("page not readable as a whole")

func (v *view) u64(addr uint64) (uint64, error) {
	b, err := v.bytes(addr, 8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// record is a C struct read at once; fields are taken by their offsets.
type record struct {
	addr uint64
	b    []byte
}

// record reads n bytes at addr; what names the struct in the error.
func (v *view) record(what string, addr uint64, n int) (record, error) {
	if addr == 0 {
		return record{}, fmt.Errorf("%s: null pointer", what)
	}
	b, err := v.bytes(addr, n)
	if err != nil {
		return record{}, fmt.Errorf("%s: %w", what, err)
	}
	return record{addr, b}, nil
}

// u64 and the others return 0 for a field that the version does not have.
func (r record) u64(off int) uint64 {
	if off < 0 || off+8 > len(r.b) {
		return 0
	}
	return binary.LittleEndian.Uint64(r.b[off:])
}

func (r record) i32(off int) int {
	if off < 0 || off+4 > len(r.b) {
		return 0
	}
	return int(int32(binary.LittleEndian.Uint32(r.b[off:])))
}

func (r record) u8(off int) uint8 {
	if off < 0 || off >= len(r.b) {
		return 0
	}
	return r.b[off]
}
