package headroom

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// What is alive always has room for some garbage, and little is held to heapLimit.
func TestHeapLimit(t *testing.T) {
	const step = heapStep
	for _, test := range []struct{ live, room, want int64 }{
		{0, step, heapLimit}, {13 << 20, step, heapLimit}, {19 << 20, step, heapLimit},
		{20 << 20, step, heapLimit + step}, {64 << 20, step, heapLimit + 7*step}, {1 << 30, step, heapLimit + 157*step},
		{0, 8 * step, heapLimit + 4*step}, {32 << 20, 8 * step, heapLimit + 9*step},
	} {
		if got := limitFor(test.live, test.room); got != test.want || got < test.live*5/4+test.room && got > heapLimit {
			t.Errorf("with %d MiB alive and room for %d: %d MiB, want %d", test.live>>20, test.room>>20, got>>20, test.want>>20)
		}
	}
}

// The limit follows a heap that must be kept, and is given back.
func TestHeapFollows(t *testing.T) {
	if os.Getenv("GOMEMLIMIT") != "" {
		t.Skip("GOMEMLIMIT is set")
	}
	h, undo := BoundHeap(400, heapStep)
	kept := make([]byte, 100<<20)
	debug.FreeOSMemory() // a collection, after which it counts
	h.Check(time.Now())
	if got := debug.SetMemoryLimit(-1); got < int64(len(kept))*5/4 {
		t.Errorf("the limit is %d MiB beside %d MiB that are kept", got>>20, len(kept)>>20)
	}
	kept[0] = 1
	undo()
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("the limit is %d afterwards", got)
	}
}

// TestReserve holds that what is allocated later takes no more address space.
func TestReserve(t *testing.T) {
	const n = 192 << 20 // more than other tests have taken
	reserve(n)
	taken := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	before := taken()
	kept := make([][]byte, 0, 160)
	for range 160 {
		kept = append(kept, make([]byte, 1<<20))
	}
	if more := taken() - before; more > 1<<20 {
		t.Errorf("160 MB took %d bytes more, although %d were kept for them", more, n)
	}
	runtime.KeepAlive(kept)
}
