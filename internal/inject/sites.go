package inject

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
)

// Insn is an instruction whose result differs from run to run or from
// processor to processor.
type Insn uint8

// The instructions that pyrr answers itself.
const (
	Rdtsc Insn = iota + 1
	Rdtscp
	Cpuid
	Rdrand
	Rdseed
	Rdpid
	Xgetbv
)

var insnNames = [...]string{Rdtsc: "rdtsc", Rdtscp: "rdtscp", Cpuid: "cpuid", Rdrand: "rdrand",
	Rdseed: "rdseed", Rdpid: "rdpid", Xgetbv: "xgetbv"}

func (i Insn) String() string {
	if int(i) < len(insnNames) && insnNames[i] != "" {
		return insnNames[i]
	}
	return fmt.Sprintf("insn %d", uint8(i))
}

// maxSite bounds the length of a patched instruction. Longer encodings exist
// (any instruction can carry meaningless prefixes) and are left alone.
const maxSite = 8

// A Site is one such instruction in an executable file.
type Site struct {
	Off   uint64        // where in the file
	Vaddr uint64        // link-time address
	Insn  Insn          // which
	Len   int           // in bytes, prefixes included
	Reg   int           // rdrand, rdseed, rdpid: destination, numbered as in the encoding (0 rax, 1 rcx, …)
	Size  int           // rdrand, rdseed, rdpid: bytes written, 2, 4 or 8
	Orig  [maxSite]byte // its first Len bytes
}

// TrapBytes is ud2. It replaces the start of each site; the program then
// stops with SIGILL at the site, and Emulate takes it past the end.
const TrapBytes = "\x0f\x0b"

// Trap returns the bytes to write over the site: TrapBytes, then NOPs up to
// the length of the instruction, so that disassembly stays in step.
func (s Site) Trap() []byte {
	b := make([]byte, s.Len)
	for i := copy(b, TrapBytes); i < len(b); i++ {
		b[i] = 0x90
	}
	return b
}

// Limits on what a file can make the scanner do.
const (
	maxEHFrame = 256 << 20
	maxDecode  = 256 << 20
	maxWanted  = 1 << 20
)

var errTooMuch = errors.New("more code to disassemble than is plausible")

// Sites finds the instructions of an x86-64 ELF file that Insn names. It
// disassembles functions from their starts, known by the unwind table
// (.eh_frame) or by a sized function symbol, to their ends, and never looks
// for the bytes of an instruction elsewhere: data and the middles of longer
// instructions hold the same bytes by chance. What lies outside such functions
// is not found. A file that is no x86-64 ELF file has no sites.
func Sites(path string) ([]Site, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return sitesOf(f, path)
}

// openRegular opens a file that is no fifo or device: those may block.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		if err == nil {
			err = fmt.Errorf("%s is no regular file", path)
		}
		return nil, err
	}
	return f, nil
}

func sitesOf(r io.ReaderAt, path string) ([]Site, error) {
	sites, _, err := scan(r)
	if err != nil {
		return nil, fmt.Errorf("disassemble %s: %w", path, err)
	}
	return sites, nil
}

// scan does the work of Sites. missed holds the addresses of candidate bytes
// that lie in no known function: mostly data.
func scan(r io.ReaderAt) (sites []Site, missed []uint64, err error) {
	var head [20]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, nil, nil // too short
	}
	// EI_CLASS, EI_DATA, e_machine
	if string(head[:4]) != elf.ELFMAG || head[4] != byte(elf.ELFCLASS64) ||
		head[5] != byte(elf.ELFDATA2LSB) || head[18] != byte(elf.EM_X86_64) || head[19] != 0 {
		return nil, nil, nil
	}
	file, err := elf.NewFile(r)
	if err != nil {
		return nil, nil, err
	}
	s := &scanner{file: file, seen: map[uint64]bool{}}
	for _, p := range file.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && p.Filesz > 0 {
			if err := s.candidates(p); err != nil {
				return nil, nil, err
			}
		}
	}
	if len(s.wanted) == 0 {
		return nil, nil, nil
	}
	slices.SortFunc(s.wanted, func(a, b candidate) int { return cmpU64(a.addr, b.addr) })
	if err := s.functions(); err != nil {
		return nil, nil, err
	}
	return s.result(), s.missed(), nil
}

// A candidate is an address where the opcode bytes of a wanted instruction
// stand, whatever they belong to.
type candidate struct {
	addr    uint64
	prog    *elf.Prog
	covered bool
}

type scanner struct {
	file    *elf.File
	wanted  []candidate // by address
	seen    map[uint64]bool
	found   []Site
	decoded uint64
}

// candidates looks through a segment for opcode bytes, so that only the few
// functions that hold any are disassembled.
func (s *scanner) candidates(p *elf.Prog) error {
	const chunk = 1 << 20
	const overlap = 2
	buf := make([]byte, chunk+overlap)
	for off := uint64(0); off < p.Filesz; off += chunk {
		n := min(uint64(len(buf)), p.Filesz-off)
		got, err := p.ReadAt(buf[:n], int64(off))
		if err != nil && (err != io.EOF || got == 0) {
			if err == io.EOF {
				return nil // the file is shorter than its headers say
			}
			return fmt.Errorf("read code: %w", err)
		}
		b := buf[:got]
		for i := 0; i+1 < len(b) && i < chunk; i++ {
			if b[i] != 0x0f || !wantedOpcode(b[i:]) {
				continue
			}
			if len(s.wanted) >= maxWanted {
				return errTooMuch
			}
			s.wanted = append(s.wanted, candidate{addr: p.Vaddr + off + uint64(i), prog: p})
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
	}
	return false
}

// functions disassembles each known function that holds a candidate.
func (s *scanner) functions() error {
	var err error
	visit := func(f span) {
		if err == nil {
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
			if elf.ST_TYPE(sym.Info) == elf.STT_FUNC && sym.Section != elf.SHN_UNDEF &&
				sym.Size > 0 && sym.Value+sym.Size > sym.Value {
				visit(span{sym.Value, sym.Value + sym.Size})
			}
		}
	}
	return err
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

// function disassembles one function as far as its last candidate. Bytes that
// don't decode end it: they are data, and so may be what follows.
func (s *scanner) function(f span) error {
	lo, _ := slices.BinarySearchFunc(s.wanted, f.start, func(c candidate, a uint64) int { return cmpU64(c.addr, a) })
	hi, _ := slices.BinarySearchFunc(s.wanted, f.end, func(c candidate, a uint64) int { return cmpU64(c.addr, a) })
	if lo >= hi || s.seen[f.start] {
		return nil
	}
	s.seen[f.start] = true
	p := s.wanted[lo].prog
	if f.start < p.Vaddr || f.start-p.Vaddr >= p.Filesz {
		return nil
	}
	off := f.start - p.Vaddr
	last := s.wanted[hi-1].addr
	n := min(f.end-f.start, last-f.start+maxInsn, p.Filesz-off)
	if s.decoded += n; s.decoded > maxDecode {
		return errTooMuch
	}
	code := make([]byte, n)
	got, err := p.ReadAt(code, int64(off))
	if err != nil && err != io.EOF {
		return fmt.Errorf("read function at %#x: %w", f.start, err)
	}
	code = code[:got]
	for i := 0; i < len(code) && f.start+uint64(i) <= last; {
		in, ok := decode(code[i:])
		if !ok {
			break
		}
		if site, ok := siteOf(in, code[i:]); ok {
			site.Vaddr = f.start + uint64(i)
			site.Off = p.Off + off + uint64(i)
			s.found = append(s.found, site)
		}
		i += in.len
	}
	for i := lo; i < hi; i++ {
		s.wanted[i].covered = true
	}
	return nil
}

// siteOf classifies a decoded instruction (Intel SDM volume 2, the pages of
// each; the register form of group 9 for the last three).
func siteOf(in insn, code []byte) (Site, bool) {
	s := Site{Len: in.len}
	if in.m != map0F || in.lock || in.len > maxSite {
		return s, false
	}
	switch in.op {
	case 0x31:
		s.Insn = Rdtsc
	case 0xa2:
		s.Insn = Cpuid
	case 0x01:
		switch {
		case in.modrm == 0xf9:
			s.Insn = Rdtscp
		case in.modrm == 0xd0 && !in.opsize && !in.rep && !in.repne:
			s.Insn = Xgetbv
		}
	case 0xc7:
		if in.modrm < 0xf0 || in.repne {
			break
		}
		s.Reg = int(in.modrm & 7)
		if in.rex&1 != 0 {
			s.Reg += 8
		}
		s.Size = 4
		switch {
		case in.rex&8 != 0:
			s.Size = 8
		case in.opsize:
			s.Size = 2
		}
		switch {
		case in.modrm >= 0xf8 && in.rep:
			s.Insn, s.Size = Rdpid, 8
		case in.modrm >= 0xf8:
			s.Insn = Rdseed
		case !in.rep:
			s.Insn = Rdrand
		}
	}
	if s.Insn == 0 {
		return s, false
	}
	copy(s.Orig[:], code[:in.len])
	return s, true
}

// result sorts the sites, drops repeats, and drops those that overlap: two
// functions disagree there about where instructions start.
func (s *scanner) result() []Site {
	slices.SortFunc(s.found, func(a, b Site) int {
		if c := cmpU64(a.Vaddr, b.Vaddr); c != 0 {
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

func cmpU64(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
