package pystate

import (
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
)

// doctestErrors are the exceptions of doctest that have (test, example, what it gave).
var doctestErrors = map[string]bool{"DocTestFailure": true, "UnexpectedException": true}

// doctestSays says what an example of a doctest gave or raised, and what it should have given.
func doctestSays(i *cpython.Inspector, args []uint64) string {
	line := func(obj uint64) string { return strings.ReplaceAll(strings.TrimSpace(i.Str(obj)), "\n", "\\n") }
	source, want := line(i.Attr(args[1], "source")), line(i.Attr(args[1], "want"))
	if info := i.Items(args[2], 3); len(info) == 3 && i.IsException(info[1]) { // sys.exc_info()
		text := i.Type(info[1])
		if m := message(i, info[1]); m != "" {
			text += ": " + m
		}
		return source + " raised " + text
	}
	got := line(args[2])
	if got == "" {
		got = "nothing"
	}
	if want == "" {
		want = "nothing"
	}
	return source + " gave " + got + ", not " + want
}

// doctested is the example in its file, of an exception of doctest.
func doctested(i *cpython.Inspector, exc uint64) (hang.Frame, bool) {
	args := i.Args(exc)
	if !doctestErrors[i.Type(exc)] || len(args) != 3 {
		return hang.Frame{}, false
	}
	file := i.Str(i.Attr(args[0], "filename"))
	above, ok := i.Int(i.Attr(args[0], "lineno")) // from 0, as that of the example in it
	line, known := i.Int(i.Attr(args[1], "lineno"))
	if !ok || !known || file == "" {
		return hang.Frame{}, false
	}
	return hang.Frame{Func: i.Str(i.Attr(args[0], "name")), File: file, Line: int(above+line) + 1}, true
}
