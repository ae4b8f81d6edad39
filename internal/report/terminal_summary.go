package report

import (
	"fmt"
	"strings"
	"time"

	"pyrr/assert"
	"pyrr/internal/printable"
)

// divergence prints what kept a recording from being judged. It looks unlike
// a failed check: the program did not change, pyrr can't tell.
func (t *terminal) divergence(s *assert.SpecResult) {
	d := s.Divergence
	t.printf("\n%s%s: the replay diverged, so nothing was judged\n", t.label(assert.Unjudged), clean(s.Spec.ID()))
	t.printf("  %s %s, at %s (event %d of process %d)\n", t.paint(cyan, "-->"), clean(s.Recording), printable.Grouped(d.Pos.Instr), d.Pos.Event, d.Proc)
	t.printf("     recorded   %s\n", clean(d.Recorded))
	t.printf("     came       %s\n", clean(d.Came))
	for _, a := range d.Around {
		t.printf("       %s\n", t.paint(dim, clean(a)))
	}
	t.printf("\n  %s %-14s pyrr replay --batch %s\n", t.paint(cyan, "hint:"), "see it again", quote(s.Recording))
}

// leftOver prints the mistakes that belong to no check.
func (t *terminal) leftOver(run *assert.Run) {
	for _, f := range run.Unused {
		t.printf("\n%s%s is a golden that no spec names\n", t.label(assert.Broken), clean(f))
		t.printf("  %s %-14s rm %s\n", t.paint(cyan, "hint:"), "if it is old", quote(f))
	}
	for _, f := range run.Unmatched {
		t.printf("\n%s%s is a recording that holds no test that its specs are about\n", t.label(assert.Broken), clean(f))
	}
}

// summary prints the last line.
func (t *terminal) summary(run *assert.Run) {
	line := countsOf(run, t.paint)
	if t.opts.Durations {
		line += fmt.Sprintf("   %.1fs", run.Elapsed.Round(100*time.Millisecond).Seconds())
	}
	t.printf("\n%s\n", line)
}

// countsOf sums a run up in one line.
func countsOf(run *assert.Run, paint func(sgr, s string) string) string {
	order := []assert.Verdict{assert.Fail, assert.Broken, assert.Unjudged, assert.XPassed, assert.XFailed, assert.Skip, assert.Pass}
	words := map[assert.Verdict]string{assert.Fail: "failed", assert.Broken: "broken", assert.Unjudged: "not judged",
		assert.XPassed: "held against xfail", assert.XFailed: "failed as expected", assert.Skip: "skipped", assert.Pass: "held"}
	n := map[assert.Verdict]int{}
	for _, s := range run.Specs {
		n[s.Verdict]++
	}
	var parts []string
	for _, v := range order {
		if n[v] > 0 {
			parts = append(parts, paint(labels[v][1], fmt.Sprintf("%d %s", n[v], words[v])))
		}
	}
	if n := len(run.Unused); n > 0 {
		parts = append(parts, paint(red, count(n, "unused golden")))
	}
	if n := len(run.Unmatched); n > 0 {
		parts = append(parts, paint(red, count(n, "unmatched recording")))
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing to check")
	}
	line := strings.Join(parts, ", ")
	if len(run.Specs) > 0 {
		line = count(len(run.Specs), "spec") + ": " + line
	}
	return line
}

// unpainted leaves text as it is.
func unpainted(_, s string) string { return s }
