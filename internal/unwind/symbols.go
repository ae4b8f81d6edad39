package unwind

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
)

// symbols are the functions of a file by address, from all its tables.
type symbols struct {
	once sync.Once
	all  []symbol // by address; for each address the best name first
	data []symbol // variables, likewise
	// labels are places in code without type and size, as in functions written
	// in assembler.
	labels []symbol

	byName     map[string]uint64 // what other files see
	local      map[string]uint64 // what they don't
	byNameOnce sync.Once
	err        error
}

type symbol struct {
	addr, size uint64
	name       string
	// global is set for what other files see under that name: not for what is
	// local, nor for a version of it that only old programs use.
	global bool
}

// maxSymbols bounds a table.
const maxSymbols = 4 << 20

// Symbol returns the name of the function at a link address, and where it
// begins. An address counts only within the function's size: parts that the
// compiler split off lie behind other functions.
func (im *File) Symbol(addr uint64) (name string, start uint64, ok bool) {
	im.syms.once.Do(im.loadSymbols)
	if s := lookupSymbol(im.syms.all, addr); s != nil {
		return s.name, s.addr, true
	}
	if name := im.pltName(addr); name != "" {
		return name, addr &^ 15, true
	}
	if s := im.syms.label(addr); s != nil {
		return s.name, s.addr, true
	}
	if name, start := im.tableName(addr); name != "" {
		return name, start, true
	}
	return "", 0, false
}

// maxLabel is how far from a label its code is believed to reach.
const maxLabel = 4096

// label finds the label before an address, if no function is between the two.
func (s *symbols) label(addr uint64) *symbol {
	i, found := slices.BinarySearchFunc(s.labels, addr, bySymbolAddr)
	if !found {
		i--
	}
	if i < 0 || addr-s.labels[i].addr > maxLabel {
		return nil
	}
	j, found := slices.BinarySearchFunc(s.all, addr, bySymbolAddr)
	if found || j > 0 && s.all[j-1].addr >= s.labels[i].addr {
		return nil
	}
	return &s.labels[i]
}

// dataSymbol is Symbol for variables.
func (im *File) dataSymbol(addr uint64) (name string, start uint64, ok bool) {
	im.syms.once.Do(im.loadSymbols)
	if s := lookupSymbol(im.syms.data, addr); s != nil {
		return s.name, s.addr, true
	}
	return "", 0, false
}

// HasName says whether a function that begins at a link address has a name,
// among others.
func (im *File) HasName(start uint64, name string) bool {
	im.syms.once.Do(im.loadSymbols)
	all := im.syms.all
	i, _ := slices.BinarySearchFunc(all, start, bySymbolAddr)
	for ; i < len(all) && all[i].addr == start; i++ {
		if all[i].name == name {
			return true
		}
	}
	return false
}

// function finds the link address of a function by its name: among those that
// other files see, or the others.
func (im *File) function(name string, global bool) (uint64, bool) {
	s := &im.syms
	s.once.Do(im.loadSymbols)
	s.byNameOnce.Do(func() {
		s.byName, s.local = map[string]uint64{}, map[string]uint64{}
		for i := range s.all {
			m := s.local
			if s.all[i].global {
				m = s.byName
			}
			if _, dup := m[s.all[i].name]; !dup {
				m[s.all[i].name] = s.all[i].addr
			}
		}
	})
	m := s.local
	if global {
		m = s.byName
	}
	addr, ok := m[name]
	return addr, ok
}

func bySymbolAddr(s symbol, at uint64) int { return cmp.Compare(s.addr, at) }

// lookupSymbol finds the symbol that an address lies in.
func lookupSymbol(all []symbol, addr uint64) *symbol {
	i, found := slices.BinarySearchFunc(all, addr, bySymbolAddr)
	if found {
		return &all[i] // the first of that address
	}
	// A smaller symbol may lie inside a larger one.
	for n := 0; i > 0 && n < 64; n++ {
		i--
		if s := &all[i]; addr-s.addr < s.size {
			for i > 0 && all[i-1].addr == s.addr && addr-s.addr < all[i-1].size {
				i--
			}
			return &all[i]
		}
	}
	return nil
}

func (im *File) loadSymbols() {
	s := &im.syms
	var t symbolTable
	add := func(f *elf.File, table, names string) {
		if f == nil {
			return
		}
		_, syms, err := sectionOf(f, table)
		if err != nil || syms == nil {
			return
		}
		_, strs, err := sectionOf(f, names)
		if err != nil {
			return
		}
		t.add(f, syms, strs)
	}
	whole, debug, mini := im.wholeFile(), im.debugFile(), im.miniDebug()
	add(debug, ".symtab", ".strtab")
	add(whole, ".symtab", ".strtab")
	// What they have of .dynsym's names has the version with it.
	full := len(t.all) > 0
	add(mini, ".symtab", ".strtab")
	switch {
	case full:
	case whole != nil:
		add(whole, ".dynsym", ".dynstr")
	default:
		syms, strs, err := im.dynamicSymbols()
		if err != nil {
			s.err = err
		}
		t.add(nil, syms, strs)
	}
	s.all, s.data, s.labels = sortSymbols(t.all), sortSymbols(t.data), sortSymbols(t.labels)
}

func sortSymbols(all []symbol) []symbol {
	slices.SortFunc(all, func(a, b symbol) int {
		if c := cmp.Compare(a.addr, b.addr); c != 0 {
			return c
		}
		return betterName(a, b)
	})
	return slices.Compact(all)
}

// betterName orders the names of one function: those with a size first, then
// those that people write (exported, without underscores, short).
func betterName(a, b symbol) int {
	if (a.size == 0) != (b.size == 0) {
		if a.size == 0 {
			return 1
		}
		return -1
	}
	under := func(s string) int { return len(s) - len(strings.TrimLeft(s, "_")) }
	if c := under(a.name) - under(b.name); c != 0 {
		return c
	}
	if c := len(a.name) - len(b.name); c != 0 {
		return c
	}
	return strings.Compare(a.name, b.name)
}

// symbolTable collects symbols of several tables.
type symbolTable struct{ all, data, labels []symbol }

// add takes the functions and the variables out of a symbol table (Elf64_Sym,
// 24 bytes each), and where the file is given the labels.
func (t *symbolTable) add(f *elf.File, syms, strs []byte) {
	code := func(i elf.SectionIndex) bool {
		return f != nil && int(i) < len(f.Sections) && f.Sections[i].Flags&elf.SHF_EXECINSTR != 0
	}
	for n := 0; len(syms) >= elf.Sym64Size && n < maxSymbols; n++ {
		b := syms[:elf.Sym64Size]
		syms = syms[elf.Sym64Size:]
		typ := elf.ST_TYPE(b[4])
		section := elf.SectionIndex(binary.LittleEndian.Uint16(b[6:]))
		if section == elf.SHN_UNDEF || section == elf.SHN_ABS {
			continue
		}
		if typ != elf.STT_FUNC && typ != elf.STT_GNU_IFUNC && typ != elf.STT_NOTYPE && typ != elf.STT_OBJECT {
			continue
		}
		name := binary.LittleEndian.Uint32(b)
		if uint64(name) >= uint64(len(strs)) {
			continue
		}
		end := bytes.IndexByte(strs[name:min(uint64(len(strs)), uint64(name)+1<<16)], 0)
		if end <= 0 {
			continue
		}
		sym := symbol{
			addr: binary.LittleEndian.Uint64(b[8:]), size: binary.LittleEndian.Uint64(b[16:]),
			name:   string(strs[name : int(name)+end]),
			global: elf.ST_BIND(b[4]) != elf.STB_LOCAL,
		}
		if typ == elf.STT_NOTYPE && sym.size == 0 {
			if code(section) && sym.name[0] != '.' && sym.name[0] != '$' { // those are marks of tools
				t.labels = append(t.labels, sym)
			}
			continue
		}
		// A version is not part of the name; the default one has two signs.
		if base, version, ok := strings.Cut(sym.name, "@"); ok {
			sym.name, sym.global = base, strings.HasPrefix(version, "@")
		}
		if typ == elf.STT_OBJECT {
			t.data = append(t.data, sym)
		} else {
			t.all = append(t.all, sym)
		}
	}
}

// dynamicSymbols reads the table that PT_DYNAMIC names: a file without section
// headers has only that. Nothing says how many symbols there are, but as linkers lay it
// out the strings follow the symbols; else the hash table tells.
func (im *File) dynamicSymbols() (syms, strs []byte, err error) {
	for i := range im.progs {
		p := &im.progs[i]
		if p.Type != elf.PT_DYNAMIC {
			continue
		}
		tags := im.dynamicTags(p)
		symtab, strtab := tags[elf.DT_SYMTAB], tags[elf.DT_STRTAB]
		size := strtab - symtab
		if strtab <= symtab {
			size = im.hashedSymbols(tags[elf.DT_GNU_HASH]) * elf.Sym64Size
		}
		if symtab == 0 || strtab == 0 || size == 0 {
			return nil, nil, nil
		}
		if syms, err = im.at(symtab, size); err != nil {
			return nil, nil, err
		}
		strs, err = im.at(strtab, tags[elf.DT_STRSZ])
		return syms, strs, err
	}
	return nil, nil, nil
}

// dynamicTags reads PT_DYNAMIC.
func (im *File) dynamicTags(p *elf.ProgHeader) map[elf.DynTag]uint64 {
	tags := map[elf.DynTag]uint64{}
	dyn, err := im.at(p.Vaddr, min(p.Filesz, 1<<16))
	if err != nil {
		return tags
	}
	for ; len(dyn) >= 16; dyn = dyn[16:] {
		tags[elf.DynTag(binary.LittleEndian.Uint64(dyn))] = binary.LittleEndian.Uint64(dyn[8:])
	}
	return tags
}

// hashedSymbols counts the symbols by DT_GNU_HASH: four words (buckets, first symbol
// that is hashed, words of the Bloom filter, a shift), the filter, the buckets, and a
// word for each symbol, which is odd for the last one of a bucket.
func (im *File) hashedSymbols(at uint64) uint64 {
	head, err := im.at(at, 16)
	if at == 0 || err != nil {
		return 0
	}
	buckets, first, bloom := uint64(binary.LittleEndian.Uint32(head)), uint64(binary.LittleEndian.Uint32(head[4:])), uint64(binary.LittleEndian.Uint32(head[8:]))
	b, err := im.at(at+16+8*bloom, 4*min(buckets, maxSymbols))
	if err != nil {
		return 0
	}
	last := uint64(0)
	for ; len(b) >= 4; b = b[4:] {
		last = max(last, uint64(binary.LittleEndian.Uint32(b)))
	}
	if last < first || last > maxSymbols {
		return 0
	}
	chain := at + 16 + 8*bloom + 4*buckets
	for ; last <= maxSymbols; last++ {
		word, err := im.at(chain+4*(last-first), 4)
		if err != nil {
			return 0
		}
		if word[0]&1 != 0 {
			return last + 1
		}
	}
	return 0
}
