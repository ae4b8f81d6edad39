package ask

import (
	"errors"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/mem"
)

// Value is what an expression was worth, or why that can't be told.
type Value struct {
	Expr string `json:"expr"`
	Text string `json:"value,omitempty"`
	Err  string `json:"error,omitempty"`
}

// expr is an expression of the console: a path, whose attributes may be those
// of a class, or one with operators.
type expr struct {
	text string
	path *cpython.Path
	tree *cpython.Expr
}

func parseExpr(text string) (*expr, error) {
	e := &expr{text: strings.TrimSpace(text)}
	p, perr := cpython.ParsePath(e.text)
	if perr == nil {
		e.path = &p
	}
	tree, err := cpython.ParseExpr(e.text)
	if err == nil {
		e.tree = tree
	} else if perr != nil {
		return nil, err
	}
	return e, nil
}

// maxExprs bounds the expressions of a print.
const maxExprs = 50

// parseExprs reads expressions that commas part; those in brackets and quotes
// belong to an expression.
func parseExprs(text string) ([]*expr, error) {
	var out []*expr
	for _, part := range splitTop(text) {
		if strings.TrimSpace(part) == "" {
			return nil, errors.New("an expression is missing beside a comma")
		}
		e, err := parseExpr(part)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) > maxExprs {
		return nil, errors.New("too many expressions")
	}
	return out, nil
}

func splitTop(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var out []string
	depth, from, quote := 0, 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ',' && depth <= 0:
			out, from = append(out, text[from:i]), i+1
		}
	}
	return append(out, text[from:])
}

// eval says what the expression is worth in a frame.
func (e *expr) eval(rt *cpython.Runtime, m mem.Reader, f cpython.Frame) Value {
	v := Value{Expr: e.text}
	var err error
	if e.path != nil {
		var o cpython.Found
		if o, err = rt.Resolve(m, f, *e.path); err == nil {
			v.Text = o.Text
			return v
		}
	}
	if e.tree != nil {
		r, terr := rt.Eval(m, f, e.tree)
		if terr == nil {
			v.Text = r.Text
			return v
		}
		if err == nil {
			err = terr
		}
	}
	v.Err = err.Error()
	return v
}
