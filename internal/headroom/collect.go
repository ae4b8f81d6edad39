package headroom

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// Most commands end within a second and keep little; collecting a quarter as often makes
// a short replay 8 ms faster. Who keeps more than little pays in time, not in memory: a
// recording may come from somebody who means to fill it.
const (
	seldom, often = 400, 100 // as GOGC
	little        = 32 << 20 // bytes that are alive
)

// bound counts who has bounded the heap otherwise.
var bound atomic.Int32

// Collect has the runtime collect seldom as long as little is alive, unless the
// environment says how often (GOGC).
func Collect() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(seldom)
		afterNext()
	}
}

// afterNext decides after the next collection how far the one behind it is.
func afterNext() {
	runtime.AddCleanup(new(*int), func(struct{}) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if bound.Load() == 0 && live[0].Value.Kind() == metrics.KindUint64 {
			debug.SetGCPercent(percentFor(live[0].Value.Uint64()))
		}
		afterNext()
	}, struct{}{})
}

func percentFor(live uint64) int {
	if live > little {
		return often
	}
	return seldom
}
