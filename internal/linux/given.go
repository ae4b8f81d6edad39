package linux

import (
	"hash/crc32"

	"pyrr/internal/mem"
)

// Gives reports whether a call writes bytes of the program's memory to a
// descriptor, and which argument that is: those that Given finds.
func Gives(nr int) (arg int, ok bool) {
	u, ok := Uses(nr, DoWrite)
	return int(u.On), ok && (u.Data >= 0 || u.Msg >= 0 && !u.Many)
}

// Given appends to dst where the bytes lie that a call writes to a descriptor:
// all that it was given, of which it may have taken fewer.
func Given(nr int, args [6]uint64, m mem.Reader, dst []mem.Range) []mem.Range {
	u, ok := Uses(nr, DoWrite)
	switch c := (call{nr: nr, args: args, m: m, dst: dst}); {
	case !ok || u.Many:
		return dst
	case u.Msg >= 0:
		var h [msghdrSize]byte
		if m.ReadAt(h[:], args[u.Msg]) != nil {
			return dst
		}
		c.vector(word64(h[16:]), word64(h[24:]), maxRW)
		return c.dst
	case u.Data < 0:
		return dst
	case u.Vector:
		c.vector(args[u.Data], args[u.Data+1], maxRW)
		return c.dst
	default:
		c.addExact(args[u.Data], args[u.Data+1])
		return c.dst
	}
}

// GivenSum is a CRC-32C of the bytes that a call writes to a descriptor, all that
// it was given; never 0, which is for bytes that can't be read.
func GivenSum(nr int, args [6]uint64, m mem.Reader) uint32 {
	const most = 1 << 20
	sum := uint32(0)
	for _, r := range Given(nr, args, m, nil) {
		r.Len = min(r.Len, maxRW)
		for n := uint64(0); n < r.Len; {
			b := make([]byte, min(r.Len-n, most))
			if m.ReadAt(b, r.Addr+n) != nil {
				return 0
			}
			sum = crc32.Update(sum, castagnoli, b)
			n += uint64(len(b))
		}
	}
	return max(sum, 1)
}

// SumOf is the GivenSum of a call that was given b.
func SumOf(b []byte) uint32 { return max(crc32.Checksum(b, castagnoli), 1) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
