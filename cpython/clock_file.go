package cpython

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Limits of what is read of an ELF file.
const (
	maxSegments = 64
	maxLoaded   = 256 << 20 // bytes of all segments
	maxDynamic  = 512
	maxRelocs   = 1 << 20
)

// Tags of the dynamic section that debug/elf does not name (gABI, elf.h).
const (
	dtRELRSZ elf.DynTag = 35
	dtRELR   elf.DynTag = 36
)

var errNotELF = errors.New("not an ELF file for x86-64")

// elfFile is an ELF file by its program headers, as the dynamic linker sees
// it: section headers may be missing.
type elfFile struct {
	r       io.ReaderAt
	dynamic bool // ET_DYN: the dynamic linker relocates it
	segs    []segment
	ehFrame uint64 // address of PT_GNU_EH_FRAME, 0 without one
	dyn     map[elf.DynTag]uint64
	static  map[string]elfSymbol // of a program without dynamic symbols, once it was looked for any
}

// segment is one PT_LOAD. data is nil until it is loaded.
type segment struct {
	vaddr, off, filesz, memsz uint64
	exec, write               bool
	data                      []byte
}

// openFile opens a regular file, without waiting for a FIFO's other end.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// loadELF reads the ELF and program headers and the dynamic section (gABI,
// elf.h).
func readELF(r io.ReaderAt) (*elfFile, error) {
	const headerSize, progSize = 64, 56
	var h [headerSize]byte
	if _, err := r.ReadAt(h[:], 0); err != nil {
		return nil, errNotELF
	}
	le := binary.LittleEndian
	typ := elf.Type(le.Uint16(h[16:]))
	if string(h[:4]) != elf.ELFMAG || elf.Class(h[4]) != elf.ELFCLASS64 || elf.Data(h[5]) != elf.ELFDATA2LSB ||
		elf.Machine(le.Uint16(h[18:])) != elf.EM_X86_64 || typ != elf.ET_EXEC && typ != elf.ET_DYN {
		return nil, errNotELF
	}
	phoff, phentsize, phnum := le.Uint64(h[32:]), le.Uint16(h[54:]), int(le.Uint16(h[56:]))
	if phentsize != progSize || phnum > maxSegments || phoff > 1<<40 {
		return nil, errors.New("unusual program headers")
	}
	ph := make([]byte, phnum*progSize)
	if _, err := r.ReadAt(ph, int64(phoff)); err != nil {
		return nil, fmt.Errorf("read program headers: %w", err)
	}
	im := &elfFile{r: r, dynamic: typ == elf.ET_DYN}
	var dynAddr, dynSize, total uint64
	for ; len(ph) > 0; ph = ph[progSize:] {
		s := segment{
			off: le.Uint64(ph[8:]), vaddr: le.Uint64(ph[16:]),
			filesz: le.Uint64(ph[32:]), memsz: le.Uint64(ph[40:]),
			exec:  elf.ProgFlag(le.Uint32(ph[4:]))&elf.PF_X != 0,
			write: elf.ProgFlag(le.Uint32(ph[4:]))&elf.PF_W != 0,
		}
		switch elf.ProgType(le.Uint32(ph)) {
		case elf.PT_LOAD:
			if total += min(s.filesz, maxLoaded+1); total > maxLoaded || s.memsz > 1<<40 || s.memsz < s.filesz || s.vaddr > 1<<47 || s.off > 1<<40 {
				return nil, errors.New("unusual segment")
			}
			im.segs = append(im.segs, s)
		case elf.PT_DYNAMIC:
			dynAddr, dynSize = s.vaddr, s.filesz
		case elf.PT_GNU_EH_FRAME:
			im.ehFrame = s.vaddr
		}
	}
	im.dyn = map[elf.DynTag]uint64{}
	d, _ := im.bytes(dynAddr, min(dynSize, maxDynamic*16)) // a static program has none
	for ; len(d) >= 16; d = d[16:] {
		tag := elf.DynTag(le.Uint64(d))
		if tag == elf.DT_NULL {
			break
		}
		im.dyn[tag] = le.Uint64(d[8:])
	}
	return im, nil
}

// segmentAt returns the segment that has n bytes of the file at addr.
func (im *elfFile) segmentAt(addr, n uint64) *segment {
	for i := range im.segs {
		s := &im.segs[i]
		if off := addr - s.vaddr; addr >= s.vaddr && off <= s.filesz && n <= s.filesz-off {
			return s
		}
	}
	return nil
}

// bytes returns n bytes of the file at a link-time address.
func (im *elfFile) bytes(addr, n uint64) ([]byte, bool) {
	s := im.segmentAt(addr, n)
	if s == nil {
		return nil, false
	}
	off := addr - s.vaddr
	if s.data != nil {
		return s.data[off : off+n : off+n], true
	}
	b, err := readCapped(im.r, s.off+off, n)
	return b, err == nil
}

// load reads a whole segment.
func (im *elfFile) load(s *segment) error {
	if s.data != nil {
		return nil
	}
	data, err := readCapped(im.r, s.off, s.filesz)
	if err == nil {
		s.data = data
	}
	return err
}

// readCapped reads n bytes in steps, so that a header that lies about a short
// file costs no memory.
func readCapped(r io.ReaderAt, off, n uint64) ([]byte, error) {
	const step = 8 << 20
	data := make([]byte, 0, min(n, step))
	for uint64(len(data)) < n {
		have := uint64(len(data))
		k := min(n-have, step)
		if uint64(cap(data)) < have+k {
			grown := make([]byte, have, min(n, 2*(have+k)))
			copy(grown, data)
			data = grown
		}
		data = data[:have+k]
		if _, err := r.ReadAt(data[have:], int64(off+have)); err != nil {
			return nil, fmt.Errorf("read segment: %w", err)
		}
	}
	return data, nil
}

func (im *elfFile) u32(addr uint64) (uint32, bool) {
	b, ok := im.bytes(addr, 4)
	if !ok {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b), true
}

// cstring reads a string of at most limit bytes.
func (im *elfFile) cstring(addr uint64, limit int) (string, bool) {
	var s *segment
	if s = im.segmentAt(addr, 1); s == nil {
		return "", false
	}
	b, ok := im.bytes(addr, min(uint64(limit)+1, s.filesz-(addr-s.vaddr)))
	if !ok {
		return "", false
	}
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return "", false
	}
	return string(b[:i]), true
}

// isCode says whether an address lies in an executable segment.
func (im *elfFile) isCode(addr uint64) bool {
	for i := range im.segs {
		if s := &im.segs[i]; s.exec && addr-s.vaddr < s.filesz {
			return true
		}
	}
	return false
}

// span returns the lowest and the highest address of the segments.
func (im *elfFile) span() (lo, hi uint64) {
	lo = ^uint64(0)
	for i := range im.segs {
		s := &im.segs[i]
		lo, hi = min(lo, s.vaddr&^4095), max(hi, (s.vaddr+s.memsz+4095)&^4095)
	}
	return lo, hi
}

// relocate writes the link-time values of R_X86_64_RELATIVE relocations
// (psABI 4.4.1, gABI RELR) into the data segments, and returns how many words
// they filled.
func (im *elfFile) relocate() int {
	n := 0
	put := func(at, value uint64, add bool) {
		s := im.segmentAt(at, 8)
		if s == nil || im.load(s) != nil {
			return
		}
		b := s.data[at-s.vaddr:]
		if !add { // RELR keeps the addend in place
			binary.LittleEndian.PutUint64(b, value)
		}
		n++
	}
	if b, ok := im.dynBytes(elf.DT_RELA, elf.DT_RELASZ, 24); ok {
		for ; len(b) >= 24; b = b[24:] {
			if elf.R_X86_64(binary.LittleEndian.Uint32(b[8:])) == elf.R_X86_64_RELATIVE {
				put(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[16:]), false)
			}
		}
	}
	if b, ok := im.dynBytes(dtRELR, dtRELRSZ, 8); ok {
		where := uint64(0)
		for ; len(b) >= 8; b = b[8:] {
			e := binary.LittleEndian.Uint64(b)
			if e&1 == 0 {
				put(e, 0, true)
				where = e + 8
				continue
			}
			for bit := uint64(0); bit < 63; bit++ {
				if e>>(bit+1)&1 != 0 {
					put(where+8*bit, 0, true)
				}
			}
			where += 63 * 8
		}
	}
	return n
}

// dynBytes returns the table that two entries of the dynamic section give
// the address and the size of.
func (im *elfFile) dynBytes(addr, size elf.DynTag, entry uint64) ([]byte, bool) {
	n := im.dyn[size]
	if n == 0 || n > maxRelocs*entry {
		return nil, false
	}
	return im.bytes(im.dyn[addr], n)
}
