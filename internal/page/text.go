package page

import (
	"path"
	"strings"
	"unicode/utf8"

	"pyrr/internal/report"
)

// clean makes a stranger's text one that can be shown on one line.
func clean(s string) string { return report.Clean(s) }

// cleanText is clean for what has several lines: line ends stay.
func cleanText(b []byte) string {
	if plain(b) {
		return string(b)
	}
	lines := strings.Split(string(b), "\n")
	for i, l := range lines {
		lines[i] = clean(strings.TrimSuffix(l, "\r"))
	}
	return strings.Join(lines, "\n")
}

// plain tells printable ASCII with line ends and tabs, which most text is.
func plain(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// shorten cuts a text to n bytes at most, and not within a character.
func shorten(s string, n int) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) <= n {
		return s
	}
	cut := n - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// maxName bounds the name of a function, a file, a thread or a task, in bytes.
const maxName = 300

// name is clean for what is shown as a name: all of it, unless it is very long.
func name(s string) string {
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "") + "…"
	}
	return clean(s)
}

// trimEllipsis takes away what says that a call began earlier: its row has both.
func trimEllipsis(s string) string { return strings.TrimPrefix(s, "… ") }

// commandOf is a command for people: the program by its name alone.
func commandOf(argv []string) string {
	if len(argv) == 0 {
		return ""
	}
	return strings.Join(append([]string{path.Base(argv[0])}, argv[1:]...), " ")
}
