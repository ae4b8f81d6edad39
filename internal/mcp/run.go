package mcp

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of answers, in bytes: by default, at most, of a page, of a line, of a call.
const (
	defaultBytes = 4000
	maxBytes     = 64 << 10
	maxPage      = 8 << 20
	maxLine      = 400
	maxCall      = 600 // of a call that suggests itself
	// maxRead is what is read of a command's output before it is ended.
	maxRead = 1 << 20
)

// bounded cuts a text to some bytes at the end of a line, and says what is left
// out.
func bounded(text string, most int) (cut, left string) {
	var b strings.Builder
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if len(line) > maxLine {
			n := maxLine
			for n > 0 && !utf8.RuneStart(line[n]) {
				n--
			}
			line = fmt.Sprintf("%s… (%d bytes more)", line[:n], len(line)-n)
		}
		if b.Len()+len(line)+1 > most {
			return b.String(), fmt.Sprintf("%d of %d lines left out", len(lines)-i, len(lines))
		}
		b.WriteString(line + "\n")
	}
	return b.String(), ""
}

// The marks around what a recording says.
const (
	markBegin = "<recording>"
	markEnd   = "</recording>"
)

// marked puts the marks around a text, in which neither appears any more.
func marked(text string) string {
	text = strings.NewReplacer(markBegin, "<recording >", markEnd, "</recording >").Replace(text)
	return markBegin + "\n" + strings.TrimRight(text, "\n") + "\n" + markEnd
}
