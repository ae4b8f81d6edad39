package main

import "pyrr/assert"

// openSource opens a recording for the checks; it is an assert.Opener.
func openSource(path string) (assert.Source, error) {
	rec, err := openRecording("check", path)
	if err != nil {
		return nil, err
	}
	return newSource(rec, nil), nil
}
