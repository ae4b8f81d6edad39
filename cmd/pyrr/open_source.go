package main

import (
	"pyrr/assert"
	"pyrr/internal/facts"
	"pyrr/internal/find"
)

// openSource opens a recording for the checks; it is an assert.Opener.
func openSource(path string) (assert.Source, error) {
	rec, err := find.Open("check", path)
	if err != nil {
		return nil, err
	}
	return facts.New(rec, nil), nil
}
