package inject

import (
	"encoding/binary"
	"errors"
)

// A span is a range of link-time addresses, [start, end).
type span struct{ start, end uint64 }

// Pointer encodings of .eh_frame (Linux Standard Base, 10.5.1).
const (
	encAbs     = 0x00
	encUdata2  = 0x02
	encUdata4  = 0x03
	encUdata8  = 0x04
	encSdata2  = 0x0a
	encSdata4  = 0x0b
	encSdata8  = 0x0c
	encPCRel   = 0x10
	encOmit    = 0xff
	encNoValue = 0xfe // ours: the CIE can't be read
)

var errEHFrame = errors.New("malformed .eh_frame")

// frameSpans calls f with the address range of each function that an
// .eh_frame section, loaded at addr, describes. Entries that it can't read
// are left out; a length that leaves the section ends the walk with an error.
func frameSpans(data []byte, addr uint64, f func(span)) error {
	encodings := map[int]byte{}
	for off := 0; len(data)-off >= 4; {
		start := off
		n := uint64(binary.LittleEndian.Uint32(data[off:]))
		off += 4
		if n == 0 {
			// The terminator; linkers also leave some in the middle.
			continue
		}
		if n == 0xffffffff {
			if len(data)-off < 8 {
				return errEHFrame
			}
			n = binary.LittleEndian.Uint64(data[off:])
			off += 8
		}
		if n < 4 || n > uint64(len(data)-off) {
			return errEHFrame
		}
		body := data[off : off+int(n)]
		id := binary.LittleEndian.Uint32(body)
		if id == 0 {
			encodings[start] = cieEncoding(body[4:])
		} else if cie := off - int(id); cie >= 0 {
			enc, ok := encodings[cie]
			if !ok {
				enc = encNoValue
			}
			if s, ok := fdeSpan(body[4:], addr+uint64(off)+4, enc); ok {
				f(s)
			}
		}
		off += int(n)
	}
	return nil
}

// cieEncoding returns how the FDEs of a CIE encode addresses. b starts at
// the CIE's version.
func cieEncoding(b []byte) byte {
	if len(b) < 2 {
		return encNoValue
	}
	version := b[0]
	aug := ""
	b = b[1:]
	for i, c := range b {
		if c == 0 {
			aug, b = string(b[:i]), b[i+1:]
			break
		}
	}
	if aug == "" {
		return encAbs
	}
	if aug[0] != 'z' {
		return encNoValue
	}
	for range 2 { // code and data alignment
		b = skipLEB(b)
	}
	if version == 1 { // return address register
		b = b[min(1, len(b)):]
	} else {
		b = skipLEB(b)
	}
	b = skipLEB(b) // length of the augmentation data
	enc := byte(encAbs)
	for _, c := range aug[1:] {
		if len(b) == 0 && c != 'S' && c != 'B' && c != 'G' {
			return encNoValue
		}
		switch c {
		case 'R':
			enc, b = b[0], b[1:]
		case 'L':
			b = b[1:]
		case 'P':
			size := encSize(b[0])
			if size == 0 || len(b) < 1+size {
				return encNoValue
			}
			b = b[1+size:]
		case 'S':
			// A signal frame: glibc's begins one byte before the function,
			// for unwinders that look up the return address less one.
			return encNoValue
		case 'B', 'G':
		default:
			return encNoValue
		}
	}
	return enc
}

func skipLEB(b []byte) []byte {
	for i, c := range b {
		if c&0x80 == 0 {
			return b[i+1:]
		}
	}
	return nil
}

// encSize is the size of an encoded pointer, 0 for those of variable size.
func encSize(enc byte) int {
	switch enc & 0x0f {
	case encUdata2, encSdata2:
		return 2
	case encUdata4, encSdata4:
		return 4
	case encAbs, encUdata8, encSdata8:
		return 8
	}
	return 0
}

// fdeSpan reads the address range of an FDE whose pc_begin is b[0], at addr.
func fdeSpan(b []byte, addr uint64, enc byte) (span, bool) {
	if enc == encOmit || enc == encNoValue || enc&0x80 != 0 {
		return span{}, false
	}
	size := encSize(enc)
	if size == 0 || len(b) < 2*size {
		return span{}, false
	}
	var begin, length uint64
	switch size {
	case 2:
		begin = uint64(binary.LittleEndian.Uint16(b))
		length = uint64(binary.LittleEndian.Uint16(b[2:]))
	case 4:
		begin = uint64(binary.LittleEndian.Uint32(b))
		length = uint64(binary.LittleEndian.Uint32(b[4:]))
	case 8:
		begin = binary.LittleEndian.Uint64(b)
		length = binary.LittleEndian.Uint64(b[8:])
	}
	switch enc & 0x0f {
	case encSdata2:
		begin = uint64(int16(begin))
	case encSdata4:
		begin = uint64(int32(begin))
	}
	switch enc & 0x70 {
	case 0:
	case encPCRel:
		begin += addr
	default:
		return span{}, false
	}
	if length == 0 || begin+length < begin {
		return span{}, false
	}
	return span{begin, begin + length}, true
}
