package unwind

import (
	"debug/dwarf"
	"debug/elf"
	"sort"
	"strings"
)

// Symbol is what an address belongs to.
type Symbol struct {
	// Name is a function's or a variable's, "" where nothing names it.
	Name string
	// Start is where it begins in the process; End is 0 where that is unknown.
	Start, End uint64
	Module     *Module
	// Section is that of the file, "" where the file does not say.
	Section string
}

// SymbolAt says what lies at an address: a function, as far as symbols, debug
// information or the unwind table tell, or a variable.
func (s *Modules) SymbolAt(addr uint64) (Symbol, bool) {
	mod := s.Find(addr)
	if mod == nil {
		return Symbol{}, false
	}
	at := addr - mod.Bias
	out := Symbol{Module: mod, Section: mod.sectionAt(at)}
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	_ = guard(func() error {
		if c, ok := mod.functionAt(at); ok {
			out.Name = PlainName(c.d.name(c.fn.entry))
			for _, r := range c.fn.ranges {
				if at >= r[0] && at < r[1] {
					out.Start, out.End = r[0]+mod.Bias, r[1]+mod.Bias
				}
			}
			return nil
		}
		if name, start, ok := mod.Symbol(at); ok {
			out.Name, out.Start = PlainName(name), start+mod.Bias
			if sym := lookupSymbol(mod.syms.all, at); sym != nil && sym.size > 0 {
				out.End = sym.addr + sym.size + mod.Bias
			}
			return nil
		}
		if name, start, ok := mod.dataSymbol(at); ok {
			out.Name, out.Start = name, start+mod.Bias
			return nil
		}
		return nil
	})
	if lo, hi, ok := mod.Function(at); ok && out.End == 0 && (out.Start == 0 || out.Start == lo+mod.Bias) {
		out.Start, out.End = lo+mod.Bias, hi+mod.Bias
	}
	return out, true
}

// sectionAt names the section of a link address.
func (im *File) sectionAt(at uint64) string {
	f := im.wholeFile()
	if f == nil {
		return ""
	}
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && at >= s.Addr && at-s.Addr < s.Size {
			return s.Name
		}
	}
	return ""
}

// LineAt returns the source line of an address, and from where to where its code
// goes; line is 0 where nothing tells.
func (s *Modules) LineAt(addr uint64) (file string, line int, start, end uint64) {
	mod := s.Find(addr)
	if mod == nil {
		return "", 0, 0, 0
	}
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	_ = guard(func() error {
		d := mod.dwarfOf()
		if d == nil {
			return nil
		}
		at := addr - mod.Bias
		for _, u := range d.unitsAt(at) {
			if file, line = d.line(u, at); line == 0 {
				continue
			}
			rows := d.rows(u)
			i := sort.Search(len(rows), func(i int) bool { return rows[i].addr > at })
			j := i - 1
			for j > 0 && rows[j-1].line == line && rows[j-1].file == rows[j].file {
				j--
			}
			for i < len(rows) && rows[i].line == line && rows[i].file != nil {
				i++
			}
			start = rows[j].addr + mod.Bias
			if i < len(rows) {
				end = rows[i].addr + mod.Bias
			}
			return nil
		}
		return nil
	})
	return file, line, start, end
}

// HasDebugInfo says whether debug information of the file is at hand.
func (im *File) HasDebugInfo() bool {
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	return im.dwarfOf() != nil
}

// AddrOfLine returns the link address where the code of a source line of C begins, the
// line (the next one that has code, where the line has none) and the path of the source.
// name is a path or the end of it; a unit is found by its own file, not by headers that it
// includes. ok is false where the file has no debug information of it.
func (im *File) AddrOfLine(name string, line int) (addr uint64, at int, path string, ok bool) {
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	named := func(path string) bool { return path == name || strings.HasSuffix(path, "/"+name) }
	_ = guard(func() error {
		d := im.dwarfOf()
		if d == nil {
			return nil
		}
		for _, u := range d.units {
			if own, _ := u.entry.Val(dwarf.AttrName).(string); !named(own) && !named(u.dir+"/"+own) {
				continue
			}
			for _, r := range d.rows(u) {
				if !r.stmt || r.file == nil || !named(r.file.Name) || r.line < line {
					continue
				}
				if !ok || r.line < at || r.line == at && r.addr < addr {
					addr, at, path, ok = r.addr, r.line, u.fileName(r.file), true
				}
			}
		}
		return nil
	})
	return addr, at, path, ok
}

// FunctionsNamed lists where the functions of a name begin: those that others see and
// those that only the file itself does, of which there may be several, and copies that
// the compiler has made for some callers.
func (im *File) FunctionsNamed(name string) []uint64 {
	im.syms.once.Do(im.loadSymbols)
	var out []uint64
	for i := range im.syms.all {
		s := &im.syms.all[i]
		if PlainName(s.name) == name && !strings.Contains(s.name, ".cold") && (len(out) == 0 || out[len(out)-1] != s.addr) {
			out = append(out, s.addr)
		}
	}
	return out
}

// AfterPrologue is where a debugger stops for a function that begins at a link address: where
// it sets up a frame pointer and debug information has lines, at the second of
// them, since only there its arguments and variables are where they are said to be.
func (im *File) AfterPrologue(start uint64) uint64 {
	code, err := im.at(start, 8)
	if err != nil {
		return start
	}
	const endbr, frame = "\xf3\x0f\x1e\xfa", "\x55\x48\x89\xe5" // push %rbp; mov %rsp,%rbp
	if !strings.HasPrefix(strings.TrimPrefix(string(code), endbr), frame) {
		return start
	}
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	after := start
	_ = guard(func() error {
		d := im.dwarfOf()
		if d == nil {
			return nil
		}
		fn := d.functionAt(start)
		if fn == nil {
			return nil
		}
		for _, u := range d.unitsAt(start) {
			rows := d.rows(u)
			i := sort.Search(len(rows), func(i int) bool { return rows[i].addr > start })
			if i > 0 && i < len(rows) && rows[i].file != nil && covers(fn.ranges, rows[i].addr) {
				after = rows[i].addr
				return nil
			}
		}
		return nil
	})
	return after
}
