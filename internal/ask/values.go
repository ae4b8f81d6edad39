package ask

import (
	"errors"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// Value is what an expression was worth, or why that can't be told.
type Value struct {
	Expr string `json:"expr"`
	Text string `json:"value,omitempty"`
	Err  string `json:"error,omitempty"`
}

// expr is an expression of the console: a path, whose attributes may be those
// of a class, one with operators, or one of C's. Python goes first but in a C function.
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
	} else if perr != nil && !mayBeC(e.text) {
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

// spot is where expressions are evaluated: a thread, and its Python frame where it has
// one.
type spot struct {
	p     *replay.Process
	t     *replay.Thread
	rt    *cpython.Runtime // nil where there is no Python
	frame cpython.Frame
	inC   bool // it stands in a C function that was asked for
	c     *native
}

// eval says what the expression is worth.
func (e *expr) eval(s *spot) Value {
	v := Value{Expr: e.text}
	python := func() (string, error) { return e.python(s) }
	c := func() (string, error) { return s.c.print(s.p, s.t, e.text) }
	first, second := python, c
	if s.inC {
		first, second = c, python
	}
	var err, err2 error
	if v.Text, err = first(); err == nil {
		return v
	}
	if v.Text, err2 = second(); err2 == nil {
		return v
	}
	// What knows the name says best what is wrong.
	if errors.Is(err, errNoExpr) || errors.Is(err, unwind.ErrNoSymbol) || s.rt == nil && !errors.Is(err2, unwind.ErrNoSymbol) {
		err = err2
	}
	v.Text, v.Err = "", err.Error()
	return v
}

var errNoExpr = errors.New("it is not an expression of Python's")

func (e *expr) python(s *spot) (string, error) {
	if s.rt == nil {
		return "", replay.ErrNoPython
	}
	err, m := errNoExpr, s.p.Mem()
	if e.path != nil {
		var o cpython.Found
		if o, err = s.rt.Resolve(m, s.frame, *e.path); err == nil {
			return o.Text, nil
		}
	}
	if e.tree != nil {
		r, terr := s.rt.Eval(m, s.frame, e.tree)
		if terr == nil {
			return r.Text, nil
		}
		if e.path == nil {
			err = terr
		}
	}
	return "", err
}

// holds says whether the expression is true.
func (e *expr) holds(s *spot) (bool, error) {
	python := func() (bool, error) {
		switch {
		case s.rt == nil:
			return false, replay.ErrNoPython
		case e.tree == nil:
			return false, errNoExpr
		}
		r, err := s.rt.Eval(s.p.Mem(), s.frame, e.tree)
		return r.True, err
	}
	c := func() (bool, error) { return s.c.holds(s.p, s.t, e.text) }
	if s.inC {
		python, c = c, python
	}
	is, err := python()
	if err == nil {
		return is, nil
	}
	is, err2 := c()
	switch {
	case err2 == nil:
		return is, nil
	case errors.Is(err, errNoExpr) || errors.Is(err, unwind.ErrNoSymbol):
		err = err2
	}
	return false, err
}
