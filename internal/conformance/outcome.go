package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Outcome is what a run of CPython's regression tests came to, without what
// differs between any two runs. See Lib/test/libregrtest/main.py.
type Outcome struct {
	Status int
	// Result is the word of regrtest: SUCCESS, FAILURE, ENV CHANGED, NO TEST RUN.
	Result string
	// Ran are unittest's summaries: the number of tests, and how they ended.
	Ran []string
	// Bad are the tests that failed, sorted.
	Bad []string
	// Skipped says that the file as a whole was skipped.
	Skipped bool
}

var (
	resultLine = regexp.MustCompile(`^== Tests result: (.*) ==$`)
	ranLine    = regexp.MustCompile(`^Ran (\d+) tests? in `)
	endLine    = regexp.MustCompile(`^(OK|FAILED|NO TESTS RAN)( \(.*\))?$`)
	badLine    = regexp.MustCompile(`^(FAIL|ERROR): (\S+ \([^)]*\))`)
	skipLine   = regexp.MustCompile(`^test_\S+ skipped`)
)

// ParseOutcome reads the outcome from the output of `python -m test -v FILE`.
func ParseOutcome(out Output) Outcome {
	o := Outcome{Status: out.Status}
	for _, text := range []string{out.Stdout, out.Stderr} {
		ran := ""
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\r\n")
			if m := resultLine.FindStringSubmatch(line); m != nil {
				o.Result = m[1]
			} else if m := ranLine.FindStringSubmatch(line); m != nil {
				ran = m[1]
			} else if m := endLine.FindStringSubmatch(line); m != nil && ran != "" {
				o.Ran = append(o.Ran, ran+" "+m[0])
				ran = ""
			} else if m := badLine.FindStringSubmatch(line); m != nil {
				o.Bad = append(o.Bad, m[1]+" "+m[2])
			} else if skipLine.MatchString(line) {
				o.Skipped = true
			}
		}
	}
	slices.Sort(o.Bad)
	o.Bad = slices.Compact(o.Bad)
	return o
}

// Verdict says what a native run with this outcome is worth.
func (o Outcome) Verdict() Verdict {
	switch {
	case o.Skipped && (o.Status == 0 || o.Result == "NO TESTS RAN"): // a status of its own from 3.12 on
		return Skip
	case o.Status != 0:
		return Fail
	default:
		return Pass
	}
}

// Diff says in what a recorded run's outcome differs from a native one's, or "".
func (o Outcome) Diff(recorded Outcome) string {
	var lost []string
	for _, bad := range recorded.Bad {
		if !slices.Contains(o.Bad, bad) {
			lost = append(lost, bad)
		}
	}
	switch {
	case len(lost) > 0:
		return clean(strings.Join(lost, ", "))
	case o.Status != recorded.Status:
		return fmt.Sprintf("status %d instead of %d", recorded.Status, o.Status)
	case o.Result != recorded.Result:
		return clean(fmt.Sprintf("%s instead of %s", recorded.Result, o.Result))
	case !slices.Equal(o.Ran, recorded.Ran):
		return clean(fmt.Sprintf("ran %s instead of %s", strings.Join(recorded.Ran, ", "), strings.Join(o.Ran, ", ")))
	}
	return ""
}
