package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"pyrr/assert"
	"pyrr/internal/printable"
	"pyrr/internal/stack"
)

//go:embed report.html
var checkPage string

//go:embed page.css
var pageStyle string

// parsePage parses a page, when it is printed: most commands print none.
func parsePage(page string) *template.Template {
	t := template.Must(template.New("page").Parse(page))
	template.Must(t.New("style").Parse(pageStyle))
	return t
}

// What the page shows. The template holds no logic but loops.
type (
	htmlPage struct {
		Title, Summary string
		Failed         bool
		Specs          []htmlSpec
		Problems       []string
	}
	htmlSpec struct {
		ID, Name, Label, Class, Line, Recording, Reason string
		Open                                            bool
		Divergence                                      *htmlDivergence
		Checks                                          []htmlCheck
	}
	htmlDivergence struct {
		At, Recorded, Came string
		Around             []string
	}
	htmlCheck struct {
		Label, Class, Want, Got, Place, Source, Marked, Rest string
		Bad                                                  bool
		Moments                                              []htmlMoment
		Nearest                                              []string
		Stacks                                               []Stack
		Notes                                                []string
		Hints                                                []Hint
	}
	htmlMoment struct {
		At, Time, Thread, Event, Place, Func string
		Chosen                               bool
	}
)

// Stack is a stack held against a golden, ready to be shown: texts are clean.
type Stack struct {
	Name string `json:"name"`
	Note string `json:"note,omitempty"`
	Rows []Row  `json:"rows"`
}

// Row is a frame of it. Class is gone, added, moved, any or "" for one that is equal; Want
// and Got are its numbers in the golden and in what was seen, "" for none.
type Row struct {
	Class string `json:"class,omitempty"`
	Want  string `json:"want,omitempty"`
	Got   string `json:"got,omitempty"`
	Kind  string `json:"kind,omitempty"`
	Func  string `json:"func"`
	Place string `json:"place,omitempty"`
	Text  string `json:"text,omitempty"`
}

var _ = form(Form{Flag: "html", Help: "write one HTML `FILE`, too", File: true, Write: func(w io.Writer, run *assert.Run, _ bool) error { return HTML(w, run) }})

// HTML prints a run as one page that needs nothing else.
func HTML(w io.Writer, run *assert.Run) error {
	p := htmlPage{Title: "pyrr check", Summary: countsOf(run, unpainted), Failed: run.Outcome() != assert.OutcomePass}
	for _, s := range run.Specs {
		p.Specs = append(p.Specs, htmlSpecOf(s))
	}
	for _, f := range run.Unused {
		p.Problems = append(p.Problems, clean(f)+" is a golden that no spec names")
	}
	for _, f := range run.Unmatched {
		p.Problems = append(p.Problems, clean(f)+" is a recording that holds no test that its specs are about")
	}
	return parsePage(checkPage).Execute(w, p)
}

func htmlClass(v assert.Verdict) string {
	switch v {
	case assert.Pass:
		return "pass"
	case assert.Fail, assert.Broken:
		return "fail"
	}
	return "open"
}

func htmlSpecOf(s *assert.SpecResult) htmlSpec {
	t := &terminal{opts: Options{Durations: true}}
	out := htmlSpec{ID: clean(s.Spec.ID()), Name: clean(s.Spec.Name), Label: labels[s.Verdict][0], Class: htmlClass(s.Verdict),
		Line: t.specLine(s), Recording: clean(s.Recording), Open: s.Verdict != assert.Pass && s.Verdict != assert.Skip}
	if s.Failed() {
		out.Class = "fail"
	}
	if len(s.Checks) == 0 {
		out.Reason = clean(s.Reason)
	}
	if d := s.Divergence; d != nil {
		out.Divergence = &htmlDivergence{At: fmt.Sprintf("%s, event %d of process %d", printable.Grouped(d.Pos.Instr), d.Pos.Event, d.Proc),
			Recorded: clean(d.Recorded), Came: clean(d.Came)}
		for _, a := range d.Around {
			out.Divergence.Around = append(out.Divergence.Around, clean(a))
		}
	}
	for _, c := range s.Checks {
		out.Checks = append(out.Checks, htmlCheckOf(s, c))
	}
	return out
}

func htmlCheckOf(s *assert.SpecResult, c *assert.Result) htmlCheck {
	out := htmlCheck{Label: labels[c.Verdict][0], Class: htmlClass(c.Verdict), Want: clean(c.Want), Got: clean(c.Got), Bad: c.Verdict != assert.Pass,
		Place: clean(fmt.Sprintf("%s:%d:%d", s.Spec.File, c.Place.Line, c.Place.Col))}
	if c.Verdict == assert.Unjudged {
		out.Got = "can't be judged: " + out.Got
	}
	source := []rune(s.Spec.Line(c.Mark.Line))
	if from := c.Mark.Col - 1; out.Bad && from >= 0 && from+c.Mark.Len <= len(source) {
		out.Source, out.Marked = clean(string(source[:from])), clean(string(source[from:from+c.Mark.Len]))
		out.Rest = clean(string(source[from+c.Mark.Len:]))
	}
	for _, m := range c.Moments {
		h := htmlMoment{At: printable.Grouped(m.Pos.Instr), Time: fmt.Sprintf("%.3fs", m.Start.Seconds()), Thread: clean(threadText(&m)), Event: clean(m.Event), Chosen: m.Chosen}
		if m.File != "" {
			h.Place, h.Func = clean(fmt.Sprintf("%s:%d", m.File, m.Line)), clean(m.Func)
		}
		out.Moments = append(out.Moments, h)
	}
	for _, n := range c.Nearest {
		if len(c.Nearest) < 2 {
			break // it is told above
		}
		out.Nearest = append(out.Nearest, clean(fmt.Sprintf("%s, %s: %s: %s", printable.Grouped(n.Moment.Pos.Instr), n.Moment.Event, n.Clause, n.Say)))
	}
	for _, n := range c.Notes {
		out.Notes = append(out.Notes, clean(n))
	}
	if out.Bad {
		out.Hints = Hints(s, c)
	}
	if c.Golden != nil {
		for i := range c.Golden.Threads {
			out.Stacks = append(out.Stacks, StackOf(&c.Golden.Threads[i]))
		}
	}
	return out
}

// StackOf makes a thread's stack ready to be shown.
func StackOf(d *assert.ThreadDiff) Stack {
	out := Stack{Name: clean(d.Name)}
	switch {
	case d.NoGot:
		out.Note = "only in the golden"
	case d.NoWant:
		out.Note = "not in the golden"
	case d.Diff.Thread:
		out.Note = "the golden names another thread"
	}
	classes := map[stack.Op]string{stack.Gone: "gone", stack.Added: "added", stack.Moved: "moved", stack.Any: "any"}
	for i := range d.Diff.Rows {
		r := &d.Diff.Rows[i]
		if r.Op == stack.Gap {
			out.Rows = append(out.Rows, Row{Class: "any", Func: "…"})
			continue
		}
		l := rowLine(r)
		kind := "Py"
		if l.Kind == stack.C {
			kind = "C"
		}
		out.Rows = append(out.Rows, Row{Class: classes[r.Op], Want: number(r.Want), Got: number(r.Got), Kind: kind,
			Func: clean(l.Func), Place: clean(l.Place()), Text: clean(l.Text)})
	}
	return out
}
