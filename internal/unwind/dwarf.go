package unwind

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"sort"
	"strings"
	"sync"
)

// dwarfInfo is a file's DWARF, opened at the first need.
type dwarfInfo struct {
	once sync.Once
	data *dwarfData
}

// dwarfMu guards all dwarfData: a value may be found by way of several files.
var dwarfMu sync.Mutex

// dwarfData is the DWARF of one file. Addresses are link addresses. What it
// has worked out it keeps.
type dwarfData struct {
	d        *dwarf.Data
	info     []byte // .debug_info, for the units' versions
	loc      []byte // .debug_loc, up to DWARF 4
	loclists []byte // .debug_loclists, DWARF 5
	addrs    []byte // .debug_addr, DWARF 5
	units    []*unit
	partial  []*unit     // what units have in common (dwz)
	ranges   []unitRange // by start
	types    map[dwarf.Offset]*ctype
	names    map[dwarf.Offset]string
}

type unitRange struct {
	lo, hi uint64
	u      *unit
}

// unit is a compilation unit.
type unit struct {
	entry   *dwarf.Entry
	version int
	base    uint64 // DW_AT_low_pc, which lists of locations are relative to
	// addrBase and listBase are where the unit's parts of .debug_addr and of the
	// table of .debug_loclists begin: Clang names addresses and lists by number.
	addrBase, listBase int64
	dir                string
	lines              []lineRow // nil before they are read
	linesOK            bool
	files              []*dwarf.LineFile
	funcs              []*function // by address; nil before they are read
	funcsOK            bool
	names              map[string]top // nil before they are read
}

// offset makes a reference within the unit one within the file.
func (u *unit) offset(in dwarf.Offset) dwarf.Offset {
	if u.version >= 5 {
		return u.entry.Offset - 12 + in
	}
	return u.entry.Offset - 11 + in
}

// maxUnits and maxFunctions bound what a file may claim.
const (
	maxUnits     = 1 << 18
	maxFunctions = 1 << 20
)

// dwarfOf returns the DWARF of a file, from its own file or its separate
// debug file; nil for none.
func (im *File) dwarfOf() *dwarfData {
	im.dwf.once.Do(func() {
		for _, f := range []*elf.File{im.wholeFile(), im.debugFile()} {
			if f == nil || !hasDWARF(f) {
				continue
			}
			if d, err := openDWARF(f); err == nil {
				im.dwf.data = d
				return
			}
		}
	})
	return im.dwf.data
}

func hasDWARF(f *elf.File) bool {
	for _, name := range []string{".debug_info", ".zdebug_info"} {
		if s := f.Section(name); s != nil && s.Type != elf.SHT_NOBITS && s.Size > 0 {
			return true
		}
	}
	return false
}

func openDWARF(f *elf.File) (out *dwarfData, err error) {
	for _, s := range f.Sections {
		if s.Size > maxSection {
			return nil, errors.New("sections too large")
		}
	}
	err = guard(func() error {
		d, err := f.DWARF()
		if err != nil {
			return err
		}
		out = &dwarfData{d: d, types: map[dwarf.Offset]*ctype{}, names: map[dwarf.Offset]string{}}
		if _, out.info, err = sectionOf(f, ".debug_info"); err != nil {
			return err
		}
		if _, out.loc, err = sectionOf(f, ".debug_loc"); err != nil {
			return err
		}
		if _, out.loclists, err = sectionOf(f, ".debug_loclists"); err != nil {
			return err
		}
		if _, out.addrs, err = sectionOf(f, ".debug_addr"); err != nil {
			return err
		}
		return out.readUnits()
	})
	return out, err
}

// readUnits lists the units and the addresses that they cover.
func (d *dwarfData) readUnits() error {
	r := d.d.Reader()
	last := dwarf.Offset(0)
	for len(d.units)+len(d.partial) < maxUnits {
		e, err := r.Next()
		if err != nil {
			return err
		}
		if e == nil || e.Tag != 0 && e.Offset <= last {
			break
		}
		last = e.Offset
		r.SkipChildren()
		if e.Tag == dwarf.TagPartialUnit {
			d.partial = append(d.partial, &unit{entry: e, version: d.version(e.Offset)})
		}
		if e.Tag != dwarf.TagCompileUnit {
			continue
		}
		u := &unit{entry: e, version: d.version(e.Offset)}
		u.base, _ = e.Val(dwarf.AttrLowpc).(uint64)
		u.dir, _ = e.Val(dwarf.AttrCompDir).(string)
		u.addrBase, _ = e.Val(dwarf.AttrAddrBase).(int64)
		u.listBase, _ = e.Val(dwarf.AttrLoclistsBase).(int64)
		d.units = append(d.units, u)
		ranges, err := d.d.Ranges(e)
		if err != nil {
			continue
		}
		for _, rg := range ranges {
			if rg[0] < rg[1] && rg[0] != 0 {
				d.ranges = append(d.ranges, unitRange{rg[0], rg[1], u})
			}
		}
	}
	sort.SliceStable(d.ranges, func(i, j int) bool { return d.ranges[i].lo < d.ranges[j].lo })
	return nil
}

// version reads a unit's version out of its header, the length of which
// depends on it (DWARF 5, 7.5.1.1). first is the offset of the first entry.
func (d *dwarfData) version(first dwarf.Offset) int {
	if o := int(first) - 12; o >= 0 && o+7 < len(d.info) && binary.LittleEndian.Uint16(d.info[o+4:]) == 5 {
		return 5
	}
	if o := int(first) - 11; o >= 0 && o+6 < len(d.info) {
		return int(binary.LittleEndian.Uint16(d.info[o+4:]))
	}
	return 0
}

// unitsAt finds the units that cover an address. There may be several where
// a linker left a range of a function that it dropped.
func (d *dwarfData) unitsAt(pc uint64) []*unit {
	i := sort.Search(len(d.ranges), func(i int) bool { return d.ranges[i].lo > pc }) - 1
	var out []*unit
	for n := 0; i >= 0 && n < 64; i, n = i-1, n+1 {
		if pc < d.ranges[i].hi {
			out = append(out, d.ranges[i].u)
		}
	}
	return out
}

// name returns the name of an entry, which may be that of the abstract
// instance or declaration that it refers to.
func (d *dwarfData) name(e *dwarf.Entry) string {
	name := ""
	for range 16 {
		// C functions have another name for the linker where they were given
		// one, and gdb shows that. A C++ one is mangled.
		if s, ok := e.Val(dwarf.AttrLinkageName).(string); ok && !strings.HasPrefix(s, "_Z") {
			return s
		}
		if s, ok := e.Val(dwarf.AttrName).(string); ok && name == "" {
			name = s
		}
		if e = d.origin(e); e == nil {
			break
		}
	}
	return name
}

// origin returns the entry that another one takes what it lacks from; nil for
// none.
func (d *dwarfData) origin(e *dwarf.Entry) *dwarf.Entry {
	off, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
	if !ok {
		if off, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset); !ok {
			return nil
		}
	}
	return d.entry(off)
}

// entry reads the entry at an offset, nil if there is none.
func (d *dwarfData) entry(off dwarf.Offset) *dwarf.Entry {
	r := d.d.Reader()
	r.Seek(off)
	e, err := r.Next()
	if err != nil {
		return nil
	}
	return e
}

// attr returns an attribute of an entry or of what it refers to.
func (d *dwarfData) attr(e *dwarf.Entry, a dwarf.Attr) any {
	for range 16 {
		if v := e.Val(a); v != nil {
			return v
		}
		if e = d.origin(e); e == nil {
			break
		}
	}
	return nil
}
