// Package report prints the result of a check: for people on a terminal, and
// for machines as JSON, JUnit XML and GitHub annotations. All of them read
// the same assert.Run.
// It judges nothing. Begin with Terminal in this file.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"pyrr/assert"
	"pyrr/internal/printable"
)

// Options says how to print.
type Options struct {
	// Colour allows escape sequences; colour is never the only signal.
	Colour bool
	// Durations leaves times out where false, so that goldens are stable.
	Durations bool
	// Verbose lists the checks that hold as well.
	Verbose bool
	// Hints gives commands to go on with after a failed spec; nil gives the
	// usual ones.
	Hints func(s *assert.SpecResult, r *assert.Result) []Hint
}

// Hint is a command to paste, and what it is for.
type Hint struct{ Why, Command string }

// The colours in use: SGR parameters of ECMA-48.
const (
	red    = "1;31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
	dim    = "2"
)

// terminal prints to w; errors of w show at the end.
type terminal struct {
	w    io.Writer
	opts Options
	err  error
}

func (t *terminal) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

func (t *terminal) paint(sgr, s string) string {
	if !t.opts.Colour || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// Terminal prints a run as text: a line for each spec, then what failed, then
// a summary.
func Terminal(w io.Writer, run *assert.Run, opts Options) error {
	t := &terminal{w: w, opts: opts}
	t.list(run)
	for _, s := range run.Specs {
		if s.Verdict == assert.Fail || s.Verdict == assert.Unjudged || s.Verdict == assert.Broken {
			t.spec(s)
		}
	}
	t.leftOver(run)
	t.summary(run)
	return t.err
}

// labels are the first words of the lines.
var labels = map[assert.Verdict][2]string{
	assert.Pass:     {"ok", green},
	assert.Fail:     {"FAIL", red},
	assert.Unjudged: {"????", yellow},
	assert.Skip:     {"skip", yellow},
	assert.XFailed:  {"xfail", yellow},
	assert.XPassed:  {"XPASS", yellow},
	assert.Broken:   {"ERR", red},
}

const labelWidth = 6

func (t *terminal) label(v assert.Verdict) string {
	l := labels[v]
	return t.paint(l[1], l[0]) + strings.Repeat(" ", labelWidth-len(l[0]))
}

// list prints one line for each spec.
func (t *terminal) list(run *assert.Run) {
	several := map[*assert.Spec]int{}
	for _, s := range run.Specs {
		several[s.Spec]++
	}
	width := 0
	names := make([]string, len(run.Specs))
	for i, s := range run.Specs {
		names[i] = s.Spec.ID()
		if several[s.Spec] > 1 {
			names[i] += "  " + s.Recording
		}
		names[i] = clean(names[i])
		width = max(width, utf8.RuneCountInString(names[i]))
	}
	for i, s := range run.Specs {
		gap := strings.Repeat(" ", width-utf8.RuneCountInString(names[i])+3)
		t.printf("%s%s\n", t.label(s.Verdict), strings.TrimRight(names[i]+gap+t.specLine(s), " "))
		if !t.opts.Verbose {
			continue
		}
		for _, c := range s.Checks {
			t.printf("        %s%s\n", t.label(c.Verdict), clean(c.Want))
		}
	}
}

// specLine is what stands behind the name of a spec.
func (t *terminal) specLine(s *assert.SpecResult) string {
	var parts []string
	bad := s.Count(assert.Fail) + s.Count(assert.Unjudged) + s.Count(assert.Broken)
	switch {
	case s.Verdict == assert.Pass:
		parts = append(parts, count(len(s.Checks), "check"), fmt.Sprintf("%6s", printable.Grouped(uint64(s.Events)))+" events")
	case s.Divergence != nil:
		parts = append(parts, "nothing judged: the replay diverged from the recording")
	case len(s.Checks) == 0 || s.Verdict == assert.XFailed || s.Verdict == assert.XPassed:
		parts = append(parts, clean(s.Reason))
	case s.Verdict == assert.Fail:
		parts = append(parts, fmt.Sprintf("%d of %s failed", s.Count(assert.Fail), count(len(s.Checks), "check")))
		if n := s.Count(assert.Unjudged); n > 0 {
			parts = append(parts, fmt.Sprintf("%d not judged", n))
		}
		if s.Reason != "" {
			parts = append(parts, clean(s.Reason))
		}
	case s.Verdict == assert.Broken:
		parts = append(parts, fmt.Sprintf("%d of %s broken", bad, count(len(s.Checks), "check")))
	default:
		parts = append(parts, fmt.Sprintf("%d of %s not judged", bad, count(len(s.Checks), "check")))
	}
	if t.opts.Durations && s.Elapsed > 0 {
		parts = append(parts, fmt.Sprintf("%.1fs", s.Elapsed.Seconds()))
	}
	return strings.Join(parts, "   ")
}

// spec prints the checks of a spec that do not hold.
func (t *terminal) spec(s *assert.SpecResult) {
	if s.Divergence != nil {
		t.divergence(s)
		return
	}
	if len(s.Checks) == 0 {
		t.printf("\n%s%s\n", t.label(s.Verdict), clean(s.Spec.ID()))
		t.printf("  %s %s\n", t.paint(cyan, "-->"), clean(s.Recording))
		t.printf("  not judged: %s\n", clean(s.Reason))
		return
	}
	hintsOf := Hints
	if t.opts.Hints != nil {
		hintsOf = t.opts.Hints
	}
	var hints []Hint
	for _, c := range s.Checks {
		if c.Verdict != assert.Fail && c.Verdict != assert.Unjudged && c.Verdict != assert.Broken {
			continue
		}
		t.printf("\n%s%s\n", t.label(c.Verdict), t.paint(bold, clean(c.Want)))
		t.check(s, c)
		for _, h := range hintsOf(s, c) {
			if !slices.ContainsFunc(hints, func(have Hint) bool { return have.Command == h.Command }) {
				hints = append(hints, h)
			}
		}
	}
	if len(hints) > 0 {
		t.printf("\n")
	}
	for _, h := range hints {
		t.printf("  %s %-14s %s\n", t.paint(cyan, "hint:"), h.Why, h.Command)
	}
}

// Hints are the usual ways on from a check that did not pass.
func Hints(s *assert.SpecResult, c *assert.Result) []Hint {
	var out []Hint
	if r := s.Spec.Record; r != nil {
		command := "pyrr record"
		if r.Timeout > 0 {
			command += " --timeout " + r.Timeout.String()
		}
		out = append(out, Hint{"to look at it", command + " -- " + clean(r.Run)})
	}
	moments := c.Moments
	if len(c.Nearest) > 0 {
		moments = []assert.Moment{c.Nearest[0].Moment} // the moments are in the order of time
	}
	for _, m := range moments {
		if m.Chosen && s.Recording != "" && s.Spec.Record == nil {
			if m.Proc == 1 {
				out = append(out, Hint{"where it was", fmt.Sprintf("pyrr bt --at e%d %s", m.Pos.Event, quote(s.Recording))},
					Hint{"look around", fmt.Sprintf("pyrr replay --at e%d %s", m.Pos.Event, quote(s.Recording))})
				break
			}
			out = append(out, Hint{"look around", fmt.Sprintf("pyrr events --process %d %s", m.Proc, quote(s.Recording))})
			break
		}
	}
	if c.Golden != nil && c.Verdict == assert.Fail && c.Golden.Text != "" {
		why := "if intended"
		if c.Golden.Missing {
			why = "to make it"
		}
		out = append(out, Hint{why, "pyrr accept " + quote(s.Spec.File)})
	}
	return out
}

// check prints one check: where it stands, what was found, and the events or
// the stacks that show it.
func (t *terminal) check(s *assert.SpecResult, c *assert.Result) {
	t.printf("  %s %s:%d:%d", t.paint(cyan, "-->"), clean(s.Spec.File), c.Place.Line, c.Place.Col)
	if c.Golden != nil {
		t.printf("      %s\n", clean(c.Got))
		t.golden(c)
		t.notes(c)
		return
	}
	t.printf("\n")
	say := c.Got
	if c.Verdict == assert.Unjudged {
		say = "can't be judged: " + say
	}
	source := s.Spec.Line(c.Mark.Line)
	caret := assert.Caret(source, c.Mark, say)
	if caret == "" {
		t.printf("   %s\n", clean(say))
	} else {
		num := fmt.Sprint(c.Mark.Line)
		t.printf(" %s %s\n", strings.Repeat(" ", len(num)), t.paint(cyan, " |"))
		for line := range strings.Lines(caret) {
			t.printf(" %s\n", t.caretLine(strings.TrimSuffix(line, "\n")))
		}
		t.printf(" %s %s\n", strings.Repeat(" ", len(num)), t.paint(cyan, " |"))
	}
	t.moments(c.Moments)
	t.nearest(c)
	t.notes(c)
}

// caretLine colours a line of assert.Caret.
func (t *terminal) caretLine(s string) string {
	s = clean(s)
	i := strings.IndexByte(s, '|')
	if i < 0 || !t.opts.Colour {
		return s
	}
	rest := s[i+1:]
	if k := strings.IndexByte(rest, '^'); k >= 0 && strings.TrimSpace(rest[:k]) == "" {
		rest = rest[:k] + t.paint(red, rest[k:])
	}
	return t.paint(cyan, s[:i+1]) + rest
}

// nearest prints what the other near misses failed.
func (t *terminal) nearest(c *assert.Result) {
	if len(c.Nearest) < 2 {
		return
	}
	for _, n := range c.Nearest {
		t.printf("   at %s  %s: %s\n", printable.Grouped(n.Moment.Pos.Instr), clean(n.Clause), clean(n.Say))
	}
}

func (t *terminal) notes(c *assert.Result) {
	for _, n := range c.Notes {
		t.printf("   note: %s\n", clean(n))
	}
}

// moments prints events as a table.
func (t *terminal) moments(all []assert.Moment) {
	if len(all) == 0 {
		return
	}
	processes, framed := map[int]bool{}, false
	for _, m := range all {
		processes[m.Proc] = true
		framed = framed || m.File != ""
	}
	head := []string{"", "time", "", "thread", "event", ""}
	if framed {
		head[5] = "nearest frame outside the standard library"
	}
	rows := [][]string{head}
	for _, m := range all {
		mark := " "
		if m.Chosen {
			mark = "▶"
		}
		thread := threadText(&m)
		if len(processes) > 1 {
			thread = fmt.Sprintf("%d/%s", m.Proc, thread)
		}
		frame := ""
		if m.File != "" {
			frame = fmt.Sprintf("%s:%d", m.File, m.Line)
		}
		rows = append(rows, []string{mark, printable.Grouped(m.Pos.Instr), fmt.Sprintf("%.3fs", m.Start.Seconds()), thread, m.Event, frame, m.Func})
	}
	t.columns(rows, map[int]bool{1: true, 2: true})
}

func threadText(m *assert.Moment) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", m.Thread, m.ThreadName))
}

// columns prints rows with aligned columns; the first row is a heading, whose
// last cell may be as long as it likes.
func (t *terminal) columns(rows [][]string, right map[int]bool) {
	var widths []int
	for n, row := range rows {
		for i := range row {
			row[i] = clean(row[i])
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if n > 0 || i < len(row)-1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			}
		}
	}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
			if right[i] {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
			b.WriteString("  ")
		}
		line := " " + strings.TrimRight(b.String(), " ")
		if n == 0 {
			line = t.paint(dim, line)
		} else if strings.HasPrefix(line, " ▶") {
			line = " " + t.paint(red, "▶") + strings.TrimPrefix(line, " ▶")
		}
		t.printf("%s\n", line)
	}
}

// context is how many equal frames are shown around a difference.
const context = 1
