package cpython

import (
	"encoding/binary"

	"pyrr/internal/mem"
	"pyrr/internal/stack"
)

// Needs finds what has to be kept of a process's memory besides the parts that the
// program itself uses, so that what lies in those can be read later: the variables of
// code, its name, file and lines, which the interpreter does not look at; strings and
// numbers that are only referred to; classes with the names of their instances'
// attributes; and the globals of the program's own functions.
type Needs struct {
	r    *Runtime
	m    mem.Reader
	note func(addr uint64, n int) int
	left int // bytes that may still be kept
	// kinds says of what kind the instances of a class are, seen the same of all that
	// was looked at, needNothing where it is not a class.
	kinds, seen map[uint64]needKind
	globals     map[uint64]bool
}

type needKind uint8

const (
	needNothing needKind = iota
	needOther
	needText // str
	needScalar
	needCode
	needFunction
	needClass
)

// Limits: of what is noted, in bytes, of the objects that are looked at, and of the
// globals of a module.
const (
	maxNeeded  = 8 << 20
	maxLooked  = 1 << 21
	maxGlobals = 400
	// maxNeedText bounds the characters of a string that is kept.
	maxNeedText = 40
)

// NewNeeds makes one for memory as it is; note gets each span that is needed, some of
// them more than once, and returns how many bytes of it were not kept before.
func (r *Runtime) NewNeeds(m mem.Reader, note func(addr uint64, n int) int) *Needs {
	return &Needs{r: r, m: m, note: note, left: maxNeeded,
		kinds: map[uint64]needKind{}, seen: map[uint64]needKind{}, globals: map[uint64]bool{}}
}

func (n *Needs) noted(addr uint64, size int) {
	// The name of a file is asked for with each code of it: only what comes to what is
	// kept counts.
	if size <= n.left {
		n.left -= n.note(addr, size)
	}
}

// Part looks at a part of memory: b is what lies at addr, which is a multiple of 8.
// What can't be read there is left out.
func (n *Needs) Part(addr uint64, b []byte) {
	v := newView(n.m)
	defer v.release()
	v.note = n.noted
	typ := uint64(n.r.l.object.typ)
	for off := 0; off+8 <= len(b) && n.left > 0; off += 8 {
		w := binary.LittleEndian.Uint64(b[off:])
		if w&7 != 0 || w < pageSize || w>>47 != 0 {
			continue
		}
		switch at := addr + uint64(off) - typ; n.look(v, w) {
		case needCode:
			n.code(v, at)
		case needFunction:
			n.function(v, at)
		}
	}
}

// look notes what is needed of an object, once, and says of what kind its instances
// are.
func (n *Needs) look(v *view, w uint64) needKind {
	if k, ok := n.seen[w]; ok || len(n.seen) >= maxLooked {
		return k
	}
	n.seen[w] = needNothing
	class, ok := n.word(w + uint64(n.r.l.object.typ))
	if !ok {
		return needNothing
	}
	switch n.kindOf(class) {
	case needText:
		n.text(v, w)
	case needScalar:
		n.r.value(v, w)
	case needClass:
		n.seen[w] = n.kindOf(w)
		n.class(v, w)
	}
	return n.seen[w]
}

// text notes a string, unless it is a long one, such as what documents a function.
func (n *Needs) text(v *view, addr uint64) {
	v.note = nil
	s, err := n.r.rawString(v, addr, maxNeedText+1)
	v.note = n.noted
	if err == nil && s.length <= maxNeedText {
		_, _ = n.r.rawString(v, addr, maxNeedText) // it was just read
	}
}

func (n *Needs) word(addr uint64) (uint64, bool) {
	var b [8]byte
	if addr < pageSize || n.m.ReadAt(b[:], addr) != nil {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[:]), true
}

// kindOf says of what kind the instances of what may be a class are.
func (n *Needs) kindOf(class uint64) needKind {
	if class&7 != 0 || class < pageSize || class>>47 != 0 {
		return needNothing
	}
	if k, ok := n.kinds[class]; ok {
		return k
	}
	k := n.readKind(class)
	if len(n.kinds) < maxLooked {
		n.kinds[class] = k
	}
	return k
}

func (n *Needs) readKind(class uint64) needKind {
	l := n.r.l
	meta, ok := n.word(class + uint64(l.object.typ))
	if !ok {
		return needNothing
	}
	if flags, ok := n.word(meta + uint64(l.typ.flags)); !ok || flags&flagType == 0 {
		return needNothing
	}
	v := newView(n.m)
	defer v.release()
	t, err := n.r.typeInfo(v, class)
	switch {
	case err != nil:
		return needNothing
	case t.flags&flagStr != 0:
		return needText
	case t.flags&flagType != 0:
		return needClass
	case t.flags&(flagLong|flagBytes) != 0 || t.name == "float":
		return needScalar
	case t.flags&flagHeapType != 0:
		return needOther
	case t.name == "code":
		return needCode
	case t.name == "function":
		return needFunction
	}
	return needOther
}

// class notes a class, the names of its instances' attributes, and its first bases.
func (n *Needs) class(v *view, addr uint64) {
	t, err := n.r.typeInfo(v, addr)
	if err != nil {
		return
	}
	if t.cachedKeys != 0 {
		n.keys(v, t.cachedKeys)
	}
	if t.flags&flagHeapType != 0 {
		_ = n.r.members(v, t, func(string, uint64) (bool, error) { return true, nil }) // those before an error
	}
	if t.base != 0 {
		n.look(v, t.base)
	}
}

func (n *Needs) keys(v *view, addr uint64) {
	keys, err := n.r.dictKeys(v, addr)
	if err != nil {
		return
	}
	for i := range min(keys.n, maxGlobals) {
		key, _, err := keys.entry(v, i)
		if err != nil {
			return
		}
		if key != 0 {
			n.look(v, key)
		}
	}
}

// Code looks at the code object of a frame that runs: the program goes on with its
// instructions, and may use nothing else of it.
func (n *Needs) Code(addr uint64) {
	v := newView(n.m)
	defer v.release()
	v.note = n.noted
	n.code(v, addr)
}

// code notes what readers want of a code object: its name and place, the names of its
// variables and of the globals and attributes that it uses, lines and handlers, and all its
// instructions: the program may have come to some of them only.
func (n *Needs) code(v *view, addr uint64) {
	l := n.r.l
	s, key, err := n.r.codeRecord(v, addr)
	if err != nil {
		return
	}
	if l.rules.Qualified {
		n.noted(addr+uint64(l.code.bytecode), min(max(2*key.units, 0), maxBytecode))
	} else {
		_, _ = n.r.rawBytes(v, s.u64(coCode310), maxBytecode)
	}
	for _, text := range []uint64{key.filename, key.name, s.u64(l.code.name)} {
		if text != 0 {
			_, _ = n.r.rawString(v, text, maxString) // each that can be read
		}
	}
	tables := []uint64{key.lineTable, s.u64(l.code.localsplusKinds)}
	tuples := []int{l.code.localsplusNames, l.code.varnames, l.code.cellvars, l.code.freevars}
	if n.own(v, key.filename) {
		tables = append(tables, s.u64(l.code.exceptionTable))
		tuples = append(tuples, l.code.names)
	}
	for _, table := range tables {
		if table != 0 {
			_, _ = n.r.rawBytes(v, table, maxLineTable)
		}
	}
	names := locals{r: n.r, v: v}
	for _, off := range tuples {
		if tuple := s.u64(off); tuple != 0 {
			_, _ = names.strings(tuple)
		}
	}
}

// own says whether a file that code is of is one of the program's own.
func (n *Needs) own(v *view, filename uint64) bool {
	file, err := n.r.rawString(v, filename, maxString)
	if err != nil {
		return false
	}
	name := file.text()
	return name != "" && name[0] != '<' && !stack.IsLibrary(name)
}

// function notes the globals of a function of the program's own code.
func (n *Needs) function(v *view, addr uint64) {
	// Its globals are the first dict that a function object has (funcobject.h), and
	// its code the only code object.
	const words = 12
	l := n.r.l
	globals, own := uint64(0), false
	for i := range uint64(words) {
		w, ok := n.word(addr + uint64(l.object.typ) + 8 + 8*i)
		if !ok {
			return
		}
		class, ok := n.word(w + uint64(l.object.typ))
		if !ok || w&7 != 0 {
			continue
		}
		flags, ok := n.word(class + uint64(l.typ.flags))
		switch k := n.kindOf(class); {
		case !ok || k == needNothing:
		case k == needCode:
			aside := newView(n.m)
			if _, key, err := n.r.codeRecord(aside, w); err == nil {
				own = n.own(aside, key.filename)
			}
			aside.release()
		case flags&flagDict != 0 && globals == 0:
			globals = w
		}
	}
	if !own || globals == 0 || n.globals[globals] {
		return
	}
	n.globals[globals] = true
	count := 0
	_ = n.r.dictItems(v, globals, func(key, value uint64) bool { // those before an error
		n.look(v, key)
		n.r.value(v, value)
		count++
		return count < maxGlobals
	})
}
