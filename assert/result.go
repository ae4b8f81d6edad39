package assert

import (
	"fmt"
	"strings"
	"time"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// Verdict is what a check or a spec came to.
type Verdict string

// The verdicts. Unjudged is never a pass.
const (
	Pass     Verdict = "pass"
	Fail     Verdict = "fail"
	Unjudged Verdict = "unjudged"
	Skip     Verdict = "skip"
	XFailed  Verdict = "xfail" // does not hold, as it was said
	XPassed  Verdict = "xpass" // holds, although it was said not to
	Broken   Verdict = "error" // the spec or a golden is wrong
)

// Result is what one check came to: an expectation or a golden.
type Result struct {
	Name    string // conn, recv#2, golden conn
	ID      string // specs/pool_read.yaml::conn[tls]
	Verdict Verdict
	Want    string // the expectation as a sentence, or the golden's name
	// Got says what was found, in one line; "" for a pass.
	Got string
	// Place is where the check stands in the spec, Mark the piece of it that
	// failed.
	Place, Mark Place
	// Moments are the events that tell the story, in order.
	Moments []Moment
	// Nearest are the events that came nearest, the best first.
	Nearest []Candidate
	Golden  *GoldenResult // of a golden
	// Took are events that a sentence which holds is about, the first few: what
	// no report prints, and a picture can show.
	Took  []Moment
	Notes []string
}

// Moment is an event as reports show it.
type Moment struct {
	Index      int // of the Source's events
	Proc       int
	Thread     int
	ThreadName string
	Pos        recording.Pos
	Start      time.Duration
	Event      string // connect(3, 127.0.0.1:8888)
	// File, Line and Func are the innermost frame outside the standard
	// library, or the innermost one; File is "" where it is not known.
	File string
	Line int
	Func string
	// Inner is the innermost Python frame itself, its file shortened.
	Inner stack.Frame
	// Chosen marks the events that the check is about; the others only show
	// what came before.
	Chosen bool
}

// Candidate is an event that an expectation did not take.
type Candidate struct {
	Moment Moment
	// Clause is the first clause that it failed, Say what was found instead.
	Clause string
	Say    string
	Mark   Place
}

// GoldenResult is a stack, or several, held against a golden.
type GoldenResult struct {
	File    string // as the spec names it, with its folder
	Missing bool   // there is no such file
	Threads []ThreadDiff
	// Text is what Accept would write, "" where nothing was found.
	Text string
}

// ThreadDiff is one thread's stack held against its part of a golden.
type ThreadDiff struct {
	Name string // of the thread
	Diff stack.Diff
	// NoWant is set for a thread that the golden doesn't have, NoGot for one
	// that only the golden has.
	NoWant, NoGot bool
}

// SpecResult is what one spec came to over one recording.
type SpecResult struct {
	Spec      *Spec
	Recording string
	Verdict   Verdict
	// Reason says why it was skipped or not judged, or is broken.
	Reason     string
	Divergence *Divergence
	Checks     []*Result
	Events     int // of the recording
	Elapsed    time.Duration
}

// Count counts the checks with a verdict.
func (s *SpecResult) Count(v Verdict) int {
	n := 0
	for _, c := range s.Checks {
		if c.Verdict == v {
			n++
		}
	}
	return n
}

// settle gives the spec its verdict from those of its checks.
func (s *SpecResult) settle(st *State) {
	s.Verdict = Pass
	for _, c := range s.Checks {
		switch {
		case c.Verdict == Fail:
			s.Verdict = Fail
		case c.Verdict == Broken && s.Verdict != Fail:
			s.Verdict = Broken
		case c.Verdict == Unjudged && s.Verdict == Pass:
			s.Verdict = Unjudged
		}
	}
	x := s.Spec.XFail
	if x == nil {
		return
	}
	reason := orNone("", x.Reason, "it is the failure "+x.Fingerprint)
	switch {
	case s.Verdict == Fail && x.Fingerprint != "" && x.Fingerprint != st.Fingerprint:
		s.Reason = "xfail is about " + x.Fingerprint + ", and this is " + orNone("", st.Fingerprint, "a recording without a verdict")
	case s.Verdict == Fail:
		s.Verdict, s.Reason = XFailed, reason
	case s.Verdict == Pass:
		s.Verdict = XPassed
		s.Reason = "it holds, but xfail says: " + reason
	}
}

// Failed reports whether the verdict fails the run for good: what could not
// be judged does not.
func (s *SpecResult) Failed() bool {
	return s.Verdict == Fail || s.Verdict == XPassed && s.Spec.XFail.Strict
}

// Run is the result of Check.
type Run struct {
	Specs []*SpecResult
	// Unused are golden files that no spec names.
	Unused []string
	// Unmatched are recordings whose specs all name tests that it does not hold.
	Unmatched []string
	Elapsed   time.Duration
}

// Outcome is what a run came to, by falling weight.
type Outcome int

// The outcomes of a run.
const (
	OutcomeNothing  Outcome = iota // there was nothing to check
	OutcomePass                    // all hold
	OutcomeUnjudged                // something could not be judged
	OutcomeBroken                  // a spec or golden is wrong
	OutcomeFail                    // an expectation failed
)

// Outcome sums the run up.
func (r *Run) Outcome() Outcome {
	out := OutcomeNothing
	if len(r.Unused)+len(r.Unmatched) > 0 {
		out = OutcomeBroken
	}
	for _, s := range r.Specs {
		o := OutcomePass
		switch {
		case s.Failed():
			o = OutcomeFail
		case s.Verdict == Broken:
			o = OutcomeBroken
		case s.Verdict == Unjudged:
			o = OutcomeUnjudged
		case s.Verdict == Skip:
			o = OutcomeNothing
		}
		out = max(out, o)
	}
	return out
}

// Text describes an event in the way of strace(1), shortened to what tells
// one call from another.
func (e *Event) Text() string {
	if stands(e.Kind) {
		return e.standsText()
	}
	if e.Kind != KindSyscall {
		s := e.Kind
		if e.Name != "" {
			s += " " + e.Name
		}
		if e.Frame != nil && e.Name == "" {
			s += " " + e.Frame.Func
		}
		return s
	}
	var args []string
	if e.FD >= 0 {
		args = append(args, fmt.Sprint(e.FD))
	}
	switch {
	case e.Addr != "" && (e.Name == "connect" || e.Name == "bind" || e.FD < 0):
		args = append(args, e.Addr)
	case e.Path != "":
		args = append(args, cut(fmt.Sprintf("%q", e.Path), 60))
	case (e.Name == "sendto" || e.Name == "recvfrom" || e.Name == "read" || e.Name == "write") && e.Ret > 0 && !e.Unfinished:
		args = append(args, fmt.Sprintf("%d bytes", e.Ret))
	case e.FD < 0:
		for _, a := range e.Args[:min(3, len(e.Args))] {
			args = append(args, cut(a.Text, 30))
		}
	}
	s := e.Name + "(" + strings.Join(args, ", ") + ")"
	switch {
	case e.Unfinished:
		s += " unfinished " + durationText(e.elapsed())
	case e.Errno != "":
		s += " " + e.Errno
	}
	return s
}

func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
