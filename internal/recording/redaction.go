package recording

import (
	"errors"
	"io/fs"
)

// redactionName is the manifest of what was replaced in a recording.
const redactionName = "redacted.json"

// Redaction lists the secrets that were replaced by placeholders in a
// recording, by name and number: neither values nor lengths.
type Redaction struct {
	Secrets []RedactedSecret `json:"secrets"`
	// Left are secrets that were known and could not be replaced.
	Left []LeftSecret `json:"left,omitempty"`
}

// RedactedSecret is a secret that was replaced.
type RedactedSecret struct {
	Name string `json:"name"`
	// Source says how it was known to be one.
	Source string `json:"source"`
	// Counts holds the number of places by their kind.
	Counts map[string]int `json:"counts"`
}

// LeftSecret is a secret that was not replaced.
type LeftSecret struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Redaction returns what was replaced in the recording; false where nothing
// was ever looked for.
func (r *Recording) Redaction() (Redaction, bool, error) {
	var m Redaction
	err := r.readJSON(redactionName, &m)
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	return m, err == nil, err
}
