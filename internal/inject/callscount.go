package inject

// Recount returns what rcx has to be for a thread that was stopped at pc between
// reading the clock's cell and the total, once the cell is left: it would take what it
// has read of the one from the other. Elsewhere ok is false.
func (img *CallsArea) Recount(pc, left uint64) (rcx uint64, ok bool) {
	switch pc {
	case img.common.negate:
		return left, true
	case img.common.total:
		return -left, true
	}
	return 0, false
}

// LetsGoOfGIL says whether a call is one that may be buffered around which CPython lets go
// of the GIL.
func LetsGoOfGIL(nr int) bool { return bufferedCalls[nr] >= classRead }
