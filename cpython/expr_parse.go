package cpython

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Expr is an expression over the variables of a frame: the part of Python's
// that needs nothing executed. Names, attributes, subscripts, literals, len(),
// arithmetic, comparisons, in, is, not, and, or.
type Expr struct {
	text string
	root *exprNode
}

// exprNode is a node of the tree: op with its operands; for "name", ".",
// "str" and "int" the text is in s, for "float" in f.
type exprNode struct {
	op   string
	args []*exprNode
	s    string
	i    *big.Int
	f    float64
}

// maxExpr bounds the text of an expression, maxExprDepth its nesting.
const (
	maxExpr      = 2000
	maxExprDepth = 100
)

// ParseExpr reads an expression.
func ParseExpr(text string) (*Expr, error) {
	if len(text) > maxExpr {
		return nil, fmt.Errorf("the expression has more than %d characters", maxExpr)
	}
	toks, err := exprTokens(text)
	if err != nil {
		return nil, err
	}
	p := exprParser{toks: toks}
	n, err := p.binary(0)
	if err == nil && p.at < len(p.toks) {
		err = fmt.Errorf("unexpected %q", p.toks[p.at].text)
	}
	if err != nil {
		return nil, fmt.Errorf("%q can't be evaluated: %w", text, err)
	}
	return &Expr{text, n}, nil
}

// String returns the expression as it was given.
func (e *Expr) String() string { return e.text }

// exprToken is a name, a number, a string (unquoted) or an operator.
type exprToken struct {
	kind byte // 'n', '0', '"', or 'o'
	text string
}

var exprOperators = []string{"**", "//", "==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ".", "+", "-", "*", "/", "%", ","}

func exprTokens(s string) ([]exprToken, error) {
	var out []exprToken
next:
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " \t\n") {
		r, _ := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\'':
			text, n, err := exprString(s)
			if err != nil {
				return nil, err
			}
			out, s = append(out, exprToken{'"', text}), s[n:]
			continue
		case unicode.IsLetter(r) || r == '_':
			n := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
			if n < 0 {
				n = len(s)
			}
			out, s = append(out, exprToken{'n', s[:n]}), s[n:]
			continue
		case r >= '0' && r <= '9':
			n := 0
			for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '_' || s[n] == '.' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' ||
				(s[n] == '+' || s[n] == '-') && (s[n-1] == 'e' || s[n-1] == 'E') && !strings.HasPrefix(s, "0x")) {
				n++
			}
			out, s = append(out, exprToken{'0', s[:n]}), s[n:]
			continue
		}
		for _, op := range exprOperators {
			if rest, ok := strings.CutPrefix(s, op); ok {
				out, s = append(out, exprToken{'o', op}), rest
				continue next
			}
		}
		return nil, fmt.Errorf("%q can't be evaluated: unexpected %q", s, r)
	}
	return out, nil
}

// exprString reads a quoted string with the usual escapes.
func exprString(s string) (text string, n int, err error) {
	quote := s[0]
	var b strings.Builder
	for rest := s[1:]; rest != ""; {
		if rest[0] == quote {
			return b.String(), len(s) - len(rest) + 1, nil
		}
		r, _, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			return "", 0, fmt.Errorf("a string with an escape that is not known: %s", s)
		}
		b.WriteRune(r)
		rest = tail
	}
	return "", 0, fmt.Errorf("a string without an end: %s", s)
}

type exprParser struct {
	toks  []exprToken
	at    int
	depth int
}

// take consumes a token with the text, if it is next and no string.
func (p *exprParser) take(text string) bool {
	if p.at < len(p.toks) && p.toks[p.at].kind != '"' && p.toks[p.at].text == text {
		p.at++
		return true
	}
	return false
}

func (p *exprParser) expect(text string) error {
	if !p.take(text) {
		if p.at < len(p.toks) {
			return fmt.Errorf("%q where %q should be", p.toks[p.at].text, text)
		}
		return fmt.Errorf("%q is missing at its end", text)
	}
	return nil
}

// exprLevels are the binary operators, from those that bind least.
var exprLevels = [][]string{{"or"}, {"and"}, {"not"}, {"==", "!=", "<=", ">=", "<", ">", "in", "is", "not"}, {"+", "-"}, {"*", "//", "/", "%"}}

// comparisons is the level of those that can be chained.
const comparisons = 3

func (p *exprParser) binary(level int) (*exprNode, error) {
	if p.depth++; p.depth > maxExprDepth*len(exprLevels) {
		return nil, fmt.Errorf("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	if level == len(exprLevels) {
		return p.unary()
	}
	if level == 2 {
		if p.take("not") {
			n, err := p.binary(level)
			return &exprNode{op: "not", args: []*exprNode{n}}, err
		}
		return p.binary(level + 1)
	}
	left, err := p.binary(level + 1)
	var all, last *exprNode // of a chain of comparisons
	for err == nil {
		op := ""
		for _, o := range exprLevels[level] {
			if p.take(o) {
				op = o
				break
			}
		}
		if op == "" {
			return left, nil
		}
		switch {
		case op == "is" && p.take("not"):
			op = "is not"
		case op == "not":
			if err := p.expect("in"); err != nil {
				return nil, err
			}
			op = "not in"
		}
		var right *exprNode
		right, err = p.binary(level + 1)
		one := &exprNode{op: op, args: []*exprNode{left, right}}
		if level != comparisons {
			left = one
			continue
		}
		// a < b < c: a < b and b < c
		if all == nil {
			all = one
		} else {
			one.args[0] = last
			all = &exprNode{op: "and", args: []*exprNode{all, one}}
		}
		left, last = all, right
	}
	return nil, err
}

func (p *exprParser) unary() (*exprNode, error) {
	if p.depth++; p.depth > maxExprDepth*len(exprLevels) {
		return nil, fmt.Errorf("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.take("-") {
		n, err := p.unary()
		return &exprNode{op: "neg", args: []*exprNode{n}}, err
	}
	if p.take("+") {
		return p.unary()
	}
	n, err := p.atom()
	for err == nil {
		switch {
		case p.take("."):
			if p.at >= len(p.toks) || p.toks[p.at].kind != 'n' {
				return nil, fmt.Errorf("an attribute's name is missing behind the dot")
			}
			n = &exprNode{op: ".", args: []*exprNode{n}, s: p.toks[p.at].text}
			p.at++
		case p.take("["):
			var index *exprNode
			if index, err = p.binary(0); err == nil {
				n, err = &exprNode{op: "[]", args: []*exprNode{n, index}}, p.expect("]")
			}
		case p.at < len(p.toks) && p.toks[p.at] == exprToken{'o', "("}:
			if n.op != "name" || n.s != "len" {
				return nil, fmt.Errorf("a recording can't call functions, other than len()")
			}
			p.at++
			var arg *exprNode
			if arg, err = p.binary(0); err == nil {
				n, err = &exprNode{op: "len", args: []*exprNode{arg}}, p.expect(")")
			}
		default:
			return n, nil
		}
	}
	return nil, err
}

func (p *exprParser) atom() (*exprNode, error) {
	if p.at >= len(p.toks) {
		return nil, fmt.Errorf("something is missing at its end")
	}
	t := p.toks[p.at]
	p.at++
	switch t.kind {
	case '"':
		return &exprNode{op: "str", s: t.text}, nil
	case 'n':
		switch t.text {
		case "and", "or", "not", "in", "is", "if", "else", "lambda", "for", "await":
			return nil, fmt.Errorf("unexpected %q", t.text)
		}
		return &exprNode{op: "name", s: t.text}, nil
	case '0':
		text := strings.ReplaceAll(t.text, "_", "")
		if i, ok := new(big.Int).SetString(text, 0); ok {
			return &exprNode{op: "int", i: i}, nil
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return &exprNode{op: "float", f: f}, nil
		}
		return nil, fmt.Errorf("%q is not a number", t.text)
	}
	if t.text == "(" {
		n, err := p.binary(0)
		if err == nil {
			err = p.expect(")")
		}
		return n, err
	}
	return nil, fmt.Errorf("unexpected %q", t.text)
}
