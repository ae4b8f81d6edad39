package console

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/stack"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// An expression is Python's where a Python frame is selected, C's where one of C is;
// what it does not find there it looks for in the other language: in the Python frame
// that runs the C code, in the C code that runs below the Python frame.

// result is what an expression came to.
type result struct {
	text string
	// c says that it is C's.
	c bool
	// typ is the name of its class or type.
	typ string
}

// selected returns the selected frame; nil where nothing is known of the stack.
func (c *Console) selected() (*backtrace.Frame, error) {
	frames, err := c.Frames(c.tid)
	if err != nil || len(frames) == 0 {
		return nil, err
	}
	return &frames[min(c.frame, len(frames)-1)], nil
}

// scope calls f with what names of C mean in a frame of C, in the innermost one where
// fr is nil or Python's.
func (c *Console) scope(fr *backtrace.Frame, f func(*unwind.Scope) error) error {
	return c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		t := p.Threads()[c.tid]
		if t == nil {
			return fmt.Errorf("there is no thread %d here", c.tid)
		}
		c.w.At(p)
		if fr != nil && fr.Kind == stack.Python {
			fr = nil
		}
		return f(c.w.Scope(p, t, fr))
	})
}

// evaluate evaluates an expression in the selected frame. format is gdb's letter, 0
// for the value's own form.
func (c *Console) evaluate(expr string, format byte) (result, error) {
	if expr = strings.TrimSpace(expr); expr == "" {
		return result{}, errors.New("an expression is missing")
	}
	sel, err := c.selected()
	if err != nil {
		return result{}, err
	}
	inC := func() (result, error) {
		out := result{c: true}
		err := c.scope(sel, func(sc *unwind.Scope) (err error) {
			if out.text, err = sc.Print(expr, format); err == nil {
				out.typ, err = sc.Type(expr, false)
			}
			return err
		})
		return out, err
	}
	if sel != nil && sel.Kind == stack.C {
		out, err := inC()
		if err == nil {
			return out, nil
		}
		py, perr := c.inPython(expr, format)
		if perr == nil {
			return py, nil
		}
		if _, bad := cpython.ParseExpr(expr); (bad == nil || !unwind.MayBeC(expr) || isCall(expr)) && errors.Is(err, unwind.ErrNoSymbol) {
			err = perr
		}
		return result{}, err
	}
	out, err := c.inPython(expr, format)
	if err == nil {
		return out, nil
	}
	if out, cerr := inC(); cerr == nil {
		return out, nil
	} else if _, bad := cpython.ParseExpr(expr); bad != nil && !errors.Is(cerr, unwind.ErrNoSymbol) {
		err = cerr
	}
	return result{}, err
}

// isCall says whether a text calls a function, which a recording can't.
func isCall(expr string) bool {
	name, rest, ok := strings.Cut(expr, "(")
	return ok && name != "" && strings.HasSuffix(rest, ")") && !strings.ContainsAny(name, " +-*/%&|<>=!~^,[") && name != "sizeof"
}

// inPython evaluates an expression in the selected frame, or in the next one further
// out that is Python's.
func (c *Console) inPython(expr string, format byte) (result, error) {
	f, err := c.pythonFrame()
	if err != nil {
		return result{}, err
	}
	e, err := cpython.ParseExpr(expr)
	if err != nil {
		return result{}, err
	}
	var res cpython.Result
	err = c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		rt, err := p.Runtime()
		if err == nil {
			res, err = rt.Eval(p.Mem(), *f.Python, e)
		}
		return err
	})
	if err != nil {
		return result{}, err
	}
	text := res.Text
	if n, ok := new(big.Int).SetString(text, 10); ok && format != 0 {
		text = formatBig(n, format)
	}
	return result{text: text, typ: res.Type}, nil
}

// formatBig prints a number in one of gdb's formats.
func formatBig(n *big.Int, format byte) string {
	switch format {
	case 'x', 'a', 'z':
		return fmt.Sprintf("%#x", n)
	case 'o':
		return fmt.Sprintf("%O", n)
	case 't':
		return n.Text(2)
	case 'c':
		if n.IsInt64() && n.Int64() >= 0 && n.Int64() < 0x110000 {
			return fmt.Sprintf("%s %s", n, strconv.QuoteRune(rune(n.Int64())))
		}
	}
	return n.String()
}

// number evaluates an expression that is an address or a number.
func (c *Console) number(expr string) (uint64, error) {
	expr = strings.TrimSpace(expr)
	if expr == "" {
		return 0, errors.New("which address? a number, a $register, a C symbol or an expression of them")
	}
	sel, err := c.selected()
	if err != nil {
		return 0, err
	}
	var n uint64
	err = c.scope(sel, func(sc *unwind.Scope) (err error) { n, err = sc.Number(expr); return err })
	if err == nil {
		return n, nil
	}
	if errors.Is(err, unwind.ErrNoSymbol) {
		if out, perr := c.inPython(expr, 0); perr == nil {
			if v, perr := strconv.ParseUint(out.text, 0, 64); perr == nil {
				return v, nil
			}
		}
		var found []uint64
		c.x.With(func(p *replay.Process, _ *replay.Thread) error { found = p.Symbol(expr); return nil })
		if len(found) > 0 {
			return found[0], nil
		}
	}
	return 0, fmt.Errorf("not an address: %q; a number, a $register or a C symbol is: %w", expr, err)
}

// slashFormat takes the letters behind a slash off: /x, /4xg.
func slashFormat(args string) (format, rest string) {
	f, ok := strings.CutPrefix(args, "/")
	if !ok {
		return "", strings.TrimSpace(args)
	}
	format, rest, _ = strings.Cut(f, " ")
	return format, strings.TrimSpace(rest)
}

// print prints an expression of the selected frame, C's or Python's.
func (c *Console) print(args string) error {
	format, args := slashFormat(args)
	if args == "" {
		return errors.New("print: what?")
	}
	if format == "" && (args[0] == '$' || args[0] >= '0' && args[0] <= '9') && !strings.ContainsAny(args, " +-*/.[(") {
		if name := args[1:]; args[0] == '$' && (name == "" || name == "_" || name == "__" || isNumber(name)) {
			return fmt.Errorf("%s: pyrr keeps no history of values, and has no variables of its own", args)
		}
		v, ok := c.registerOf(args)
		if !ok {
			var err error
			if v, err = c.number(args); err != nil {
				return err
			}
		}
		c.data = map[string]any{"expression": args, "value": fmt.Sprintf("%#x", v)}
		fmt.Fprintf(c.out, "%#x (%d)\n", v, int64(v))
		return nil
	}
	out, err := c.evaluate(args, letter(format))
	if err != nil {
		return err
	}
	c.data = map[string]any{"expression": args, "value": out.text, "type": out.typ}
	fmt.Fprintf(c.out, "%s = %s\n", printable.Line(args), printable.Line(out.text))
	return nil
}

// letter is the last letter of a format, 0 for none.
func letter(format string) byte {
	if format == "" {
		return 0
	}
	return format[len(format)-1]
}

// whatIs prints the type of an expression; whole writes it out.
func (c *Console) whatIs(args string, whole bool) error {
	_, args = slashFormat(args)
	sel, err := c.selected()
	if err != nil {
		return err
	}
	var text string
	cType := func() error {
		return c.scope(sel, func(sc *unwind.Scope) (err error) { text, err = sc.Type(args, whole); return err })
	}
	if sel == nil || sel.Kind == stack.C {
		err = cType()
	} else {
		err = unwind.ErrNoSymbol
	}
	if err != nil {
		out, perr := c.inPython(args, 0)
		switch {
		case perr == nil:
			return c.pythonType(out, args, whole)
		case cType() != nil && !errors.Is(err, unwind.ErrNoSymbol):
			return err
		case text == "":
			return perr
		}
	}
	fmt.Fprintf(c.out, "type = %s\n", printable.Clean(text))
	return nil
}

// pythonType prints the class of a value and, for ptype, what it consists of.
func (c *Console) pythonType(out result, expr string, whole bool) error {
	fmt.Fprintf(c.out, "type = %s\n", printable.Line(out.typ))
	if !whole {
		return nil
	}
	parts, err := c.parts(expr)
	for _, p := range parts {
		fmt.Fprintf(c.out, "    %s: %s\n", printable.Line(p.Name), printable.Line(p.Type))
	}
	return err
}

// parts lists what the object of a Python expression consists of.
func (c *Console) parts(expr string) ([]cpython.Child, error) {
	path, err := cpython.ParsePath(expr)
	if err != nil {
		return nil, nil // a value that was computed consists of nothing
	}
	o, err := c.resolve(path)
	if err != nil {
		return nil, err
	}
	var parts []cpython.Child
	err = c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		rt, err := p.Runtime()
		if err == nil {
			parts, err = rt.Children(p.Mem(), o.Addr, 0, 200)
		}
		return err
	})
	return parts, err
}
