package cpython

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxString bounds, in characters, the names that are read of a process.
const maxString = 8192

// rawStr is a str object as it lies in memory: the characters not yet
// decoded, so that a cache can compare them.
type rawStr struct {
	kind   int // bytes a character: 1 (Latin-1), 2 (UCS2), 4 (UCS4)
	length int // characters in the object; data holds at most the limit asked for
	data   []byte
	at     uint64 // where data lies
}

// rawString reads the str object at addr up to limit characters.
//
// Source: cpython/unicodeobject.h, PyASCIIObject.state. The bit field is
// interned:2 kind:3 compact:1 ascii:1 (and ready:1 up to 3.11); free-threaded
// 3.14 gives interned a byte of its own, which moves the others by six bits.
func (r *Runtime) rawString(v *view, addr uint64, limit int) (rawStr, error) {
	l := r.l
	head, err := v.record("str", addr, max(l.str.data, l.str.compact)+8)
	if err != nil {
		// A short ASCII str may end right before memory that is not mapped.
		if head, err = v.record("str", addr, l.str.ascii); err != nil {
			return rawStr{}, err
		}
	}
	length := head.u64(l.str.length)
	state := head.i32(l.str.state)
	if l.freeThreaded && l.rules.wideInterned {
		state >>= 6
	}
	kind := state >> 2 & 7
	compact, ascii := state>>5&1 == 1, state>>6&1 == 1
	data := uint64(0)
	switch {
	case kind == 0 && l.str.wstr != no:
		// PyUnicode_WCHAR_KIND: made by a legacy call and not yet "ready";
		// characters are wchar_t, counted by wstr_length, the last field of
		// PyCompactUnicodeObject.
		kind, data, length = 4, head.u64(l.str.wstr), head.u64(l.str.compact-8)
	case compact && ascii:
		data = addr + uint64(l.str.ascii)
	case compact:
		data = addr + uint64(l.str.compact)
	default:
		data = head.u64(l.str.data)
	}
	if kind != 1 && kind != 2 && kind != 4 || length > 1<<40 {
		return rawStr{}, fmt.Errorf("str at %#x: kind %d, length %d", addr, kind, length)
	}
	n := min(int(length), limit)
	b, err := v.bytes(data, n*kind)
	if err != nil {
		return rawStr{}, fmt.Errorf("characters of str at %#x: %w", addr, err)
	}
	return rawStr{kind, int(length), b, data}, nil
}

// equal tells whether s is what keep was, a copy made by clone.
func (s rawStr) equal(keep rawStr) bool {
	return s.kind == keep.kind && s.length == keep.length && bytes.Equal(s.data, keep.data)
}

func (s rawStr) clone() rawStr {
	s.data = bytes.Clone(s.data)
	return s
}

// char returns character i of data.
func (s rawStr) char(i int) rune {
	switch s.kind {
	case 1:
		return rune(s.data[i])
	case 2:
		return rune(binary.LittleEndian.Uint16(s.data[2*i:]))
	}
	return rune(binary.LittleEndian.Uint32(s.data[4*i:]))
}

// text decodes to UTF-8. A lone surrogate, which Python puts into file names
// for bytes that are not UTF-8, becomes \udcXX as in Python's own
// tracebacks. "…" follows when the object has more characters than were read.
func (s rawStr) text() string {
	var b strings.Builder
	b.Grow(len(s.data))
	for i := 0; i < len(s.data); i += s.kind {
		c := s.char(i / s.kind)
		switch {
		case c < utf8.RuneSelf && c >= 0:
			b.WriteByte(byte(c))
		case utf16.IsSurrogate(c):
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c) // beyond U+10FFFF: U+FFFD
		}
	}
	if s.length*s.kind > len(s.data) {
		b.WriteString("…")
	}
	return b.String()
}

// rawBytes reads the value of the bytes object at addr; more than limit is an
// error. The slice lives as long as the view.
func (r *Runtime) rawBytes(v *view, addr uint64, limit int) ([]byte, error) {
	head, err := v.record("bytes object", addr, r.l.object.size+8)
	if err != nil {
		return nil, err
	}
	n := head.u64(r.l.object.size)
	if n > uint64(limit) {
		return nil, fmt.Errorf("bytes object at %#x: length %d", addr, n)
	}
	return v.bytes(addr+uint64(r.l.bytes.value), int(n))
}

// typeName returns tp_name of the type of the object at addr.
func (r *Runtime) typeName(v *view, addr uint64) (string, error) {
	o, err := v.record("object", addr, r.l.object.typ+8)
	if err != nil {
		return "", err
	}
	return r.nameOfType(v, o.u64(r.l.object.typ))
}

// nameOfType returns tp_name of a type object, which for a static type
// carries its module ("collections.deque").
func (r *Runtime) nameOfType(v *view, typ uint64) (string, error) {
	t, err := v.record("type object", typ, r.l.typ.name+8)
	if err != nil {
		return "", err
	}
	return v.cstring(t.u64(r.l.typ.name), 256)
}

// cstring reads a NUL-terminated string of at most limit bytes.
func (v *view) cstring(addr uint64, limit int) (string, error) {
	var out []byte
	for len(out) < limit {
		n := min(pageSize-int(addr%pageSize), limit-len(out))
		b, err := v.bytes(addr, n)
		for err != nil && n > 1 { // a reader may know only part of a page
			n /= 2
			b, err = v.bytes(addr, n)
		}
		if err != nil {
			return "", err
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return string(append(out, b[:i]...)), nil
		}
		out = append(out, b...)
		addr += uint64(n)
	}
	return string(out), nil
}
