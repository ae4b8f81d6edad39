package hang

import (
	"strings"

	"pyrr/internal/lazyregexp"
)

// longest is what two lines of a terminal hold.
const longest = 160

// placed matches a place in a sentence: " (FILE:LINE" or " at FILE:LINE".
var placed = lazyregexp.New(`(\(| at | since )([^\s():;,]+):(\d+)`)

// namedPID matches a child with a name and its number.
var namedPID = lazyregexp.New(`(child "[^"]*") \(pid \d+\)`)

// brief shortens a sentence that is longer than two lines: what follows from the
// rest goes first, then the names of files that were named before.
func brief(s string) string {
	if len(s) <= longest {
		return s
	}
	s = strings.ReplaceAll(s, "; no other thread or task has it at hand", "")
	if len(s) <= longest {
		return s
	}
	if s = namedPID().ReplaceAllString(s, "$1"); len(s) <= longest {
		return s
	}
	last := ""
	return placed().ReplaceAllStringFunc(s, func(m string) string {
		p := placed().FindStringSubmatch(m)
		if p[2] == last {
			return p[1] + "line " + p[3]
		}
		last = p[2]
		return m
	})
}
