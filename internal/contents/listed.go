package contents

import (
	"time"

	"pyrr/internal/find"
	"pyrr/internal/listing"
	"pyrr/internal/recording"
)

// Line is a line of ls.
type Line struct {
	Path     string    `json:"path"`
	Started  time.Time `json:"started"`
	Size     int64     `json:"size"`
	Verified string    `json:"verified"` // "exact", "no", or "diverged: …"
	Outcome  string    `json:"outcome"`
	Test     string    `json:"test,omitempty"`
	Command  []string  `json:"command"`
	Error    string    `json:"error,omitempty"`
}

func LineOf(path string) (Line, error) {
	l := Line{Path: path, Verified: "no", Command: []string{}}
	rec, err := find.Open("info", path)
	if err != nil {
		return l, err
	}
	defer rec.Close()
	h := rec.Header()
	l.Started, l.Test, l.Command = h.Started, h.Test, h.Command
	if size, err := Sizes(rec, path); err == nil {
		l.Size = size.Total
	}
	sum, ok := rec.Summary()
	switch {
	case !ok:
		l.Outcome = "not finished"
	case sum.Outcome != "":
		l.Outcome = sum.Outcome
	case sum.Why == recording.EndTimeout:
		l.Outcome = recording.EndTimeout
	default:
		l.Outcome = listing.Status(sum.Status)
	}
	if ok && sum.Verified != "" {
		l.Verified = sum.Verified
	}
	return l, nil
}
