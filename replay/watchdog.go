package replay

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a stub may run between two events. A slice of
// bytecode is bounded by its count; only native code can take long.
const patience = 120 * time.Second

// watchdog ends a stub that runs on for ever.
type watchdog struct {
	mu    sync.Mutex
	pid   int
	since time.Time
	hit   bool
	quit  chan struct{}
}

func newWatchdog() *watchdog {
	w := &watchdog{quit: make(chan struct{})}
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-w.quit:
				return
			case now := <-tick.C:
				w.mu.Lock()
				if w.pid != 0 {
					if w.since.IsZero() {
						w.since = now
					} else if now.Sub(w.since) > patience {
						unix.Kill(w.pid, unix.SIGKILL)
						w.hit = true
					}
				}
				w.mu.Unlock()
			}
		}
	}()
	return w
}

// begin notes that a stub runs from now on.
func (w *watchdog) begin(pid int) {
	w.mu.Lock()
	w.pid, w.since = pid, time.Time{}
	w.mu.Unlock()
}

func (w *watchdog) end() {
	w.mu.Lock()
	w.pid = 0
	w.mu.Unlock()
}

func (w *watchdog) fired() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hit
}

func (w *watchdog) stop() { close(w.quit) }

// pinHere keeps the calling thread, and the stubs that it starts, on the
// processor it runs on.
func pinHere() {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return
	}
	cpus := []int{}
	for i := 0; len(cpus) < set.Count(); i++ {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	var one unix.CPUSet
	one.Set(cpus[os.Getpid()%len(cpus)])
	unix.SchedSetaffinity(0, &one)
}
