package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"pyrr/assert"
	"pyrr/internal/stack"
)

// golden prints stacks beside each other.
func (t *terminal) golden(c *assert.Result) {
	g := c.Golden
	for i := range g.Threads {
		d := &g.Threads[i]
		if d.Diff.Equal {
			continue
		}
		if len(g.Threads) > 1 || d.NoGot || d.NoWant || d.Diff.Thread {
			name := d.Name
			if name == "" {
				name = "without a name"
			}
			t.printf("     thread %s", clean(name))
			switch {
			case d.NoGot:
				t.printf(": only in the golden\n")
				continue
			case d.NoWant:
				t.printf(": not in the golden\n")
			case d.Diff.Thread:
				t.printf(": the golden names another\n")
			default:
				t.printf("\n")
			}
		}
		t.diff(&d.Diff)
	}
}

// GoldenDiff prints how the stacks of a golden differ from it.
func GoldenDiff(w io.Writer, r *assert.Result, opts Options) error {
	t := &terminal{w: w, opts: opts}
	t.golden(r)
	t.notes(r)
	return t.err
}

// diff prints the rows of a stack diff; longer runs of equal frames are
// counted only.
func (t *terminal) diff(d *stack.Diff) {
	t.printf("     want got\n")
	differs := func(i int) bool {
		return i >= 0 && i < len(d.Rows) && (d.Rows[i].Op == stack.Gone || d.Rows[i].Op == stack.Added)
	}
	near := func(i int) bool {
		for k := i - context; k <= i+context; k++ {
			if differs(k) {
				return true
			}
		}
		return false
	}
	funcs, places := 0, 0
	for i := range d.Rows {
		if l := rowLine(&d.Rows[i]); near(i) {
			funcs = max(funcs, utf8.RuneCountInString(l.Func))
			places = max(places, utf8.RuneCountInString(l.Place()))
		}
	}
	for i := 0; i < len(d.Rows); i++ {
		r := &d.Rows[i]
		if !near(i) {
			n, any := 0, 0
			for ; i < len(d.Rows) && !near(i); i++ {
				switch d.Rows[i].Op {
				case stack.Any:
					any++
				case stack.Same, stack.Moved:
					n++
				}
			}
			i--
			t.skipped(n, any)
			continue
		}
		want, got := number(r.Want), number(r.Got)
		sign, sgr := " ", ""
		switch r.Op {
		case stack.Gone:
			sign, sgr = "-", red
		case stack.Added:
			sign, sgr = "+", green
		case stack.Gap:
			continue
		}
		l := rowLine(r)
		kind := "Py"
		if l.Kind == stack.C {
			kind = "C "
		}
		line := fmt.Sprintf("%s%3s %4s   %s  %-*s  %-*s  %s", sign, want, got, kind, funcs, l.Func, places, l.Place(), l.Text)
		t.printf("     %s\n", t.paint(sgr, strings.TrimRight(line, " ")))
	}
}

// rowLine is what a row shows of its frame.
func rowLine(r *stack.Row) stack.Line {
	switch r.Op {
	case stack.Added, stack.Any:
		return stack.LineOf(r.Frame)
	case stack.Moved:
		l := r.Line
		l.Number = stack.LineOf(r.Frame).Number
		return l
	}
	return r.Line
}

func (t *terminal) skipped(equal, any int) {
	var parts []string
	if equal > 0 {
		parts = append(parts, fmt.Sprintf("%s, equal", count(equal, "more frame")))
	}
	if any > 0 {
		parts = append(parts, fmt.Sprintf("%s that … stands for", count(any, "frame")))
	}
	if len(parts) > 0 {
		t.printf("     … %s\n", strings.Join(parts, ", "))
	}
}

func number(n int) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprint(n)
}
