package stackwalk

import (
	"bytes"
	"errors"
	"sync"

	"pyrr/cpython"
	"pyrr/internal/mem"
)

// maxCopied is how much of a stack is copied; deeper ones are walked in place.
const maxCopied = 64 << 10

// copied returns the place of the stack that is to be copied for a walk, nil
// where it must be walked in place.
func (st *threadStack) copied(sp uint64) (addr uint64, b []byte) {
	const page = 4096 // walks read from the beginning of a page
	addr = sp &^ (page - 1)
	if st.base <= sp || st.base-addr > maxCopied {
		return 0, nil
	}
	return addr, newStack(int(st.base - addr))
}

// stackArea is a part of a stack, up to its outer end.
type stackBytes struct {
	addr uint64
	b    []byte
}

// equalFrom returns from which address on two copies of a stack are equal,
// approximately.
func (s *stackBytes) equalFrom(o stackBytes) uint64 {
	end := s.addr + uint64(len(s.b))
	if end != o.addr+uint64(len(o.b)) {
		return end
	}
	const block = 256
	n := min(len(s.b), len(o.b))
	for k := 0; ; k += block {
		if k >= n {
			return end - uint64(n)
		}
		to := min(n, k+block)
		if !bytes.Equal(s.b[len(s.b)-to:len(s.b)-k], o.b[len(o.b)-to:len(o.b)-k]) {
			return end - uint64(k)
		}
	}
}

// stackCopy is a copy of a stack. A walk that wants more has missed something.
type stackCopy struct {
	bytes  stackBytes
	missed bool
}

func (s *stackCopy) equalFrom(o stackBytes) uint64 { return s.bytes.equalFrom(o) }

var errNotCopied = errors.New("not on the stack")

// ReadAt implements mem.Reader.
func (s *stackCopy) ReadAt(p []byte, addr uint64) error {
	if d := addr - s.bytes.addr; d < uint64(len(s.bytes.b)) && uint64(len(s.bytes.b))-d >= uint64(len(p)) {
		copy(p, s.bytes.b[d:])
		return nil
	}
	s.missed = true
	return &mem.Error{Addr: addr, Len: len(p), Err: errNotCopied}
}

// ReadSome implements mem.PartReader.
func (s *stackCopy) ReadSome(p []byte, addr uint64) int {
	if d := addr - s.bytes.addr; d < uint64(len(s.bytes.b)) {
		return copy(p, s.bytes.b[d:])
	}
	return 0
}

// captureMem reads memory, and along with the first batch a copy of a stack,
// from which it takes what else is asked for there.
type captureMem struct {
	mem.Reader
	addr uint64
	b    []byte // nil: none is wanted
	got  bool

	bufs  [][]byte
	addrs []uint64
}

// within returns the part of the copy at an address, nil where the copy does
// not have all of it.
func (m *captureMem) within(addr uint64, n int) []byte {
	if d := addr - m.addr; d < uint64(len(m.b)) && uint64(len(m.b))-d >= uint64(n) {
		return m.b[d : d+uint64(n)]
	}
	return nil
}

// ReadAt implements mem.Reader.
func (m *captureMem) ReadAt(p []byte, addr uint64) error {
	if m.got {
		if b := m.within(addr, len(p)); b != nil {
			copy(p, b)
			return nil
		}
	}
	return m.Reader.ReadAt(p, addr)
}

// ReadBatch implements cpython.BatchReader.
func (m *captureMem) ReadBatch(bufs [][]byte, addrs []uint64) int {
	r, ok := m.Reader.(cpython.BatchReader)
	if !ok {
		for i := range bufs {
			if m.Reader.ReadAt(bufs[i], addrs[i]) != nil {
				return i
			}
		}
		return len(bufs)
	}
	if m.b == nil {
		return r.ReadBatch(bufs, addrs)
	}
	m.bufs, m.addrs = m.bufs[:0], m.addrs[:0]
	if !m.got {
		m.bufs, m.addrs = append(m.bufs, m.b), append(m.addrs, m.addr)
	}
	for i := range bufs {
		if m.within(addrs[i], len(bufs[i])) == nil {
			m.bufs, m.addrs = append(m.bufs, bufs[i]), append(m.addrs, addrs[i])
		}
	}
	if len(m.bufs) > 0 && r.ReadBatch(m.bufs, m.addrs) < len(m.bufs) {
		return r.ReadBatch(bufs, addrs) // something is gone
	}
	m.got = true
	for i := range bufs {
		copy(bufs[i], m.within(addrs[i], len(bufs[i])))
	}
	return len(bufs)
}

// Noted implements mem.NotingReader.
func (m *captureMem) Noted() (mem.Reader, func(addr uint64, n int)) {
	if r, ok := m.Reader.(mem.NotingReader); ok {
		return r.Noted()
	}
	return nil, nil
}

// copy reads the stack if that has not been done, and says whether it is there.
func (m *captureMem) copy() bool {
	if m.b != nil && !m.got {
		m.got = m.Reader.ReadAt(m.b, m.addr) == nil
	}
	return m.b != nil && m.got
}

// Memory that jobs have used is used again. Most stacks are not large.
const smallStack = 16 << 10

// What is kept for that outlives a collection, unlike a sync.Pool: under way are as many
// as the queue of jobs holds, and there are several collections a second.
var (
	smallStacks = freeList[[]byte]{most: (jobQueue + 2) * jobBatch}
	largeStacks = freeList[[]byte]{most: 2 * jobBatch}
	frameLists  = freeList[[]cpython.Frame]{most: (jobQueue + 2) * jobBatch}
)

// freeList holds values for further use, not more than most.
type freeList[T any] struct {
	mu   sync.Mutex
	free []T
	most int
}

func (l *freeList[T]) get() (v T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		return v, false
	}
	v, l.free = l.free[n-1], l.free[:n-1]
	return v, true
}

func (l *freeList[T]) put(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < l.most {
		l.free = append(l.free, v)
	}
}

func newStack(n int) []byte {
	list, size := &smallStacks, smallStack
	if n > smallStack {
		list, size = &largeStacks, maxCopied
	}
	if b, ok := list.get(); ok {
		return b[:n]
	}
	return make([]byte, n, size)
}

func giveStack(b []byte) {
	switch cap(b) {
	case smallStack:
		smallStacks.put(b)
	case maxCopied:
		largeStacks.put(b)
	}
}

func newFrames() []cpython.Frame {
	f, _ := frameLists.get()
	return f[:0]
}

func giveFrames(f []cpython.Frame) {
	clear(f)
	frameLists.put(f)
}
