package headroom

import "fmt"

// leastAddresses is how much address space pyrr takes, in bytes: Go's runtime reserves some
// 650 MB of it before anything runs, and each thread its stack. It was tried: with 900,000
// KiB (ulimit -v) recording and replaying work, with 800,000 memory runs out on the way.
const leastAddresses = 850_000 << 10

// tooFewAddresses says in one line why a limit of address space is too low, "" where it is
// not.
func tooFewAddresses(limit uint64) string {
	if limit >= leastAddresses {
		return ""
	}
	return fmt.Sprintf("ulimit -v is %d, and pyrr takes %d: raise it, or limit what is really used, by a control group (systemd-run -p MemoryMax=…, docker run --memory)", limit>>10, leastAddresses>>10)
}
