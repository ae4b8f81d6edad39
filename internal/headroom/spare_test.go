package headroom

import (
	"os"
	"testing"
	"time"
)

// TestSpareThreads: what it makes to see whether it can is gone afterwards.
func TestSpareThreads(t *testing.T) {
	for range 200 {
		if made := spareThreads(16); made != 16 {
			t.Fatalf("%d of 16 made", made)
		}
	}
	of := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Skip(err)
		}
		return len(tasks)
	}
	for until := time.Now().Add(10 * time.Second); of() > threads()+2 && time.Now().Before(until); { // the runtime's own
		time.Sleep(time.Millisecond)
	}
	if n := of(); n > threads()+2 {
		t.Errorf("%d threads are there, of which the runtime knows %d", n, threads())
	}
}
