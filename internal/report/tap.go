package report

import (
	"fmt"
	"io"
	"strings"

	"pyrr/assert"
)

var _ = form(Form{Flag: "tap", Help: "print the Test Anything Protocol, version 14", Write: TAP})

// TAP prints a run in the Test Anything Protocol, version 14: a test point
// for each check, what was found in a YAML block.
func TAP(w io.Writer, run *assert.Run, allowUnjudged bool) error {
	t := &tap{w: w}
	for _, s := range run.Specs {
		t.spec(s, allowUnjudged)
	}
	for _, f := range run.Unused {
		t.point(false, f+" unused golden", "", "no spec names this golden")
	}
	for _, f := range run.Unmatched {
		t.point(false, f+" unmatched recording", "", "it holds no test that its specs are about")
	}
	_, err := fmt.Fprintf(w, "TAP version 14\n1..%d\n%s", t.n, t.b.String())
	return err
}

type tap struct {
	w io.Writer
	b strings.Builder
	n int
}

func (t *tap) spec(s *assert.SpecResult, allowUnjudged bool) {
	switch {
	case s.Verdict == assert.Skip:
		t.point(true, s.Spec.ID(), "SKIP "+s.Reason, "")
		return
	case len(s.Checks) == 0:
		t.point(allowUnjudged && s.Verdict == assert.Unjudged, s.Spec.ID(), "", s.Reason)
		return
	case s.Verdict == assert.XPassed:
		t.point(!s.Failed(), s.Spec.ID(), "", s.Reason)
		return
	}
	for _, c := range s.Checks {
		directive := ""
		if s.Verdict == assert.XFailed && c.Verdict != assert.Pass {
			directive = "TODO " + s.Reason
		}
		got := c.Got
		if c.Verdict == assert.Unjudged {
			got = "can't be judged: " + got
		}
		ok := c.Verdict == assert.Pass || c.Verdict == assert.Unjudged && allowUnjudged
		if ok {
			got = ""
		}
		t.point(ok, c.ID+" "+c.Want, directive, got+story(c))
	}
}

// point prints a test point. A # would begin a directive.
func (t *tap) point(ok bool, name, directive, got string) {
	t.n++
	word := "ok"
	if !ok {
		word = "not ok"
	}
	fmt.Fprintf(&t.b, "%s %d - %s", word, t.n, strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(clean(name)))
	if directive != "" {
		t.b.WriteString(" # " + clean(directive))
	}
	t.b.WriteByte('\n')
	if ok || got == "" {
		return
	}
	t.b.WriteString("  ---\n  message: |\n")
	for line := range strings.SplitSeq(got, "\n") {
		fmt.Fprintf(&t.b, "    %s\n", clean(line))
	}
	t.b.WriteString("  ...\n")
}
