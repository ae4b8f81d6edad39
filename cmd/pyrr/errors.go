package main

import (
	"errors"
	"fmt"
)

// exitStatusError ends pyrr with a status and prints nothing: what there was
// to say has been said.
type exitStatusError int

func (e exitStatusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// usageError is a mistake in the command line.
type usageError struct {
	msg   string
	hints []string
}

func (e *usageError) Error() string   { return e.msg }
func (e *usageError) Hints() []string { return e.hints }

func usagef(format string, args ...any) *usageError {
	return &usageError{msg: fmt.Sprintf(format, args...)}
}

// hintedError adds what to do about an error: a command to paste.
type hintedError struct {
	err   error
	hints []string
}

func (e *hintedError) Error() string   { return e.err.Error() }
func (e *hintedError) Unwrap() error   { return e.err }
func (e *hintedError) Hints() []string { return e.hints }

// withHint adds hints to an error; empty ones are left out.
func withHint(err error, hints ...string) error {
	var keep []string
	for _, h := range hints {
		if h != "" {
			keep = append(keep, h)
		}
	}
	return &hintedError{err: err, hints: keep}
}

// hintsOf collects the hints of an error, the outermost first.
func hintsOf(err error) []string {
	var out []string
	for err != nil {
		if h, ok := err.(interface{ Hints() []string }); ok {
			out = append(out, h.Hints()...)
		}
		err = errors.Unwrap(err)
	}
	return out
}

// machineError says that this machine can't do what was asked.
type machineError struct{ msg string }

func (e *machineError) Error() string { return e.msg }

func isMachineError(err error) bool {
	_, ok := errors.AsType[*machineError](err)
	return ok
}

// nearest returns the name that a mistyped word most probably stands for, ""
// for none.
func nearest(word string, names []string) string {
	best, bestName := 1+len(word)/3, ""
	for _, name := range names {
		if d := editDistance(word, name); d <= best && d < max(len(word), 2) {
			if d < best || bestName == "" {
				best, bestName = d, name
			}
		}
	}
	return bestName
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
