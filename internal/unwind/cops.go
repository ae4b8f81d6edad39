package unwind

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// cprecedence are the binary operators, the loosest first.
var cprecedence = [][]string{{"||"}, {"&&"}, {"|"}, {"^"}, {"&"}, {"==", "!="}, {"<", ">", "<=", ">="}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"}}

func (x *cexpr) binary(level, depth int) (cvalue, error) {
	if depth > maxCDepth {
		return cvalue{}, errors.New("the expression is nested too deep")
	}
	if level == len(cprecedence) {
		return x.unary(depth)
	}
	a, err := x.binary(level+1, depth)
	for err == nil && slices.Contains(cprecedence[level], x.peek()) {
		op := x.peek()
		x.at++
		var b cvalue
		if b, err = x.binary(level+1, depth); err == nil {
			a, err = x.apply(op, a, b)
		}
	}
	return a, err
}

// apply computes in 64 bits; a pointer counts in what it points to.
func (x *cexpr) apply(op string, a, b cvalue) (cvalue, error) {
	l, err := a.number(x.sc)
	if err != nil {
		return cvalue{}, err
	}
	r, err := b.number(x.sc)
	if err != nil {
		return cvalue{}, err
	}
	t := typeLong
	if p := a.decayed(); p.tag() == dwarf.TagPointerType && (op == "+" || op == "-") {
		size := uint64(max(p.plain().elem().size(0), 1))
		if b.decayed().tag() == dwarf.TagPointerType {
			return cvalue{t: t, raw: uint64(int64(l-r) / int64(size))}, nil
		}
		t, r = p, r*size
	}
	truth := func(is bool) (cvalue, error) {
		v := cvalue{t: typeInt}
		if is {
			v.raw = 1
		}
		return v, nil
	}
	switch op {
	case "||":
		return truth(l != 0 || r != 0)
	case "&&":
		return truth(l != 0 && r != 0)
	case "==":
		return truth(l == r)
	case "!=":
		return truth(l != r)
	case "<":
		return truth(int64(l) < int64(r))
	case ">":
		return truth(int64(l) > int64(r))
	case "<=":
		return truth(int64(l) <= int64(r))
	case ">=":
		return truth(int64(l) >= int64(r))
	case "/", "%":
		if r == 0 {
			return cvalue{}, errors.New("division by zero")
		}
		if op == "/" {
			l = uint64(int64(l) / int64(r))
		} else {
			l = uint64(int64(l) % int64(r))
		}
	case "|":
		l |= r
	case "^":
		l ^= r
	case "&":
		l &= r
	case "<<":
		l <<= r
	case ">>":
		l = uint64(int64(l) >> r)
	case "+":
		l += r
	case "-":
		l -= r
	case "*":
		l *= r
	}
	return cvalue{t: t, raw: l}, nil
}

// decayed is the type of a value in arithmetic: an array's is a pointer.
func (v cvalue) decayed() ctypeRef {
	p := v.t.plain()
	if p.tag() == dwarf.TagArrayType {
		return p.elem().pointer()
	}
	return p
}

// number is a value as a number: an array and a function are where they are.
func (v cvalue) number(sc *Scope) (uint64, error) {
	if v.err != nil {
		return 0, errors.New("value has been optimized out")
	}
	switch tag := v.t.plain().tag(); {
	case tag == dwarf.TagArrayType || tag == dwarf.TagSubprogram || tag == dwarf.TagSubroutineType || strings.HasPrefix(v.t.basic, "<"):
		return v.addr, nil
	case tag == dwarf.TagStructType || tag == dwarf.TagUnionType:
		return 0, fmt.Errorf("a %s is not a number", v.t)
	}
	return v.word(sc.m)
}

func (x *cexpr) deref(v cvalue) (cvalue, error) {
	t := v.decayed()
	n, err := v.number(x.sc)
	if err != nil {
		return v, err
	}
	if t.tag() != dwarf.TagPointerType {
		if t.basic == "" && t.shape().kind != kindInt {
			return v, fmt.Errorf("a value of type %s points nowhere", v.t)
		}
		return cvalue{t: typeLong, lval: true, addr: n}, nil // *0x1234, as in gdb
	}
	to := t.elem()
	if to.plain().basic == "void" {
		return v, errors.New("attempt to take contents of a non-pointer value")
	}
	return cvalue{t: to, lval: true, addr: n}, nil
}

func (x *cexpr) member(v cvalue) (cvalue, error) {
	name := x.peek()
	x.at++
	if v.err != nil {
		return v, nil
	}
	if m, ok := findMember(v.t, name, 0); ok && v.lval {
		return cvalue{t: m.t, lval: true, addr: v.addr + m.off, bits: m.bits, sh: m.shift}, nil
	}
	return v, fmt.Errorf("there is no member named %s", name)
}

// findMember finds a member, also within those that have no name.
func findMember(t ctypeRef, name string, depth int) (member, bool) {
	for _, m := range t.plain().members() {
		if m.name == name {
			return m, true
		}
		if m.name == "" && depth < maxNesting {
			if in, ok := findMember(m.t, name, depth+1); ok {
				in.off += m.off
				return in, true
			}
		}
	}
	return member{}, false
}
