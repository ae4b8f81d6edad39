package headroom

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// While much is alive it is collected often, and seldom again once it is not.
func TestCollect(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	Collect()
	if now := percent(); now != seldom {
		t.Errorf("GOGC is %d at first", now)
	}
	for _, test := range []struct{ bytes, want int }{{2 * little, often}, {0, seldom}} {
		kept := make([]byte, test.bytes)
		for end := time.Now().Add(2 * time.Minute); percent() != test.want && time.Now().Before(end); time.Sleep(time.Millisecond) {
			runtime.GC()
		}
		if now := percent(); now != test.want {
			t.Errorf("with %d MiB GOGC is %d, want %d", test.bytes>>20, now, test.want)
		}
		runtime.KeepAlive(kept)
	}
}

func percent() int {
	now := debug.SetGCPercent(math.MaxInt32)
	debug.SetGCPercent(now)
	return now
}
