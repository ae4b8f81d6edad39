package unwind

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/lazyregexp"
)

// maxCExpr bounds the text of an expression of C, maxCDepth its nesting.
const (
	maxCExpr  = 2000
	maxCDepth = 100
)

// Print evaluates an expression and prints its value as gdb does; format is gdb's
// letter (x, d, u, o, t, z, c, a), 0 for the type's own form. A Scope's expressions are
// those of C that need nothing executed: names, registers ($rax), numbers, members,
// subscripts, * and &, casts, arithmetic, comparisons.
func (sc *Scope) Print(expr string, format byte) (text string, err error) {
	err = sc.with(expr, func(v cvalue) error {
		if v.err != nil {
			text = whyNoValue(v.err)
			return nil
		}
		text = v.text(sc.s, sc.m, format)
		return nil
	})
	return text, err
}

// Type is the type of an expression, or the one that it names; whole writes out what a
// structure consists of.
func (sc *Scope) Type(expr string, whole bool) (text string, err error) {
	say := func(t ctypeRef) string {
		if whole {
			return t.whole()
		}
		return t.String()
	}
	err = sc.locked(func() error {
		x := cexpr{sc: sc, toks: tokenize(expr)}
		if t, ok := x.typeName(); ok && x.at == len(x.toks) {
			text = say(t)
			return nil
		}
		v, err := sc.evaluate(expr)
		if err == nil {
			text = say(v.t)
		}
		return err
	})
	return text, err
}

// Number is the value of an expression as an address or a number; an array and a
// function are where they are.
func (sc *Scope) Number(expr string) (n uint64, err error) {
	err = sc.with(expr, func(v cvalue) error { n, err = v.number(sc); return err })
	return n, err
}

// Lvalue says where in memory an expression's value lies, and how many bytes it has.
func (sc *Scope) Lvalue(expr string) (addr uint64, size int64, err error) {
	err = sc.with(expr, func(v cvalue) error {
		if v.err != nil || !v.lval {
			return fmt.Errorf("%s is not in memory", expr)
		}
		addr, size = v.addr, v.t.size(0)
		return nil
	})
	return addr, size, err
}

func (sc *Scope) with(expr string, f func(cvalue) error) error {
	return sc.locked(func() error {
		v, err := sc.evaluate(expr)
		if err != nil {
			return err
		}
		return f(v)
	})
}

func (sc *Scope) locked(f func() error) error {
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	return guard(f)
}

func (sc *Scope) evaluate(expr string) (cvalue, error) {
	if len(expr) > maxCExpr {
		return cvalue{}, fmt.Errorf("the expression has more than %d characters", maxCExpr)
	}
	x := cexpr{sc: sc, toks: tokenize(expr)}
	v, err := x.binary(0, 0)
	if err == nil && x.at < len(x.toks) {
		err = fmt.Errorf("unexpected %q in the expression", x.toks[x.at])
	}
	return v, err
}

// cexpr reads an expression and evaluates it on the way.
type cexpr struct {
	sc   *Scope
	toks []string
	at   int
}

var ctoken = lazyregexp.New(`^(?:\$?[A-Za-z_][A-Za-z0-9_]*|0[xX][0-9a-fA-F]+|[0-9]+|'(?:[^'\\]|\\.)'|->|<<|>>|<=|>=|==|!=|&&|\|\||.)`)

func tokenize(s string) []string {
	var out []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " \t") {
		t := ctoken().FindString(s)
		if t == "" {
			t = s
		}
		out = append(out, t)
		s = s[len(t):]
	}
	return out
}

func (x *cexpr) peek() string {
	if x.at < len(x.toks) {
		return x.toks[x.at]
	}
	return ""
}

func (x *cexpr) take(t string) bool {
	if x.peek() != t {
		return false
	}
	x.at++
	return true
}

func (x *cexpr) unary(depth int) (cvalue, error) {
	if depth > maxCDepth {
		return cvalue{}, errors.New("the expression is nested too deep")
	}
	switch op := x.peek(); op {
	case "*":
		x.at++
		v, err := x.unary(depth + 1)
		if err != nil {
			return v, err
		}
		return x.deref(v)
	case "&":
		x.at++
		v, err := x.unary(depth + 1)
		switch {
		case err != nil:
			return v, err
		case v.err != nil || !v.lval || v.bits > 0:
			return v, errors.New("attempt to take address of value not located in memory")
		}
		return cvalue{t: v.t.pointer(), raw: v.addr}, nil
	case "-", "!", "~", "+":
		x.at++
		v, err := x.unary(depth + 1)
		if err != nil {
			return v, err
		}
		n, err := v.number(x.sc)
		switch op {
		case "-":
			n = -n
		case "~":
			n = ^n
		case "!":
			if n == 0 {
				n = 1
			} else {
				n = 0
			}
		}
		return cvalue{t: typeLong, raw: n}, err
	case "(":
		// A cast, where a type's name and ) follow.
		save := x.at
		x.at++
		if t, ok := x.typeName(); ok && x.take(")") {
			v, err := x.unary(depth + 1)
			if err != nil {
				return v, err
			}
			n, err := v.number(x.sc)
			return cvalue{t: t, raw: n}, err
		}
		x.at = save
	}
	return x.postfix(depth)
}

// postfix reads what may stand behind a name: members and subscripts.
func (x *cexpr) postfix(depth int) (cvalue, error) {
	v, err := x.primary(depth)
	for err == nil {
		switch {
		case x.take("."):
			v, err = x.member(v)
		case x.take("->"):
			if v, err = x.deref(v); err == nil {
				v, err = x.member(v)
			}
		case x.take("["):
			var i cvalue
			if i, err = x.binary(0, depth+1); err == nil && !x.take("]") {
				err = errors.New("] is missing")
			}
			if err == nil {
				if v, err = x.apply("+", v, i); err == nil {
					v, err = x.deref(v)
				}
			}
		case x.peek() == "(":
			return v, errors.New("a recording can't call functions")
		default:
			return v, nil
		}
	}
	return v, err
}

func (x *cexpr) primary(depth int) (cvalue, error) {
	t := x.peek()
	x.at++
	switch {
	case t == "":
		return cvalue{}, errors.New("an expression is missing")
	case t == "(":
		v, err := x.binary(0, depth+1)
		if err == nil && !x.take(")") {
			err = errors.New(") is missing")
		}
		return v, err
	case t[0] == '$':
		return x.register(t[1:])
	case t[0] == '\'' && len(t) > 2:
		c, _, _, err := strconv.UnquoteChar(t[1:len(t)-1], '\'')
		return cvalue{t: typeInt, raw: uint64(c)}, err
	case t[0] >= '0' && t[0] <= '9':
		n, err := strconv.ParseUint(t, 0, 64)
		if err != nil {
			return cvalue{}, fmt.Errorf("not a number: %q", t)
		}
		typ := typeInt
		if n > 1<<31-1 {
			typ = typeLong
		}
		return cvalue{t: typ, raw: n}, nil
	case t[0] == '_' || t[0] >= 'A' && t[0] <= 'Z' || t[0] >= 'a' && t[0] <= 'z':
		return x.sc.lookup(t)
	}
	return cvalue{}, fmt.Errorf("unexpected %q in the expression", t)
}

// registers are the names of DWARF's numbers.
var registers = []string{"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"}

func (x *cexpr) register(name string) (cvalue, error) {
	t := typeLong
	switch name {
	case "pc", "rip":
		name, t = "rip", typeVoid.pointer()
	case "sp", "rsp":
		name, t = "rsp", typeVoid.pointer()
	case "fp", "rbp":
		name, t = "rbp", typeVoid.pointer()
	}
	i := slices.Index(registers, name)
	if i < 0 {
		return cvalue{}, fmt.Errorf("there is no register $%s", name)
	}
	v := cvalue{t: t}
	var ok bool
	if v.raw, ok = x.sc.frame.Regs.Get(uint64(i)); !ok {
		v.err = errOptimizedOut
	}
	return v, nil
}

// typeName reads the name of a type with its stars: struct pair *, char **.
func (x *cexpr) typeName() (ctypeRef, bool) {
	save := x.at
	for x.peek() == "const" || x.peek() == "volatile" {
		x.at++
	}
	var words []string
	for x.at < len(x.toks) && len(words) < 4 {
		if t := x.toks[x.at]; t[0] == '_' || t[0] >= 'A' && t[0] <= 'Z' || t[0] >= 'a' && t[0] <= 'z' {
			words = append(words, t)
			x.at++
			continue
		}
		break
	}
	if len(words) > 0 {
		if t, ok := x.sc.typeNamed(strings.Join(words, " ")); ok {
			for x.take("*") {
				t = t.pointer()
			}
			return t, true
		}
	}
	x.at = save
	return ctypeRef{}, false
}

// MayBeC says whether a text can be read as an expression of C's, whatever its names
// mean.
func MayBeC(text string) bool {
	for _, t := range tokenize(text) {
		if strings.Contains("\"#?;{}@\\", t) {
			return false
		}
	}
	depth := 0
	for _, t := range tokenize(text) {
		switch t {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
	}
	toks := tokenize(text)
	return depth == 0 && len(toks) > 0 && len(text) <= maxCExpr && !slices.ContainsFunc(cprecedence, func(ops []string) bool { return slices.Contains(ops, toks[len(toks)-1]) }) && !adjacentNames(toks)
}

// adjacentNames says whether two names follow each other, as no expression has it but
// for types.
func adjacentNames(toks []string) bool {
	name := func(t string) bool {
		return t[0] == '_' || t[0] >= 'A' && t[0] <= 'Z' || t[0] >= 'a' && t[0] <= 'z' || t[0] >= '0' && t[0] <= '9'
	}
	for i := 1; i < len(toks); i++ {
		if name(toks[i-1]) && name(toks[i]) && toks[i-1] != "struct" && toks[i-1] != "unsigned" && toks[i-1] != "union" && toks[i-1] != "enum" {
			return true
		}
	}
	return false
}
