package cpython

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	unix "pyrr/internal/sys"

	"pyrr/internal/mem"
)

const (
	pageSize = 4096
	// viewBudget bounds the bytes that one request looks at, so that forged
	// pointers and lengths cost bounded time; accessCost is added for each
	// access, of a page already there as well.
	viewBudget = 64 << 20
	accessCost = 64
)

var errBudget = errors.New("too much memory to read")

// BatchReader is what a mem.Reader may also be: one that reads many ranges
// for the price of few. It makes reading a stack about three times as fast.
type BatchReader interface {
	// ReadBatch fills each of bufs from the address with the same index, in
	// order, stopping at the first that cannot be read whole; it returns how
	// many were filled.
	ReadBatch(bufs [][]byte, addrs []uint64) int
}

// view reads one stopped process through a cache of its pages: structs that
// are neighbours (frames in a datastack chunk, small objects in an arena)
// cost one system call together. A view is valid only while the process
// stays stopped.
type view struct {
	m     mem.Reader
	pages map[uint64]*page // by address / pageSize; nil: cannot be read whole
	spare []*page
	left  int
	seen  map[uint64]struct{} // scratch of walks
	room  [16 << 10]byte      // scratch of comparisons
	proof proofReads          // the same
	// aside is set while what is read is not likely to be needed next time.
	aside bool
	// slot is where the pointer lies that a walk of items has just given.
	at uint64
	// note, when not nil, is told what is looked at.
	note func(addr uint64, n int)
	// quiet reads the same without a note; nil until it is wanted.
	quiet *view
}

type page struct {
	data [pageSize]byte
	used bool // not only prefetched
}

var views = sync.Pool{New: func() any {
	return &view{pages: make(map[uint64]*page), seen: make(map[uint64]struct{})}
}}

func newView(m mem.Reader) *view {
	v := views.Get().(*view)
	v.m, v.left, v.aside, v.note = m, viewBudget, false, nil
	return v
}

// noted is what Noted returns of memory whose reading is noted, else nil.
func noted(m mem.Reader) (mem.Reader, func(addr uint64, n int)) {
	if m, ok := m.(mem.NotingReader); ok {
		return m.Noted()
	}
	return nil, nil
}

// sparse returns a view of the same memory for who reads some words of very many objects:
// where what is read is kept for later readers, that keeps the words and not their pages.
func (v *view) sparse() *view {
	w := newView(v.m)
	w.left = v.left
	if raw, note := noted(v.m); raw != nil {
		w.m, w.note = raw, note
	}
	return w
}

// unnotedView returns a view of the same memory that notes nothing: v itself, where
// nothing is noted.
func (v *view) unnotedView() *view {
	if v.quiet == nil {
		raw, _ := noted(v.m)
		if raw == nil {
			return v
		}
		v.quiet = newView(raw)
		v.quiet.left = v.left
	}
	return v.quiet
}

// release gives the pages back; slices that bytes returned are dead then.
func (v *view) release() {
	for _, p := range v.pages {
		if p != nil && len(v.spare) < 1024 {
			v.spare = append(v.spare, p)
		}
	}
	clear(v.pages)
	clear(v.seen)
	if v.quiet != nil {
		v.quiet.release()
	}
	v.m, v.note, v.quiet = nil, nil, nil
	views.Put(v)
}

func (v *view) newPage() *page {
	k := len(v.spare)
	if k == 0 {
		return new(page)
	}
	p := v.spare[k-1]
	v.spare = v.spare[:k-1]
	p.used = false
	return p
}

func (v *view) page(n uint64) *page {
	if p, ok := v.pages[n]; ok {
		if p != nil && !v.aside {
			p.used = true
		}
		return p
	}
	p := v.newPage()
	v.left -= pageSize
	if err := v.m.ReadAt(p.data[:], n*pageSize); err != nil {
		v.spare = append(v.spare, p)
		p = nil
	} else {
		p.used = !v.aside
	}
	v.pages[n] = p
	return p
}

// cached returns n bytes at addr if they lie in one page that was read.
func (v *view) cached(addr uint64, n int) ([]byte, bool) {
	off := int(addr % pageSize)
	if off+n > pageSize {
		return nil, false
	}
	p := v.pages[addr/pageSize]
	if p == nil {
		return nil, false
	}
	v.left -= accessCost
	return p.data[off : off+n], true
}

// batch returns what reads many ranges at once, nil if the reader can't.
func (v *view) batch() func(bufs [][]byte, addrs []uint64) int {
	switch m := v.m.(type) {
	case BatchReader:
		return m.ReadBatch
	case mem.Live:
		return func(bufs [][]byte, addrs []uint64) int { return readLive(m.PID, bufs, addrs) }
	}
	return nil
}

// maxPrefetch is the most pages that are read on suspicion.
const maxPrefetch = 256

// prefetch reads, at once if the reader can, pages likely to be needed.
func (v *view) prefetch(numbers []uint64) {
	read := v.batch()
	if read == nil {
		return
	}
	ps := make([]*page, len(numbers))
	bufs := make([][]byte, len(numbers))
	addrs := make([]uint64, len(numbers))
	for i, n := range numbers {
		ps[i] = v.newPage()
		bufs[i], addrs[i] = ps[i].data[:], n*pageSize
	}
	got := min(read(bufs, addrs), len(ps))
	for i, p := range ps {
		if i < got {
			v.pages[numbers[i]] = p
			v.left -= pageSize
		} else {
			v.spare = append(v.spare, p)
		}
	}
}

// readLive is ReadBatch for a live process: process_vm_readv(2) with as many
// ranges as there are, at most IOV_MAX (1024).
func readLive(pid int, bufs [][]byte, addrs []uint64) int {
	local := make([]unix.Iovec, len(bufs))
	remote := make([]unix.RemoteIovec, len(bufs))
	for i, b := range bufs {
		local[i] = unix.Iovec{Base: &b[0], Len: uint64(len(b))}
		remote[i] = unix.RemoteIovec{Base: uintptr(addrs[i]), Len: len(b)}
	}
	n, err := unix.ProcessVMReadv(pid, local, remote, 0)
	if err != nil {
		return 0
	}
	for i, b := range bufs {
		if n -= len(b); n < 0 {
			return i
		}
	}
	return len(bufs)
}

// usedPages lists, in order, the pages that the view's requests needed.
func (v *view) usedPages() []uint64 {
	list := make([]uint64, 0, len(v.pages))
	for n, p := range v.pages {
		if p != nil && p.used {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list[:min(len(list), maxPrefetch)]
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
	v.left -= n + accessCost
	if v.note != nil {
		v.note(addr, n)
	}
	off := int(addr % pageSize)
	if off+n <= pageSize {
		if p := v.page(addr / pageSize); p != nil {
			return p.data[off : off+n : off+n], nil
		}
	}
	b := make([]byte, n)
	if n <= 4*pageSize {
		if err := v.gather(b, addr); err == nil {
			return b, nil
		}
	}
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
		n := copy(b, p.data[addr%pageSize:])
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

// unnoted is u64 without a note.
func (v *view) unnoted(addr uint64) (uint64, error) {
	note := v.note
	v.note = nil
	defer func() { v.note = note }()
	return v.u64(addr)
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
