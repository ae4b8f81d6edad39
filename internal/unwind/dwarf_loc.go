package unwind

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/go-delve/delve/pkg/dwarf/leb128"
)

// locationOf returns the expression that an entry's DW_AT_location has at an
// address, nil where it has none there.
func (d *dwarfData) locationOf(u *unit, e *dwarf.Entry, pc uint64) ([]byte, error) {
	f := e.AttrField(dwarf.AttrLocation)
	if f == nil {
		return nil, errOptimizedOut
	}
	switch v := f.Val.(type) {
	case []byte:
		return v, nil
	case int64:
		var expr []byte
		err := guard(func() (err error) {
			if u.version >= 5 {
				expr, err = d.findLoclist5(u, v, pc)
			} else {
				expr, err = findLoclist4(d.loc, v, u.base, pc)
			}
			return err
		})
		if err == nil && expr == nil {
			err = errOptimizedOut
		}
		return expr, err
	case uint64: // DW_FORM_loclistx: its number in the unit's table
		var expr []byte
		err := guard(func() error {
			off, err := d.listAt(u, v)
			if err == nil {
				expr, err = d.findLoclist5(u, off, pc)
			}
			return err
		})
		if err == nil && expr == nil {
			err = errOptimizedOut
		}
		return expr, err
	}
	return nil, errOptimizedOut
}

// entryAt returns the entry with the number n of a table of a unit's that begins at base.
// The table's header lies before that: 0 is none.
func entryAt(table []byte, base int64, n uint64, size int) ([]byte, bool) {
	if base <= 0 || n > uint64(len(table)/size) {
		return nil, false
	}
	at := base + int64(n)*int64(size)
	if at+int64(size) > int64(len(table)) {
		return nil, false
	}
	return table[at:], true
}

// listAt returns where in .debug_loclists the list with a number is: the unit's
// table has its offset from there (DWARF 5, 7.29).
func (d *dwarfData) listAt(u *unit, n uint64) (int64, error) {
	b, ok := entryAt(d.loclists, u.listBase, n, 4)
	if !ok {
		return 0, errLoclist
	}
	return u.listBase + int64(binary.LittleEndian.Uint32(b)), nil
}

// addrAt returns the address with a number in the unit's part of .debug_addr
// (DWARF 5, 7.27).
func (d *dwarfData) addrAt(u *unit, n uint64) (uint64, bool) {
	b, ok := entryAt(d.addrs, u.addrBase, n, 8)
	if !ok {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b), true
}

var errLoclist = errors.New("malformed list of locations")

// maxLocations bounds a list.
const maxLocations = 1 << 16

// findLoclist5 reads a list of .debug_loclists (DWARF 5, 2.6.2).
func (d *dwarfData) findLoclist5(u *unit, off int64, pc uint64) ([]byte, error) {
	data, base := d.loclists, u.base
	if off < 0 || off >= int64(len(data)) {
		return nil, errLoclist
	}
	b := bytes.NewBuffer(data[off:])
	uleb := func() uint64 { v, _ := leb128.DecodeUnsigned(b); return v }
	addr := func() uint64 {
		p := b.Next(8)
		if len(p) < 8 {
			panic("cut off")
		}
		return binary.LittleEndian.Uint64(p)
	}
	addrx := func() uint64 {
		a, ok := d.addrAt(u, uleb())
		if !ok {
			panic("no such address")
		}
		return a
	}
	var fallback []byte
	for range maxLocations {
		kind, err := b.ReadByte()
		if err != nil {
			return nil, errLoclist
		}
		var lo, hi uint64
		match := true
		switch kind {
		case 0: // end of list
			return fallback, nil
		case 1: // base address, by its number
			base = addrx()
			continue
		case 2: // start, end, by their numbers
			lo, hi = addrx(), addrx()
		case 3: // start by its number, length
			lo = addrx()
			hi = lo + uleb()
		case 4: // offset pair
			lo, hi = base+uleb(), base+uleb()
		case 5: // default location
			match = false
		case 6: // base address
			base = addr()
			continue
		case 7: // start, end
			lo, hi = addr(), addr()
		case 8: // start, length
			lo = addr()
			hi = lo + uleb()
		case 9: // GNU view pair, of no use here
			uleb()
			uleb()
			continue
		default:
			return nil, errLoclist
		}
		n := uleb()
		expr := b.Next(int(min(n, 1<<20)))
		if uint64(len(expr)) != n {
			return nil, errLoclist
		}
		if !match {
			fallback = expr
		} else if pc >= lo && pc < hi {
			return expr, nil
		}
	}
	return nil, errLoclist
}

// findLoclist4 reads a list of .debug_loc (DWARF 4, 2.6.2).
func findLoclist4(data []byte, off int64, base, pc uint64) ([]byte, error) {
	for range maxLocations {
		if off < 0 || off+16 > int64(len(data)) {
			return nil, errLoclist
		}
		lo, hi := binary.LittleEndian.Uint64(data[off:]), binary.LittleEndian.Uint64(data[off+8:])
		off += 16
		if lo == 0 && hi == 0 {
			return nil, nil
		}
		if lo == ^uint64(0) {
			base = hi
			continue
		}
		if off+2 > int64(len(data)) {
			return nil, errLoclist
		}
		n := int64(binary.LittleEndian.Uint16(data[off:]))
		off += 2
		if off+n > int64(len(data)) {
			return nil, errLoclist
		}
		if pc >= base+lo && pc < base+hi {
			return data[off : off+n], nil
		}
		off += n
	}
	return nil, errLoclist
}

// entryValue returns what a register or stack slot held when the function was
// entered, as the call site in the caller has it (DWARF 5, 2.5.1.7). expr is
// DW_OP_regN, or DW_OP_fbreg of a slot.
func (p *place) entryValue(expr []byte) (uint64, error) {
	return p.passed(func(c *callParam) bool { return sameLocation(c.where, expr) })
}

// parameter returns what the caller would have passed as a parameter that the
// compiler has optimized away.
func (p *place) parameter(ref dwarf.Offset) (uint64, error) {
	return p.passed(func(c *callParam) bool { return len(c.where) == 0 && c.ref == ref })
}

// passed returns what the caller passed as one of the arguments.
func (p *place) passed(is func(*callParam) bool) (uint64, error) {
	if p.nested >= maxEntryValueNested || len(p.frames) < 2 {
		return 0, errNoEntryValue
	}
	p.passedOn = true
	site, cp := p.callSite(p.frames[1:])
	if site == nil {
		return 0, errNoEntryValue
	}
	for i := range site.params {
		if c := &site.params[i]; is(c) {
			if len(c.value) == 0 {
				return 0, errNoEntryValue
			}
			return cp.compute(c.value)
		}
	}
	return 0, errNoEntryValue
}

// callSite finds the call of the function in its caller, if it is sure that
// it is one of it.
func (p *place) callSite(caller []Frame) (*callSite, *place) {
	f := &caller[0]
	if f.Module == nil || !f.Return {
		return nil, nil
	}
	d := p.d
	if f.Module.File != p.frame().Module.File {
		if d = f.Module.dwarfOf(); d == nil {
			return nil, nil
		}
	}
	fn := d.functionAt(f.PC - 1 - f.Module.Bias)
	if fn == nil {
		return nil, nil
	}
	site := fn.calls[f.PC-f.Module.Bias]
	if site == nil {
		return nil, nil
	}
	cp := &place{space: p.space, m: p.m, frames: caller, d: d, fn: fn, nested: p.nested + 1, steps: p.steps}
	if !cp.calls(site, p) {
		return nil, nil
	}
	// Through a tail call of itself it might have been entered otherwise.
	if !p.space.enteredOnce(p.frame().Module, p.fn) {
		return nil, nil
	}
	return site, cp
}

// calls says whether a call site calls the function of callee.
func (p *place) calls(site *callSite, callee *place) bool {
	t := p.d.target(site)
	if t.expr != nil {
		v, err := p.compute(t.expr)
		return err == nil && v == callee.fn.low+callee.bias()
	}
	// Of several modules that have the name the dynamic linker takes one by rules
	// of its own: C libraries replace functions of the dynamic linker itself.
	if t.name != "" && callee.frame().Module.HasName(callee.fn.low, t.name) {
		return true
	}
	mod, lows, ok := p.space.resolve(p.frame().Module, t)
	return ok && slices.Contains(lows, callee.fn.low+callee.bias()-mod.Bias)
}

// target is what a call site calls: a function of the same file by the
// addresses of its parts, one of any file by its name, or what an expression
// gives.
type target struct {
	lows []uint64
	name string
	expr []byte
}

func (d *dwarfData) target(site *callSite) target {
	e := site.entry
	expr, ok := e.Val(dwarf.AttrCallTarget).([]byte)
	if !ok {
		expr, ok = e.Val(attrGNUCallTarget).([]byte)
	}
	if ok {
		return target{expr: expr}
	}
	off, ok := e.Val(dwarf.AttrCallOrigin).(dwarf.Offset)
	if !ok {
		if off, ok = e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); !ok {
			return target{}
		}
	}
	t := d.entry(off)
	if t == nil {
		return target{}
	}
	if decl, _ := d.attr(t, dwarf.AttrDeclaration).(bool); decl {
		return target{name: d.name(t)}
	}
	if low, _ := t.Val(dwarf.AttrLowpc).(uint64); low != 0 {
		return target{lows: []uint64{low}}
	}
	var lows []uint64
	if ranges, err := d.d.Ranges(t); err == nil {
		for _, r := range ranges {
			lows = append(lows, r[0])
		}
	}
	return target{lows: lows}
}

// resolve finds the module and link addresses of the function that a call site
// in a module calls.
func (s *Modules) resolve(mod *Module, t target) (*Module, []uint64, bool) {
	if len(t.lows) > 0 {
		return mod, t.lows, true
	}
	if t.name == "" {
		return nil, nil, false
	}
	// What is local to a file, as what is hidden in a library becomes, counts
	// where nothing else has the name.
	for _, global := range []bool{true, false} {
		if low, ok := mod.function(t.name, global); ok {
			return mod, []uint64{low}, true
		}
		for _, m := range s.mods {
			if low, ok := m.function(t.name, global); ok {
				return m, []uint64{low}, true
			}
		}
	}
	return nil, nil, false
}

// sameLocation says whether two expressions name the same register or slot.
func sameLocation(a, b []byte) bool {
	ra, oka := singleRegister(a)
	rb, okb := singleRegister(b)
	if oka || okb {
		return oka && okb && ra == rb
	}
	return bytes.Equal(a, b)
}

func singleRegister(expr []byte) (uint64, bool) {
	switch {
	case len(expr) == 1 && expr[0] >= opReg0 && expr[0] < opBreg0:
		return uint64(expr[0] - opReg0), true
	case len(expr) >= 2 && expr[0] == opRegx:
		n, size := leb128.DecodeUnsigned(bytes.NewBuffer(expr[1:]))
		return n, int(size) == len(expr)-1
	case len(expr) >= 3 && (expr[0] == opRegvalType || expr[0] == opGNURegvalType):
		b := bytes.NewBuffer(expr[1:])
		n, _ := leb128.DecodeUnsigned(b)
		_, _ = leb128.DecodeUnsigned(b) // the type it is taken as
		return n, b.Len() == 0
	}
	return 0, false
}
