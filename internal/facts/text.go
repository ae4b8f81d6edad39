package facts

import (
	"bytes"
	"strings"
)

// SourceText implements assert.Source: a line of a Python file that the
// recording holds.
func (s *Source) SourceText(file string, n int) (string, bool) {
	if s.texts == nil {
		s.texts = map[string][]string{}
		// Without its own the machine's files serve, where they fit.
		files, err := s.rec.Sources()
		if err == nil {
			for name, text := range files {
				s.texts[name] = linesOf(text)
			}
		}
	}
	lines := s.texts[file]
	if n < 1 || n > len(lines) {
		return "", false
	}
	return lines[n-1], true
}

func linesOf(text []byte) []string {
	var lines []string
	for l := range bytes.Lines(text) {
		lines = append(lines, strings.TrimRight(string(l), "\r\n"))
	}
	return lines
}
