package report

import (
	"cmp"
	"io"
	"slices"

	"pyrr/assert"
)

// Form is one form of the results of a check, and the flag of pyrr check that asks for
// it. Each form has a file, which enters it by form: that is all that it needs.
type Form struct {
	Flag, Help string
	// File is set where the flag names a file, which is written too; else the form is
	// printed in place of the text for the terminal. Often: after each spec.
	File, Often bool
	// JSON is set where the form is JSON: then it is cleaned for a terminal as
	// JSON has to be.
	JSON bool
	// Write writes it. What could not be judged passes if allowUnjudged is set.
	Write func(w io.Writer, run *assert.Run, allowUnjudged bool) error
}

var forms []Form

// form enters a form.
func form(f Form) bool {
	forms = append(forms, f)
	return true
}

// Forms lists the forms: those that are printed, then those with a file.
func Forms() []Form {
	out := slices.Clone(forms)
	slices.SortFunc(out, func(a, b Form) int {
		if a.File != b.File {
			return map[bool]int{false: -1, true: 1}[a.File]
		}
		return cmp.Compare(a.Flag, b.Flag)
	})
	return out
}

// Usage is how the forms' flags stand in the usage line of pyrr check.
func Usage() string {
	printed, files := "", ""
	for _, f := range Forms() {
		if f.File {
			files += " [--" + f.Flag + " FILE]"
		} else {
			printed += "|--" + f.Flag
		}
	}
	return "[" + printed[1:] + "]" + files
}
