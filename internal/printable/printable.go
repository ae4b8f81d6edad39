// Package printable makes text that people read: what comes from recordings or
// files is cleaned for terminals, numbers are grouped, tables aligned.
//
// It knows nothing of what it prints. Begin with Clean.
package printable

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from a recording or a file safe for a terminal: line ends
// and tabs stay, other control and formatting characters (escape sequences,
// changes of direction) become visible, and so do bytes that are not UTF-8.
func Clean(s string) string {
	ok := func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsPrint(r) }
	plain := true
	for i, r := range s {
		if !ok(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		WriteRune(&b, r, s[i:i+n], ok)
		i += n
	}
	return b.String()
}

// WriteRune writes a rune as it is if that is ok, else so that it is seen; code is what it
// was decoded from.
func WriteRune(b *strings.Builder, r rune, code string, ok func(rune) bool) {
	switch {
	case r == utf8.RuneError && len(code) == 1:
		fmt.Fprintf(b, `\x%02x`, code[0])
	case ok(r):
		b.WriteRune(r)
	case r < 0x100:
		fmt.Fprintf(b, `\x%02x`, r)
	default:
		fmt.Fprintf(b, `\u%04x`, r)
	}
}

// Line is Clean for text that must stay on its line.
func Line(s string) string {
	s = Clean(s)
	if strings.ContainsAny(s, "\n\t") {
		s = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(s)
	}
	return s
}

// Table prints rows with aligned columns, two blanks apart. Columns whose
// number is in right are aligned to the right; the last one is not padded.
func Table(w io.Writer, right map[int]bool, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(row)-1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := ""
			if i < len(row)-1 {
				pad = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			}
			if right[i] {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
			if i < len(row)-1 {
				b.WriteString("  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// Grouped prints a number with commas: 12,345,678.
func Grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
