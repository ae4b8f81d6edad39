package unwind

import (
	"debug/dwarf"
	"fmt"
	"strings"
)

// ctypeRef is a type of C that is read as far as it is asked for, so that no file can
// make it endless: an entry of DWARF, or a number's type, and how many pointers to it
// were made of it here.
type ctypeRef struct {
	d     *dwarfData
	e     *dwarf.Entry // nil: basic
	basic string       // "void", "int", "long", "unsigned long"
	ptrs  int
}

var (
	typeVoid = ctypeRef{basic: "void"}
	typeInt  = ctypeRef{basic: "int"}
	typeLong = ctypeRef{basic: "long"}
)

// typeRef returns the type that an entry's DW_AT_type names.
func (d *dwarfData) typeRef(e *dwarf.Entry) ctypeRef {
	off, ok := d.attr(e, dwarf.AttrType).(dwarf.Offset)
	if !ok {
		return typeVoid
	}
	if e = d.entry(off); e == nil {
		return typeVoid
	}
	return ctypeRef{d: d, e: e}
}

// plain looks through typedefs and qualifiers.
func (t ctypeRef) plain() ctypeRef {
	for range maxTypeDepth {
		if t.ptrs > 0 || t.e == nil || !qualifies(t.e.Tag) && t.e.Tag != dwarf.TagTypedef {
			break
		}
		t = t.d.typeRef(t.e)
	}
	return t
}

func qualifies(tag dwarf.Tag) bool { return qualifiers[tag] != "" }

var qualifiers = map[dwarf.Tag]string{
	dwarf.TagConstType: "const", dwarf.TagVolatileType: "volatile", dwarf.TagRestrictType: "restrict", dwarf.TagAtomicType: "_Atomic",
}

// shape is what is needed to print a value of the type.
func (t ctypeRef) shape() *ctype {
	switch {
	case t.ptrs > 0:
		elem := t
		elem.ptrs--
		return &ctype{kind: kindPointer, size: 8, elem: elem.shape()}
	case t.e != nil:
		return t.d.typeAt(t.e.Offset, 0)
	case t.basic == "void":
		return &ctype{kind: kindVoid}
	case t.basic == "int":
		return &ctype{kind: kindInt, size: 4, signed: true}
	}
	return &ctype{kind: kindInt, size: 8, signed: t.basic == "long"}
}

// pointer is the type of a pointer to it.
func (t ctypeRef) pointer() ctypeRef { t.ptrs++; return t }

// tag is the entry's kind, of a pointer made here that of pointers.
func (t ctypeRef) tag() dwarf.Tag {
	switch {
	case t.ptrs > 0:
		return dwarf.TagPointerType
	case t.e == nil:
		return dwarf.TagBaseType
	}
	return t.e.Tag
}

// elem is what a pointer points to, what an array consists of, what a function
// returns.
func (t ctypeRef) elem() ctypeRef {
	if t.ptrs > 0 {
		t.ptrs--
		return t
	}
	if t.e == nil {
		return typeVoid
	}
	return t.d.typeRef(t.e)
}

// children lists the entries below the type's.
func (t ctypeRef) children() []*dwarf.Entry {
	const most = 1 << 12
	var out []*dwarf.Entry
	if t.e == nil || !t.e.Children {
		return nil
	}
	r := t.d.d.Reader()
	r.Seek(t.e.Offset)
	if _, err := r.Next(); err != nil {
		return nil
	}
	for last := t.e.Offset; len(out) < most; {
		c, err := r.Next()
		if err != nil || c == nil || c.Tag == 0 || c.Offset <= last {
			break
		}
		last = c.Offset
		out = append(out, c)
		r.SkipChildren()
	}
	return out
}

// counts are the numbers of elements of an array, one for each dimension; -1 for
// one that is open.
func (t ctypeRef) counts() []int64 {
	var out []int64
	for _, c := range t.children() {
		if c.Tag != dwarf.TagSubrangeType {
			continue
		}
		n := int64(-1)
		if v, ok := c.Val(dwarf.AttrCount).(int64); ok {
			n = v
		} else if v, ok := c.Val(dwarf.AttrUpperBound).(int64); ok && v < 1<<40 {
			n = v + 1
		}
		out = append(out, n)
	}
	return out
}

// size is how many bytes a value has, 0 where that is unknown. n bounds the depth.
func (t ctypeRef) size(n int) int64 {
	p := t.plain()
	switch {
	case p.tag() == dwarf.TagPointerType:
		return 8
	case p.e == nil:
		return p.shape().size
	case p.tag() == dwarf.TagArrayType && n < maxTypeDepth:
		size := p.elem().size(n + 1)
		for _, c := range p.counts() {
			const most = 1 << 40
			if c < 0 || size > 0 && c > most/size {
				return 0
			}
			size *= c
		}
		return size
	}
	size, _ := p.e.Val(dwarf.AttrByteSize).(int64)
	return max(size, 0)
}

// member is a part of a structure.
type member struct {
	name string
	t    ctypeRef
	off  uint64
	// bits and shift are those of a bit field, bits 0 for none.
	bits, shift int64
}

func (t ctypeRef) members() []member {
	var out []member
	for _, c := range t.children() {
		if c.Tag != dwarf.TagMember {
			continue
		}
		m := member{t: t.d.typeRef(c)}
		m.name, _ = c.Val(dwarf.AttrName).(string)
		if off, ok := c.Val(dwarf.AttrDataMemberLoc).(int64); ok {
			m.off = uint64(off)
		}
		m.bits, _ = c.Val(dwarf.AttrBitSize).(int64)
		if at, ok := c.Val(dwarf.AttrDataBitOffset).(int64); ok && m.bits > 0 {
			size := max(m.t.size(0), 1)
			m.off, m.shift = uint64(at/8/size*size), at%(8*size)
		}
		out = append(out, m)
	}
	return out
}

// String is the type as gdb's whatis has it.
func (t ctypeRef) String() string { return t.declare("", "", 0) }

// whole is the type as gdb's ptype has it: with what a structure consists of.
func (t ctypeRef) whole() string {
	inner := t.plain()
	for range maxTypeDepth {
		if tag := inner.tag(); tag != dwarf.TagPointerType && tag != dwarf.TagArrayType && tag != dwarf.TagSubroutineType {
			break
		}
		inner = inner.elem().plain()
	}
	return t.plain().declare("", inner.body(), 0)
}

// body is what is written of a structure or an enumeration, "" of others.
func (t ctypeRef) body() string {
	var b strings.Builder
	switch t.tag() {
	case dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagClassType:
		if decl, _ := t.e.Val(dwarf.AttrDeclaration).(bool); decl {
			return t.base() + " {\n    <incomplete type>\n}"
		}
		b.WriteString(t.base() + " {\n")
		for _, m := range t.members() {
			b.WriteString("    " + m.t.declare(m.name, "", 0))
			if m.bits > 0 {
				fmt.Fprintf(&b, " : %d", m.bits)
			}
			b.WriteString(";\n")
		}
		b.WriteString("}")
	case dwarf.TagEnumerationType:
		b.WriteString(t.base() + " {")
		next := int64(0)
		for i, v := range t.shape().enum {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(v.name)
			if v.value != next {
				fmt.Fprintf(&b, " = %d", v.value)
			}
			next = v.value + 1
		}
		b.WriteString("}")
	}
	return b.String()
}

// base is the name of a type that consists of no other.
func (t ctypeRef) base() string {
	if t.e == nil {
		return t.basic
	}
	name, _ := t.e.Val(dwarf.AttrName).(string)
	kind := map[dwarf.Tag]string{dwarf.TagStructType: "struct", dwarf.TagUnionType: "union", dwarf.TagClassType: "class", dwarf.TagEnumerationType: "enum"}[t.e.Tag]
	switch {
	case kind != "" && name == "":
		return kind + " {...}"
	case kind != "":
		return kind + " " + name
	case name == "":
		return "void"
	}
	return name
}

// declare writes the type around what it is the type of; body stands for the
// innermost one where it is not "". depth bounds it.
func (t ctypeRef) declare(inner, body string, depth int) string {
	if depth > maxTypeDepth {
		return "..."
	}
	behind := func(s, inner string) string {
		if inner == "" {
			return s
		}
		if strings.HasPrefix(inner, "*") && strings.HasSuffix(s, "*") {
			return s + inner
		}
		return s + " " + inner
	}
	switch tag := t.tag(); {
	case tag == dwarf.TagPointerType || tag == dwarf.TagReferenceType:
		inner = "*" + inner
		if to := t.elem().tag(); t.ptrs <= 1 && (to == dwarf.TagArrayType || to == dwarf.TagSubroutineType) {
			inner = "(" + inner + ")"
		}
		return t.elem().declare(inner, body, depth+1)
	case tag == dwarf.TagArrayType:
		for _, n := range t.counts() {
			if n < 0 {
				inner += "[]"
			} else {
				inner += fmt.Sprintf("[%d]", n)
			}
		}
		return t.elem().declare(inner, body, depth+1)
	case tag == dwarf.TagSubroutineType || tag == dwarf.TagSubprogram:
		var params []string
		for _, c := range t.children() {
			switch c.Tag {
			case dwarf.TagFormalParameter:
				params = append(params, t.d.typeRef(c).declare("", "", depth+1))
			case dwarf.TagUnspecifiedParameters:
				params = append(params, "...")
			}
		}
		if proto, _ := t.d.attr(t.e, dwarf.AttrPrototyped).(bool); len(params) == 0 && proto {
			params = []string{"void"}
		}
		return t.elem().declare(inner+"("+strings.Join(params, ", ")+")", body, depth+1)
	case qualifies(tag):
		q := qualifiers[tag]
		if to := t.elem(); to.tag() == dwarf.TagPointerType {
			return to.declare(strings.TrimRight(" "+behind(q, inner), " "), body, depth+1)
		}
		return q + " " + t.elem().declare(inner, body, depth+1)
	}
	if body == "" || t.tag() == dwarf.TagTypedef {
		body = t.base()
	}
	return behind(body, inner)
}
