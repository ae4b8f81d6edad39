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

// A CPython without symbols still says what most of its functions are for: the types
// and modules that are written in C lie in its data as PyTypeObject, PyType_Spec and
// PyModuleDef (Include/cpython/object.h, object.h, moduleobject.h), with arrays of
// names and functions (methodobject.h, descrobject.h). A function gets the name that
// Python has for it: list.append, time.sleep, dict.__len__, code.co_code.__get__, and
// where Python has none that of its slot: list.tp_dealloc.

// pyTables are the functions that a file's tables name, by link address.
type pyTables struct {
	once  sync.Once
	names map[uint64]string
}

// Bounds of what is read for tables.
const (
	maxPyData   = 128 << 20 // bytes of segments
	maxPyRelocs = 2 << 20
	maxPyNames  = 1 << 18
	maxPyName   = 120     // bytes of a name
	maxPyRows   = 4096    // of one array
	maxPyWork   = 4 << 20 // rows in all
	maxPyBeside = 8 << 20 // bytes of identifiers beside code
	pyWindow    = 1 << 18 // bytes read at once of what lies beside code
)

// tableName names the function at a link address, "" where no table does.
func (im *File) tableName(addr uint64) (name string, start uint64) {
	t := &im.pyTables
	t.once.Do(func() { _ = guard(func() error { t.names = im.readPyTables(); return nil }) })
	if len(t.names) == 0 {
		return "", 0
	}
	lo, _, ok := im.Function(addr)
	if !ok {
		return "", 0
	}
	return t.names[lo], lo
}

// pyReader reads the tables of one file.
type pyReader struct {
	im       *File
	segments []pySegment
	relocs   map[uint64]uint64 // pointers that are relocated, by their address
	outside  map[uint64]string // those to symbols of other files
	beside   map[uint64]string // what is written beside code, "" where that is no identifier
	exec     bool              // the file is linked for fixed addresses: pointers are as they are
	typeType uint64            // of PyType_Type, 0 where it is elsewhere

	found []pyName
	work  int // rows looked at
}

type pySegment struct {
	addr     uint64
	data     []byte
	writable bool
}

// What gave a name: the best is the first.
const (
	rankMethod = iota
	rankGetSet
	rankEntry
)

// pyName is a name of a function.
type pyName struct {
	fn          uint64
	owner, last string
	rank        int
}

func (im *File) readPyTables() map[uint64]string {
	syms, strs, err := im.dynamicSymbols()
	if err != nil || !bytes.Contains(strs, []byte("PyObject_")) && !bytes.Contains(strs, []byte("PyModule")) {
		return nil
	}
	r := &pyReader{im: im, relocs: map[uint64]uint64{}, outside: map[uint64]string{}}
	if !r.load(syms, strs) {
		return nil
	}
	candidates := r.candidates()
	r.readBeside(candidates)
	for _, at := range candidates {
		name, ok := r.text(at, true)
		if r.work > maxPyWork || len(r.found) > maxPyNames {
			break
		}
		if !ok {
			continue
		}
		if !r.typeAt(at, name) && !r.moduleAt(at, name) {
			r.specAt(at, name)
		}
	}
	return r.names()
}

// names gives each function one name: that of its only owner. Methods of several owners
// that they all call the same have the first one's; what several types have in a slot is
// mostly a function for all types.
func (r *pyReader) names() map[uint64]string {
	slices.SortStableFunc(r.found, func(a, b pyName) int { return cmp.Or(cmp.Compare(a.fn, b.fn), cmp.Compare(a.rank, b.rank)) })
	out := map[uint64]string{}
	for i := 0; i < len(r.found); {
		first, clear := r.found[i], true
		for ; i < len(r.found) && r.found[i].fn == first.fn; i++ {
			n := &r.found[i]
			clear = clear && (n.owner == first.owner || n.last == first.last && n.rank == rankMethod)
		}
		if lo, _, ok := r.im.Function(first.fn); clear && ok && lo == first.fn {
			out[first.fn] = first.owner + "." + first.last
		}
	}
	return out
}

// load reads the segments of data, and the relocations.
func (r *pyReader) load(syms, strs []byte) bool {
	total := uint64(0)
	var dynamic *elf.ProgHeader
	for i := range r.im.progs {
		p := &r.im.progs[i]
		switch {
		case p.Type == elf.PT_DYNAMIC:
			dynamic = p
		case p.Type == elf.PT_LOAD && p.Flags&elf.PF_X == 0 && p.Filesz > 0:
			if total += p.Filesz; total > maxPyData {
				return false
			}
			if b, err := r.im.at(p.Vaddr, p.Filesz); err == nil {
				r.segments = append(r.segments, pySegment{p.Vaddr, b, p.Flags&elf.PF_W != 0})
			}
		}
	}
	lo, _ := r.im.span()
	r.exec = lo != 0 // a file that can lie anywhere is linked for address 0
	for n := uint64(0); n < uint64(len(syms))/elf.Sym64Size; n++ {
		if symbolName(syms, strs, n) == "PyType_Type" {
			r.typeType = binary.LittleEndian.Uint64(syms[n*elf.Sym64Size+8:])
		}
	}
	if dynamic == nil {
		return false
	}
	tags := r.im.dynamicTags(dynamic)
	if b, err := r.im.at(tags[elf.DT_RELA], tags[elf.DT_RELASZ]); err == nil {
		r.rela(b, syms, strs)
	}
	if b, err := r.im.at(tags[dtRELR], tags[dtRELRSZ]); err == nil {
		r.relr(b)
	}
	return true
}

// Tags of relative relocations in a compact form (gABI, "Relative Relocations").
const (
	dtRELRSZ = elf.DynTag(35)
	dtRELR   = elf.DynTag(36)
)

// rela takes the pointers of Elf64_Rela: where, kind and symbol, what to add.
func (r *pyReader) rela(b, syms, strs []byte) {
	const reloc64, relative = 1, 8
	for n := 0; len(b) >= 24 && n < maxPyRelocs; b, n = b[24:], n+1 {
		at, info, add := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
		switch uint32(info) {
		case relative:
			r.relocs[at] = add
		case reloc64, relocGlobDat:
			if k := (info >> 32) * elf.Sym64Size; k+elf.Sym64Size <= uint64(len(syms)) && binary.LittleEndian.Uint16(syms[k+6:]) != 0 {
				r.relocs[at] = binary.LittleEndian.Uint64(syms[k+8:]) + add
			} else {
				r.outside[at] = symbolName(syms, strs, info>>32)
			}
		}
	}
}

// relr takes those of the compact form: an address, then words of which each bit
// stands for one of the 63 words that follow.
func (r *pyReader) relr(b []byte) {
	next := uint64(0)
	take := func(at uint64) {
		if v, ok := r.raw(at, 8); ok && len(r.relocs) < maxPyRelocs {
			r.relocs[at] = v
		}
	}
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		if w&1 == 0 {
			take(w)
			next = w + 8
			continue
		}
		for i := uint64(0); i < 63; i++ {
			if w>>(i+1)&1 != 0 {
				take(next + 8*i)
			}
		}
		next += 63 * 8
	}
}

// candidates lists where pointers lie, in order.
func (r *pyReader) candidates() []uint64 {
	var out []uint64
	if !r.exec {
		for at := range r.relocs {
			out = append(out, at)
		}
		slices.Sort(out)
		return out
	}
	for _, s := range r.segments {
		for i := uint64(0); s.writable && i+8 <= uint64(len(s.data)); i += 8 {
			if v := binary.LittleEndian.Uint64(s.data[i:]); v != 0 {
				if _, _, ok := r.im.fileOffset(v); ok {
					out = append(out, s.addr+i)
				}
			}
		}
	}
	return out
}

// bytes returns what lies at a link address in the data, up to the segment's end.
func (r *pyReader) bytes(addr uint64) []byte {
	for i := range r.segments {
		if s := &r.segments[i]; addr-s.addr < uint64(len(s.data)) {
			return s.data[addr-s.addr:]
		}
	}
	return nil
}

// raw reads a number of 4 or 8 bytes.
func (r *pyReader) raw(addr uint64, size int) (uint64, bool) {
	b := r.bytes(addr)
	switch {
	case len(b) < size:
		return 0, false
	case size == 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	}
	return binary.LittleEndian.Uint64(b), true
}

// pointer reads a pointer: 0 for none, and for one to another file, which elsewhere
// tells.
func (r *pyReader) pointer(addr uint64) (v uint64, elsewhere bool) {
	if v, ok := r.relocs[addr]; ok {
		return v, false
	}
	if _, ok := r.outside[addr]; ok {
		return 0, true
	}
	if !r.exec {
		return 0, false
	}
	v, _ = r.raw(addr, 8)
	return v, false
}

// readBeside reads the identifiers that lie beside code, where older linkers put
// constants, in the order of the file: it may be packed in blocks, and each is unpacked once then.
func (r *pyReader) readBeside(pointers []uint64) {
	var to []uint64
	for _, at := range pointers {
		if p, _ := r.pointer(at); p != 0 && r.bytes(p) == nil {
			to = append(to, p)
		}
	}
	slices.Sort(to)
	r.beside = map[uint64]string{}
	var window []byte
	first, kept := uint64(0), 0
	for _, p := range slices.Compact(to) {
		if p-first+maxPyName+1 > uint64(len(window)) {
			_, left, ok := r.im.fileOffset(p)
			if !ok {
				continue
			}
			var err error
			if window, err = r.im.at(p, min(left, pyWindow)); err != nil {
				window = nil
				continue // text tries it alone
			}
			first = p
		}
		name, _ := identifier(window[p-first:], true)
		if kept += len(name); kept > maxPyBeside {
			return
		}
		r.beside[p] = name
	}
}

// text reads the identifier that a pointer leads to; dotted allows dots in its midst.
func (r *pyReader) text(at uint64, dotted bool) (string, bool) {
	p, _ := r.pointer(at)
	if p == 0 {
		return "", false
	}
	if name, ok := r.beside[p]; ok {
		if name == "" || !dotted && strings.Contains(name, ".") {
			return "", false
		}
		return name, true
	}
	b := r.bytes(p)
	if b == nil {
		_, left, ok := r.im.fileOffset(p)
		if !ok {
			return "", false
		}
		var err error
		if b, err = r.im.at(p, min(left, maxPyName+1)); err != nil {
			return "", false
		}
	}
	return identifier(b, dotted)
}

// identifier is the one at the beginning of b, up to a zero; dotted allows dots in its midst.
func identifier(b []byte, dotted bool) (string, bool) {
	n := bytes.IndexByte(b[:min(len(b), maxPyName+1)], 0)
	if n <= 0 {
		return "", false
	}
	for i, c := range b[:n] {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		inner := i > 0 && (c >= '0' && c <= '9' || dotted && c == '.' && b[i-1] != '.' && i+1 < n)
		if !letter && !inner {
			return "", false
		}
	}
	return string(b[:n]), true
}

// code says whether a pointer is none, another file's, or one to code here; fn is 0
// except for the last.
func (r *pyReader) code(at uint64) (fn uint64, ok bool) {
	p, elsewhere := r.pointer(at)
	if p == 0 {
		return 0, elsewhere || r.empty(at)
	}
	for i := range r.im.progs {
		if s := &r.im.progs[i]; s.Type == elf.PT_LOAD && s.Flags&elf.PF_X != 0 && p-s.Vaddr < s.Filesz {
			return p, true
		}
	}
	return 0, false
}

// empty says that a word which no relocation fills is 0.
func (r *pyReader) empty(at uint64) bool {
	v, ok := r.raw(at, 8)
	return ok && v == 0
}

// dataPointer says whether a pointer is none or one to data.
func (r *pyReader) dataPointer(at uint64) bool {
	p, elsewhere := r.pointer(at)
	if p == 0 {
		return elsewhere || r.empty(at)
	}
	_, _, ok := r.im.fileOffset(p)
	return ok || r.inBSS(p)
}

func (r *pyReader) inBSS(p uint64) bool {
	for i := range r.im.progs {
		if s := &r.im.progs[i]; s.Type == elf.PT_LOAD && s.Flags&elf.PF_W != 0 && p-s.Vaddr < s.Memsz {
			return true
		}
	}
	return false
}

func (r *pyReader) add(fn uint64, owner, last string, rank int) {
	if fn != 0 && last != "" && len(r.found) <= maxPyNames {
		r.found = append(r.found, pyName{fn, owner, last, rank})
	}
}
