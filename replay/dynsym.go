package replay

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"pyrr/internal/mem"
	"pyrr/internal/unwind"
)

// Bounds for what a module in memory may claim.
const (
	maxDynamic = 4096    // entries of PT_DYNAMIC
	maxChain   = 1 << 20 // symbols of one hash chain
)

// dynamicSymbol looks a symbol up in a module that is mapped bias above its
// link addresses, as ld.so does: by the hash table that PT_DYNAMIC names. A
// recording holds of a file what was mapped, which leaves the section headers
// out, but for an interpreter that is linked statically. Structures are those of the System V ABI, the GNU hash table that of
// binutils.
func dynamicSymbol(file io.ReaderAt, m mem.Reader, bias uint64, name string) (uint64, error) {
	addr, _, err := dynamicSymbolSize(file, m, bias, name)
	return addr, err
}

// dynamicSymbolSize is dynamicSymbol with the number of bytes that the symbol takes.
func dynamicSymbolSize(file io.ReaderAt, m mem.Reader, bias uint64, name string) (addr, size uint64, err error) {
	progs, err := programHeaders(file)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range progs {
		if p.Type == elf.PT_DYNAMIC {
			d, err := readDynamic(m, bias, p)
			if err != nil {
				return 0, 0, err
			}
			addr, err = d.lookup(name)
			return addr, d.size, err
		}
	}
	return sectionSymbol(file, bias, name)
}

// maxSymbols bounds the table of symbols in a section.
const maxSymbols = 64 << 20

// sectionSymbol looks a symbol up in the table that is there for debuggers, of a program
// that is linked statically: it has no other.
func sectionSymbol(file io.ReaderAt, bias uint64, name string) (addr, size uint64, err error) {
	defer func() {
		if p := recover(); p != nil { // debug/elf indexes what it is given
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	f, err := elf.NewFile(file)
	if err != nil {
		return 0, 0, err
	}
	s := f.SectionByType(elf.SHT_SYMTAB)
	if s == nil || s.FileSize > maxSymbols {
		return 0, 0, errors.New("the module has neither a dynamic segment nor a table of symbols")
	}
	syms, err := f.Symbols()
	if err != nil {
		return 0, 0, err
	}
	for _, s := range syms {
		if s.Name == name && elf.ST_BIND(s.Info) != elf.STB_LOCAL && s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) != elf.STT_TLS {
			return bias + s.Value, s.Size, nil
		}
	}
	return 0, 0, fmt.Errorf("%w: %s", errNoSymbol, name)
}

// programHeaders reads the program headers of a 64-bit little-endian ELF file
// without its sections.
func programHeaders(file io.ReaderAt) ([]*elf.Prog, error) {
	f, err := elf.NewFile(unwind.WithoutSections{ReaderAt: file})
	if err != nil {
		return nil, err
	}
	if f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB {
		return nil, fmt.Errorf("%v %v", f.Class, f.Data)
	}
	return f.Progs, nil
}

// dynamic is a module's dynamic symbol table in memory; addresses are real
// ones.
type dynamic struct {
	m                         mem.Reader
	bias                      uint64
	symtab, strtab, gnu, sysv uint64
	size                      uint64 // of the symbol that was looked up last
}

func readDynamic(m mem.Reader, bias uint64, p *elf.Prog) (*dynamic, error) {
	d := &dynamic{m: m, bias: bias}
	b, err := mem.Bytes(m, bias+p.Vaddr, int(16*min(p.Memsz/16, maxDynamic)))
	if err != nil {
		return nil, err
	}
	for ; len(b) > 0; b = b[16:] {
		tag, val := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		// glibc relocates these entries in place; others leave them.
		at := val
		if at < bias {
			at += bias
		}
		switch elf.DynTag(tag) {
		case elf.DT_NULL:
			return d, nil
		case elf.DT_SYMTAB:
			d.symtab = at
		case elf.DT_STRTAB:
			d.strtab = at
		case elf.DT_GNU_HASH:
			d.gnu = at
		case elf.DT_HASH:
			d.sysv = at
		}
	}
	return d, nil
}

func (d *dynamic) lookup(name string) (uint64, error) {
	if d.symtab == 0 || d.strtab == 0 {
		return 0, errors.New("the module has no dynamic symbols")
	}
	switch {
	case d.gnu != 0:
		return d.lookupGNU(name)
	case d.sysv != 0:
		return d.lookupSysV(name)
	}
	return 0, errors.New("the module has no hash table of symbols")
}

// symbol returns the address of symbol i if it has the name and is defined; size gets
// how much it takes.
func (d *dynamic) symbol(i uint32, name string) (uint64, bool, error) {
	sym, err := mem.Bytes(d.m, d.symtab+24*uint64(i), 24) // Elf64_Sym
	if err != nil {
		return 0, false, err
	}
	s, ok, err := mem.CString(d.m, d.strtab+uint64(binary.LittleEndian.Uint32(sym)), len(name)+1)
	if err != nil || !ok || s != name {
		return 0, false, err
	}
	if binary.LittleEndian.Uint16(sym[6:]) == uint16(elf.SHN_UNDEF) {
		return 0, false, nil
	}
	d.size = binary.LittleEndian.Uint64(sym[16:])
	return d.bias + binary.LittleEndian.Uint64(sym[8:]), true, nil
}

// errNoSymbol says that the tables of a module were read, and a symbol is not
// in them.
var errNoSymbol = errors.New("the module has no such symbol")

func (d *dynamic) missing(name string) error { return fmt.Errorf("%w: %s", errNoSymbol, name) }

// lookupGNU follows the table of DT_GNU_HASH: four words, a Bloom filter, the
// buckets, and for each symbol from the first hashed one on its hash, the last
// bit of which ends a chain.
func (d *dynamic) lookupGNU(name string) (uint64, error) {
	head, err := mem.Bytes(d.m, d.gnu, 16)
	if err != nil {
		return 0, err
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(head[4*i:]) }
	buckets, first, bloom := word(0), word(1), word(2)
	if buckets == 0 {
		return 0, d.missing(name)
	}
	hash := uint32(5381)
	for i := range len(name) {
		hash = hash*33 + uint32(name[i])
	}
	table := d.gnu + 16 + 8*uint64(bloom)
	i, err := mem.U32(d.m, table+4*uint64(hash%buckets))
	if err != nil {
		return 0, err
	}
	if i < first {
		return 0, d.missing(name)
	}
	chain := table + 4*uint64(buckets) + 4*uint64(i-first)
	var part []byte // of the chain: each read is a system call, and one may be long
	for range maxChain {
		if len(part) == 0 {
			if part, err = someWords(d.m, chain); err != nil {
				return 0, err
			}
		}
		h := binary.LittleEndian.Uint32(part)
		if h|1 == hash|1 {
			if v, ok, err := d.symbol(i, name); err != nil || ok {
				return v, err
			}
		}
		if h&1 != 0 {
			break
		}
		part, chain = part[4:], chain+4
		i++
	}
	return 0, d.missing(name)
}

// someWords reads the 32-bit word at addr, and what follows it on its page.
func someWords(m mem.Reader, addr uint64) ([]byte, error) {
	const most, page = 1024, 4096
	n := min(most, page-addr%page) &^ 3
	if n > 4 {
		if b, err := mem.Bytes(m, addr, int(n)); err == nil {
			return b, nil
		}
	}
	return mem.Bytes(m, addr, 4) // a small module's file ends before
}

// lookupSysV follows the table of DT_HASH: two counts, the buckets, the
// chains.
func (d *dynamic) lookupSysV(name string) (uint64, error) {
	buckets, err := mem.U32(d.m, d.sysv)
	if err != nil {
		return 0, err
	}
	if buckets == 0 {
		return 0, d.missing(name)
	}
	var hash uint32
	for i := range len(name) {
		hash = hash<<4 + uint32(name[i])
		g := hash & 0xf0000000
		hash = (hash ^ g>>24) &^ g
	}
	i, err := mem.U32(d.m, d.sysv+8+4*uint64(hash%buckets))
	for n := 0; err == nil && i != 0 && n < maxChain; n++ {
		v, ok, serr := d.symbol(i, name)
		if serr != nil || ok {
			return v, serr
		}
		i, err = mem.U32(d.m, d.sysv+8+4*uint64(buckets)+4*uint64(i))
	}
	if err != nil {
		return 0, err
	}
	return 0, d.missing(name)
}

// fileImage reads a module's file as if it were mapped at its link addresses.
type linkedFile struct {
	file  io.ReaderAt
	progs []*elf.Prog
}

func (f linkedFile) ReadAt(b []byte, addr uint64) error {
	for _, p := range f.progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr-p.Vaddr+uint64(len(b)) <= p.Filesz {
			if _, err := f.file.ReadAt(b, int64(p.Off+addr-p.Vaddr)); err != nil {
				return &mem.Error{Addr: addr, Len: len(b), Err: err}
			}
			return nil
		}
	}
	return &mem.Error{Addr: addr, Len: len(b), Err: errors.New("not in the file")}
}

// Exports says whether a file of the recording has a dynamic symbol.
func (x *Session) Exports(name string) bool {
	found := false
	x.do(func() error {
		for _, f := range x.s.rec.Files() {
			file, size, err := x.s.rec.ReadFile(f.ID)
			if err != nil {
				continue
			}
			r := io.NewSectionReader(file, 0, size)
			progs, err := programHeaders(r)
			if err != nil {
				continue
			}
			if _, err := dynamicSymbol(r, linkedFile{r, progs}, 0, name); err == nil {
				found = true
				return nil
			}
		}
		return nil
	})
	return found
}
