package unwind

import (
	"debug/elf"
	"encoding/binary"
	"sync"
)

// plt names the entries of a file's procedure linkage table, which have no
// symbols: an entry jumps through a word that a relocation fills with the
// address of a symbol.
type plt struct {
	once  sync.Once
	words map[uint64]string // by the word's link address
}

// Relocations that fill a word with a symbol's address (System V ABI, 4.4.1).
const (
	relocGlobDat  = 6
	relocJumpSlot = 7
)

// pltName names the entry at a link address, "" where there is none: an
// instruction of it jumps through a word that has a name.
func (im *File) pltName(addr uint64) string {
	im.plt.once.Do(im.loadPLT)
	if len(im.plt.words) == 0 {
		return ""
	}
	// Entries have 16 bytes, of which the first may be an endbr64, or 8.
	for _, start := range []uint64{addr &^ 7, addr &^ 15} {
		if name := im.pltEntry(start); name != "" {
			return name
		}
	}
	return ""
}

func (im *File) pltEntry(start uint64) string {
	b, err := im.at(start, 16)
	if err != nil {
		return ""
	}
	i := 0
	if binary.LittleEndian.Uint32(b) == 0xfa1e0ff3 { // endbr64
		i = 4
	}
	if b[i] == 0xf2 { // bnd
		i++
	}
	if b[i] != 0xff || b[i+1] != 0x25 { // jmp [rip+rel32]
		return ""
	}
	rel := int32(binary.LittleEndian.Uint32(b[i+2:]))
	if name := im.plt.words[start+uint64(i)+6+uint64(int64(rel))]; name != "" {
		return name + "@plt"
	}
	return ""
}

func (im *File) loadPLT() {
	for i := range im.progs {
		if p := &im.progs[i]; p.Type == elf.PT_DYNAMIC {
			_ = guard(func() error { return im.readPLT(p) })
			return
		}
	}
}

func (im *File) readPLT(p *elf.ProgHeader) error {
	tags := im.dynamicTags(p)
	syms, strs, err := im.dynamicSymbols()
	if err != nil || syms == nil {
		return err
	}
	im.plt.words = map[uint64]string{}
	for _, t := range [][2]elf.DynTag{{elf.DT_JMPREL, elf.DT_PLTRELSZ}, {elf.DT_RELA, elf.DT_RELASZ}} {
		if tags[t[0]] == 0 || tags[t[1]] == 0 {
			continue
		}
		rels, err := im.at(tags[t[0]], tags[t[1]])
		if err != nil {
			continue
		}
		for ; len(rels) >= 24; rels = rels[24:] { // Elf64_Rela
			info := binary.LittleEndian.Uint64(rels[8:])
			if kind := uint32(info); kind != relocGlobDat && kind != relocJumpSlot {
				continue
			}
			if name := symbolName(syms, strs, info>>32); name != "" {
				im.plt.words[binary.LittleEndian.Uint64(rels)] = name
			}
		}
	}
	return nil
}

// symbolName returns the name of the symbol with a number.
func symbolName(syms, strs []byte, n uint64) string {
	if n >= uint64(len(syms))/elf.Sym64Size {
		return ""
	}
	off := uint64(binary.LittleEndian.Uint32(syms[n*elf.Sym64Size:]))
	if off >= uint64(len(strs)) {
		return ""
	}
	for i, c := range strs[off:] {
		if c == 0 {
			return string(strs[off : off+uint64(i)])
		}
	}
	return ""
}
