package assert

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Place is a piece of one line of a file. Line and Col count from 1, Col and
// Len in characters.
type Place struct{ Line, Col, Len int }

// SyntaxError is a mistake in a spec.
type SyntaxError struct {
	File string
	Place
	Source string // the line
	Msg    string
	Hint   string // beside the caret, "" for none
}

func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
	if caret := Caret(e.Source, e.Place, e.Hint); caret != "" {
		return s + "\n" + caret
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Caret shows a line of a file with a place in it marked, and what there is
// to say about it. It is "" where there is no such place.
func Caret(source string, p Place, note string) string {
	n := utf8.RuneCountInString(source)
	if p.Line < 1 || p.Col < 1 || p.Col > n+1 {
		return ""
	}
	num := fmt.Sprint(p.Line)
	// Tabs stay tabs, so that the mark stands below its place.
	var indent strings.Builder
	for i, r := range []rune(source) {
		if i == p.Col-1 {
			break
		}
		if r == '\t' {
			indent.WriteRune('\t')
		} else {
			indent.WriteByte(' ')
		}
	}
	marks := strings.Repeat("^", max(1, min(p.Len, n-p.Col+1)))
	s := fmt.Sprintf(" %s | %s\n %s | %s%s %s", num, source, strings.Repeat(" ", len(num)), indent.String(), marks, note)
	return strings.TrimRight(s, " ")
}

// Errors are all the mistakes of a file.
type Errors []*SyntaxError

func (e Errors) Error() string {
	parts := make([]string, len(e))
	for i, err := range e {
		parts[i] = err.Error()
	}
	return strings.Join(parts, "\n")
}

// add appends a mistake unless it is there already, as it is where a spec
// is read once for each of its cases.
func (e *Errors) add(err *SyntaxError) {
	for _, have := range *e {
		if have.Place == err.Place && have.Msg == err.Msg {
			return
		}
	}
	*e = append(*e, err)
}

// didYouMean is the hint for a mistyped word, "" where none is near.
func didYouMean(word string, known []string) string {
	if w := Nearest(word, known); w != "" {
		return "did you mean " + w + "?"
	}
	return ""
}

// Nearest returns the known word that a mistyped one most probably stands
// for, "" for none.
func Nearest(word string, known []string) string {
	best, name := 1+len(word)/3, ""
	lower := strings.ToLower(word)
	for _, k := range known {
		d := editDistance(lower, strings.ToLower(k))
		if d < len(k) && d < max(len(word), 2) && (d < best || d == best && name == "") {
			best, name = d, k
		}
	}
	return name
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	var before [65]int
	var above, row [65]int
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}

// grouped writes a number with commas: 12,345,678.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func orNone(prefix, s, none string) string {
	if s == "" {
		return none
	}
	return prefix + s
}
