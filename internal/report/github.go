package report

import (
	"fmt"
	"io"
	"strings"

	"pyrr/assert"
	"pyrr/internal/printable"
)

// GitHub prints one workflow command for each check that did not pass, which
// GitHub shows beside the spec's line ("Workflow commands for GitHub
// Actions": error, warning; title, file, line, col).
func GitHub(w io.Writer, run *assert.Run, allowUnjudged bool) error {
	g := &github{w: w}
	for _, s := range run.Specs {
		switch {
		case s.Verdict == assert.XPassed && s.Spec.XFail.Strict:
			g.command("error", s.Spec.File, s.Spec.Place, "xfail holds", s.Reason)
			continue
		case s.Verdict == assert.XFailed, s.Verdict == assert.Skip, s.Verdict == assert.Pass, s.Verdict == assert.XPassed:
			continue
		case len(s.Checks) == 0:
			g.command(level(s.Verdict, allowUnjudged), s.Spec.File, s.Spec.Place, "not judged", s.Reason)
			continue
		}
		for _, c := range s.Checks {
			title := "failed"
			switch c.Verdict {
			case assert.Fail:
			case assert.Broken:
				title = "broken"
			case assert.Unjudged:
				title = "not judged"
			default:
				continue
			}
			place := c.Mark
			if place.Line == 0 {
				place = c.Place
			}
			g.command(level(c.Verdict, allowUnjudged), s.Spec.File, place, title, c.Want+"\n"+c.Got+story(c))
		}
	}
	for _, f := range run.Unused {
		g.command("error", f, assert.Place{Line: 1, Col: 1}, "unused golden", "no spec names this golden")
	}
	for _, f := range run.Unmatched {
		g.command("error", "", assert.Place{}, "unmatched recording", f+" holds no test that its specs are about")
	}
	return g.err
}

func level(v assert.Verdict, allowUnjudged bool) string {
	if v == assert.Unjudged && allowUnjudged {
		return "warning"
	}
	return "error"
}

// story adds the events to an annotation, one a line.
func story(c *assert.Result) string {
	var b strings.Builder
	for _, m := range c.Moments {
		fmt.Fprintf(&b, "\n%s  %s", printable.Grouped(m.Pos.Instr), m.Event)
		if m.File != "" {
			fmt.Fprintf(&b, "  %s:%d %s", m.File, m.Line, m.Func)
		}
	}
	return b.String()
}

type github struct {
	w   io.Writer
	err error
}

var (
	// What a command's data and its properties can't hold as it is.
	dataEscaper     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscaper = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func (g *github) command(level, file string, p assert.Place, title, text string) {
	props := []string{}
	if file != "" {
		props = append(props, "file="+propertyEscaper.Replace(file))
	}
	if p.Line > 0 {
		props = append(props, fmt.Sprintf("line=%d", p.Line), fmt.Sprintf("col=%d", max(p.Col, 1)))
		if p.Len > 1 {
			props = append(props, fmt.Sprintf("endColumn=%d", p.Col+p.Len))
		}
	}
	props = append(props, "title="+propertyEscaper.Replace("pyrr check: "+title))
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = clean(l)
	}
	if g.err == nil {
		_, g.err = fmt.Fprintf(g.w, "::%s %s::%s\n", level, strings.Join(props, ","), dataEscaper.Replace(strings.Join(lines, "\n")))
	}
}
