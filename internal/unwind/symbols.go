package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
)

// symbols are the functions of an image by address, from all its tables.
type symbols struct {
	once sync.Once
	all  []symbol // by address; of each address the best name
	err  error
}

type symbol struct {
	addr, size uint64
	name       string
	rank       int
}

// maxSymbols bounds a table.
const maxSymbols = 4 << 20

// Symbol returns the name of the function at a link address, and where it
// begins. An address counts only within the function's size: parts that the
// compiler split off lie behind other functions.
func (im *Image) Symbol(addr uint64) (name string, start uint64, ok bool) {
	s := &im.syms
	s.once.Do(im.loadSymbols)
	i, found := slices.BinarySearchFunc(s.all, addr, func(s symbol, at uint64) int { return cmpU64(s.addr, at) })
	if !found {
		i--
	}
	// A smaller symbol may lie inside a larger one.
	for n := 0; i >= 0 && n < 8; i, n = i-1, n+1 {
		if sym := &s.all[i]; addr-sym.addr < sym.size || addr == sym.addr && sym.size == 0 {
			return sym.name, sym.addr, true
		}
	}
	return "", 0, false
}

func (im *Image) loadSymbols() {
	s := &im.syms
	var all []symbol
	add := func(f *elf.File, table, names string, rank int) {
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
		all = appendSymbols(all, syms, strs, rank)
	}
	whole, debug, mini := im.wholeFile(), im.debugFile(), im.miniDebug()
	add(debug, ".symtab", ".strtab", 0)
	add(whole, ".symtab", ".strtab", 0)
	add(mini, ".symtab", ".strtab", 0)
	add(whole, ".dynsym", ".dynstr", 1)
	if whole == nil {
		if syms, strs, err := im.dynamicSymbols(); err == nil {
			all = appendSymbols(all, syms, strs, 1)
		} else {
			s.err = err
		}
	}
	slices.SortFunc(all, func(a, b symbol) int {
		if c := cmpU64(a.addr, b.addr); c != 0 {
			return c
		}
		return betterName(a, b)
	})
	s.all = slices.CompactFunc(all, func(a, b symbol) bool { return a.addr == b.addr })
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

// appendSymbols takes the functions out of a symbol table (Elf64_Sym, 24
// bytes each).
func appendSymbols(all []symbol, syms, strs []byte, rank int) []symbol {
	for n := 0; len(syms) >= elf.Sym64Size && n < maxSymbols; n++ {
		b := syms[:elf.Sym64Size]
		syms = syms[elf.Sym64Size:]
		typ := elf.ST_TYPE(b[4])
		section := elf.SectionIndex(binary.LittleEndian.Uint16(b[6:]))
		if section == elf.SHN_UNDEF || section == elf.SHN_ABS {
			continue
		}
		if typ != elf.STT_FUNC && typ != elf.STT_GNU_IFUNC && typ != elf.STT_NOTYPE {
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
			name: string(strs[name : int(name)+end]), rank: rank,
		}
		if typ == elf.STT_NOTYPE && sym.size == 0 {
			continue
		}
		// A version is no part of the name.
		sym.name, _, _ = strings.Cut(sym.name, "@")
		all = append(all, sym)
	}
	return all
}

// dynamicSymbols reads the table that PT_DYNAMIC names: a file without
// section headers has only that. Nothing says how many symbols there are, but
// in every layout that linkers make the strings follow the symbols.
func (im *Image) dynamicSymbols() (syms, strs []byte, err error) {
	for i := range im.progs {
		p := &im.progs[i]
		if p.Type != elf.PT_DYNAMIC {
			continue
		}
		dyn, err := im.at(p.Vaddr, min(p.Filesz, 1<<16))
		if err != nil {
			return nil, nil, err
		}
		var symtab, strtab, strsz uint64
		for ; len(dyn) >= 16; dyn = dyn[16:] {
			v := binary.LittleEndian.Uint64(dyn[8:])
			switch elf.DynTag(binary.LittleEndian.Uint64(dyn)) {
			case elf.DT_SYMTAB:
				symtab = v
			case elf.DT_STRTAB:
				strtab = v
			case elf.DT_STRSZ:
				strsz = v
			}
		}
		if symtab == 0 || strtab <= symtab {
			return nil, nil, nil
		}
		if syms, err = im.at(symtab, strtab-symtab); err != nil {
			return nil, nil, err
		}
		strs, err = im.at(strtab, strsz)
		return syms, strs, err
	}
	return nil, nil, nil
}
