package cpython

import (
	"fmt"
	"strings"

	"pyrr/internal/mem"
)

// Object is a Python object as it is shown: its class and much like its repr.
type Object struct {
	Addr uint64
	Type string // the name of its class, without the module
	Text string
	// Indexed is the number of items of a list or tuple; Inside says that
	// Children has anything.
	Indexed int
	Inside  bool
}

// Child is a part of an object: an item "[0]", a value by its key "['a']",
// an attribute "x".
type Child struct {
	Name string
	Object
}

// maxParts bounds the parts of one object that are listed at once.
const maxParts = 2000

// Object describes the object at addr. What can't be read is said in Text.
func (r *Runtime) Object(m mem.Reader, addr uint64) Object {
	v := newView(m)
	defer v.release()
	return r.object(v, addr)
}

func (r *Runtime) object(v *view, addr uint64) Object {
	o := Object{Addr: addr, Text: r.value(v, addr)}
	if t, err := r.typeAt(v, addr); err == nil {
		o.Type = t.name
		if t.flags&(flagList|flagTuple) != 0 {
			if n, err := v.u64(addr + uint64(r.l.object.size)); err == nil && n < 1<<40 {
				o.Indexed = int(n)
			}
		}
	}
	// An error comes again when somebody looks inside.
	_ = r.parts(v, addr, 0, func(string, uint64) bool { o.Inside = true; return false })
	return o
}

// typeAt reads the class of an object.
func (r *Runtime) typeAt(v *view, addr uint64) (typeInfo, error) {
	s, err := v.record("object", addr, r.l.object.typ+8)
	if err != nil {
		return typeInfo{}, err
	}
	return r.typeInfo(v, s.u64(r.l.object.typ))
}

// Children lists the parts of an object from the one numbered from on, count
// at most (0: as many as are ever listed). With an error come those before it.
func (r *Runtime) Children(m mem.Reader, addr uint64, from, count int) ([]Child, error) {
	v := newView(m)
	defer v.release()
	if count <= 0 || count > maxParts {
		count = maxParts
	}
	var out []Child
	err := r.parts(v, addr, max(from, 0), func(name string, value uint64) bool {
		out = append(out, Child{name, r.object(v, value)})
		return len(out) < count
	})
	return out, err
}

// parts calls f for the parts of an object from the one numbered from on,
// until f returns false: first items, then attributes.
func (r *Runtime) parts(v *view, addr uint64, from int, f func(name string, value uint64) bool) error {
	t, err := r.typeAt(v, addr)
	if err != nil {
		return err
	}
	more := true
	n := 0
	each := func(name func() string, value uint64) bool {
		if n++; value == 0 || n <= from {
			return true
		}
		more = f(name(), value)
		return more
	}
	l := r.l
	switch {
	case t.flags&(flagList|flagTuple) != 0:
		items := addr + uint64(l.tuple.items)
		if t.flags&flagList != 0 {
			if items, err = v.u64(addr + uint64(l.list.items)); err != nil {
				return err
			}
		}
		size, err := v.u64(addr + uint64(l.object.size))
		if err != nil {
			return err
		}
		n = int(min(uint64(from), size))
		for i := uint64(n); i < size && more; i++ {
			item, err := v.u64(items + 8*i)
			if err != nil {
				return err
			}
			each(func() string { return fmt.Sprintf("[%d]", i) }, item)
		}
	case t.flags&flagDict != 0:
		err = r.dictItems(v, addr, func(key, value uint64) bool {
			return each(func() string { return "[" + r.value(v, key) + "]" }, value)
		})
	case t.name == "set" || t.name == "frozenset":
		i := 0
		err = r.setItems(v, addr, func(item uint64) error {
			if i++; !each(func() string { return fmt.Sprintf("{%d}", i-1) }, item) {
				return errEnough
			}
			return nil
		})
		if err == errEnough {
			err = nil
		}
	case t.name == "module":
		dict, err := v.u64(addr + uint64(l.object.typ) + 8) // PyModuleObject.md_dict
		if err != nil || dict == 0 {
			return err
		}
		return r.dictItems(v, dict, func(key, value uint64) bool {
			s, err := r.rawString(v, key, 256)
			return err != nil || each(s.text, value)
		})
	case t.flags&flagException != 0:
		args, err := v.u64(addr + uint64(l.exc.args))
		if err != nil {
			return err
		}
		each(func() string { return "args" }, args)
	}
	if err != nil || !more || t.flags&(flagHeapType|flagException) == 0 || t.flags&(flagType|flagStr|flagLong) != 0 {
		return err
	}
	return r.attributes(v, addr, t, func(name string, value uint64) bool {
		if strings.HasPrefix(name, "__") {
			return true
		}
		return each(func() string { return name }, value)
	})
}

// Globals lists what the namespace of a frame's module holds, except for names
// like __this__.
func (r *Runtime) Globals(m mem.Reader, f Frame) ([]Variable, error) {
	v := newView(m)
	defer v.release()
	dict, err := v.u64(f.Addr + uint64(r.l.frame.globals))
	if err != nil {
		return nil, fmt.Errorf("globals of frame at %#x: %w", f.Addr, err)
	}
	l := locals{r: r, v: v, names: map[string]bool{}}
	err = l.namespace(dict)
	return l.list, err
}
