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
