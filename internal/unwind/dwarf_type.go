package unwind

import "debug/dwarf"

// ctype is what is needed of a C type to print a value: typedefs and
// qualifiers are looked through.
type ctype struct {
	kind   ctypeKind
	size   int64
	signed bool
	elem   *ctype // of a pointer
	enum   []enumValue
	prefix string // of a literal of wide characters: L, u or U
}

type enumValue struct {
	value int64
	name  string
}

type ctypeKind uint8

const (
	kindUnknown ctypeKind = iota
	kindInt
	kindChar // an integer of one byte, or a wide character
	kindBool
	kindFloat
	kindPointer
	kindFunction
	kindEnum
	kindAggregate // a structure, union or array
	kindVoid
)

// Encodings of base types (DWARF 5, table 7.11).
const (
	encBoolean      = 0x02
	encFloat        = 0x04
	encSigned       = 0x05
	encSignedChar   = 0x06
	encUnsigned     = 0x07
	encUnsignedChar = 0x08
	encUTF          = 0x10
)

// wide are the types of wide characters by their names, and how literals of
// them begin. C has them as names for integers.
var wide = map[string]string{"wchar_t": "L", "char16_t": "u", "char32_t": "U"}

// asWide makes a character of an integer whose type has the name of one.
func asWide(t *ctype, name string) *ctype {
	prefix := wide[name]
	if prefix == "" || t.kind != kindInt || t.size > 4 {
		return t
	}
	c := *t
	c.kind, c.prefix = kindChar, prefix
	return &c
}

// narrow cuts a value to the type's size and extends its sign.
func (t *ctype) narrow(v uint64) uint64 {
	if t.size <= 0 || t.size >= 8 {
		return v
	}
	shift := uint(64 - 8*t.size)
	if t.signed {
		return uint64(int64(v<<shift) >> shift)
	}
	return v << shift >> shift
}

// typeOf returns the type of a variable.
func (d *dwarfData) typeOf(e *dwarf.Entry) *ctype {
	off, ok := d.attr(e, dwarf.AttrType).(dwarf.Offset)
	if !ok {
		return &ctype{kind: kindUnknown}
	}
	return d.typeAt(off, 0)
}

const maxTypeDepth = 64

func (d *dwarfData) typeAt(off dwarf.Offset, depth int) *ctype {
	if t, ok := d.types[off]; ok {
		return t
	}
	t := &ctype{}
	if depth > maxTypeDepth {
		return t
	}
	e := d.entry(off)
	if e == nil {
		return t
	}
	t.size, _ = e.Val(dwarf.AttrByteSize).(int64)
	inner := func() *ctype {
		to, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
		if !ok {
			return &ctype{kind: kindVoid}
		}
		return d.typeAt(to, depth+1)
	}
	switch e.Tag {
	case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, dwarf.TagAtomicType:
		t = inner()
		if name, _ := e.Val(dwarf.AttrName).(string); e.Tag == dwarf.TagTypedef {
			t = asWide(t, name)
		}
	case dwarf.TagBaseType:
		enc, _ := e.Val(dwarf.AttrEncoding).(int64)
		switch enc {
		case encBoolean:
			t.kind = kindBool
		case encFloat:
			t.kind = kindFloat
		case encSigned, encSignedChar:
			t.kind, t.signed = kindInt, true
		case encUnsigned, encUnsignedChar, encUTF:
			t.kind = kindInt
		}
		if t.kind == kindInt && t.size == 1 {
			t.kind = kindChar
		}
		if name, _ := e.Val(dwarf.AttrName).(string); enc == encUTF {
			t = asWide(t, name)
		}
	case dwarf.TagPointerType, dwarf.TagReferenceType, dwarf.TagRvalueReferenceType:
		t.kind, t.size = kindPointer, 8
		// Only how to print what it points to; no need to follow further.
		t.elem = d.pointee(e, depth)
	case dwarf.TagSubroutineType:
		t.kind = kindFunction
	case dwarf.TagEnumerationType:
		t.kind = kindEnum
		d.readEnum(t, off)
	case dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagArrayType, dwarf.TagClassType:
		t.kind = kindAggregate
	}
	d.types[off] = t
	return t
}

// pointee returns the type that a pointer points to, as far as it matters.
func (d *dwarfData) pointee(e *dwarf.Entry, depth int) *ctype {
	named := ""
	for range maxTypeDepth {
		off, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
		if !ok {
			return &ctype{kind: kindVoid}
		}
		if e = d.entry(off); e == nil {
			break
		}
		if name, _ := e.Val(dwarf.AttrName).(string); e.Tag == dwarf.TagTypedef && wide[name] != "" {
			named = name
		}
		switch e.Tag {
		case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, dwarf.TagAtomicType:
			continue
		case dwarf.TagBaseType, dwarf.TagSubroutineType:
			return asWide(d.typeAt(off, depth+1), named)
		}
		break
	}
	return &ctype{kind: kindAggregate}
}

// maxEnum bounds the values of an enumeration.
const maxEnum = 1 << 14

func (d *dwarfData) readEnum(t *ctype, off dwarf.Offset) {
	r := d.d.Reader()
	r.Seek(off)
	e, err := r.Next()
	if err != nil || e == nil || !e.Children {
		return
	}
	for last := off; len(t.enum) < maxEnum; {
		c, err := r.Next()
		if err != nil || c == nil || c.Tag == 0 || c.Offset <= last {
			return
		}
		last = c.Offset
		if c.Tag == dwarf.TagEnumerator {
			v, _ := c.Val(dwarf.AttrConstValue).(int64)
			name, _ := c.Val(dwarf.AttrName).(string)
			t.enum = append(t.enum, enumValue{v, name})
			if v < 0 {
				t.signed = true
			}
		}
		r.SkipChildren()
	}
}
