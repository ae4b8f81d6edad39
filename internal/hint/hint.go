// Package hint holds errors that know what to do next: a command to paste, a file
// to look at. Each command prints them below the error.
//
// It never prints itself. Begin with With.
package hint

import (
	"errors"
	"fmt"
)

// Usage is a mistake in the command line.
type Usage struct {
	msg  string
	Next []string
}

func (e *Usage) Error() string   { return e.msg }
func (e *Usage) Hints() []string { return e.Next }

// Usagef makes one.
func Usagef(format string, args ...any) *Usage {
	return &Usage{msg: fmt.Sprintf(format, args...)}
}

// hintedError adds what to do about an error: a command to paste.
type hintedError struct {
	err   error
	hints []string
}

func (e *hintedError) Error() string   { return e.err.Error() }
func (e *hintedError) Unwrap() error   { return e.err }
func (e *hintedError) Hints() []string { return e.hints }

// With adds hints to an error; empty ones are left out.
func With(err error, hints ...string) error {
	var keep []string
	for _, h := range hints {
		if h != "" {
			keep = append(keep, h)
		}
	}
	return &hintedError{err: err, hints: keep}
}

// Of collects the hints of an error, the outermost first.
func Of(err error) []string {
	var out []string
	for err != nil {
		if h, ok := err.(interface{ Hints() []string }); ok {
			out = append(out, h.Hints()...)
		}
		err = errors.Unwrap(err)
	}
	return out
}

// Machine says that this machine can't do what was asked.
type Machine struct{ msg string }

func (e *Machine) Error() string { return e.msg }

// Machinef makes one.
func Machinef(format string, args ...any) *Machine {
	return &Machine{msg: fmt.Sprintf(format, args...)}
}

func IsMachine(err error) bool {
	_, ok := errors.AsType[*Machine](err)
	return ok
}
