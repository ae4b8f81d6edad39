package cpython

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/mem"
)

// Variable is one bound local variable of a frame.
type Variable struct {
	Name string
	// Value is much like its repr, of bounded depth and length; an instance
	// of a Python class is shown by its attributes, Point(x=1, y=2).
	Value string
	// Arg tells that it is an argument of the function.
	Arg bool
	// Addr is the object's address.
	Addr uint64
}

// maxLocals bounds the variables of one frame: a module has all its globals.
const maxLocals = 500

// Bits of PyCodeObject.co_flags (cpython/code.h).
const (
	coOptimized   = 0x1
	coVarargs     = 0x4
	coVarkeywords = 0x8
)

// Bits of a byte of co_localspluskinds (pycore_code.h, _PyLocals_Kind).
const (
	localCell = 0x40
	localFree = 0x80
)

// Locals renders the variables of a frame that Frames returned, while the
// process is stopped where it was then: arguments first, then the others in
// the order of the code. A class body or module has what its namespace
// holds, but not names like __this__. With an error come the variables
// before it.
func (r *Runtime) Locals(m mem.Reader, f Frame) ([]Variable, error) {
	v := newView(m)
	defer v.release()
	l := locals{r: r, v: v, names: map[string]bool{}, cells: map[string]bool{}}
	err := r.eachLocal(&l, &f)
	slices.SortStableFunc(l.list, func(a, b Variable) int {
		switch {
		case a.Arg == b.Arg:
			return 0
		case a.Arg:
			return -1
		}
		return 1
	})
	return l.list, err
}

// eachLocal goes through the variables of a frame.
func (r *Runtime) eachLocal(l *locals, f *Frame) error {
	code, _, err := r.codeRecord(l.v, f.Code)
	if err != nil {
		return err
	}
	frame, err := l.v.record("frame", f.Addr, r.frameSize)
	if err != nil {
		return err
	}
	l.args = code.i32(r.l.code.argcount) + code.i32(r.l.code.kwonly)
	flags := code.i32(r.l.code.flags)
	if flags&coVarargs != 0 {
		l.args++
	}
	if flags&coVarkeywords != 0 {
		l.args++
	}
	return l.variables(f, code, frame)
}

// variables reads those of a frame, from its record and that of its code.
func (l *locals) variables(f *Frame, code, frame record) error {
	var err error
	switch {
	case code.i32(l.r.l.code.flags)&coOptimized == 0:
		err = l.namespace(frame.u64(l.r.l.frame.locals))
	case !l.r.l.rules.interpreterFrames:
		err = l.fast310(f.Addr, code)
	default:
		err = l.fast(f.Addr, code)
	}
	if err != nil {
		return fmt.Errorf("locals of frame at %#x: %w", f.Addr, err)
	}
	return nil
}

type locals struct {
	r     *Runtime
	v     *view
	args  int
	list  []Variable
	names map[string]bool // shown already
	cells map[string]bool // arguments that have moved to a cell
	// want, when not "", is a variable to find instead, by its last name in
	// the code.
	want  string
	found Found
	// plain, when not nil, takes the addresses instead of rendered values.
	plain map[string]uint64
}

// add renders variable i of the code, -1 for one that is surely no argument,
// unless it is unbound.
func (l *locals) add(i int, name string, value uint64) {
	if l.want != "" {
		if value != 0 && name == l.want {
			l.found = Found{Addr: value, At: l.v.at}
		}
		return
	}
	if l.plain != nil {
		if _, ok := l.plain[name]; !ok && value != 0 && len(l.plain) < maxLocals {
			l.plain[name] = value
		}
		return
	}
	if value == 0 || l.names[name] || len(l.list) >= maxLocals {
		return
	}
	l.names[name] = true
	l.list = append(l.list, Variable{Name: name, Value: l.r.value(l.v, value), Arg: i >= 0 && i < l.args, Addr: value})
}

// cell returns what a cell object holds, or the object itself when it is
// none: an argument is put into its cell only once the frame runs.
func (l *locals) cell(addr uint64) (uint64, error) {
	if addr == 0 {
		return 0, nil
	}
	typ, err := l.r.typeName(l.v, addr)
	if err != nil || typ != "cell" {
		return addr, err
	}
	l.v.at = addr + uint64(l.r.l.cell.ref)
	return l.v.u64(l.v.at)
}

// namespace lists the dict of a frame whose variables are not fast ones.
func (l *locals) namespace(dict uint64) error {
	if dict == 0 {
		return nil
	}
	s, err := l.v.record("namespace", dict, l.r.l.object.typ+8)
	if err != nil {
		return err
	}
	t, err := l.r.typeInfo(l.v, s.u64(l.r.l.object.typ))
	if err != nil || t.flags&flagDict == 0 {
		return err // exec takes any mapping
	}
	return l.r.dictItems(l.v, dict, func(key, value uint64) bool {
		name, err := l.r.rawString(l.v, key, maxString)
		if err != nil {
			return true // not a str
		}
		if n := name.text(); !strings.HasPrefix(n, "__") || !strings.HasSuffix(n, "__") || n == l.want {
			l.add(-1, n, value)
		}
		return len(l.list) < maxLocals
	})
}

// fast lists the variables of 3.11 and later: co_localsplusnames, with a
// byte each in co_localspluskinds, and the slots in the frame.
func (l *locals) fast(frame uint64, code record) error {
	o := l.r.l
	names, err := l.strings(code.u64(o.code.localsplusNames))
	if err != nil {
		return fmt.Errorf("co_localsplusnames: %w", err)
	}
	kinds, err := l.r.rawBytes(l.v, code.u64(o.code.localsplusKinds), 1<<16)
	if err != nil {
		return fmt.Errorf("co_localspluskinds: %w", err)
	}
	for i, name := range names {
		l.v.at = frame + uint64(o.frame.localsplus) + 8*uint64(i)
		value, err := l.v.u64(l.v.at)
		if err != nil {
			return err
		}
		if o.rules.stackrefs {
			value &^= stackrefTags // 1 is the null reference
		}
		if i < len(kinds) && kinds[i]&(localCell|localFree) != 0 {
			if value, err = l.cell(value); err != nil {
				return fmt.Errorf("cell of %s: %w", name, err)
			}
		}
		l.add(i, name, value)
	}
	return nil
}

// fast310 lists the variables of 3.8 to 3.10: f_localsplus has the slots of
// co_varnames, then the cells of co_cellvars and co_freevars. An argument
// that is also a cell variable has only its cell.
func (l *locals) fast310(frame uint64, code record) error {
	o := l.r.l
	at := frame + uint64(o.frame.localsplus)
	for n, member := range []int{o.code.varnames, o.code.cellvars, o.code.freevars} {
		names, err := l.strings(code.u64(member))
		if err != nil {
			return fmt.Errorf("names of variables: %w", err)
		}
		for i, name := range names {
			value, err := l.v.u64(at)
			if err != nil {
				return err
			}
			l.v.at = at
			at += 8
			if n == 0 && value == 0 && i < l.args {
				l.cells[name] = true
			}
			if n > 0 {
				if i = -1; l.cells[name] {
					i = 0
				}
				if value, err = l.cell(value); err != nil {
					return fmt.Errorf("cell of %s: %w", name, err)
				}
			}
			l.add(i, name, value)
		}
	}
	return nil
}

// strings reads a tuple of str.
func (l *locals) strings(tuple uint64) ([]string, error) {
	o := l.r.l
	s, err := l.v.record("tuple", tuple, o.object.size+8)
	if err != nil {
		return nil, err
	}
	n := s.u64(o.object.size)
	if n > 1<<16 {
		return nil, fmt.Errorf("tuple at %#x: %d items", tuple, n)
	}
	list := make([]string, n)
	for i := range list {
		item, err := l.v.u64(tuple + uint64(o.tuple.items) + 8*uint64(i))
		if err != nil {
			return nil, err
		}
		name, err := l.r.rawString(l.v, item, maxString)
		if err != nil {
			return nil, err
		}
		list[i] = name.text()
	}
	return list, nil
}
