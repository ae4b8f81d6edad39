package page

import "pyrr/internal/report"

// Check is a sentence of a spec, or a golden, held against the recording. At are the
// events that it is about, none where there was nothing of the kind.
type Check struct {
	Spec, Place string // the spec's name, and where the sentence stands in it
	Want, Got   string
	Verdict     string // pass, fail, or another of package assert
	At          []CheckAt
	// Stacks are the goldens' stacks, with what differs.
	Stacks []report.Stack
}

// CheckAt is a moment of a check: Chosen marks those that it is about, others only show
// what came before.
type CheckAt struct {
	Place
	Text   string
	Chosen bool
}

// check is what the script gets.
type check struct {
	Spec    string         `json:"spec"`
	Place   string         `json:"place"`
	Want    string         `json:"want"`
	Got     string         `json:"got,omitempty"`
	Verdict string         `json:"verdict"`
	At      []checkAt      `json:"at,omitempty"`
	Stacks  []report.Stack `json:"stacks,omitempty"`
}

type checkAt struct {
	Proc   int    `json:"proc"` // index
	Event  uint64 `json:"event"`
	Text   string `json:"text"`
	Chosen bool   `json:"chosen,omitempty"`
}

// Bounds of the checks of a page, and of the moments of one.
const (
	maxChecks  = 1000
	maxCheckAt = 50
)

func (d *document) addChecks(w *walk) {
	for i := range w.in.Checks[:min(len(w.in.Checks), maxChecks)] {
		c := &w.in.Checks[i]
		out := check{Spec: clean(c.Spec), Place: clean(c.Place), Want: clean(c.Want), Got: clean(c.Got), Verdict: clean(c.Verdict), Stacks: c.Stacks}
		for _, at := range c.At[:min(len(c.At), maxCheckAt)] {
			out.At = append(out.At, checkAt{w.procIndex(max(1, at.Proc)), at.Event, clean(shorten(at.Text, 200)), at.Chosen})
		}
		d.Checks = append(d.Checks, out)
	}
}
