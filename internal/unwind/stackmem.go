package unwind

import (
	"encoding/binary"

	"pyrr/internal/mem"
)

// stackMemory reads words of a stack out of one large block, since a call for
// each would cost more than all else.
type stackMemory struct {
	m    mem.Reader
	addr uint64
	buf  []byte
	// first is how much is read at first, and high where the highest word was
	// that a walk needed.
	first       int
	start, high uint64
}

// firstBlock is read at once: most of a Python thread's stack.
const (
	firstBlock = 32 << 10
	page       = 4096
)

// extent returns how much a walk needed, in whole pages, for the next one.
func (st *stackMemory) extent() int {
	if st.start == 0 || st.high <= st.start || st.high-st.start > firstBlock {
		return firstBlock
	}
	return int((st.high - st.start + page - 1) &^ (page - 1))
}

func (st *stackMemory) u64(addr uint64) (uint64, error) {
	st.high = max(st.high, addr+8)
	if d := addr - st.addr; d < uint64(len(st.buf)) && uint64(len(st.buf))-d >= 8 {
		return binary.LittleEndian.Uint64(st.buf[d:]), nil
	}
	var b [8]byte
	if err := st.read(b[:], addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

func (st *stackMemory) read(p []byte, addr uint64) error {
	if d := addr - st.addr; d < uint64(len(st.buf)) && uint64(len(st.buf))-d >= uint64(len(p)) {
		copy(p, st.buf[d:])
		return nil
	}
	// The block begins with the page, for what lies just below. Near the end
	// of the stack less can be read.
	start := addr &^ (page - 1)
	if cap(st.buf) < firstBlock {
		st.buf = make([]byte, firstBlock)
	}
	if m, ok := st.m.(mem.PartReader); ok && start+firstBlock > start {
		n := firstBlock
		if st.start == 0 {
			st.start, n = start, st.first
		}
		st.buf, st.addr = st.buf[:n], start
		st.buf = st.buf[:m.ReadSome(st.buf, start)]
		if d := addr - start; uint64(len(st.buf)) >= d && uint64(len(st.buf))-d >= uint64(len(p)) {
			copy(p, st.buf[d:])
			return nil
		}
		st.buf = st.buf[:0]
		return st.m.ReadAt(p, addr)
	}
	for n := uint64(firstBlock); n >= page; n /= 2 {
		if addr-start+uint64(len(p)) > n || start+n < start {
			break
		}
		b := st.buf[:n]
		if st.m.ReadAt(b, start) == nil {
			st.buf, st.addr = b, start
			copy(p, b[addr-start:])
			return nil
		}
	}
	st.buf = st.buf[:0]
	return st.m.ReadAt(p, addr)
}
