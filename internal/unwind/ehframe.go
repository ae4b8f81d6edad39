package unwind

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// ehFrame finds a file's .eh_frame: by the segment PT_GNU_EH_FRAME, which
// holds .eh_frame_hdr and needs no section headers, else by its section. It
// returns the bytes and their link address.
func (im *File) ehFrame() (data []byte, addr uint64, err error) {
	for i := range im.progs {
		if p := &im.progs[i]; p.Type == elf.PT_GNU_EH_FRAME {
			data, addr, err = im.ehFrameBy(p)
			if err == nil {
				return data, addr, nil
			}
		}
	}
	if s, b, serr := im.section(".eh_frame"); serr == nil && s != nil {
		return b, s.Addr, nil
	}
	return nil, 0, err
}

// Pointer encodings (Linux Standard Base, 10.5.1).
const (
	encAbs8    = 0x00
	encU4      = 0x03
	encU8      = 0x04
	encS4      = 0x0b
	encS8      = 0x0c
	encPCRel   = 0x10
	encDataRel = 0x30
	encOmit    = 0xff
)

// ehFrameBy reads .eh_frame_hdr (Linux Standard Base, 10.6.2): version, three
// encodings, the pointer to .eh_frame, the number of functions, a table.
func (im *File) ehFrameBy(p *elf.ProgHeader) ([]byte, uint64, error) {
	hdr, err := im.at(p.Vaddr, min(p.Filesz, 24))
	if err != nil {
		return nil, 0, fmt.Errorf("read .eh_frame_hdr: %w", err)
	}
	if len(hdr) < 8 || hdr[0] != 1 {
		return nil, 0, errors.New(".eh_frame_hdr is malformed")
	}
	start, n, err := pointer(hdr[4:], hdr[1], p.Vaddr+4, p.Vaddr)
	if err != nil {
		return nil, 0, err
	}
	count := uint64(0)
	if hdr[2] != encOmit {
		if count, _, err = pointer(hdr[4+n:], hdr[2], 0, 0); err != nil {
			return nil, 0, err
		}
	}
	_, left, ok := im.fileOffset(start)
	if !ok {
		return nil, 0, fmt.Errorf(".eh_frame at %#x is not in the file", start)
	}
	data, err := im.at(start, min(left, maxTable))
	if err != nil {
		return nil, 0, fmt.Errorf("read .eh_frame: %w", err)
	}
	return data[:ehFrameLen(data, count)], start, nil
}

// ehFrameLen finds the end of an .eh_frame: nothing says its length. It ends
// with a length of 0, but linkers leave some in the middle too, so that counts
// only behind as many functions as .eh_frame_hdr lists.
func ehFrameLen(data []byte, functions uint64) int {
	off, seen := 0, uint64(0)
	for len(data)-off >= 4 {
		n := binary.LittleEndian.Uint32(data[off:])
		if n == 0 {
			if seen >= functions {
				return off
			}
			off += 4
			continue
		}
		if n < 4 || uint64(n) > uint64(len(data)-off-4) {
			return off
		}
		if binary.LittleEndian.Uint32(data[off+4:]) != 0 {
			seen++
		}
		off += 4 + int(n)
	}
	return off
}

// pointer decodes a pointer of an encoding with a fixed size, and returns how
// many bytes it has. pc is the address of b, data what data-relative ones
// count from.
func pointer(b []byte, enc byte, pc, data uint64) (v uint64, n int, err error) {
	switch enc & 0x0f {
	case encU4, encS4:
		n = 4
	case encAbs8, encU8, encS8:
		n = 8
	default:
		return 0, 0, fmt.Errorf("pointer encoding %#x", enc)
	}
	if len(b) < n {
		return 0, 0, errors.New("a pointer is cut off")
	}
	switch enc & 0x0f {
	case encU4:
		v = uint64(binary.LittleEndian.Uint32(b))
	case encS4:
		v = uint64(int32(binary.LittleEndian.Uint32(b)))
	default:
		v = binary.LittleEndian.Uint64(b)
	}
	switch enc & 0x70 {
	case 0:
	case encPCRel:
		v += pc
	case encDataRel:
		v += data
	default:
		return 0, 0, fmt.Errorf("pointer encoding %#x", enc)
	}
	return v, n, nil
}
