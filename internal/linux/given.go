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

// Moves says which arguments of a call are the descriptors that it moves bytes between,
// without the program's memory, and which points to the offset to read at: sendfile(2),
// splice(2), tee(2), copy_file_range(2).
func Moves(nr int) (from, to, offset int, ok bool) {
	w, writes := Uses(nr, DoWrite)
	if !writes || !w.Inside {
		return 0, 0, 0, false
	}
	switch nr {
	case sysSendfile:
		return 1, 0, 2, true
	case sysTee:
		return 0, 1, -1, true
	}
	return 0, int(w.On), 1, true
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
