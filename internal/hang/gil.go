package hang

import (
	"slices"
	"time"
)

// GIL is the interpreter's lock, which the thread Unit has in a system call, while the
// threads Waits wait for it.
type GIL struct {
	Unit  int   `json:"unit"`
	Waits []int `json:"waits"`
}

// wantsGIL leads from a thread that waits for the interpreter's lock to the one that has it and
// has long been in a system call: native code that did not give it up.
func (j *judge) wantsGIL(n node) (edge, bool) {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil || p.Facts.GIL == nil || !slices.Contains(p.Facts.GIL.Waits, n.unit) {
		return edge{}, false
	}
	to := node{n.proc, p.Facts.GIL.Unit}
	if c := j.call(to); c == nil || c.For < time.Second/2 {
		return edge{}, false
	}
	return edge{to: to, sure: true, kind: "GIL", thing: -1, say: "%[1]s waits for the interpreter's lock (GIL)" + j.where(n) + ", which %[2]s keeps in native code"}, true
}
