package cpython

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Limits of a rendered value.
const (
	valueDepth  = 4    // nested containers
	valueItems  = 20   // items of one container
	valueChars  = 200  // characters of one str or bytes
	valueDigits = 2000 // 30-bit digits of an int
	valueNodes  = 500  // objects
	valueText   = 4000 // bytes of text
)

// printer renders objects as Python's repr would, from memory alone. What it
// cannot or should not show in full it marks with "…".
type printer struct {
	r     *Runtime
	v     *view
	b     strings.Builder
	nodes int
	path  []uint64 // containers being printed, to see cycles
	types map[uint64]typeInfo
}

// value renders the object at addr. A part that cannot be read becomes
// "<unreadable: …>".
func (r *Runtime) value(v *view, addr uint64) string {
	p := printer{r: r, v: v, types: map[uint64]typeInfo{}}
	p.object(addr)
	return p.b.String()
}

func (p *printer) object(addr uint64) {
	if p.nodes++; p.nodes > valueNodes || p.b.Len() > valueText {
		p.b.WriteString("…")
		return
	}
	if err := p.print(addr); err != nil {
		fmt.Fprintf(&p.b, "<unreadable: %v>", err)
	}
}

// errShell is said of an object of which a recording holds the class alone.
var errShell = errors.New("its contents are not in the recording")

// holds says by an error where the contents of an object are not there. Of a container
// that is too deep its class is shown alone, and noted alone: then there are zeros where
// each object that is alive has its reference count, and who reads more of it is not told
// that it is empty.
func (p *printer) holds(addr uint64) error {
	head, err := p.v.record("object", addr, p.r.l.object.typ)
	if err == nil && !slices.ContainsFunc(head.b, func(b byte) bool { return b != 0 }) {
		return errShell
	}
	return err
}

func (p *printer) typeOf(addr uint64) (typeInfo, error) {
	typ, err := p.v.u64(addr + uint64(p.r.l.object.typ))
	if err != nil {
		return typeInfo{}, fmt.Errorf("object: %w", err)
	}
	t, ok := p.types[typ]
	if !ok {
		if t, err = p.r.typeInfo(p.v, typ); err != nil {
			return t, err
		}
		p.types[typ] = t
	}
	return t, nil
}

func (p *printer) print(addr uint64) error {
	t, err := p.typeOf(addr)
	if err != nil {
		return err
	}
	if t.flags&(flagTuple|flagList|flagDict) == 0 && t.name != "set" && t.name != "frozenset" {
		if err := p.holds(addr); err != nil {
			return err
		}
	}
	return p.of(addr, t)
}

// of prints an object of the class t.
func (p *printer) of(addr uint64, t typeInfo) error {
	l := p.r.l
	switch {
	case t.flags&flagStr != 0:
		return p.wrapped(t, "str", func() error {
			s, err := p.r.rawString(p.v, addr, valueChars)
			if err == nil {
				p.b.WriteString(quoteStr(s))
			}
			return err
		})
	case t.flags&flagLong != 0:
		if t.name == "bool" {
			return p.bool(addr)
		}
		if ok, err := p.enum(addr, t); ok || err != nil {
			return err
		}
		return p.wrapped(t, "int", func() error { return p.int(addr) })
	case t.flags&flagBytes != 0:
		return p.wrapped(t, "bytes", func() error { return p.bytes(addr) })
	case t.flags&flagTuple != 0:
		return p.container(addr, t, "tuple", "(", ")", func() error {
			n, err := p.array(addr+uint64(l.tuple.items), addr)
			if n == 1 && t.name == "tuple" {
				p.b.WriteString(",")
			}
			return err
		})
	case t.flags&flagList != 0:
		return p.container(addr, t, "list", "[", "]", func() error {
			items, err := p.v.u64(addr + uint64(l.list.items))
			if err == nil {
				_, err = p.array(items, addr)
			}
			return err
		})
	case t.flags&flagDict != 0:
		return p.container(addr, t, "dict", "{", "}", func() error { return p.dict(addr) })
	case t.flags&flagException != 0:
		return p.exception(addr, t)
	case t.flags&flagType != 0:
		ti, err := p.r.typeInfo(p.v, addr)
		if err == nil {
			fmt.Fprintf(&p.b, "<class '%s'>", ti.name)
		}
		return err
	}
	switch t.name {
	case "NoneType":
		p.b.WriteString("None")
	case "ellipsis":
		p.b.WriteString("Ellipsis")
	case "NotImplementedType":
		p.b.WriteString("NotImplemented")
	case "float":
		f, err := p.v.u64(addr + uint64(l.float.value))
		if err != nil {
			return err
		}
		p.b.WriteString(floatText(math.Float64frombits(f)))
	case "complex":
		return p.complex(addr)
	case "set":
		return p.container(addr, t, "set", "{", "}", func() error { return p.set(addr) })
	case "frozenset":
		return p.container(addr, t, "", "{", "}", func() error { return p.set(addr) })
	case "function":
		return p.named("function", addr, l.fun.qualname)
	case "generator", "coroutine", "async_generator":
		return p.named(t.name, addr, l.gen.qualname)
	default:
		return p.instance(addr, t)
	}
	return nil
}

// wrapped prints a value of a built-in type, or of a subclass as Name(value).
func (p *printer) wrapped(t typeInfo, builtin string, f func() error) error {
	if t.name == builtin {
		return f()
	}
	p.b.WriteString(t.name + "(")
	defer p.b.WriteString(")")
	return f()
}

// container prints a container between its brackets, in Name(…) for a
// subclass, and stops at cycles and at depth. An empty set has no literal.
func (p *printer) container(addr uint64, t typeInfo, builtin, open, close string, f func() error) error {
	if p.enter(addr) {
		defer p.leave()
		if err := p.holds(addr); err != nil {
			return err
		}
	} else {
		f = func() error { p.b.WriteString("…"); return nil }
	}
	if t.name == builtin {
		if builtin == "set" {
			if used, err := p.v.u64(addr + uint64(p.r.l.set.used)); err == nil && used == 0 {
				p.b.WriteString("set()")
				return nil
			}
		}
		p.b.WriteString(open)
		defer p.b.WriteString(close)
		return f()
	}
	p.b.WriteString(t.name + "(")
	defer p.b.WriteString(")")
	if builtin != "tuple" { // a named tuple needs no brackets of its own
		p.b.WriteString(open)
		defer p.b.WriteString(close)
	}
	return f()
}

// enter notes that an object is being printed; false when it already is, or
// too many are.
func (p *printer) enter(addr uint64) bool {
	if len(p.path) >= valueDepth {
		return false
	}
	for _, a := range p.path {
		if a == addr {
			return false
		}
	}
	p.path = append(p.path, addr)
	return true
}

func (p *printer) leave() { p.path = p.path[:len(p.path)-1] }

// list writes separators between items and ends a long one.
type list struct {
	p *printer
	n int
}

// next is called before each item; false after the last that is shown.
func (s *list) next() bool {
	if s.n > 0 {
		s.p.b.WriteString(", ")
	}
	if s.n++; s.n > valueItems || s.p.b.Len() > valueText {
		s.p.b.WriteString("…")
		return false
	}
	return true
}

// array prints ob_size objects whose pointers are at items.
func (p *printer) array(items, obj uint64) (int, error) {
	n, err := p.v.u64(obj + uint64(p.r.l.object.size))
	if err != nil {
		return 0, err
	}
	s := list{p: p}
	for i := uint64(0); i < n && s.next(); i++ {
		item, err := p.v.u64(items + 8*i)
		if err != nil {
			return int(i), err
		}
		if item == 0 {
			p.b.WriteString("NULL") // not filled yet
			continue
		}
		p.object(item)
	}
	return int(min(n, valueItems+1)), nil
}

func (p *printer) dict(addr uint64) error {
	s := list{p: p}
	return p.r.dictItems(p.v, addr, func(key, value uint64) bool {
		if !s.next() {
			return false
		}
		p.object(key)
		p.b.WriteString(": ")
		p.object(value)
		return true
	})
}

// set prints the items of a set or frozenset.
func (p *printer) set(addr uint64) error {
	items := list{p: p}
	err := p.r.setItems(p.v, addr, func(item uint64) error {
		if !items.next() {
			return errEnough
		}
		p.object(item)
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return err
}

// errEnough ends a walk over items.
var errEnough = errors.New("no more items are shown")

// exception prints Type(args…), as BaseException.__repr__ does.
func (p *printer) exception(addr uint64, t typeInfo) error {
	args, err := p.v.u64(addr + uint64(p.r.l.exc.args))
	if err != nil {
		return err
	}
	p.b.WriteString(t.name + "(")
	defer p.b.WriteString(")")
	if args == 0 {
		return nil
	}
	if !p.enter(addr) {
		p.b.WriteString("…")
		return nil
	}
	defer p.leave()
	_, err = p.array(args+uint64(p.r.l.tuple.items), args)
	return err
}

// named prints an object with a str member that names it.
func (p *printer) named(kind string, addr uint64, member int) error {
	name, err := p.v.u64(addr + uint64(member))
	if err != nil {
		return err
	}
	s, err := p.r.rawString(p.v, name, valueChars)
	if err != nil {
		return err
	}
	fmt.Fprintf(&p.b, "<%s %s>", kind, printable(s.text()))
	return nil
}

// enum prints a member of an enum.Enum as <Color.RED: 1>.
func (p *printer) enum(addr uint64, t typeInfo) (bool, error) {
	if t.flags&flagHeapType == 0 {
		return false, nil
	}
	var name, value uint64
	err := p.r.attributes(p.v, addr, t, func(n string, v uint64) bool {
		switch n {
		case "_name_":
			name = v
		case "_value_":
			value = v
		}
		return name == 0 || value == 0
	})
	if err != nil || name == 0 || value == 0 || !p.enter(addr) {
		return false, err
	}
	defer p.leave()
	s, err := p.r.rawString(p.v, name, valueChars)
	if err != nil {
		return false, nil // not an enum's
	}
	fmt.Fprintf(&p.b, "<%s.%s: ", t.name, printable(s.text()))
	p.object(value)
	p.b.WriteString(">")
	return true, nil
}

// instance prints an object of a Python class by its attributes, as a
// dataclass prints itself, and any other by its type and address.
func (p *printer) instance(addr uint64, t typeInfo) error {
	if t.flags&flagHeapType != 0 {
		if ok, err := p.enum(addr, t); ok || err != nil {
			return err
		}
		if !p.enter(addr) {
			fmt.Fprintf(&p.b, "%s(…)", t.name)
			return nil
		}
		defer p.leave()
		s := list{p: p}
		err := p.r.attributes(p.v, addr, t, func(name string, value uint64) bool {
			if strings.HasPrefix(name, "__") {
				return true
			}
			if s.n == 0 {
				p.b.WriteString(t.name + "(")
			}
			if !s.next() {
				return false
			}
			p.b.WriteString(printable(name) + "=")
			p.object(value)
			return true
		})
		if s.n > 0 {
			p.b.WriteString(")")
			return err
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(&p.b, "<%s at %#x>", t.name, addr)
	return nil
}
