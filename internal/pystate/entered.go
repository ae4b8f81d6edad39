package pystate

import (
	"strings"

	"pyrr/internal/hang"
)

// entered takes the lock of a package for what is waited for: an object whose __enter__ or
// acquire the unit is in, while it or another one is inside of a with statement of the same
// object.
func (w *waiter) entered() {
	for k := range w.u.frames {
		f := &w.u.frames[k]
		if k >= hang.MaxFrames || !hang.Library(f.File) {
			return
		}
		name, self := last(f.Func), w.self(k)
		takes := name == "__enter__" || name == "__aenter__"
		if name == "acquire" {
			takes = strings.Contains(strings.ToLower(w.Type(self)), "lock")
		}
		if holders := w.inside[self]; self != 0 && takes && hang.Installed(f.File) && len(holders) > 0 {
			n := w.thing(self, w.lockKind(self))
			for _, h := range holders {
				w.held(self, h)
			}
			w.facts.Things[n].Locked = true
			w.found = &hang.Wait{How: "acquire", On: []int{n}, Asks: w.found == nil}
			return
		}
	}
}
