package capture

import "pyrr/internal/ptrace"

// slab gives out memory that belongs to whoever got it: what an event holds stays
// as it is, whatever is read after it and whenever it is logged. Pieces are cut off
// a block, which the garbage collector takes when nobody holds one any more.
type slab struct{ free []byte }

const (
	slabSize = 64 << 10
	// slabPiece is from what size on a piece is a block of its own.
	slabPiece = slabSize / 4
)

// cut returns n bytes.
func (s *slab) cut(n int) []byte {
	if n >= slabPiece {
		return make([]byte, n)
	}
	if n > len(s.free) {
		s.free = make([]byte, slabSize)
	}
	b := s.free[:n:n]
	s.free = s.free[n:]
	return b
}

// keep copies bytes that are going to be written over.
func (s *slab) keep(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	out := s.cut(len(b))
	copy(out, b)
	return out
}

// xstateOf reads the extended state of a stopped thread.
func (r *recorder) xstateOf(tid int) ([]byte, error) {
	x, err := ptrace.GetXState(tid, r.xstate)
	if err != nil {
		return nil, err
	}
	return r.bytes.keep(x), nil
}
