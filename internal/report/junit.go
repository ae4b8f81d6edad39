package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"pyrr/assert"
)

// The JUnit form as CI systems read it: a suite for each spec and recording,
// a case for each check. There is no standard; the elements are those of
// https://github.com/testmoapp/junitxml.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		junitCounts
		Suites []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		junitCounts
		Cases []junitCase `xml:"testcase"`
	}
	// junitCounts are the attributes of a suite, and of all together.
	junitCounts struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Time     string `xml:"time,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr,omitempty"`
		Time    string        `xml:"time,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
		Skipped *junitProblem `xml:"skipped"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

var _ = form(Form{Flag: "junitxml", Help: "write the results to `FILE` as JUnit XML, too, after each spec", File: true, Often: true, Write: JUnit})

// JUnit prints a run as JUnit XML. A check that failed is a failure, one that
// could not be judged an error: a program that changed and a recording that
// can't be read stay apart.
func JUnit(w io.Writer, run *assert.Run, allowUnjudged bool) error {
	out := junitSuites{junitCounts: junitCounts{Name: "pyrr check", Time: seconds(run.Elapsed.Seconds())}}
	for _, s := range run.Specs {
		out.add(suiteOf(s, allowUnjudged))
	}
	var rest junitSuite
	problem := func(name, msg string) {
		rest.add(junitCase{Name: name, Class: "pyrr check", File: name, Time: "0", Error: &junitProblem{Message: msg, Type: "spec"}})
	}
	for _, f := range run.Unused {
		problem(xmlText(f), "this golden is named by no spec")
	}
	for _, f := range run.Unmatched {
		problem(xmlText(f), "this recording holds no test that its specs are about")
	}
	if rest.Tests > 0 {
		rest.Name, rest.Time = "pyrr check", "0"
		out.add(rest)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuites) add(suite junitSuite) {
	s.Suites = append(s.Suites, suite)
	s.Tests += suite.Tests
	s.Failures += suite.Failures
	s.Errors += suite.Errors
	s.Skipped += suite.Skipped
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func suiteOf(s *assert.SpecResult, allowUnjudged bool) junitSuite {
	out := junitSuite{junitCounts: junitCounts{Name: xmlText(s.Spec.ID()), Time: seconds(s.Elapsed.Seconds())}}
	base := junitCase{Class: xmlText(s.Spec.File), File: xmlText(s.Spec.File), Time: "0"}
	if len(s.Checks) == 0 || s.Verdict == assert.XPassed {
		c := base
		c.Name = xmlText(s.Spec.ID())
		if len(s.Checks) == 0 || s.Spec.XFail.Strict {
			c.set(s.Verdict, s.Reason, "", allowUnjudged)
		}
		out.add(c)
		if len(s.Checks) == 0 {
			return out
		}
	}
	for _, r := range s.Checks {
		c := base
		c.Name, c.Line = xmlText(r.ID), r.Place.Line
		v, reason := r.Verdict, r.Got
		if s.Verdict == assert.XFailed && v == assert.Fail {
			v, reason = assert.XFailed, s.Reason
		}
		var text strings.Builder
		t := terminal{w: &text}
		if v != assert.Pass && v != assert.XFailed {
			t.check(s, r)
		}
		c.set(v, reason, text.String(), allowUnjudged)
		out.add(c)
	}
	return out
}

func (c *junitCase) set(v assert.Verdict, reason, text string, allowUnjudged bool) {
	p := &junitProblem{Message: xmlText(reason), Type: string(v), Text: xmlText(text)}
	switch v {
	case assert.Fail, assert.XPassed:
		c.Failure = p
	case assert.Unjudged:
		if allowUnjudged {
			c.Skipped = p
		} else {
			c.Error = p
		}
	case assert.Broken:
		c.Error = p
	case assert.Skip, assert.XFailed:
		c.Skipped = p
	}
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

// xmlText leaves out what XML 1.0 can't hold (section 2.2 of its standard).
func xmlText(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF {
			return '\ufffd'
		}
		return r
	}, s)
}
