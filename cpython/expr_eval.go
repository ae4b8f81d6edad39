package cpython

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"

	"pyrr/internal/mem"
)

// Result is what an expression came to: an object of the process, or a value
// that was computed here (Addr 0).
type Result struct {
	Object
	True bool // as Python's bool() says
}

// Eval evaluates an expression in a frame, while the process is stopped where
// the frame was read. Nothing is executed: attributes are those in an object's
// dict and slots.
func (r *Runtime) Eval(m mem.Reader, f Frame, e *Expr) (Result, error) {
	v := newView(m)
	defer v.release()
	x := exprEval{r: r, v: v, m: m, f: f}
	out, err := x.eval(e.root)
	if err != nil {
		return Result{}, err
	}
	res := Result{True: out.true()}
	if out.addr != 0 {
		res.Object = r.object(v, out.addr)
		return res, nil
	}
	res.Type, res.Text = out.show()
	return res, nil
}

type exprEval struct {
	r *Runtime
	v *view
	m mem.Reader
	f Frame
}

// load reads an object as an operand.
func (x *exprEval) load(addr uint64) (*exprValue, error) {
	out := &exprValue{addr: addr, kind: 'o', truth: true}
	t, err := x.r.typeAt(x.v, addr)
	if err != nil {
		return nil, err
	}
	l := x.r.l
	switch {
	case t.flags&flagStr != 0:
		s, err := x.r.rawString(x.v, addr, maxExprStr)
		if err != nil {
			return nil, err
		}
		out.kind, out.s = 's', s.text()
	case t.flags&flagLong != 0:
		if out.i, err = x.r.integer(x.v, addr); err != nil {
			return nil, err
		}
		out.kind = 'i'
		if t.name == "bool" {
			out.kind, out.truth = 'b', out.i.Sign() != 0
		}
	case t.flags&flagBytes != 0:
		b, err := x.r.rawBytes(x.v, addr, maxExprStr)
		if err != nil {
			return nil, err
		}
		out.kind, out.s = 'y', string(b)
	case t.name == "float":
		bits, err := x.v.u64(addr + uint64(l.float.value))
		if err != nil {
			return nil, err
		}
		out.kind, out.f = 'f', math.Float64frombits(bits)
	case t.name == "NoneType":
		out.kind = 'N'
	default:
		if n, err := x.length(out); err == nil {
			out.truth = n > 0
		}
	}
	return out, nil
}

// length is len() of an object or value.
func (x *exprEval) length(a *exprValue) (int, error) {
	switch a.kind {
	case 's':
		return len([]rune(a.s)), nil
	case 'y':
		return len(a.s), nil
	case 'o':
	default:
		_, text := a.show()
		return 0, fmt.Errorf("%s has no len()", text)
	}
	t, err := x.r.typeAt(x.v, a.addr)
	if err != nil {
		return 0, err
	}
	l := x.r.l
	var n uint64
	switch {
	case t.flags&(flagList|flagTuple) != 0:
		n, err = x.v.u64(a.addr + uint64(l.object.size))
	case t.flags&flagDict != 0:
		n, err = x.v.u64(a.addr + uint64(l.dict.used))
	case t.name == "set" || t.name == "frozenset":
		n, err = x.v.u64(a.addr + uint64(l.set.used))
	default:
		return 0, fmt.Errorf("the length of a %s can't be read", t.name)
	}
	return int(min(n, 1<<40)), err
}

// name looks a variable up: locals, globals, builtins that are constants.
func (x *exprEval) name(s string) (*exprValue, error) {
	switch s {
	case "None":
		return &exprValue{kind: 'N'}, nil
	case "True", "False":
		return boolValue(s == "True"), nil
	}
	if o, err := x.r.variable(x.v, x.f, s); err == nil && o.Addr != 0 {
		return x.load(o.Addr)
	}
	return nil, fmt.Errorf("no variable %q here", s)
}

func (x *exprEval) attribute(a *exprValue, name string) (*exprValue, error) {
	if a.addr == 0 {
		_, text := a.show()
		return nil, fmt.Errorf("%s has no attribute %q", text, name)
	}
	t, err := x.r.typeAt(x.v, a.addr)
	if err != nil {
		return nil, err
	}
	found := uint64(0)
	if t.name == "module" {
		dict, err := x.v.u64(a.addr + uint64(x.r.l.object.typ) + 8)
		if err != nil {
			return nil, err
		}
		found, _ = x.r.lookup(x.v, dict, name)
	} else {
		err = x.r.attributes(x.v, a.addr, t, func(n string, value uint64) bool {
			if n == name {
				found = value
			}
			return found == 0
		})
		if found == 0 && t.flags&flagException != 0 && name == "args" {
			found, err = x.v.u64(a.addr + uint64(x.r.l.exc.args))
		}
	}
	if found == 0 {
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("this %s has no attribute %q of its own; those of its class and computed ones can't be read", t.name, name)
	}
	return x.load(found)
}

func (x *exprEval) subscript(a, index *exprValue) (*exprValue, error) {
	if a.kind == 's' && index.kind == 'i' {
		chars := []rune(a.s)
		if i, ok := place(index.i, len(chars)); ok {
			return &exprValue{kind: 's', s: string(chars[i])}, nil
		}
		return nil, errors.New("index out of range")
	}
	if a.kind != 'o' {
		_, text := a.show()
		return nil, fmt.Errorf("%s has no items", text)
	}
	t, err := x.r.typeAt(x.v, a.addr)
	if err != nil {
		return nil, err
	}
	switch {
	case t.flags&flagDict != 0:
		found := uint64(0)
		err := x.r.dictItems(x.v, a.addr, func(key, value uint64) bool {
			k, kerr := x.load(key)
			if kerr == nil && x.equal(k, index) {
				found = value
			}
			return found == 0
		})
		if found != 0 {
			return x.load(found)
		}
		if err == nil {
			_, text := index.show()
			err = fmt.Errorf("no key %s", text)
		}
		return nil, err
	case t.flags&(flagList|flagTuple) != 0 && index.kind == 'i':
		n, err := x.length(a)
		if err != nil {
			return nil, err
		}
		i, ok := place(index.i, n)
		if !ok {
			return nil, fmt.Errorf("index %s of %d items", index.i, n)
		}
		items := a.addr + uint64(x.r.l.tuple.items)
		if t.flags&flagList != 0 {
			if items, err = x.v.u64(a.addr + uint64(x.r.l.list.items)); err != nil {
				return nil, err
			}
		}
		item, err := x.v.u64(items + 8*uint64(i))
		if err != nil {
			return nil, err
		}
		return x.load(item)
	}
	return nil, fmt.Errorf("items of a %s can't be read", t.name)
}

// has is "a in b".
func (x *exprEval) has(a, b *exprValue) (bool, error) {
	if b.kind == 's' && a.kind == 's' || b.kind == 'y' && a.kind == 'y' {
		return strings.Contains(b.s, a.s), nil
	}
	found := false
	item := func(addr uint64) bool {
		if k, err := x.load(addr); err == nil && x.equal(a, k) {
			found = true
		}
		return !found
	}
	if b.kind != 'o' {
		_, text := b.show()
		return false, fmt.Errorf("%s is not a container", text)
	}
	t, err := x.r.typeAt(x.v, b.addr)
	if err != nil {
		return false, err
	}
	switch {
	case t.flags&flagDict != 0:
		err = x.r.dictItems(x.v, b.addr, func(key, _ uint64) bool { return item(key) })
	case t.flags&(flagList|flagTuple) != 0 || t.name == "set" || t.name == "frozenset":
		err = x.r.parts(x.v, b.addr, 0, func(_ string, value uint64) bool { return item(value) })
	default:
		err = fmt.Errorf("the items of a %s can't be read", t.name)
	}
	if found {
		err = nil
	}
	return found, err
}

func (x *exprEval) eval(n *exprNode) (*exprValue, error) {
	switch n.op {
	case "str":
		return &exprValue{kind: 's', s: n.s}, nil
	case "int":
		return &exprValue{kind: 'i', i: n.i}, nil
	case "float":
		return &exprValue{kind: 'f', f: n.f}, nil
	case "name":
		return x.name(n.s)
	}
	a, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	switch n.op {
	case ".":
		return x.attribute(a, n.s)
	case "not":
		return boolValue(!a.true()), nil
	case "neg":
		if a.kind == 'f' {
			return &exprValue{kind: 'f', f: -a.f}, nil
		}
		if !a.number() {
			return nil, errors.New("only numbers have a sign")
		}
		return &exprValue{kind: 'i', i: new(big.Int).Neg(a.i)}, nil
	case "len":
		l, err := x.length(a)
		return &exprValue{kind: 'i', i: big.NewInt(int64(l))}, err
	case "and", "or":
		if a.true() == (n.op == "or") {
			return a, nil
		}
		return x.eval(n.args[1])
	}
	b, err := x.eval(n.args[1])
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "[]":
		return x.subscript(a, b)
	case "==":
		return boolValue(x.equal(a, b)), nil
	case "!=":
		return boolValue(!x.equal(a, b)), nil
	case "is", "is not":
		same := a.addr == b.addr && a.addr != 0 || (a.addr == 0 || b.addr == 0) && a.kind == b.kind && (a.kind == 'N' || a.kind == 'b') && x.equal(a, b)
		return boolValue(same == (n.op == "is")), nil
	case "in", "not in":
		has, err := x.has(a, b)
		return boolValue(has == (n.op == "in")), err
	case "<", ">", "<=", ">=":
		return order(n.op, a, b)
	}
	return arithmetic(n.op, a, b)
}
