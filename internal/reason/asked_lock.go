package reason

import (
	"bytes"
	"path"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// askedLock is a call that did not get a lock on a file; path is that of the file where the
// thread had opened it just before: many open it for each try, and close it again.
type askedLock struct {
	recording.Event
	path string
}

// opens notes which file a call has opened, and of one that did not get a lock which that was.
func (t *turn) opens(enter, exit *recording.Event, before []turn) {
	const near = 6 // calls
	if name := linux.Name(int(enter.Nr)); (name == "openat" || name == "open") && exit.Ret >= 0 {
		if file, _, _ := bytes.Cut(enter.In, []byte{0}); path.IsAbs(string(file)) {
			t.opened, t.fd = string(file), int(exit.Ret)
		}
	}
	if t.refused == nil {
		return
	}
	for k := len(before) - 1; k >= 0 && k >= len(before)-near; k-- {
		if o := &before[k]; o.opened != "" && uint64(o.fd) == t.refused.Args[0] {
			t.refused.path = o.opened
			return
		}
	}
}

// lockAsked finds the call by which nearly all turns of a loop ask for a lock on a file.
func lockAsked(ring []turn, turns int) *askedLock {
	var last *askedLock
	n := 0
	for i := range ring {
		if ring[i].refused != nil {
			last, n = ring[i].refused, n+1
		}
	}
	if n < 3 || 4*n < 3*turns {
		return nil
	}
	return last
}
