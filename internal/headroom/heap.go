package headroom

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What a recorder or a replay allocates is mostly garbage soon, so collecting rarely is
// cheap. But what was not collected yet is memory that others may need: so it is not
// above heapLimit in all, or what the caller needs room for. What has to be kept, events that are not written yet, say,
// comes on top of that: where the limit does not leave room for it the runtime would
// collect without end.
const (
	heapLimit = 32 << 20
	heapStep  = 8 << 20 // by which the limit moves
	heapCheck = 250 * time.Millisecond
)

// Heap is the memory of this process, within bounds.
type Heap struct {
	limit int64 // 0 where the environment says (GOMEMLIMIT)
	room  int64 // for garbage
	next  time.Time
	live  []metrics.Sample
}

// BoundHeap bounds the memory of this process until the returned function is called.
// Garbage may grow to percent of what is alive, as far as the limit permits, which leaves
// room for as many bytes of it. Whoever keeps much calls Check now and then, and whoever
// takes much between two of these asks for room: else the runtime collects without end
// until the next.
func BoundHeap(percent int, room int64) (h *Heap, undo func()) {
	bound.Add(1)
	least := limitFor(0, room)
	if m := Open(); m.Strict() {
		most := least + 3*heapStep
		if free, _ := m.Free(); free > 4*most {
			reserve(int(most))
		}
	}
	percent = debug.SetGCPercent(percent)
	h = &Heap{room: room, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	limit := int64(-1) // which changes nothing
	if os.Getenv("GOMEMLIMIT") == "" {
		h.limit = least
		limit = debug.SetMemoryLimit(least)
	}
	return h, func() {
		bound.Add(-1)
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// reserve has the runtime take n bytes of address space that may be written, and keep it for
// later. Under strict accounting such space is refused once programs have taken the rest, by
// which the runtime ends the process, and a recorder its program with it. It never gives
// space back, only the pages in it.
func reserve(n int) {
	runtime.KeepAlive(make([]byte, n)) // else the compiler may leave it out
	runtime.GC()
}

// Check moves the limit with what is alive, a few times a second at most. It may be
// called of nil.
func (h *Heap) Check(now time.Time) {
	if h == nil || h.limit == 0 || now.Before(h.next) {
		return
	}
	h.next = now.Add(heapCheck)
	metrics.Read(h.live)
	if h.live[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	if want := limitFor(int64(h.live[0].Value.Uint64()), h.room); want != h.limit {
		h.limit = want
		debug.SetMemoryLimit(want)
	}
}

// limitFor is the limit where so much is alive: a quarter of that and room may be
// garbage.
func limitFor(live, room int64) int64 {
	over := live + live/4 + room - heapLimit
	if over <= 0 {
		return heapLimit
	}
	return heapLimit + (over+heapStep-1)/heapStep*heapStep
}
