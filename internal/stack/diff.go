package stack

import (
	"strconv"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// Op says what became of a frame between the golden and the recording.
type Op uint8

// The kinds of rows of a Diff.
const (
	Same  Op = iota + 1 // as wanted
	Moved               // as wanted, on another line of the file
	Gone                // wanted, not there
	Added               // there, not wanted
	Any                 // there, and stood for by "…"
	Gap                 // "…" itself
)

// Row is one line of a Diff.
type Row struct {
	Op Op
	// Want numbers the golden's frames and Got the stack's, from 0; -1 for
	// none. A golden's "…" has no number.
	Want, Got int
	Line      Line  // of the golden, where Op is not Added or Any
	Frame     Frame // of the stack, where Op is not Gone or Gap
}

// Diff is a stack held against a pattern.
type Diff struct {
	Equal bool
	Rows  []Row
	// Thread is set where the names of the threads differ.
	Thread bool
	// Moved counts frames that stand on another line, with the same text.
	Moved int
	// ByNumber counts frames whose golden has a source text but whose source
	// was not at hand, so that the line number decided.
	ByNumber int
	// Open counts frames of which the golden gives the source text but any
	// line number, and whose source was not at hand: they may or may not be
	// the wanted ones.
	Open int
}

// First returns the number of the first frame that differs, in the golden
// or, where it is only there, in the stack; -1 for none.
func (d *Diff) First() int {
	for _, r := range d.Rows {
		switch r.Op {
		case Gone:
			return r.Want
		case Added:
			return r.Got
		}
	}
	return -1
}

// fit is how a line of a golden stands to a frame.
type fit struct{ ok, moved, byNumber, open bool }

// fits holds a frame of a Normal stack against a line. The source text
// decides where both have one; the number decides where not.
func fits(l *Line, f *Frame, exact bool) fit {
	if l.Gap || l.Kind != f.Kind || !Glob(l.Func, literal(f.Func)) {
		return fit{}
	}
	if l.Kind == C {
		return fit{ok: l.File == "" || Glob(l.File, literal(f.Module))}
	}
	if !Glob(l.File, literal(f.File)) {
		return fit{}
	}
	number := "?"
	if f.Line > 0 {
		number = strconv.Itoa(f.Line)
	}
	sameNumber := l.Number == "" || l.Number == "*" || l.Number == number
	if l.Text != "" && f.Text != "" {
		if !Glob(l.Text, tidy(f.Text)) || exact && !sameNumber {
			return fit{}
		}
		return fit{ok: true, moved: !sameNumber}
	}
	res := fit{ok: sameNumber}
	if sameNumber && l.Text != "" {
		res.byNumber = l.Number == number
		res.open = !res.byNumber
	}
	return res
}

func literal(s string) string {
	if s = tidy(s); s == "" {
		return "?"
	}
	return s
}

// maxAlign bounds the work of aligning what does not match: lines times
// frames. Above it they are listed side by side as they come.
const maxAlign = 16 << 20

// Compare holds a Normal stack against a pattern. With exact, a frame on
// another line differs even where the text is the same.
func Compare(want Pattern, got Stack, exact bool) Diff {
	var d Diff
	d.Thread = want.Thread != "" && !Glob(want.Thread, literal(got.Name))
	rows, ok := align(want.Lines, got.Frames, exact)
	switch {
	case ok:
	case len(want.Lines)*len(got.Frames) > maxAlign:
		all := make([]int, len(got.Frames))
		for j := range all {
			all[j] = j
		}
		rows = hunk(want.Lines, all, got.Frames)
	default:
		rows = diffRows(want.Lines, got.Frames, exact)
	}
	d.Rows = rows
	d.Equal = ok && !d.Thread
	n := 0
	for i := range rows {
		r := &rows[i]
		r.Want = -1
		if r.Op == Same || r.Op == Moved || r.Op == Gone {
			r.Want = n
			n++
		}
		if r.Op == Same {
			switch f := fits(&r.Line, &r.Frame, exact); {
			case f.moved:
				r.Op = Moved
				d.Moved++
			case f.byNumber:
				d.ByNumber++
			case f.open:
				d.Open++
			}
		}
	}
	return d
}

// align matches all lines with all frames, "…" as a wildcard. As in Glob,
// only the last "…" is ever gone back to.
func align(lines []Line, frames []Frame, exact bool) ([]Row, bool) {
	at := make([]int, len(lines)) // frame of each line; where a gap begins
	i, j, gap, mark := 0, 0, -1, 0
	for j < len(frames) {
		switch {
		case i < len(lines) && lines[i].Gap:
			gap, mark = i, j
			at[i] = j
			i++
		case i < len(lines) && fits(&lines[i], &frames[j], exact).ok:
			at[i] = j
			i++
			j++
		case gap >= 0:
			mark++
			i, j = gap+1, mark
		default:
			return nil, false
		}
	}
	for ; i < len(lines); i++ {
		if !lines[i].Gap {
			return nil, false
		}
		at[i] = len(frames)
	}
	var rows []Row
	for i := range lines {
		if !lines[i].Gap {
			rows = append(rows, Row{Op: Same, Got: at[i], Line: lines[i], Frame: frames[at[i]]})
			continue
		}
		rows = append(rows, Row{Op: Gap, Got: -1, Line: lines[i]})
		end := len(frames)
		if i+1 < len(lines) {
			end = at[i+1]
		}
		for k := at[i]; k < end; k++ {
			rows = append(rows, Row{Op: Any, Got: k, Frame: frames[k]})
		}
	}
	return rows, true
}

// diffRows aligns lines and frames that do not match: each distinct frame
// becomes a character, and the two texts are compared.
func diffRows(lines []Line, frames []Frame, exact bool) []Row {
	got := make([]rune, len(frames))
	type key struct {
		kind                     Kind
		fn, file, module, source string
		line                     int
	}
	known := map[key]rune{}
	next := rune(1)
	fresh := func() rune {
		r := next
		if next++; next == 0xD800 { // surrogates are not characters
			next = 0xE000
		}
		return r
	}
	var distinct []int // first frame of each character
	for j := range frames {
		f := &frames[j]
		k := key{f.Kind, f.Func, f.File, f.Module, f.Text, f.Line}
		if _, ok := known[k]; !ok {
			known[k] = fresh()
			distinct = append(distinct, j)
		}
		got[j] = known[k]
	}
	want := make([]rune, len(lines))
	seen := map[Line]rune{}
	for i := range lines {
		l := lines[i]
		l.Source = 0
		if r, ok := seen[l]; ok && !l.Gap {
			want[i] = r
			continue
		}
		for _, j := range distinct {
			if fits(&lines[i], &frames[j], exact).ok {
				want[i] = got[j]
				break
			}
		}
		if want[i] == 0 {
			want[i] = fresh()
		}
		seen[l] = want[i]
	}
	dmp := diffmatchpatch.New()
	dmp.DiffTimeout = 0 // the default ends the search by the clock
	var rows []Row
	i, j := 0, 0
	var gone []Line
	var added []int
	flush := func() {
		rows = append(rows, hunk(gone, added, frames)...)
		gone, added = nil, nil
	}
	for _, d := range dmp.DiffMainRunes(want, got, false) {
		for range []rune(d.Text) {
			switch d.Type {
			case diffmatchpatch.DiffDelete:
				gone = append(gone, lines[i])
				i++
			case diffmatchpatch.DiffInsert:
				added = append(added, j)
				j++
			default:
				flush()
				rows = append(rows, Row{Op: Same, Got: j, Line: lines[i], Frame: frames[j]})
				i++
				j++
			}
		}
	}
	flush()
	return rows
}

// hunk lays out the lines and frames between two common ones. The first "…"
// takes the frames for which there is no line; a line and a frame that stand
// opposite come one after the other.
func hunk(gone []Line, added []int, frames []Frame) []Row {
	gap := -1
	for i, l := range gone {
		if l.Gap {
			gap = i
			break
		}
	}
	var rows []Row
	pair := func(gone []Line, added []int) {
		for i := range max(len(gone), len(added)) {
			if i < len(gone) {
				op := Gone
				if gone[i].Gap {
					op = Gap
				}
				rows = append(rows, Row{Op: op, Got: -1, Line: gone[i]})
			}
			if i < len(added) {
				rows = append(rows, Row{Op: Added, Got: added[i], Frame: frames[added[i]]})
			}
		}
	}
	if gap < 0 {
		pair(gone, added)
		return rows
	}
	before := min(gap, len(added))
	after := min(len(gone)-gap-1, len(added)-before)
	pair(gone[:gap], added[:before])
	rows = append(rows, Row{Op: Gap, Got: -1, Line: gone[gap]})
	for _, j := range added[before : len(added)-after] {
		rows = append(rows, Row{Op: Any, Got: j, Frame: frames[j]})
	}
	pair(gone[gap+1:], added[len(added)-after:])
	return rows
}
