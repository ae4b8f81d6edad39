package capture

import (
	"os"
	"slices"

	"pyrr/internal/sys"
)

// sharedObject is what several mappings show: a file, or anonymous memory. Who
// may touch which part of it when:
//
//   - As long as one mapping shows it, that has all of it, at no cost.
//   - From the second one on each unit of 64 KiB has one holder at a time; the other
//     mappings have no access to it, and a touch there is a fault that asks for it.
//     The first mapping begins as the holder of all that it shows; a unit without a
//     holder belongs to whoever asks first.
//   - A unit changes hands only while its holder is not busy with it: it runs no code,
//     and is in no call that may use the unit, except for one that sleeps on a futex
//     there, since it is woken by what another writes.
//   - A mapping that goes gives back what it holds. It stays shared (multi): what
//     others saw of it is theirs to find again.
type sharedObject struct {
	key  objectKey
	maps []*sharedMap
	// holder of each unit, by offset/unitSize; a unit without one belongs
	// to whoever touches it first.
	holder map[uint64]*sharedMap
	multi  bool // it is or was shown by more than one mapping
	file   *os.File
}

// show adds a mapping.
func (o *sharedObject) show(m *sharedMap) {
	o.maps = append(o.maps, m)
	if len(o.maps) > 1 {
		o.share(o.maps[0])
	}
}

// share makes the mapping that had an object alone the holder of what it shows.
func (o *sharedObject) share(first *sharedMap) {
	if o.multi {
		return
	}
	o.multi = true
	for u := first.off / unitSize; u*unitSize < first.off+first.end-first.start; u++ {
		o.holder[u] = first
	}
}

// hide takes a mapping away, with what it holds. It reports whether that was the
// last one.
func (o *sharedObject) hide(m *sharedMap) (last bool) {
	o.maps = slices.DeleteFunc(o.maps, func(x *sharedMap) bool { return x == m })
	for u, h := range o.holder {
		if h == m {
			delete(o.holder, u)
		}
	}
	return len(o.maps) == 0
}

// other is the holder of a unit that has to give it up before m gets it, nil for
// none.
func (o *sharedObject) other(m *sharedMap, unit uint64) *sharedMap {
	if h := o.holder[unit]; h != m {
		return h
	}
	return nil
}

// busy reports whether a mapping's process runs code, or is inside a call, that may
// be using a unit which the mapping holds; forTask does not count.
func (m *sharedMap) busy(k kernel, unit uint64, forTask *task) bool {
	p := m.proc
	if p.mode != modeRecord {
		return false
	}
	if c := p.cur; c != nil && c != forTask && c.computing() && !c.stopped && !c.dead {
		return true
	}
	for _, t := range p.tasks {
		if t == forTask || t.stopped || t.dead || !t.inKernel() {
			continue
		}
		if t.pinned(m, unit) && !(t.ev.Nr == sys.SYS_FUTEX && k.sleeping(t.tid)) {
			return true
		}
	}
	return false
}
