package dap

import (
	"slices"
	"strings"
)

// codeLines are the logical lines of a Python source file (the reference's
// chapter on lexical analysis): a breakpoint in the midst of one belongs to
// its beginning, and one where no code is to the next.
type codeLines struct {
	starts []int // of the logical lines that have code
	ends   []int
	last   int // the file's last line
}

// at returns the line where a breakpoint at a line takes effect; false where
// no code follows.
func (c *codeLines) at(line int) (int, bool) {
	i, _ := slices.BinarySearch(c.ends, line)
	if i == len(c.starts) {
		return 0, false
	}
	return c.starts[i], true
}

// codeless are the statements for which Python makes no instructions.
var codeless = []string{"else:", "finally:", "global ", "nonlocal "}

// findCode splits a text into its logical lines.
func findCode(text string) *codeLines {
	c := &codeLines{}
	line, depth := 1, 0
	start := 0      // of the logical line, 0: not begun
	only := true    // nothing but strings so far
	var b []byte    // the beginning of its text
	end := func() { // of the logical line
		if start != 0 {
			head := string(b) + " "
			if !only && !slices.ContainsFunc(codeless, func(s string) bool {
				return strings.HasPrefix(head, s) && (s[len(s)-1] != ':' || strings.TrimSpace(head) == s)
			}) {
				c.starts, c.ends = append(c.starts, start), append(c.ends, line)
			}
		}
		start, only, b = 0, true, b[:0]
	}
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case ch == '\n':
			if depth == 0 {
				end()
			}
			line++
		case ch == ' ' || ch == '\t' || ch == '\r' || ch == '\f':
			if start != 0 && len(b) < 40 {
				b = append(b, ' ')
			}
		case ch == '#':
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case ch == '\\' && strings.HasPrefix(text[i+1:], "\n"):
			i++
			line++
		case ch == '\\' && strings.HasPrefix(text[i+1:], "\r\n"):
			i += 2
			line++
		case ch == '"' || ch == '\'':
			if start == 0 {
				start = line
			}
			i, line = skipString(text, i, line)
		default:
			if start == 0 {
				start = line
			}
			if !stringPrefix(text[i:]) {
				only = false
			}
			switch ch {
			case '(', '[', '{':
				depth++
			case ')', ']', '}':
				depth = max(depth-1, 0)
			}
			if len(b) < 40 {
				b = append(b, ch)
			}
		}
	}
	end()
	if c.last = line; strings.HasSuffix(text, "\n") {
		c.last--
	}
	return c
}

// stringPrefix says whether a string begins here with its prefix, which is
// not an f-string's: that one has code.
func stringPrefix(s string) bool {
	n := 0
	for n < len(s) && n < 3 && strings.IndexByte("rRbBuU", s[n]) >= 0 {
		n++
	}
	return n > 0 && n < len(s) && (s[n] == '"' || s[n] == '\'')
}

// skipString returns the index of a string's last byte and the line there.
func skipString(text string, i, line int) (int, int) {
	quote := text[i : i+1]
	if strings.HasPrefix(text[i:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	for i += len(quote); i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote) - 1, line
		case text[i] == '\\':
			if i++; i < len(text) && text[i] == '\n' {
				line++
			}
		case text[i] == '\n':
			if len(quote) == 1 {
				return i - 1, line // not closed: an error of the file's
			}
			line++
		}
	}
	return i, line
}
