package recording

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// redactionName is the manifest of what was replaced in a recording.
const redactionName = "redacted.json"

// StacksMember is the name of the index of stacks.
const StacksMember = stacksName

// SourcesMember is the name of the texts of source files.
const SourcesMember = sourcesName

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
	// Rule is the shape that it was found by, "" where its name told.
	Rule string `json:"rule,omitempty"`
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

// Names returns the names of the secrets that were replaced.
func (m *Redaction) Names() string {
	var names []string
	rules := map[string]int{}
	for _, s := range m.Secrets {
		if s.Rule != "" {
			rules[s.Rule]++
			continue
		}
		names = append(names, s.Name)
	}
	for rule, n := range rules {
		if n > 1 {
			rule = fmt.Sprintf("%s (%d)", rule, n)
		}
		names = append(names, rule)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// SetRedaction notes in a recording that is a folder what was looked for.
func (r *Recording) SetRedaction(m *Redaction) error {
	if r.root == nil {
		return errors.New("write the manifest of secrets: the recording is packed")
	}
	return writeJSON(r.root, redactionName, m)
}
