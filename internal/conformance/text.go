package conformance

import (
	"fmt"
	"strings"
)

// maxDetail bounds a detail, which stands in one row of a table.
const maxDetail = 200

// clean makes one short line of any text.
func clean(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "") + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// firstLine is the first line of a text that says something, without pyrr's own marks.
func firstLine(s string) string {
	for line := range strings.Lines(s) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "pyrr: ")
		line = strings.TrimPrefix(line, "error: ")
		if line != "" {
			return clean(line)
		}
	}
	return "it said nothing"
}

// lastLine is the last line that a program wrote.
func lastLine(out Output) string {
	for _, s := range []string{out.Stderr, out.Stdout} {
		lines := strings.Split(strings.TrimSpace(s), "\n")
		if last := lines[len(lines)-1]; last != "" {
			return clean(last)
		}
	}
	return fmt.Sprintf("status %d", out.Status)
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := 0; i < len(w) || i < len(g); i++ {
		switch {
		case i >= len(w):
			return clean(fmt.Sprintf("line %d too much: %s", i+1, g[i]))
		case i >= len(g):
			return clean(fmt.Sprintf("line %d is missing: %s", i+1, w[i]))
		case w[i] != g[i]:
			return clean(fmt.Sprintf("line %d: want %s, got %s", i+1, w[i], g[i]))
		}
	}
	return "none"
}
