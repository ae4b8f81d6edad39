package contents

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/printable"
	"pyrr/internal/recording"
)

// Source is a part of a source file as it was when it ran, in the JSON form of
// info --source.
type Source struct {
	File string `json:"file"`
	// Lines is how many the file had, From the first that is shown, counted from 1.
	Lines int    `json:"lines"`
	From  int    `json:"from"`
	Text  string `json:"text"`
	// Others are files that the name may mean as well.
	Others []string `json:"others,omitempty"`
}

// around is how many lines are shown before and behind one that was asked for.
const around = 12

// SourceOf finds a file by FILE or FILE:LINE, where FILE is its path or the end of it:
// all lines, or some around the one named. Of several files it is the one with the
// shortest path.
func SourceOf(rec *recording.Recording, place string) (*Source, error) {
	files, err := rec.Sources()
	if err != nil {
		return nil, err
	}
	name, mid := place, 0
	if i := strings.LastIndexByte(place, ':'); i >= 0 {
		if n, err := strconv.Atoi(place[i+1:]); err == nil {
			name, mid = place[:i], n
			if n < 1 {
				return nil, fmt.Errorf("lines are counted from 1, not %d", n)
			}
		}
	}
	var found []string
	for file := range files {
		if name != "" && (file == name || strings.HasSuffix(file, "/"+name)) {
			found = append(found, file)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the recording has no text of a file %q", printable.Shorten(name, 80))
	}
	slices.SortFunc(found, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	text := strings.TrimSuffix(string(files[found[0]]), "\n")
	s := &Source{File: found[0], Lines: strings.Count(text, "\n") + 1, From: 1, Text: text, Others: found[1:]}
	if mid > s.Lines {
		return nil, fmt.Errorf("%s had %s when it ran", s.File, printable.Plural(uint64(s.Lines), "line", "lines"))
	}
	if mid > 0 {
		lines := strings.Split(text, "\n")
		s.From = max(1, mid-around)
		s.Text = strings.Join(lines[s.From-1:min(len(lines), mid+around)], "\n")
	}
	return s, nil
}

// Print prints the lines with their numbers.
func (s *Source) Print(w io.Writer) {
	fmt.Fprintf(w, "%s, lines %d to %d of %d\n", printable.Line(s.File), s.From, s.From+strings.Count(s.Text, "\n"), s.Lines)
	const most = 3
	for _, other := range s.Others[:min(most, len(s.Others))] {
		fmt.Fprintf(w, "%s ends so too\n", printable.Line(other))
	}
	if n := len(s.Others) - most; n > 0 {
		fmt.Fprintf(w, "%s more end so too\n", printable.Grouped(uint64(n)))
	}
	n := s.From
	for line := range strings.SplitSeq(s.Text, "\n") {
		fmt.Fprintf(w, "%5d  %s\n", n, printable.Clean(strings.TrimRight(line, "\r")))
		n++
	}
}
