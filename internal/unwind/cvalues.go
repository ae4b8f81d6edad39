package unwind

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pyrr/internal/mem"
)

// cvalue is a value of C: in memory, or the bytes that a register holds.
type cvalue struct {
	t    ctypeRef
	lval bool   // it lies at addr
	addr uint64 // in memory
	raw  uint64
	bits int64 // of a bit field, at shift of what lies at addr
	sh   int64
	err  error // why there is none, such as errOptimizedOut
}

// What bounds a printed value: characters, elements of an array (gdb's "print
// elements"), and structures within structures.
const (
	maxValueText = 1 << 14
	maxElements  = 200
	maxNesting   = 20
)

// word returns a value that fits a register.
func (v cvalue) word(m mem.Reader) (uint64, error) {
	if v.err != nil {
		return 0, v.err
	}
	s := v.t.plain().shape()
	if !v.lval {
		return s.narrow(v.raw), nil
	}
	var b [8]byte
	size := v.t.size(0)
	if size < 1 || size > 8 {
		return 0, fmt.Errorf("a value of type %s is not a number", v.t)
	}
	if err := m.ReadAt(b[:size], v.addr); err != nil {
		return 0, fmt.Errorf("cannot access memory at address %#x", v.addr)
	}
	raw := binary.LittleEndian.Uint64(b[:])
	if v.bits > 0 && v.bits < 64 {
		raw >>= uint(v.sh & 63)
		cut := *s
		raw &= 1<<uint(v.bits) - 1
		if cut.signed && raw>>(uint(v.bits)-1) != 0 {
			raw |= ^uint64(0) << uint(v.bits)
		}
		return raw, nil
	}
	return s.narrow(raw), nil
}

// valueText collects a printed value.
type valueText struct {
	s *Modules
	m mem.Reader
	b strings.Builder
	// format is that of print/F, 0 for the type's own.
	format byte
}

// text prints a value as gdb's print does.
func (v cvalue) text(s *Modules, m mem.Reader, format byte) string {
	out := valueText{s: s, m: m, format: format}
	out.value(v, 0)
	text := out.b.String()
	p := v.t.plain()
	if p.tag() == dwarf.TagPointerType && format == 0 && v.err == nil {
		// A pointer tells its type, but one to characters.
		if k := p.elem().plain().shape().kind; k != kindChar && !strings.HasPrefix(text, "<") {
			text = "(" + v.t.String() + ") " + text
		}
	}
	return text
}

func (o *valueText) value(v cvalue, depth int) {
	if o.b.Len() > maxValueText || depth > maxNesting {
		o.b.WriteString("...")
		return
	}
	p := v.t.plain()
	switch tag := p.tag(); {
	case v.err != nil:
		o.b.WriteString(whyNoValue(v.err))
	case tag == dwarf.TagArrayType && v.lval:
		o.array(v, p, depth)
	case (tag == dwarf.TagStructType || tag == dwarf.TagUnionType || tag == dwarf.TagClassType) && v.lval:
		o.b.WriteByte('{')
		for i, f := range p.members() {
			if i > 0 {
				o.b.WriteString(", ")
			}
			if f.name != "" {
				o.b.WriteString(f.name + " = ")
			}
			o.value(cvalue{t: f.t, lval: true, addr: v.addr + f.off, bits: f.bits, sh: f.shift}, depth+1)
			if o.b.Len() > maxValueText {
				o.b.WriteString("...")
				break
			}
		}
		o.b.WriteByte('}')
	case tag == dwarf.TagSubprogram || tag == dwarf.TagSubroutineType:
		fmt.Fprintf(&o.b, "{%s} %#x", v.t, v.addr)
		if sym := o.s.symbolic(v.addr); sym != "" {
			o.b.WriteString(" <" + sym + ">")
		}
	default:
		w, err := v.word(o.m)
		if err != nil {
			o.b.WriteString("<error: " + err.Error() + ">")
			return
		}
		if o.format != 0 {
			o.b.WriteString(formatWord(w, o.format, v.t.size(0)))
			return
		}
		o.b.WriteString(formatValue(o.s, o.m, p.shape(), w))
	}
}

func whyNoValue(err error) string {
	switch {
	case errors.Is(err, errUnread):
		return "<unavailable>"
	case errors.Is(err, errSynthetic):
		return synthetic
	}
	return optimizedOut
}

// errSynthetic says that a pointer's target is no longer anywhere.
var errSynthetic = errors.New("a synthetic pointer")

// formatWord prints a number in one of gdb's formats: x, d, u, o, t, z, c, a.
func formatWord(w uint64, format byte, size int64) string {
	if size > 0 && size < 8 && format != 'd' {
		w &= 1<<(8*uint(size)) - 1
	}
	switch format {
	case 'd':
		return strconv.FormatInt(int64(w), 10)
	case 'u':
		return strconv.FormatUint(w, 10)
	case 'o':
		return "0" + strconv.FormatUint(w, 8)
	case 't':
		return strconv.FormatUint(w, 2)
	case 'z':
		return fmt.Sprintf("0x%0*x", 2*max(size, 1), w)
	case 'c':
		return fmt.Sprintf("%d '%s'", int8(w), new(escaper).char(uint32(w&0xff), '\''))
	}
	return fmt.Sprintf("%#x", w)
}

// array prints the elements of an array: characters as a string, equal ones in a
// row by their number.
func (o *valueText) array(v cvalue, p ctypeRef, depth int) {
	elem, counts := p.elem(), p.counts()
	n, inner := int64(0), int64(1)
	for i, c := range counts {
		if i == 0 {
			n = c
		} else {
			inner *= max(c, 0)
		}
	}
	size := elem.size(0)
	if shape := elem.plain().shape(); shape.kind == kindChar && len(counts) == 1 && o.format == 0 {
		o.b.WriteString(arrayString(o.m, shape, v.addr, n))
		return
	}
	if n <= 0 || size <= 0 || len(counts) > 1 && (inner <= 0 || inner > 1<<30) {
		o.b.WriteString("...")
		return
	}
	o.b.WriteByte('{')
	last, same := "", 0
	flush := func(first bool) {
		if same == 0 {
			return
		}
		for i := range same {
			if !first || i > 0 {
				o.b.WriteString(", ")
			}
			if first = false; same >= repeats {
				fmt.Fprintf(&o.b, "%s <repeats %d times>", last, same)
				break
			}
			o.b.WriteString(last)
		}
		same = 0
	}
	first := true
	for i := range min(n, maxElements) {
		one := valueText{s: o.s, m: o.m, format: o.format}
		e := cvalue{t: elem, lval: true, addr: v.addr + uint64(i*inner*size)}
		if len(counts) > 1 {
			one.rows(e, counts[1:], size, depth+1)
		} else {
			one.value(e, depth+1)
		}
		if text := one.b.String(); same == 0 || text != last {
			started := same > 0
			flush(first)
			first = first && !started
			last = text
		}
		same++
		if o.b.Len() > maxValueText {
			break
		}
	}
	flush(first)
	if n > maxElements || o.b.Len() > maxValueText {
		o.b.WriteString("...")
	}
	o.b.WriteByte('}')
}

// rows prints what a further dimension of an array holds.
func (o *valueText) rows(v cvalue, counts []int64, size int64, depth int) {
	inner := int64(1)
	for _, c := range counts[1:] {
		inner *= max(c, 0)
	}
	o.b.WriteByte('{')
	for i := range min(counts[0], maxElements) {
		if i > 0 {
			o.b.WriteString(", ")
		}
		e := v
		e.addr += uint64(i * inner * size)
		if len(counts) > 1 && depth < maxNesting {
			o.rows(e, counts[1:], size, depth+1)
		} else {
			o.value(e, depth+1)
		}
		if o.b.Len() > maxValueText {
			break
		}
	}
	o.b.WriteByte('}')
}

// arrayString prints an array of characters. Without a size it ends at the first 0;
// else all are printed, except for one 0 at the end.
func arrayString(m mem.Reader, t *ctype, addr uint64, n int64) string {
	if n < 0 {
		return formatString(m, t, addr)
	}
	cut := n > maxString
	buf := make([]byte, min(n, maxString)*t.size)
	if err := m.ReadAt(buf, addr); err != nil {
		return fmt.Sprintf("<error: Cannot access memory at address %#x>", addr)
	}
	var chars []uint32
	for ; len(buf) >= int(t.size); buf = buf[t.size:] {
		var full [4]byte
		copy(full[:], buf[:t.size])
		chars = append(chars, binary.LittleEndian.Uint32(full[:]))
	}
	if len(chars) > 0 && chars[len(chars)-1] == 0 && !cut {
		chars = chars[:len(chars)-1]
	}
	return t.prefix + quoteString(chars, cut)
}
