package hang

import (
	"cmp"
	"slices"
)

// special is a verdict that knows more about the last of a path than what it waits for.
// Each has a file, verdict_NAME.go, which enters it by special.enter: that is all that it
// needs. What two of them could claim, the one of the lower rank gets.
type special struct {
	rank int
	// find returns says as "" where this verdict is not the one. Else says goes on after
	// the name of who waits, degree is how sure it is, kind its short name (a part of the
	// fingerprint), and missing what is not known.
	find func(j *judge, n node) (says, degree, kind, missing string)
}

var specials []special

func (s special) enter() bool {
	specials = append(specials, s)
	slices.SortStableFunc(specials, func(a, b special) int { return cmp.Compare(a.rank, b.rank) })
	return true
}
