package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// outWidth is the width that results are fitted to: the terminal's, else what COLUMNS
// says, else 0 for any, since lines that stay whole are easier to search.
func outWidth(out *os.File) int {
	const least = 40
	if w, _, err := term.GetSize(int(out.Fd())); err == nil && w > 0 {
		return max(w, least)
	}
	if w, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && w > 0 {
		return max(w, least)
	}
	return 0
}

// fitted returns the writer of results, and a function to be called at its end:
// lines that are wider than the screen are broken at blanks.
func (u *ui) fitted() (io.Writer, func()) {
	if u.outWidth == 0 {
		return u.out, func() {}
	}
	f := &foldWriter{w: u.out, width: u.outWidth}
	return f, f.flush
}

// foldWriter breaks lines that are too wide.
type foldWriter struct {
	w     io.Writer
	width int
	line  []byte // what there is of the last one
}

func (f *foldWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			f.line = append(f.line, p...)
			return n, nil
		}
		line := string(append(f.line, p[:i]...))
		f.line, p = f.line[:0], p[i+1:]
		if _, err := io.WriteString(f.w, fold(line, f.width)+"\n"); err != nil {
			return 0, err
		}
	}
}

func (f *foldWriter) flush() {
	if len(f.line) > 0 {
		_, _ = io.WriteString(f.w, fold(string(f.line), f.width))
		f.line = nil
	}
}

// stackRows prints a stack for people.
func (u *ui) stackRows(rec *recording.Recording, s stack.Stack) string {
	var rows []frameRow
	frames := normalFrames(rec, s)
	for i := range frames[:min(len(frames), mostFrames)] {
		rows = append(rows, rowOf(&frames[i]))
	}
	text := u.frameLines(rows)
	if n := len(frames) - mostFrames; n > 0 {
		text += fmt.Sprintf("… %s\n", plural(uint64(n), "more frame", "more frames"))
	}
	if err := s.Err(); err != "" {
		text += fmt.Sprintf("… %s\n", cleanLine(err))
	}
	return text
}

// frameRow is a frame in a list for people.
type frameRow struct {
	kind, name, place, text string
	below                   []string // further lines
}

// frameLines lists frames in columns that are as wide as they have to be; the text of
// a line of source that has no room beside its place stands below it.
func (u *ui) frameLines(rows []frameRow) string {
	name, place := 0, 0
	for i := range rows {
		r := &rows[i]
		if u.outWidth > 0 {
			r.name = shortMiddle(r.name, u.outWidth*3/8)
			r.place = shortMiddle(r.place, u.outWidth/2)
		}
		name, place = max(name, columns(r.name)), max(place, columns(r.place))
	}
	name, place = min(name, 32), min(place, 36)
	var b strings.Builder
	for _, r := range rows {
		line := r.kind
		if line != "" {
			line += "  "
		}
		width := columns(line) + name + 2 + place
		line += pad(r.name, name) + "  " + r.place
		beside := pad(line, width) + "  " + r.text
		switch {
		case r.text == "":
			b.WriteString(line)
		case u.outWidth == 0 || 2+columns(beside) <= u.outWidth:
			b.WriteString(beside)
		default:
			b.WriteString(line + "\n        " + shortMiddle(r.text, u.outWidth-10))
		}
		b.WriteByte('\n')
		for _, more := range r.below {
			b.WriteString("    " + more + "\n")
		}
	}
	return b.String()
}
