package setup

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// busy is the load of each processor from which on programs under test come forward more
// slowly than their tests reckon with: `make test` itself makes one of about this.
const busy = 6

// most is how many times longer a time-out may become: a moment can be far worse than the time
// after it.
const most = 5

// Timeout is Patience for a time-out as a command takes it, such as "2s" or "2".
func Timeout(limit string) string {
	d, err := time.ParseDuration(limit)
	if err != nil {
		d, err = time.ParseDuration(limit + "s")
	}
	if err != nil {
		panic(err) // what a test says itself
	}
	return Patience(d).String()
}

// Patience is how long a program under test may take before it is ended as one that hangs:
// d, and more on a machine that has much else to do, where its start alone may take as long.
func Patience(d time.Duration) time.Duration {
	b, _ := os.ReadFile("/proc/loadavg") // a system without it is not that busy
	var load float64
	fmt.Sscan(string(b), &load)
	return patience(d, max(load/float64(runtime.NumCPU()), slowness()))
}

// Slow reports whether something took longer than it may, on a machine that is as busy as
// this one is now.
func Slow(took, most time.Duration) bool { return took > most && took > Patience(most) }

// patience is the same where each processor has so many to serve.
func patience(d time.Duration, load float64) time.Duration {
	return max(d, time.Duration(float64(d)*min(load/busy, most))).Round(100 * time.Millisecond)
}

// slowness is how many times longer than on an idle machine a little work takes now. The load
// of other machines on the same processors shows in this alone, and the load of a moment ago
// in no average yet.
func slowness() float64 {
	const work = 30 * time.Millisecond // on a processor of 3 GHz
	began := time.Now()
	n := uint64(began.UnixNano())
	for range int(work.Nanoseconds()) {
		n = n*6364136223846793005 + 1 // each waits for the last: four cycles
	}
	runtime.KeepAlive(n)
	return float64(time.Since(began)) / float64(work)
}
