package cpython

import (
	"debug/elf"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
)

// span is a range of link-time addresses, [start, end).
type span struct{ start, end uint64 }

// Pointer encodings of .eh_frame (Linux Standard Base, 10.5.1).
const (
	ehAbs       = 0x00
	ehData4     = 0x03 // signed or not
	ehPCRel     = 0x10
	ehSigned    = 0x08
	ehTableEnc  = 0x3b // .eh_frame_hdr's table: signed 4 bytes, from its start
	ehTableHead = 12
)

// ehTable is the sorted table of .eh_frame_hdr: function start, FDE.
type ehTable struct {
	im   *elfFile
	at   uint64
	data []byte
}

// functions opens the search table of .eh_frame_hdr (Linux Standard Base,
// 10.6.2), or makes one of the section .eh_frame where there is none, as in programs that
// are linked statically. It is nil when the file has none that can be searched.
func (im *elfFile) functions() *ehTable {
	if im.ehFrame == 0 {
		return im.sortedFrames()
	}
	h, ok := im.bytes(im.ehFrame, ehTableHead)
	// Version 1; every linker writes these encodings.
	if !ok || h[0] != 1 || h[1] != ehPCRel|ehSigned|ehData4 || h[2] != ehData4 || h[3] != ehTableEnc {
		return nil
	}
	n := uint64(binary.LittleEndian.Uint32(h[8:]))
	data, ok := im.bytes(im.ehFrame+ehTableHead, n*8)
	if !ok || n > 1<<24 {
		return nil
	}
	return &ehTable{im: im, at: im.ehFrame, data: data}
}

// maxFrames bounds the section .eh_frame that a table is made of.
const maxFrames = 16 << 20

// sortedFrames makes the table that a linker would have made.
func (im *elfFile) sortedFrames() *ehTable {
	f, err := elf.NewFile(im.r)
	if err != nil {
		return nil
	}
	sec := f.Section(".eh_frame")
	if sec == nil || sec.Addr == 0 || sec.Size > maxFrames {
		return nil
	}
	t := &ehTable{im: im, at: sec.Addr}
	le := binary.LittleEndian
	var rows []uint64 // start and FDE, relative to at, in the halves of a word
	for at, end := sec.Addr, sec.Addr+sec.Size; at+16 <= end; {
		b, ok := im.bytes(at, 16)
		if !ok {
			return nil
		}
		size, back := uint64(le.Uint32(b)), le.Uint32(b[4:])
		if size == 1<<32-1 {
			return nil // the 64-bit form
		}
		if size >= 12 && back != 0 {
			enc, ok := t.pointerEncoding(at + 4 - uint64(back))
			start := uint64(0)
			switch {
			case ok && enc == ehPCRel|ehSigned|ehData4:
				start = at + 8 + uint64(int64(int32(le.Uint32(b[8:]))))
			case ok && enc == ehAbs:
				start = le.Uint64(b[8:])
			}
			if rel := int64(start - t.at); start != 0 && rel == int64(int32(rel)) {
				rows = append(rows, uint64(uint32(rel)^1<<31)<<32|(at-t.at))
			}
		}
		at += 4 + size
	}
	slices.Sort(rows)
	for _, r := range rows {
		t.data = le.AppendUint32(t.data, uint32(r>>32)^1<<31)
		t.data = le.AppendUint32(t.data, uint32(r))
	}
	if len(rows) == 0 {
		return nil
	}
	return t
}

func (t *ehTable) field(i int) uint64 {
	return t.at + uint64(int64(int32(binary.LittleEndian.Uint32(t.data[4*i:]))))
}

// function returns the range of the function, or part of one, around pc.
func (t *ehTable) function(pc uint64) (span, bool) {
	i := sort.Search(len(t.data)/8, func(i int) bool { return t.field(2*i) > pc }) - 1
	if i < 0 {
		return span{}, false
	}
	start, fde := t.field(2*i), t.field(2*i+1)
	b, ok := t.im.bytes(fde, 8)
	if !ok {
		return span{}, false
	}
	size, back := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if size < 12 || size == ^uint32(0) || back == 0 {
		return span{}, false // empty, 64-bit form, a CIE
	}
	enc, ok := t.pointerEncoding(fde + 4 - uint64(back))
	if !ok {
		return span{}, false
	}
	width := uint64(4)
	if enc&0x07 == ehAbs {
		width = 8
	} else if enc&0x07 != ehData4 {
		return span{}, false
	}
	b, ok = t.im.bytes(fde+8, 2*width)
	if !ok {
		return span{}, false
	}
	var n uint64
	if width == 8 {
		n = binary.LittleEndian.Uint64(b[8:])
	} else {
		n = uint64(binary.LittleEndian.Uint32(b[4:]))
	}
	s := span{start, start + n}
	return s, pc >= s.start && pc < s.end
}

// pointerEncoding returns how the FDEs of the CIE at an address encode
// addresses.
func (t *ehTable) pointerEncoding(cie uint64) (byte, bool) {
	b, ok := t.im.bytes(cie, 8)
	if !ok {
		return 0, false
	}
	size := binary.LittleEndian.Uint32(b)
	if size < 6 || size > 256 {
		return 0, false
	}
	if b, ok = t.im.bytes(cie+8, uint64(size)-4); !ok {
		return 0, false
	}
	version := b[0]
	aug, rest, ok := strings.Cut(string(b[1:]), "\x00")
	if !ok || version != 1 && version != 3 {
		return 0, false
	}
	if aug == "" {
		return ehAbs, true
	}
	skip := func(n int) {
		rest = rest[min(n, len(rest)):]
	}
	leb := func() {
		for len(rest) > 0 && rest[0]&0x80 != 0 {
			skip(1)
		}
		skip(1)
	}
	leb() // code alignment
	leb() // data alignment
	if version == 1 {
		skip(1) // return address register
	} else {
		leb()
	}
	if aug[0] != 'z' {
		return 0, false
	}
	leb() // length of the augmentation data
	for _, c := range aug[1:] {
		if len(rest) == 0 {
			return 0, false
		}
		switch c {
		case 'R':
			return rest[0], true
		case 'L':
			skip(1)
		case 'P':
			if rest[0]&0x07 == ehData4 {
				skip(5)
			} else {
				skip(9)
			}
		}
	}
	return ehAbs, true
}
