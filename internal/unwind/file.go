package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Bounds for what a file may claim.
const (
	maxProgs   = 512
	maxSection = 1 << 30
	maxTable   = 256 << 20 // bytes of unwind or symbol tables read at once
)

// File is an ELF file, or the part of one that is at hand. Its methods may be
// called from several goroutines.
type File struct {
	// Name is the path that the process had it under.
	Name string

	file  io.ReaderAt
	size  int64
	progs []elf.ProgHeader
	// full holds the sections; nil when the file ends before their headers,
	// as what a recording keeps of a file may.
	full *elf.File
	// whole is the same file complete, where a Finder found it.
	find  *Finder
	debug debugFiles

	cfi  cfi
	syms symbols
	dwf  dwarfInfo
	plt  plt

	pyTables pyTables
}

// NewFile reads the headers of an ELF file for x86-64 of which size bytes
// are at hand. find, which may be nil, finds what is missing.
func NewFile(name string, file io.ReaderAt, size int64, find *Finder) (*File, error) {
	im := &File{Name: name, file: file, size: size, find: find}
	err := guard(func() error {
		f, err := elf.NewFile(WithoutSections{ReaderAt: file})
		if err != nil {
			return err
		}
		if f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB || f.Machine != elf.EM_X86_64 {
			return errors.New("not for x86-64")
		}
		if len(f.Progs) > maxProgs {
			return fmt.Errorf("%d program headers", len(f.Progs))
		}
		for _, p := range f.Progs {
			im.progs = append(im.progs, p.ProgHeader)
		}
		if full, err := elf.NewFile(file); err == nil {
			im.full = full
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return im, nil
}

// WithoutSections shows an ELF file without section headers, whose number debug/elf
// believes: e_shoff, e_shnum and e_shstrndx of its header are 0.
type WithoutSections struct{ io.ReaderAt }

func (f WithoutSections) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	for _, field := range [][2]int64{{0x28, 8}, {0x3c, 4}} {
		for at := field[0]; at < field[0]+field[1]; at++ {
			if i := at - off; i >= 0 && i < int64(n) {
				p[i] = 0
			}
		}
	}
	return n, err
}

// Bias returns by how much the file lies above its link addresses where the
// beginning of its file is mapped at start.
func (im *File) Bias(start uint64) (uint64, bool) {
	for i := range im.progs {
		if p := &im.progs[i]; p.Type == elf.PT_LOAD && p.Off == 0 {
			return start - p.Vaddr, true
		}
	}
	return 0, false
}

// span returns the link addresses from the first to the last byte loaded.
func (im *File) span() (lo, hi uint64) {
	lo = ^uint64(0)
	for i := range im.progs {
		if p := &im.progs[i]; p.Type == elf.PT_LOAD && p.Vaddr+p.Memsz >= p.Vaddr {
			lo, hi = min(lo, p.Vaddr), max(hi, p.Vaddr+p.Memsz)
		}
	}
	if lo >= hi {
		return 0, 0
	}
	return lo, hi
}

// segmentIn says whether a segment that begins in the file's first page has its
// link address in the page given.
func (im *File) segmentIn(page uint64) bool {
	for i := range im.progs {
		if p := &im.progs[i]; p.Type == elf.PT_LOAD && p.Off < 4096 && p.Vaddr&^4095 == page {
			return true
		}
	}
	return false
}

// fileOffset returns where in the file the byte at a link address is, and how
// many follow it in its segment.
func (im *File) fileOffset(addr uint64) (off, left uint64, ok bool) {
	for i := range im.progs {
		p := &im.progs[i]
		if p.Type == elf.PT_LOAD && addr-p.Vaddr < p.Filesz {
			d := addr - p.Vaddr
			return p.Off + d, p.Filesz - d, true
		}
	}
	return 0, 0, false
}

// at reads n bytes at a link address, which may go over from one segment to the next.
func (im *File) at(addr, n uint64) ([]byte, error) {
	if n > maxTable {
		return nil, fmt.Errorf("%d bytes at %#x: too many", n, addr)
	}
	for done, parts := uint64(0), 0; done < n || parts == 0; parts++ {
		_, left, ok := im.fileOffset(addr + done)
		if !ok || parts >= maxProgs {
			return nil, fmt.Errorf("%d bytes at %#x: not in the file", n, addr)
		}
		done += min(left, n-done)
	}
	b := make([]byte, n)
	for done := uint64(0); done < n; {
		off, left, _ := im.fileOffset(addr + done)
		part := b[done:min(n, done+left)]
		if _, err := im.file.ReadAt(part, int64(off)); err != nil {
			return nil, fmt.Errorf("%d bytes at %#x: %w", n, addr, err)
		}
		done += uint64(len(part))
	}
	return b, nil
}

// section returns the contents of a section, nil when there is none.
func (im *File) section(name string) (*elf.Section, []byte, error) {
	if im.full == nil {
		return nil, nil, nil
	}
	return sectionOf(im.full, name)
}

func sectionOf(f *elf.File, name string) (s *elf.Section, data []byte, err error) {
	s = f.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS || s.Size == 0 {
		return nil, nil, nil
	}
	if s.Size > maxSection || s.FileSize > maxSection {
		return nil, nil, fmt.Errorf("%s has %d bytes", name, s.Size)
	}
	if err = guard(func() error { data, err = s.Data(); return err }); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", name, err)
	}
	return s, data, nil
}

// BuildID returns the identity that the linker gave the file, in hexadecimal;
// "" for none. It is in a note of a loaded segment.
func (im *File) BuildID() string {
	for i := range im.progs {
		p := &im.progs[i]
		if p.Type != elf.PT_NOTE || p.Filesz > 1<<16 {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := im.file.ReadAt(b, int64(p.Off)); err != nil {
			continue
		}
		if id := buildIDOf(b); id != "" {
			return id
		}
	}
	return ""
}

// buildIDOf finds NT_GNU_BUILD_ID among notes (elf.h: three words, the name
// and the description, each padded to 4 bytes).
func buildIDOf(b []byte) string {
	const buildID = 3
	for len(b) >= 12 {
		name, desc := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
		typ := binary.LittleEndian.Uint32(b[8:])
		b = b[12:]
		padName, padDesc := (name+3)&^3, (desc+3)&^3
		if padName+padDesc > uint64(len(b)) {
			return ""
		}
		if typ == buildID && bytes.Equal(b[:name], []byte("GNU\x00")) && desc >= 2 && desc <= 64 {
			return hex.EncodeToString(b[padName : padName+desc])
		}
		b = b[padName+padDesc:]
	}
	return ""
}

// guard calls f and makes an error of a panic: debug/elf, debug/dwarf and
// delve's packages index what they are given.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	return f()
}

// Files keeps the files of a recording or a machine, so that each file is
// read once. Its methods may be called from several goroutines.
type Files struct {
	// Find finds debug files; nil to go without.
	Find *Finder

	mu sync.Mutex
	m  map[any]fileResult
}

type fileResult struct {
	im  *File
	err error
}

// Get returns the file with a key, which stands for its contents, and makes
// it at the first call.
func (c *Files) Get(key any, name string, open func() (io.ReaderAt, int64, error)) (*File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.m[key]; ok {
		return r.im, r.err
	}
	var r fileResult
	file, size, err := open()
	if err == nil {
		r.im, r.err = NewFile(name, file, size, c.Find)
	} else {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
	if c.m == nil {
		c.m = map[any]fileResult{}
	}
	c.m[key] = r
	return r.im, r.err
}
