package screen

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"

	"pyrr/internal/printable"

	"golang.org/x/term"
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

// Fitted returns the writer of results, and a function to be called at its end:
// lines that are wider than the screen are broken at blanks.
func (u *UI) Fitted() (io.Writer, func()) {
	if u.outWidth == 0 {
		return u.Out, func() {}
	}
	f := &foldWriter{w: u.Out, width: u.outWidth}
	return f, f.flush
}

// Fit has all that is written to Out fitted, until the function that it returns is called.
func (u *UI) Fit() func() {
	whole := u.Out
	out, flush := u.Fitted()
	u.Out = out
	return func() {
		flush()
		u.Out = whole
	}
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
		if _, err := io.WriteString(f.w, printable.Fold(line, f.width)+"\n"); err != nil {
			return 0, err
		}
	}
}

func (f *foldWriter) flush() {
	if len(f.line) > 0 {
		_, _ = io.WriteString(f.w, printable.Fold(string(f.line), f.width))
		f.line = nil
	}
}

// FrameRow is a frame in a list for people.
type FrameRow struct {
	Kind, Name, Place, Text string
	Below                   []string // further lines
}

// FrameLines lists frames in columns that are as wide as they have to be; the text of
// a line of source that has no room beside its place stands below it.
func (u *UI) FrameLines(rows []FrameRow) string {
	name, place := 0, 0
	for i := range rows {
		r := &rows[i]
		if u.outWidth > 0 {
			r.Name = printable.ShortMiddle(r.Name, u.outWidth*3/8)
			r.Place = printable.ShortMiddle(r.Place, u.outWidth/2)
		}
		name, place = max(name, printable.Columns(r.Name)), max(place, printable.Columns(r.Place))
	}
	name, place = min(name, 32), min(place, 36)
	var b strings.Builder
	for _, r := range rows {
		line := r.Kind
		if line != "" {
			line += "  "
		}
		width := printable.Columns(line) + name + 2 + place
		line += printable.Pad(r.Name, name) + "  " + r.Place
		beside := printable.Pad(line, width) + "  " + r.Text
		switch {
		case r.Text == "":
			b.WriteString(line)
		case u.outWidth == 0 || 2+printable.Columns(beside) <= u.outWidth:
			b.WriteString(beside)
		default:
			b.WriteString(line + "\n        " + printable.ShortMiddle(r.Text, u.outWidth-10))
		}
		b.WriteByte('\n')
		for _, more := range r.Below {
			b.WriteString("    " + more + "\n")
		}
	}
	return b.String()
}
