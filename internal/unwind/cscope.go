package unwind

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"

	"pyrr/internal/mem"
)

// Scope is what names of C mean in one frame of a walk. Nothing is executed: calls
// are refused. The process must stand where the walk was made.
type Scope struct {
	s      *Modules
	m      mem.Reader
	frame  *Frame
	p      *place   // nil where no DWARF describes the function
	scopes []*scope // blocks and the function, innermost first
}

// ErrNoSymbol says that a name means nothing in C there.
var ErrNoSymbol = errors.New("no such symbol in C")

// ScopeOf returns the scope of a frame of a walk: that of the function that was
// inlined at the given level (Described.Index and the order of those that share it),
// 0 for the innermost.
func (s *Modules) ScopeOf(m mem.Reader, walk []Frame, index, level int) *Scope {
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	out := &Scope{s: s, m: m, frame: &walk[index]}
	_ = guard(func() error {
		frames, tails := s.withTailCalls(walk)
		i := slices.IndexFunc(tails, func(t tailInfo) bool { return t.index == index && !t.tail })
		if i < 0 {
			return nil
		}
		p, chain := s.placeOf(m, frames[i:])
		if p == nil || level >= len(chain) {
			return nil
		}
		out.p = p
		pc := p.frame().callPC() - p.bias()
		out.scopes = p.fn.blocks(chain[level], pc)
		return nil
	})
	return out
}

// placeOf finds the function of the first of frames and what is inlined there,
// innermost first; nil where no DWARF has it.
func (s *Modules) placeOf(m mem.Reader, frames []Frame) (*place, []*scope) {
	f := &frames[0]
	if f.Module == nil || f.Signal {
		return nil, nil
	}
	d := f.Module.dwarfOf()
	if d == nil {
		return nil, nil
	}
	pc := f.callPC() - f.Module.Bias
	fn := d.functionAt(pc)
	if fn == nil {
		return nil, nil
	}
	chain := fn.chain(pc)
	for !f.Return && len(chain) > 1 && !covers(chain[0].ranges, pc-1) {
		chain = chain[1:] // as explain does
	}
	return &place{space: s, m: m, frames: frames, d: d, fn: fn, steps: new(int)}, chain
}

// blocks lists a function, or an inlined call, and the blocks in it at an address,
// innermost first.
func (f *function) blocks(of *scope, pc uint64) []*scope {
	out := []*scope{of}
	for in := of; in != nil; {
		next := (*scope)(nil)
		for _, c := range in.children {
			if !c.inlined && covers(c.ranges, pc) {
				next = c
				break
			}
		}
		if next != nil {
			out = append([]*scope{next}, out...)
		}
		in = next
	}
	return out
}

// Locals lists the variables of C in scope, those of inner blocks first, without the
// arguments.
func (sc *Scope) Locals() []Arg {
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	var out []Arg
	_ = guard(func() error {
		seen := map[string]bool{}
		for _, b := range sc.scopes {
			for _, e := range b.vars {
				if name := sc.p.d.name(e); name != "" && !seen[name] {
					seen[name] = true
					v := sc.variable(sc.p, e)
					out = append(out, Arg{Name: name, Value: v.short(sc.s, sc.m)})
				}
			}
		}
		return nil
	})
	return out
}

// short is a value as info locals has it: without the type of a pointer.
func (v cvalue) short(s *Modules, m mem.Reader) string {
	o := valueText{s: s, m: m}
	o.value(v, 0)
	return o.b.String()
}

// Known says whether debug information describes the function.
func (sc *Scope) Known() bool { return sc.p != nil }

// Names lists the arguments and variables in scope.
func (sc *Scope) Names() []string {
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	var out []string
	_ = guard(func() error {
		for _, b := range sc.scopes {
			for _, e := range slices.Concat(b.vars, b.params) {
				if name := sc.p.d.name(e); name != "" {
					out = append(out, name)
				}
			}
		}
		return nil
	})
	return out
}

// variable reads where a variable is.
func (sc *Scope) variable(p *place, e *dwarf.Entry) cvalue {
	v := cvalue{t: p.d.typeRef(e)}
	if c, ok := p.d.attr(e, dwarf.AttrConstValue).(int64); ok && e.AttrField(dwarf.AttrLocation) == nil {
		v.raw = uint64(c)
		return v
	}
	pc := uint64(0)
	if p.frame().Module != nil {
		pc = p.frame().callPC() - p.bias()
	}
	expr, err := p.d.locationOf(p.fn.u, e, pc)
	if err == nil {
		var loc location
		if loc, err = p.locate(expr); err == nil {
			switch {
			case loc.kind == inMemory:
				v.lval, v.addr = true, loc.addr
			case loc.kind == isSynthetic:
				v.err = errSynthetic
			case v.t.size(0) > 8:
				v.err = errPieces
			default:
				v.raw = loc.value
			}
			return v
		}
	}
	v.err = err
	return v
}

// lookup finds what a name means: in the blocks, in the unit, in the file, and in
// other files that have a symbol of that name.
func (sc *Scope) lookup(name string) (cvalue, error) {
	for _, b := range sc.scopes {
		for _, e := range b.vars {
			if sc.p.d.name(e) == name {
				return sc.variable(sc.p, e), nil
			}
		}
		if i := len(sc.scopes) - 1; b == sc.scopes[i] {
			// The last of two parameters of one name counts, as for args.
			for _, e := range slices.Backward(sc.s.params(sc.p, b)) {
				if sc.p.d.name(e) == name {
					return sc.variable(sc.p, e), nil
				}
			}
		}
	}
	if sc.p != nil {
		if v, ok := sc.global(sc.frame.Module, sc.p.d, sc.p.fn.u.tops(sc.p.d)[name]); ok {
			return v, nil
		}
		if v, ok := sc.global(sc.frame.Module, sc.p.d, sc.p.d.top(name)); ok {
			return v, nil
		}
	}
	for _, mod := range sc.s.mods {
		addr, code, ok := mod.named(name)
		if !ok {
			continue
		}
		if d := mod.dwarfOf(); d != nil && (sc.p == nil || d != sc.p.d) {
			if v, ok := sc.global(mod, d, d.top(name)); ok {
				return v, nil
			}
		}
		if code {
			return cvalue{t: ctypeRef{basic: "<text variable, no debug info>"}, lval: true, addr: addr + mod.Bias}, nil
		}
		return cvalue{}, fmt.Errorf("'%s' has unknown type, for there is no debug information of it; x/8xb %#x shows its memory, and a cast gives it a type", name, addr+mod.Bias)
	}
	return cvalue{}, fmt.Errorf("%w: %q", ErrNoSymbol, name)
}

// global is the value of a variable or a function of a file.
func (sc *Scope) global(mod *Module, d *dwarfData, t top) (cvalue, bool) {
	if t.off == 0 || t.isType {
		return cvalue{}, false
	}
	e := d.entry(t.off)
	if e == nil {
		return cvalue{}, false
	}
	if e.Tag == dwarf.TagSubprogram {
		low, ok := e.Val(dwarf.AttrLowpc).(uint64)
		if !ok {
			return cvalue{}, false
		}
		return cvalue{t: ctypeRef{d: d, e: e}, lval: true, addr: low + mod.Bias}, true
	}
	p := &place{space: sc.s, m: sc.m, frames: []Frame{{Module: mod, PC: mod.Bias}}, d: d, fn: &function{u: t.u, entry: t.u.entry}, steps: new(int)}
	return sc.variable(p, e), true
}

// named finds a function's or a variable's link address by its name.
func (im *File) named(name string) (addr uint64, code, ok bool) {
	for _, global := range []bool{true, false} {
		if addr, ok = im.function(name, global); ok {
			return addr, true, true
		}
	}
	for i := range im.syms.data {
		if im.syms.data[i].name == name {
			return im.syms.data[i].addr, false, true
		}
	}
	return 0, false, false
}

// top is what a name means outside of functions.
type top struct {
	off    dwarf.Offset // 0 for none
	u      *unit
	isType bool
}

// maxTops bounds the names of a file.
const maxTops = 1 << 20

// tops lists the names of a unit: variables and functions that are defined there, and
// types ("struct pair").
func (u *unit) tops(d *dwarfData) map[string]top {
	if u.names != nil {
		return u.names
	}
	u.names = map[string]top{}
	r := d.d.Reader()
	r.Seek(u.entry.Offset)
	if e, err := r.Next(); err != nil || e == nil || !e.Children {
		return u.names
	}
	for last := u.entry.Offset; len(u.names) < maxTops; {
		e, err := r.Next()
		if err != nil || e == nil || e.Tag == 0 || e.Offset <= last {
			break
		}
		last = e.Offset
		r.SkipChildren()
		name, isType := "", true
		switch e.Tag {
		case dwarf.TagVariable, dwarf.TagSubprogram:
			name, isType = d.name(e), false
			if e.AttrField(dwarf.AttrLocation) == nil && e.Val(dwarf.AttrLowpc) == nil && e.Val(dwarf.AttrConstValue) == nil {
				name = ""
			}
		case dwarf.TagTypedef, dwarf.TagBaseType, dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagEnumerationType, dwarf.TagClassType:
			if decl, _ := e.Val(dwarf.AttrDeclaration).(bool); !decl && e.Val(dwarf.AttrName) != nil {
				name = (ctypeRef{d: d, e: e}).base()
			}
		}
		if name != "" {
			u.names[name] = top{e.Offset, u, isType}
		}
	}
	return u.names
}

// top finds a name among those of all units.
func (d *dwarfData) top(name string) top {
	n := 0
	for _, u := range slices.Concat(d.units, d.partial) {
		names := u.tops(d)
		if t, ok := names[name]; ok {
			return t
		}
		if n += len(names); n > maxTops {
			break
		}
	}
	return top{}
}

// typeNamed finds a type by its name.
func (sc *Scope) typeNamed(name string) (ctypeRef, bool) {
	if sc.p != nil {
		for _, t := range []top{sc.p.fn.u.tops(sc.p.d)[name], sc.p.d.top(name)} {
			if t.off == 0 || !t.isType {
				continue
			}
			if e := sc.p.d.entry(t.off); e != nil {
				return ctypeRef{d: sc.p.d, e: e}, true
			}
		}
	}
	switch name {
	case "int", "long", "unsigned long", "void":
		return ctypeRef{basic: name}, true
	case "char":
		return ctypeRef{basic: "char"}, true
	}
	return ctypeRef{}, false
}
