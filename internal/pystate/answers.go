package pystate

import (
	"strings"

	"pyrr/internal/hang"
)

// connection finds, of a task that awaits a future of an installed package, the transport
// of the connection that the package reads from: its functions that the task is in say by
// their names that they read, and have one transport at hand. 0 is for none.
func (w *waiter) connection() uint64 {
	reads := false
	for k := 0; k < len(w.u.frames) && k < hang.MaxFrames; k++ {
		f := &w.u.frames[k]
		if !hang.Installed(f.File) {
			return 0
		}
		reads = reads || readsBy(last(f.Func))
		self := w.local(w.u, k, "self")
		if self == 0 || !reads {
			continue
		}
		found := map[int]uint64{}
		w.reach(self, 2, map[uint64]int{}, func(obj uint64) {
			if strings.HasSuffix(w.Type(obj), "Transport") {
				if fd := w.streamFD(obj); fd > 0 {
					found[fd] = obj
				}
			}
		})
		for _, obj := range found {
			if len(found) == 1 {
				return obj
			}
			return 0
		}
	}
	return 0
}

// readsBy tells, by its name, a function that waits for what the other end sends.
func readsBy(name string) bool {
	for _, s := range []string{"recv", "receive", "read", "__anext__", "query", "execute", "fetch", "request"} {
		if strings.Contains(strings.ToLower(name), s) {
			return true
		}
	}
	return false
}
