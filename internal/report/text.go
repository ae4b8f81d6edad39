package report

import (
	"pyrr/internal/printable"
	"strings"
)

// clean makes text from a recording or a file safe to print on one line:
// control and formatting characters (escape sequences, changes of direction)
// and bytes that are not UTF-8 become visible.
func clean(s string) string {
	return strings.ReplaceAll(printable.Clean(s), "\n", `\n`)
}

// quote quotes a word for pasting into sh.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(clean(s), "'", `'\''`) + "'"
}

// count prints a number with its noun: 1 check, 2 checks.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return printable.Grouped(uint64(n)) + " " + noun
}

// Clean makes text from a recording or a file safe to show on one line: what
// controls a terminal or the direction of text becomes visible.
func Clean(s string) string { return clean(s) }
