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

// Patience is how long a program under test may take before it is ended as one that hangs:
// d, and more on a machine that has much else to do, where its start alone may take as long.
func Patience(d time.Duration) time.Duration {
	b, _ := os.ReadFile("/proc/loadavg") // a system without it is not that busy
	var load float64
	fmt.Sscan(string(b), &load)
	return patience(d, load, runtime.NumCPU())
}

func patience(d time.Duration, load float64, processors int) time.Duration {
	return max(d, time.Duration(float64(d)*load/float64(processors)/busy)).Round(100 * time.Millisecond)
}
