package cpython

import (
	"errors"
	"fmt"
	"math"
	"math/big"
)

// exprValue is an operand. Of an object that is a number, a str or None the
// value was read; of any other there is its address.
type exprValue struct {
	addr  uint64
	kind  byte // 'i' int, 'b' bool, 'f' float, 's' str, 'y' bytes, 'N' None, 'o' another object
	i     *big.Int
	f     float64
	s     string
	truth bool // of 'b' and 'o'
}

func (a *exprValue) number() bool { return a.kind == 'i' || a.kind == 'b' || a.kind == 'f' }

func (a *exprValue) float() float64 {
	if a.kind == 'f' {
		return a.f
	}
	f, _ := new(big.Float).SetInt(a.i).Float64()
	return f
}

func (a *exprValue) true() bool {
	switch a.kind {
	case 'i':
		return a.i.Sign() != 0
	case 'f':
		return a.f != 0
	case 's', 'y':
		return a.s != ""
	case 'N':
		return false
	}
	return a.truth
}

func (a *exprValue) show() (typ, text string) {
	switch a.kind {
	case 'i':
		return "int", a.i.String()
	case 'f':
		return "float", floatText(a.f)
	case 'b':
		if a.truth {
			return "bool", "True"
		}
		return "bool", "False"
	case 's':
		chars := []rune(a.s)
		return "str", quote(len(chars), func(i int) rune { return chars[i] }, false)
	case 'N':
		return "NoneType", "None"
	}
	return "object", "…"
}

func boolValue(b bool) *exprValue {
	i := big.NewInt(0)
	if b {
		i.SetInt64(1)
	}
	return &exprValue{kind: 'b', truth: b, i: i}
}

// maxExprStr bounds the characters of a str that is compared.
const maxExprStr = 1 << 20

// place makes an index of n items of one that may count from the end.
func place(i *big.Int, n int) (int, bool) {
	if !i.IsInt64() {
		return 0, false
	}
	k := i.Int64()
	if k < 0 {
		k += int64(n)
	}
	return int(k), k >= 0 && k < int64(n)
}

// equal compares as == does; objects that are not numbers or strings are equal
// only to themselves.
func (x *exprEval) equal(a, b *exprValue) bool {
	switch {
	case a.kind == 'f' && b.number() || b.kind == 'f' && a.number():
		return a.float() == b.float()
	case a.number() && b.number():
		return a.i.Cmp(b.i) == 0
	case a.kind != b.kind:
		return false
	case a.kind == 's' || a.kind == 'y':
		return a.s == b.s
	case a.kind == 'N':
		return true
	}
	return a.addr == b.addr && a.addr != 0
}

func order(op string, a, b *exprValue) (*exprValue, error) {
	var less, same bool
	switch {
	case a.kind == 'f' && b.number() || b.kind == 'f' && a.number():
		less, same = a.float() < b.float(), a.float() == b.float()
		if math.IsNaN(a.float()) || math.IsNaN(b.float()) {
			return boolValue(false), nil
		}
	case a.number() && b.number():
		less, same = a.i.Cmp(b.i) < 0, a.i.Cmp(b.i) == 0
	case (a.kind == 's' || a.kind == 'y') && a.kind == b.kind:
		less, same = a.s < b.s, a.s == b.s
	default:
		return nil, fmt.Errorf("only numbers and strings are compared by %s", op)
	}
	switch op {
	case "<":
		return boolValue(less), nil
	case ">":
		return boolValue(!less && !same), nil
	case "<=":
		return boolValue(less || same), nil
	}
	return boolValue(!less), nil
}

func arithmetic(op string, a, b *exprValue) (*exprValue, error) {
	if op == "+" && a.kind == 's' && b.kind == 's' {
		return &exprValue{kind: 's', s: a.s + b.s}, nil
	}
	if !a.number() || !b.number() {
		return nil, fmt.Errorf("only numbers are calculated with by %s", op)
	}
	if op == "/" || a.kind == 'f' || b.kind == 'f' {
		p, q := a.float(), b.float()
		if q == 0 && op != "+" && op != "-" && op != "*" {
			return nil, errors.New("division by zero")
		}
		switch op {
		case "+":
			p += q
		case "-":
			p -= q
		case "*":
			p *= q
		case "/":
			p /= q
		case "//":
			p = math.Floor(p / q)
		default:
			p -= q * math.Floor(p/q)
		}
		return &exprValue{kind: 'f', f: p}, nil
	}
	out := new(big.Int)
	switch op {
	case "+":
		out.Add(a.i, b.i)
	case "-":
		out.Sub(a.i, b.i)
	case "*":
		out.Mul(a.i, b.i)
	default:
		if b.i.Sign() == 0 {
			return nil, errors.New("division by zero")
		}
		// Python rounds down, and the rest has the sign of the divisor.
		rest := new(big.Int)
		out.QuoRem(a.i, b.i, rest)
		if rest.Sign() != 0 && rest.Sign() != b.i.Sign() {
			out.Sub(out, big.NewInt(1))
			rest.Add(rest, b.i)
		}
		if op == "%" {
			out = rest
		}
	}
	return &exprValue{kind: 'i', i: out}, nil
}
