package inject

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Limits on what a file can make the scanner do.
const (
	maxEHFrame = 256 << 20
	maxDecode  = 256 << 20
	maxWanted  = 1 << 20
)

var errTooMuch = errors.New("more code to disassemble than is plausible")

// scan does the work of Sites. missed holds the addresses of candidate bytes
// that lie in no known code: mostly data.
func scan(r io.ReaderAt) (sites []Site, missed []uint64, err error) {
	s, err := newScanner(r)
	if s == nil || err != nil {
		return nil, nil, err
	}
	for _, p := range s.code {
		if err := s.candidates(p); err != nil {
			return nil, nil, err
		}
	}
	if len(s.wanted) == 0 {
		return nil, nil, nil
	}
	slices.SortFunc(s.wanted, func(a, b candidate) int { return cmp.Compare(a.addr, b.addr) })
	if err := s.functions(); err != nil {
		return nil, nil, err
	}
	sites = s.result()
	for _, site := range sites {
		s.cover(span{site.Vaddr, site.Vaddr + uint64(site.Len)})
	}
	return sites, s.missed(), nil
}

// newScanner opens an ELF file; nil for what is none, or not for x86-64.
func newScanner(r io.ReaderAt) (*scanner, error) {
	var head [20]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, nil // too short
	}
	// EI_CLASS, EI_DATA, e_machine
	if string(head[:4]) != elf.ELFMAG || head[4] != byte(elf.ELFCLASS64) ||
		head[5] != byte(elf.ELFDATA2LSB) || head[18] != byte(elf.EM_X86_64) || head[19] != 0 {
		return nil, nil
	}
	file, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	s := &scanner{file: file, seen: map[uint64]bool{}}
	for _, p := range file.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && p.Filesz > 0 {
			s.code = append(s.code, p)
		}
	}
	return s, nil
}

// A candidate is an address where the opcode bytes of a wanted instruction
// stand, whatever they belong to.
type candidate struct {
	addr    uint64
	covered bool // by known code
}

type scanner struct {
	file    *elf.File
	code    []*elf.Prog // executable segments
	wanted  []candidate // by address
	known   []span      // functions
	unsized []uint64    // starts of functions whose end isn't known
	seen    map[uint64]bool
	found   []Site
	decoded uint64 // bytes
}

// candidates looks through a segment for opcode bytes, so that only the few
// functions that hold any are disassembled.
func (s *scanner) candidates(p *elf.Prog) error {
	return s.look(p, 3, func(b []byte, i int) bool {
		return b[i] == 0x0f && i+1 < len(b) && wantedOpcode(b[i:]) || b[i] == 0x60 && vsyscallConstant(b, i)
	})
}

// look makes candidates of the places of a segment of which wanted says so. overlap is how
// many bytes behind a place that takes.
func (s *scanner) look(p *elf.Prog, overlap int, wanted func(b []byte, i int) bool) error {
	return chunks(p, overlap, func(b []byte, n int, addr uint64) error {
		for i := 0; i < n && i < len(b); i++ {
			if !wanted(b, i) {
				continue
			}
			if len(s.wanted) >= maxWanted {
				return errTooMuch
			}
			s.wanted = append(s.wanted, candidate{addr: addr + uint64(i)})
		}
		return nil
	})
}

// chunks reads a segment piece by piece. Each has n bytes that are new, the
// first of them at addr, and up to overlap more that come again.
func chunks(p *elf.Prog, overlap int, visit func(b []byte, n int, addr uint64) error) error {
	const size = 1 << 20
	buf := make([]byte, size+overlap)
	for off := uint64(0); off < p.Filesz; off += size {
		got, err := p.ReadAt(buf[:min(uint64(len(buf)), p.Filesz-off)], int64(off))
		if err != nil && err != io.EOF {
			return fmt.Errorf("read code: %w", err)
		}
		if got == 0 {
			return nil // the file is shorter than its headers say
		}
		if err := visit(buf[:got], min(size, got), p.Vaddr+off); err != nil {
			return err
		}
	}
	return nil
}

// wantedOpcode tells whether b starts with the opcode of a wanted
// instruction (the 0F map, so b[0] is 0F).
func wantedOpcode(b []byte) bool {
	switch b[1] {
	case 0x31, 0xa2:
		return true
	case 0x01:
		return len(b) > 2 && (b[2] == 0xf9 || b[2] == 0xd0)
	case 0xc7:
		return len(b) > 2 && b[2] >= 0xf0
	case 0x03:
		return len(b) > 2 && b[2] >= 0xc0
	}
	return false
}

// functions disassembles each known function that holds a candidate.
func (s *scanner) functions() error {
	var err error
	visit := func(f span) {
		if err == nil {
			s.known = append(s.known, f)
			err = s.function(f)
		}
	}
	if data, addr := s.ehFrame(); data != nil {
		// A malformed end leaves what came before it.
		_ = frameSpans(data, addr, visit)
	}
	if err != nil || len(s.missed()) == 0 {
		return err
	}
	for _, table := range []func() ([]elf.Symbol, error){s.file.Symbols, s.file.DynamicSymbols} {
		syms, e := table()
		if e != nil {
			continue // stripped, or damaged
		}
		for _, sym := range syms {
			switch {
			case elf.ST_TYPE(sym.Info) != elf.STT_FUNC || sym.Section == elf.SHN_UNDEF:
			case sym.Size == 0:
				s.unsized = append(s.unsized, sym.Value)
			case sym.Value+sym.Size > sym.Value:
				visit(span{sym.Value, sym.Value + sym.Size})
			}
		}
	}
	if err != nil || len(s.missed()) == 0 {
		return err
	}
	if err := s.gaps(); err != nil && err != errTooMuch {
		return err
	}
	return nil // what is known without the gaps stands
}

// ehFrame returns the bytes of the unwind table and its address: the section,
// or, in a file without section headers, what PT_GNU_EH_FRAME leads to.
func (s *scanner) ehFrame() ([]byte, uint64) {
	if sec := s.file.Section(".eh_frame"); sec != nil && sec.Type != elf.SHT_NOBITS && sec.Size <= maxEHFrame {
		if data, err := sec.Data(); err == nil {
			return data, sec.Addr
		}
	}
	for _, h := range s.file.Progs {
		if h.Type != elf.PT_GNU_EH_FRAME {
			continue
		}
		// version, eh_frame_ptr encoding, two more encodings, eh_frame_ptr
		// (Linux Standard Base, 10.6.2). Linkers always write it so.
		var hdr [8]byte
		if _, err := h.ReadAt(hdr[:], 0); err != nil || hdr[0] != 1 || hdr[1] != encPCRel|encSdata4 {
			continue
		}
		rel := int32(uint32(hdr[4]) | uint32(hdr[5])<<8 | uint32(hdr[6])<<16 | uint32(hdr[7])<<24)
		addr := h.Vaddr + 4 + uint64(int64(rel))
		for _, p := range s.file.Progs {
			if p.Type != elf.PT_LOAD || addr < p.Vaddr || addr-p.Vaddr >= p.Filesz {
				continue
			}
			off := addr - p.Vaddr
			data, err := io.ReadAll(io.NewSectionReader(p, int64(off), int64(min(p.Filesz-off, maxEHFrame))))
			if err == nil {
				return data, addr
			}
		}
	}
	return nil, 0
}

// function disassembles one function as far as its last candidate.
func (s *scanner) function(f span) error {
	lo, hi := s.candidatesIn(f)
	if lo >= hi || s.seen[f.start] {
		return nil
	}
	s.seen[f.start] = true
	end := min(f.end, s.wanted[hi-1].addr+maxInsn+farCall)
	err := s.sweep(span{f.start, end}, func(in insn, code []byte, addr uint64) {
		if site, ok := siteOf(in, code); ok {
			site.Vaddr, site.Off = addr, s.offset(addr)
			s.found = append(s.found, site)
		}
	})
	if err == nil {
		s.cover(f)
	}
	return err
}

// sweep decodes a function from its start on. Bytes that don't decode end it:
// they are data, and so may be what follows.
func (s *scanner) sweep(f span, visit func(in insn, code []byte, addr uint64)) error {
	p := s.segment(f.start)
	if p == nil {
		return nil
	}
	off := f.start - p.Vaddr
	n := min(f.end-f.start, p.Filesz-off)
	if s.decoded += n; s.decoded > maxDecode {
		return errTooMuch
	}
	code := make([]byte, n)
	got, err := p.ReadAt(code, int64(off))
	if err != nil && err != io.EOF {
		return fmt.Errorf("read function at %#x: %w", f.start, err)
	}
	code = code[:got]
	for i := 0; i < len(code); {
		in, ok := decode(code[i:])
		if !ok {
			break
		}
		visit(in, code[i:], f.start+uint64(i))
		i += in.len
	}
	return nil
}

// candidatesIn returns the range of candidates within a function.
func (s *scanner) candidatesIn(f span) (lo, hi int) {
	at := func(c candidate, a uint64) int { return cmp.Compare(c.addr, a) }
	lo, _ = slices.BinarySearchFunc(s.wanted, f.start, at)
	hi, _ = slices.BinarySearchFunc(s.wanted, f.end, at)
	return lo, hi
}

func (s *scanner) cover(f span) {
	lo, hi := s.candidatesIn(f)
	for i := lo; i < hi; i++ {
		s.wanted[i].covered = true
	}
}

// segment is the executable segment that holds an address.
func (s *scanner) segment(addr uint64) *elf.Prog {
	for _, p := range s.code {
		if addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			return p
		}
	}
	return nil
}

// offset is where in the file an address of a segment lies.
func (s *scanner) offset(addr uint64) uint64 {
	p := s.segment(addr)
	return p.Off + addr - p.Vaddr
}

// result sorts the sites, drops repeats, and drops those that overlap: two
// functions disagree there about where instructions start.
func (s *scanner) result() []Site {
	slices.SortFunc(s.found, func(a, b Site) int {
		if c := cmp.Compare(a.Vaddr, b.Vaddr); c != 0 {
			return c
		}
		return a.Len - b.Len
	})
	all := slices.Compact(s.found)
	var out []Site
	for i, site := range all {
		clash := i > 0 && all[i-1].Vaddr+uint64(all[i-1].Len) > site.Vaddr ||
			i+1 < len(all) && site.Vaddr+uint64(site.Len) > all[i+1].Vaddr
		if !clash {
			out = append(out, site)
		}
	}
	return out
}

func (s *scanner) missed() []uint64 {
	var out []uint64
	for _, c := range s.wanted {
		if !c.covered {
			out = append(out, c.addr)
		}
	}
	return out
}
