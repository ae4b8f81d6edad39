package linux

import (
	"bytes"
	"encoding/binary"
)

// Offsets in an XSAVE area of the standard form (Intel SDM volume 1, 13.4).
const (
	xMXCSR    = 24
	xX87      = 32
	xXMM      = 160
	xXMMEnd   = 416
	xStateBV  = 512
	xExtended = 576
	xYMMEnd   = 832
)

// SameVectors compares the contents of two XSAVE areas: floating-point and
// vector registers and what controls them. A component that is not in use is
// as after its initialization, whatever its bytes are. Pointers to the last x87
// instruction don't count.
func SameVectors(a, b []byte) bool {
	if len(a) != len(b) || len(a) < xExtended {
		return false
	}
	const x87, sse, avx = 1, 2, 4
	x, y := binary.LittleEndian.Uint64(a[xStateBV:]), binary.LittleEndian.Uint64(b[xStateBV:])
	same := func(from, to int, bit uint64) bool {
		return equalOrZero(a[from:to], x&bit != 0, b[from:to], y&bit != 0)
	}
	if !same(xX87, xXMM, x87) || !same(xXMM, xXMMEnd, sse) || !bytes.Equal(a[xMXCSR:xMXCSR+4], b[xMXCSR:xMXCSR+4]) {
		return false
	}
	if x&y&x87 != 0 && !bytes.Equal(a[:5], b[:5]) { // FCW, FSW, FTW
		return false
	}
	if len(a) < xYMMEnd {
		return bytes.Equal(a[xExtended:], b[xExtended:])
	}
	return same(xExtended, xYMMEnd, avx) && bytes.Equal(a[xYMMEnd:], b[xYMMEnd:])
}

// equalOrZero compares two components, each zero where it is not in use.
func equalOrZero(a []byte, useA bool, b []byte, useB bool) bool {
	zero := func(p []byte) bool { return len(bytes.TrimLeft(p, "\x00")) == 0 }
	switch {
	case useA && useB:
		return bytes.Equal(a, b)
	case useA:
		return zero(a)
	case useB:
		return zero(b)
	}
	return true
}
