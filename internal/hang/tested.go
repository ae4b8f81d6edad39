package hang

import (
	"path"
	"slices"
	"strings"

	"pyrr/internal/lazyregexp"
)

// testName matches what the files of tests are called.
var testName = lazyregexp.New(`^(?:test_.*|.*_test|tests)\.py$`)

// calledByTest says, of a line of the package under test, which line of the test called it:
// both are the program's own, and who wrote the test looks for that one first. Files beside
// the test's, or below them, are part of it; "" is for these.
func (j *judge) calledByTest(frames []Frame, at Frame) string {
	from := slices.Index(frames, at)
	if from < 0 || !at.own() || testName().MatchString(path.Base(at.File)) {
		return ""
	}
	for _, f := range frames[from+1:] {
		if f.Line == 0 || !f.own() || !testName().MatchString(path.Base(f.File)) {
			continue
		}
		if strings.HasPrefix(at.File, path.Dir(f.File)+"/") {
			return ""
		}
		return ", called at " + j.at(f)
	}
	return ""
}
