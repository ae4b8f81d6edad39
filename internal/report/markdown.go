package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"pyrr/assert"
	"pyrr/internal/printable"
)

// MaxSummary is the size to which a job's summary is kept. GitHub takes 1024
// KiB for a step and shows nothing of what is larger.
const MaxSummary = 900 << 10

// Markdown prints a run as the summary of a GitHub job, in at most the given
// number of bytes: what failed comes first, and what does not fit is counted.
func Markdown(w io.Writer, run *assert.Run, most int) error {
	var head strings.Builder
	fmt.Fprintf(&head, "## pyrr check: %s\n\n", countsOf(run, unpainted))
	var blocks []string
	specs := slices.Clone(run.Specs)
	weight := func(s *assert.SpecResult) int {
		switch {
		case s.Failed():
			return 0
		case s.Verdict == assert.Broken:
			return 1
		case s.Verdict == assert.Unjudged:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(specs, func(a, b *assert.SpecResult) int { return weight(a) - weight(b) })
	for _, f := range run.Unused {
		blocks = append(blocks, "- "+printable.Code(f)+" is a golden that no spec names\n")
	}
	for _, f := range run.Unmatched {
		blocks = append(blocks, "- "+printable.Code(f)+" is a recording that holds no test that its specs are about\n")
	}
	rest := 0
	for _, s := range specs {
		if weight(s) == 3 {
			rest++
			continue
		}
		var b strings.Builder
		t := &terminal{w: &b}
		t.spec(s)
		if len(s.Checks) > 0 && s.Verdict == assert.XPassed {
			fmt.Fprintf(&b, "%s\n", clean(s.Reason))
		}
		blocks = append(blocks, fmt.Sprintf("### %s %s\n\n%s\n", labels[s.Verdict][0], printable.Code(s.Spec.ID()), printable.Fenced(b.String())))
	}
	if rest > 0 {
		var b strings.Builder
		b.WriteString("<details><summary>the others</summary>\n\n| | spec | |\n|---|---|---|\n")
		for _, s := range specs {
			if weight(s) == 3 {
				t := &terminal{}
				fmt.Fprintf(&b, "| %s | %s | %s |\n", labels[s.Verdict][0], cell(printable.Code(s.Spec.ID())), cell(printable.Code(t.specLine(s))))
			}
		}
		b.WriteString("\n</details>\n")
		blocks = append(blocks, b.String())
	}
	const note = "\n… and %d more that did not fit here\n"
	left := most - head.Len() - len(note) - 8
	for i, b := range blocks {
		if len(b) > left {
			fmt.Fprintf(&head, note, len(blocks)-i)
			break
		}
		left -= len(b)
		head.WriteString(b)
	}
	if head.Len() > most {
		return nil // not even the heading fits
	}
	_, err := io.WriteString(w, head.String())
	return err
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
