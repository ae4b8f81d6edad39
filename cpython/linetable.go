package cpython

import "sort"

// position is what a line table says of a range of instructions that ends
// (exclusive) at byte offset end of the code. Lines are absolute, 0 when the
// range has none. Columns count from 1, as in stack.Frame: col is the first
// byte, endCol one past the last; 0 when the table has none.
type position struct {
	end                        int
	line, endLine, col, endCol int32
}

// maxLineTable bounds a line table's bytes. The largest in real code, the
// module body of a generated file, is some hundred KB.
const maxLineTable = 16 << 20

// lookup returns the position of the instruction at byte offset addr. An
// offset before the code, that of a frame which has not started, is on the
// first line (PyCode_Addr2Line).
func lookup(ps []position, addr, firstLine int) position {
	if addr < 0 {
		return position{line: int32(firstLine)}
	}
	i := sort.Search(len(ps), func(i int) bool { return ps[i].end > addr })
	if i == len(ps) {
		return position{}
	}
	return ps[i]
}

// decodeLnotab decodes co_lnotab of 3.8 and 3.9: pairs of a byte increment
// (unsigned) and a line increment (signed). Source: Objects/lnotab_notes.txt.
func decodeLnotab(table []byte, firstLine int) []position {
	ps := make([]position, 0, len(table)/2+1)
	addr, line := 0, int32(firstLine)
	for ; len(table) >= 2; table = table[2:] {
		if d := int(table[0]); d != 0 {
			addr += d
			ps = append(ps, position{end: addr, line: line})
		}
		line += int32(int8(table[1]))
	}
	return append(ps, position{end: 1 << 40, line: line})
}

// decodeLineTable310 decodes co_linetable of 3.10 (PEP 626): pairs of a byte
// increment (unsigned) and a line increment (signed; -128: no line for the
// range, the running line stays). Source: Objects/lnotab_notes.txt of 3.10.
func decodeLineTable310(table []byte, firstLine int) []position {
	ps := make([]position, 0, len(table)/2)
	addr, line := 0, int32(firstLine)
	for ; len(table) >= 2; table = table[2:] {
		cur := int32(0)
		if d := int8(table[1]); d != -128 {
			line += int32(d)
			cur = line
		}
		if d := int(table[0]); d != 0 {
			addr += d
			ps = append(ps, position{end: addr, line: cur})
		}
	}
	return ps
}

// Kinds of entries of a location table (_PyCodeLocationInfoKind, pycore_code.h).
const (
	locShortMax   = 9
	locOneLine0   = 10
	locOneLine2   = 12
	locNoColumns  = 13
	locLong       = 14
	locNoLocation = 15
)

// decodeLocations decodes co_linetable of 3.11 and later: entries of a byte
// 1kkkklll (kind, length-1 in code units) and the kind's data. Source:
// Objects/locations.md (InternalDocs/code_objects.md from 3.14).
func decodeLocations(table []byte, firstLine int) []position {
	ps := make([]position, 0, len(table)/3)
	c := cursor{b: table}
	addr, line := 0, int32(firstLine)
	for !c.done() {
		first := c.byte()
		kind := first >> 3 & 15
		addr += (int(first&7) + 1) * 2
		p := position{end: addr}
		switch {
		case kind <= locShortMax:
			b := int32(c.byte())
			p.col = int32(kind)<<3 + b>>4
			p.endCol = p.col + b&15
			p.line, p.endLine = line, line
			p.col, p.endCol = p.col+1, p.endCol+1
		case kind <= locOneLine2:
			line += int32(kind - locOneLine0)
			p.line, p.endLine = line, line
			p.col = int32(c.byte()) + 1
			p.endCol = int32(c.byte()) + 1
		case kind == locNoColumns:
			line += c.svarint()
			p.line, p.endLine = line, line
		case kind == locLong:
			line += c.svarint()
			p.line = line
			p.endLine = line + c.varint()
			// Stored plus one, so that 0 means none.
			p.col, p.endCol = c.varint(), c.varint()
		case kind == locNoLocation:
			// The running line stays.
		}
		ps = append(ps, p)
	}
	return ps
}

// cursor walks bytes; past the end it yields zeros.
type cursor struct{ b []byte }

func (c *cursor) done() bool { return len(c.b) == 0 }

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		return 0
	}
	b := c.b[0]
	c.b = c.b[1:]
	return b
}

// varint reads groups of six bits, least significant first, 0x40 set on all
// but the last.
func (c *cursor) varint() int32 {
	b := c.byte()
	v := uint32(b & 63)
	for shift := 6; b&64 != 0; shift += 6 {
		b = c.byte()
		v |= uint32(b&63) << min(shift, 31)
	}
	return int32(v)
}

// svarint reads a varint whose lowest bit is the sign.
func (c *cursor) svarint() int32 {
	u := uint32(c.varint())
	if u&1 != 0 {
		return -int32(u >> 1)
	}
	return int32(u >> 1)
}
