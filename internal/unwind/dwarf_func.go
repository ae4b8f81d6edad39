package unwind

import (
	"debug/dwarf"
	"sort"
)

// function is a subprogram with code.
type function struct {
	u      *unit
	off    dwarf.Offset
	entry  *dwarf.Entry
	ranges [][2]uint64
	// low is its entry point.
	low  uint64
	tree *scope // nil before it is read
	// calls are its call sites by return address.
	calls map[uint64]*callSite
	tails []*callSite
	// once keeps what enteredOnce found.
	once answer
}

// answer is a question's that may not have been asked yet.
type answer uint8

const (
	unsure answer = iota
	yes
	no
)

// scope is a function, an inlined call in it, or a block, with what is inside.
type scope struct {
	entry    *dwarf.Entry
	inlined  bool
	ranges   [][2]uint64
	params   []*dwarf.Entry
	vars     []*dwarf.Entry
	children []*scope
	// callFile and callLine are where an inlined call is.
	callFile, callLine int64
}

// callSite is a call of which the compiler noted the arguments.
type callSite struct {
	ret    uint64 // the return address
	entry  *dwarf.Entry
	params []callParam
	tail   bool
}

// callParam is an argument: where the callee finds it, or which parameter it
// is where it is not passed, and what it is in the caller.
type callParam struct {
	where, value []byte
	ref          dwarf.Offset
}

// Attributes and tags that package dwarf has no names for (DWARF 5, table
// 7.5; the GNU ones are of binutils' dwarf2.def).
const (
	tagGNUCallSite      = dwarf.Tag(0x4109)
	tagGNUCallSiteParam = dwarf.Tag(0x410a)
	attrGNUCallValue    = dwarf.Attr(0x2111)
	attrGNUTailCall     = dwarf.Attr(0x2115)
	attrGNUCallTarget   = dwarf.Attr(0x2113)
)

// maxEntries bounds the entries of one function, maxDepth their nesting.
const (
	maxEntries = 1 << 20
	maxDepth   = 256
)

// functions lists the functions of a unit, by address.
func (d *dwarfData) functions(u *unit) []*function {
	if u.funcsOK {
		return u.funcs
	}
	u.funcsOK = true
	r := d.d.Reader()
	r.Seek(u.entry.Offset)
	if e, err := r.Next(); err != nil || e == nil || !e.Children {
		return nil
	}
	last := u.entry.Offset
	for depth := 0; len(u.funcs) < maxFunctions; {
		e, err := r.Next()
		if err != nil || e == nil || e.Tag != 0 && e.Offset <= last {
			break // or it goes back to a sibling, which no compiler makes
		}
		last = e.Offset
		switch e.Tag {
		case 0:
			if depth == 0 {
				sort.SliceStable(u.funcs, func(i, j int) bool { return u.funcs[i].ranges[0][0] < u.funcs[j].ranges[0][0] })
				return u.funcs
			}
			depth--
		case dwarf.TagNamespace, dwarf.TagModule:
			if e.Children {
				depth++
			}
		case dwarf.TagSubprogram:
			if ranges, err := d.d.Ranges(e); err == nil && len(ranges) > 0 && ranges[0][0] != 0 {
				f := &function{u: u, off: e.Offset, entry: e, ranges: ranges, low: ranges[0][0]}
				if low, ok := e.Val(dwarf.AttrLowpc).(uint64); ok {
					f.low = low
				}
				u.funcs = append(u.funcs, f)
			}
			r.SkipChildren()
		default:
			r.SkipChildren()
		}
	}
	sort.SliceStable(u.funcs, func(i, j int) bool { return u.funcs[i].ranges[0][0] < u.funcs[j].ranges[0][0] })
	return u.funcs
}

func covers(ranges [][2]uint64, pc uint64) bool {
	for _, r := range ranges {
		if pc >= r[0] && pc < r[1] {
			return true
		}
	}
	return false
}

// functionAt finds the function at an address.
func (d *dwarfData) functionAt(pc uint64) *function {
	for _, u := range d.unitsAt(pc) {
		for _, f := range d.functions(u) {
			if covers(f.ranges, pc) {
				d.readTree(f)
				return f
			}
		}
	}
	return nil
}

// readTree reads what is inside of a function.
func (d *dwarfData) readTree(f *function) {
	if f.tree != nil {
		return
	}
	f.tree = &scope{entry: f.entry, ranges: f.ranges}
	f.calls = map[uint64]*callSite{}
	if !f.entry.Children {
		return
	}
	r := d.d.Reader()
	r.Seek(f.off)
	if _, err := r.Next(); err != nil {
		return
	}
	open := []level{{s: f.tree}}
	last := f.off
	for n := 0; n < maxEntries; n++ {
		e, err := r.Next()
		if err != nil || e == nil || e.Tag != 0 && e.Offset <= last {
			return
		}
		last = e.Offset
		if e.Tag == 0 {
			if open = open[:len(open)-1]; len(open) == 0 {
				return
			}
			continue
		}
		next, below := d.place(f, e, open[len(open)-1])
		if !e.Children {
			continue
		}
		if !below || len(open) >= maxDepth {
			r.SkipChildren()
			continue
		}
		open = append(open, next)
	}
}

// level is what entries of one depth belong to: the scope, and the call that they
// describe.
type level struct {
	s    *scope
	site *callSite
}

// place puts one entry of a function where it belongs. next is what those below it belong to, below
// whether they are of use.
func (d *dwarfData) place(f *function, e *dwarf.Entry, top level) (next level, below bool) {
	next = level{s: top.s}
	switch e.Tag {
	case dwarf.TagFormalParameter:
		if top.site == nil {
			top.s.params = append(top.s.params, e)
		}
	case dwarf.TagVariable:
		if top.site == nil {
			top.s.vars = append(top.s.vars, e)
		}
	case dwarf.TagInlinedSubroutine, dwarf.TagLexDwarfBlock:
		ranges, err := d.d.Ranges(e)
		if err != nil {
			ranges = nil
		}
		s := &scope{entry: e, ranges: ranges, inlined: e.Tag == dwarf.TagInlinedSubroutine}
		s.callFile, _ = e.Val(dwarf.AttrCallFile).(int64)
		s.callLine, _ = e.Val(dwarf.AttrCallLine).(int64)
		top.s.children = append(top.s.children, s)
		next.s, below = s, true
	case dwarf.TagCallSite, tagGNUCallSite:
		next.site, below = d.callSite(f, e), true
	case dwarf.TagCallSiteParameter, tagGNUCallSiteParam:
		if top.site != nil {
			where, _ := e.Val(dwarf.AttrLocation).([]byte)
			value, ok := e.Val(dwarf.AttrCallValue).([]byte)
			if !ok {
				value, _ = e.Val(attrGNUCallValue).([]byte)
			}
			ref, ok := e.Val(dwarf.AttrCallParameter).(dwarf.Offset)
			if !ok {
				ref, _ = e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
			}
			top.site.params = append(top.site.params, callParam{where, value, ref})
		}
	}
	return next, below
}

func (d *dwarfData) callSite(f *function, e *dwarf.Entry) *callSite {
	c := &callSite{entry: e}
	ret, ok := e.Val(dwarf.AttrCallReturnPC).(uint64)
	if !ok {
		ret, _ = e.Val(dwarf.AttrLowpc).(uint64)
	}
	c.ret = ret
	c.tail, _ = e.Val(dwarf.AttrCallTailCall).(bool)
	if !c.tail {
		c.tail, _ = e.Val(attrGNUTailCall).(bool)
	}
	if ret != 0 {
		if _, dup := f.calls[ret]; !dup {
			f.calls[ret] = c
		}
	}
	if c.tail {
		f.tails = append(f.tails, c)
	}
	return c
}

// chain returns the scopes of inlined calls that an address lies in, innermost
// first; the last is the function itself.
func (f *function) chain(pc uint64) []*scope {
	var out []*scope
	for s := f.tree; s != nil; {
		if s == f.tree || s.inlined {
			out = append([]*scope{s}, out...)
		}
		var in *scope
		for _, c := range s.children {
			if covers(c.ranges, pc) {
				in = c
				break
			}
			// A block without addresses of its own may hold others.
			if len(c.ranges) == 0 && !c.inlined {
				if g := c.find(pc, 0); g != nil {
					in = g
					break
				}
			}
		}
		s = in
	}
	return out
}

func (s *scope) find(pc uint64, depth int) *scope {
	if depth > maxDepth {
		return nil
	}
	for _, c := range s.children {
		if covers(c.ranges, pc) {
			return c
		}
		if len(c.ranges) == 0 {
			if g := c.find(pc, depth+1); g != nil {
				return g
			}
		}
	}
	return nil
}
