// Package assert holds recordings against specs: what must be true of them,
// written as sentences, and the stacks that they must show. docs/specs.md
// describes the language.
//
// Load reads specs, Check judges them over recordings that it sees through
// the interface Source, Accept writes goldens. Nothing here traces a process
// or needs Python. It never reads a recording itself. Begin with Check
// (check.go), then Source (source.go).
package assert

import (
	"path/filepath"
	"strings"
	"time"
)

// Spec is one spec file, in one of its cases.
type Spec struct {
	File string // as it was given to Load
	Name string
	// Case holds the values of the parameters, in the order of the file.
	Case []Param
	// Recording is a path or glob, from the file's folder; "" where Record
	// is set.
	Recording string
	Record    *RecordCommand
	Tags      []string
	Requires  Requires
	Test      string // a pytest id, "" for the whole recording
	XFail     *XFail
	Expect    []*Expectation
	Golden    []*Golden
	Place     Place // of the recording

	lines []string
}

// Param is one parameter with its value.
type Param struct{ Name, Value string }

// RecordCommand is a command whose fresh recording is checked.
type RecordCommand struct {
	Run     string
	Timeout time.Duration // 0 for none
}

// Requires says for which recordings the spec is meant.
type Requires struct {
	Python string // ">=3.11", ">=3.8,<3.12"; "" for any
	Arch   string
}

// XFail says that the spec is known not to hold.
type XFail struct {
	Reason string
	// Strict makes it a failure when the spec holds after all.
	Strict bool
	// Fingerprint, if not "", is that of the one failure that is known, as pyrr
	// explain --fingerprint has it.
	Fingerprint string
}

// Golden says which stacks must be seen at a point.
type Golden struct {
	At     string // an id, or end
	File   string // from the spec's folder
	Python bool   // show Python frames
	C      bool   // show C frames
	// Threads is "" for the thread of the event, or the main thread at the
	// end; "all", "main" or a name of a thread at the end.
	Threads string
	// Tasks, at the end, shows tasks instead of threads: "all" or the name of one.
	Tasks string
	// Exact makes a frame on another line a failure.
	Exact  bool
	Place  Place
	target *Expectation // nil at the end
}

// AtEnd reports whether the stacks are those of the recording's end.
func (g *Golden) AtEnd() bool { return g.target == nil }

// Name is the golden's name in reports.
func (g *Golden) Name() string { return "golden " + g.At }

// ID names the spec in reports: the file, and the case in brackets.
func (s *Spec) ID() string { return s.File + s.caseID() }

// CheckID names one check of the spec.
func (s *Spec) CheckID(check string) string { return s.File + "::" + check + s.caseID() }

func (s *Spec) caseID() string {
	if len(s.Case) == 0 {
		return ""
	}
	values := make([]string, len(s.Case))
	for i, p := range s.Case {
		values[i] = p.Value
	}
	return "[" + strings.Join(values, "-") + "]"
}

// Path resolves a name of the spec, which counts from its file's folder.
func (s *Spec) Path(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(filepath.Dir(s.File), name)
}

// Line returns a line of the spec's file.
func (s *Spec) Line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}
