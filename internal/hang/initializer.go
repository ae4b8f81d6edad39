package hang

import (
	"fmt"
	"strings"
)

// initializerFails says of the workers of a multiprocessing.pool that they died in its
// initializer: the pool makes a new one for each, and no job is ever taken.
func (j *judge) initializerFails(proc int) string {
	count, said, alive := 0, "", false
	for _, p := range j.in.Procs {
		if p.Parent != proc || p.Facts == nil {
			continue
		}
		for k := range p.Facts.Died {
			d := &p.Facts.Died[k]
			if !d.Main || !j.initializes(d) {
				continue
			}
			at := ""
			if f, _ := j.raisedAt(d); f != nil {
				at = " (" + j.at(f.Frame) + ")"
			}
			count++
			said = "died of " + j.headline(d) + at
			j.cite(Evidence{Text: j.procName(p) + " " + said + " in the initializer of its pool", Proc: p.ID, Event: d.Event})
		}
		alive = alive || p.Hangs && j.idle(j.mainOf(p))
	}
	if count < 3 || alive {
		return ""
	}
	return fmt.Sprintf("%d workers of its pool %s in the initializer, and new ones are made for ever", count, said)
}

// initializes tells an exception that came out of the initializer of a pool.
func (j *judge) initializes(d *Raised) bool {
	for k := range d.Frames {
		f := &d.Frames[k]
		if lastName(f.Func) == "worker" && strings.HasSuffix(f.File, "/pool.py") && j.in.Text != nil {
			return strings.Contains(j.in.Text(f.File, f.Line), "initializer(")
		}
	}
	return false
}
