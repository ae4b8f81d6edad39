package stack

import (
	"errors"
	"fmt"
	"path"
	"pyrr/internal/printable"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The text form of stacks, as goldens hold it: one frame a line, innermost
// first, fields two or more blanks apart.
//
//	# recv  thread worker
//	Py  getresponse         urllib3/connection.py:504        httplib_response = super().getresponse()
//	…
//	C   __libc_recv         libc.so.6
//
// "…" stands for any frames, "*" within a field for any text; "\*" is a star.

// Limits of a text form; deeper stacks are cut by the readers of stacks.
const (
	maxText  = 8 << 20
	maxLines = 200_000
)

// Line is one line of the text form: a pattern for one frame or, with Gap,
// for any number of them.
type Line struct {
	Gap  bool
	Kind Kind
	// Func, File and Text are patterns. File is the module of a C frame.
	Func, File, Text string
	// Number is the line number as a pattern: digits, "?" for unknown, "*"
	// or "" for any.
	Number string
	// Source is the number of the line in the file that it was read from.
	Source int
}

// Pattern is what a stack is held against.
type Pattern struct {
	// Label is what the heading says besides the thread.
	Label string
	// Thread is a pattern for the thread's name, "" for any.
	Thread string
	Lines  []Line
	Source int
}

// ParseError is a mistake in a text form.
type ParseError struct {
	Line, Col int // from 1; Col counts characters
	Msg       string
}

func (e *ParseError) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg) }

// Parse reads a text form. A heading starts a new stack; one without frames
// stands for a thread that has none.
func Parse(text string) ([]Pattern, error) {
	if len(text) > maxText {
		return nil, &ParseError{1, 1, fmt.Sprintf("more than %d MiB of text", maxText>>20)}
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("not UTF-8")
	}
	var out []Pattern
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		if n > maxLines {
			return nil, &ParseError{n, 1, fmt.Sprintf("more than %d lines", maxLines)}
		}
		if i := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }); i >= 0 {
			r, _ := utf8.DecodeRuneInString(line[i:])
			return nil, &ParseError{n, utf8.RuneCountInString(line[:i]) + 1, fmt.Sprintf("a character that can't be printed: %U", r)}
		}
		if rest, ok := strings.CutPrefix(line, "#"); ok {
			p := Pattern{Source: n}
			p.Label, p.Thread = parseHeading(rest)
			out = append(out, p)
			continue
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		l, err := parseLine(line)
		if err != nil {
			err.Line = n
			return nil, err
		}
		l.Source = n
		if len(out) == 0 {
			out = append(out, Pattern{Source: n})
		}
		last := &out[len(out)-1]
		last.Lines = append(last.Lines, l)
	}
	if len(out) == 0 {
		return nil, &ParseError{1, 1, "no stack in it"}
	}
	return out, nil
}

func parseHeading(s string) (label, thread string) {
	for _, f := range splitFields(s, 0) {
		if name, ok := strings.CutPrefix(f.text, "thread "); ok {
			thread = strings.TrimSpace(name)
		} else if label == "" {
			label = f.text
		}
	}
	return label, thread
}

type field struct {
	text string
	col  int // bytes before it
}

// splitFields splits at two or more blanks; the field with the number limit
// takes the rest of the line (limit 0: no limit).
func splitFields(s string, limit int) []field {
	var out []field
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		end := len(s)
		if limit == 0 || len(out) < limit-1 {
			for j := i; j < len(s); j++ {
				if s[j] == '\t' || s[j] == ' ' && j+1 < len(s) && (s[j+1] == ' ' || s[j+1] == '\t') {
					end = j
					break
				}
			}
		}
		out = append(out, field{strings.TrimSpace(s[i:end]), i})
		i = end
	}
	return out
}

func parseLine(s string) (Line, *ParseError) {
	at := func(col int, format string, args ...any) (Line, *ParseError) {
		return Line{}, &ParseError{Col: utf8.RuneCountInString(s[:col]) + 1, Msg: fmt.Sprintf(format, args...)}
	}
	if t := strings.TrimSpace(s); t == "…" || t == "..." {
		return Line{Gap: true}, nil
	}
	f := splitFields(s, 4)
	var l Line
	switch f[0].text {
	case "Py":
		l.Kind = Python
	case "C":
		l.Kind = C
	default:
		return at(f[0].col, "a line begins with Py, C, … or #, and fields are two blanks apart, not %q", f[0].text)
	}
	if len(f) < 2 {
		return at(len(s), "a function is missing after %s", f[0].text)
	}
	l.Func = f[1].text
	if l.Kind == C {
		if len(f) > 3 {
			return at(f[3].col, "a C frame has a function and a module only")
		}
		if len(f) == 3 {
			l.File = f[2].text
		}
		return l, nil
	}
	if len(f) < 3 {
		return at(len(s), "a file is missing after the function (fields are two blanks apart)")
	}
	l.File = f[2].text
	if i := strings.LastIndexByte(l.File, ':'); i >= 0 {
		l.File, l.Number = l.File[:i], l.File[i+1:]
		if !isNumber(l.Number) {
			return at(f[2].col+i+1, "not a line number: %q (digits, * for any, ? for unknown)", l.Number)
		}
		if l.File == "" {
			return at(f[2].col, "a file is missing before the line number")
		}
	}
	if len(f) == 4 {
		l.Text = tidy(f[3].text)
	}
	return l, nil
}

func isNumber(s string) bool {
	if s == "*" || s == "?" {
		return true
	}
	return s != "" && len(s) < 10 && strings.Trim(s, "0123456789") == ""
}

// LineOf returns the line that stands for exactly this frame of a Normal
// stack.
func LineOf(f Frame) Line {
	l := Line{Kind: f.Kind, Func: fieldOf(f.Func)}
	if f.Kind == C {
		l.File = fieldOf(f.Module)
		return l
	}
	l.File = fieldOf(f.File)
	if Temporary(f.File) {
		l.File = "*/" + fieldOf(path.Base(f.File))
	}
	l.Number = "?"
	if f.Line > 0 {
		l.Number = strconv.Itoa(f.Line)
	}
	l.Text = escape(tidy(f.Text))
	return l
}

func fieldOf(s string) string {
	if s = tidy(s); s == "" {
		return "?"
	}
	return escape(s)
}

// Columns of the text form; a longer field pushes the next ones right. They
// are fixed, so that one changed frame is one changed line.
const (
	funcWidth  = 32
	placeWidth = 32
)

// Place is the file with the line number, or the module.
func (l Line) Place() string {
	if l.Number == "" {
		return l.File
	}
	return l.File + ":" + l.Number
}

// String is the line in the text form, without a line end.
func (l Line) String() string {
	if l.Gap {
		return "…"
	}
	kind := "Py"
	if l.Kind == C {
		kind = "C "
	}
	s := kind + "  " + pad(l.Func, funcWidth) + "  " + pad(l.Place(), placeWidth) + "  " + l.Text
	return strings.TrimRight(s, " ")
}

func pad(s string, width int) string {
	if n := utf8.RuneCountInString(s); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}

// String is the pattern in the text form.
func (p Pattern) String() string { return p.text(false) }

// text writes the heading where it says something or is asked for.
func (p Pattern) text(heading bool) string {
	var b strings.Builder
	if heading || p.Label != "" || p.Thread != "" {
		b.WriteByte('#')
		if p.Label != "" {
			b.WriteString(" " + p.Label)
		}
		if p.Thread != "" {
			b.WriteString("  thread " + p.Thread)
		}
		b.WriteByte('\n')
	}
	for _, l := range p.Lines {
		b.WriteString(l.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// PatternOf returns the pattern that stands for exactly this Normal stack.
func PatternOf(label string, s Stack) Pattern {
	p := Pattern{Label: tidy(label)}
	if s.Name != "" {
		p.Thread = fieldOf(s.Name)
	}
	for _, f := range s.Frames {
		p.Lines = append(p.Lines, LineOf(f))
	}
	return p
}

// Format writes patterns in the text form, a blank line between two.
func Format(patterns []Pattern) string {
	parts := make([]string, len(patterns))
	for i, p := range patterns {
		parts[i] = p.text(i > 0 || len(p.Lines) == 0)
	}
	return strings.Join(parts, "\n")
}

// tidy makes text fit for one field of one line: blanks collapsed, and what
// can't be printed (a recording's strings may hold anything) made visible.
func tidy(s string) string {
	var b strings.Builder
	blank := false
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if unicode.IsSpace(r) {
			blank = true
			i += n
			continue
		}
		if blank && b.Len() > 0 {
			b.WriteByte(' ')
		}
		blank = false
		printable.WriteRune(&b, r, s[i:i+n], unicode.IsPrint)
		i += n
	}
	return b.String()
}

// escape makes a pattern that matches exactly s. A backslash stays as it is
// unless what follows would change its meaning.
func escape(s string) string {
	if !strings.ContainsAny(s, `*\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '*' || s[i] == '\\' && i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '\\') {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Glob reports whether the whole of s matches the pattern, in which "*"
// stands for any text, `\*` for a star and `\\` for a backslash.
func Glob(pattern, s string) bool {
	type unit struct {
		c    byte
		star bool
	}
	p := make([]unit, 0, len(pattern))
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\' && i+1 < len(pattern) && (pattern[i+1] == '*' || pattern[i+1] == '\\'):
			i++
			p = append(p, unit{c: pattern[i]})
		case c == '*':
			if len(p) == 0 || !p[len(p)-1].star {
				p = append(p, unit{star: true})
			}
		default:
			p = append(p, unit{c: c})
		}
	}
	// The leftmost place of what follows a star is never the wrong one, so
	// only the last star is ever gone back to.
	i, j, star, mark := 0, 0, -1, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i].star:
			star, mark = i, j
			i++
		case i < len(p) && p[i].c == s[j]:
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i].star {
		i++
	}
	return i == len(p)
}
