package headroom

import (
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"
)

// TestKeepThreads: what waits in the kernel afterwards does so on threads that are there.
func TestKeepThreads(t *testing.T) {
	threads := func() int { return pprof.Lookup("threadcreate").Count() }
	if err := KeepThreads(); err != nil {
		t.Fatal(err)
	}
	before := threads()
	if all := min(runtime.GOMAXPROCS(0), mostProcs) + spare; before < all {
		t.Errorf("%d threads are there, not %d", before, all)
	}
	var all sync.WaitGroup
	for range spare - 4 { // the others: of this test, of the runtime
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { r.Fd(); r.Read(make([]byte, 1)) }) // Fd makes it one that blocks its thread
		time.AfterFunc(200*time.Millisecond, func() { w.Close() })
	}
	all.Wait()
	if after := threads(); after > before {
		t.Errorf("%d threads more were made, above %d", after-before, before)
	}
}
