package page

import (
	"maps"
	"slices"
	"strings"
)

// Bounds of the sources of a page, in bytes: of one file of the user's that is
// shown whole, and of all.
const (
	maxWhole  = 256 << 10
	maxLines  = 6000 // of a file that is shown whole
	maxSource = 4 << 20
	// around is how many lines of other files are shown before and after one that ran.
	around    = 8
	maxColumn = 2000
)

// file is a Python file and what the page shows of it.
type file struct {
	path  string
	Name  string `json:"name"`
	Own   bool   `json:"own,omitempty"`
	lines map[int]bool
	// Parts are pieces of the text: whole files are one.
	Parts []part `json:"parts,omitempty"`
}

// part is lines of a file, the first of which has the number From.
type part struct {
	From int    `json:"from"`
	Text string `json:"text"`
}

func (f *file) uses(line int) {
	if line > 0 {
		f.lines[line] = true
	}
}

// addSources gives the files their texts: the user's first.
func (t *tree) addSources(texts map[string][]byte) {
	left := maxSource
	for _, own := range []bool{true, false} {
		for _, f := range t.files {
			if f.Own == own && len(f.lines) > 0 {
				f.take(texts[f.path], &left)
			}
		}
	}
}

func (f *file) take(text []byte, left *int) {
	if len(text) == 0 {
		return
	}
	lines := strings.Split(string(text), "\n")
	if f.Own && len(text) <= maxWhole && len(lines) <= maxLines && len(text) <= *left {
		f.part(lines, 1, len(lines), left)
		return
	}
	from, to := 0, 0
	for _, n := range slices.Sorted(maps.Keys(f.lines)) {
		if n > len(lines) {
			break
		}
		if to > 0 && n-around > to+1 {
			f.part(lines, from, to, left)
			to = 0
		}
		if to == 0 {
			from = max(1, n-around)
		}
		to = min(len(lines), n+around)
	}
	if to > 0 {
		f.part(lines, from, to, left)
	}
}

// part takes the lines from..to, which count from 1.
func (f *file) part(lines []string, from, to int, left *int) {
	var b strings.Builder
	for i, l := range lines[from-1 : to] {
		if i > 0 {
			b.WriteByte('\n')
		}
		l = strings.TrimSuffix(l, "\r")
		if len(l) > maxColumn {
			l = shorten(l, maxColumn)
		}
		if !plain([]byte(l)) {
			l = clean(l)
		}
		b.WriteString(l)
	}
	if *left -= b.Len(); *left >= 0 {
		f.Parts = append(f.Parts, part{from, b.String()})
	}
}

// lineOf is a line of a file, "" where it is not at hand.
func lineOf(texts map[string][]byte, path string, line int) string {
	if line < 1 {
		return ""
	}
	lines := strings.SplitN(string(texts[path]), "\n", line+1)
	if len(lines) < line {
		return ""
	}
	return clean(shorten(strings.TrimSpace(lines[line-1]), 200))
}
