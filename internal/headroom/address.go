package headroom

import "fmt"

// leastAddresses is how much address space pyrr takes, in bytes: Go's runtime reserves some
// 650 MB of it before anything runs, and each thread its stack. It was tried: with 900,000
// KiB (ulimit -v) recording and replaying work, with 800,000 memory runs out on the way.
const leastAddresses = 850_000 << 10

// leastData is how much private memory it must be able to write to, in bytes, which since
// Linux 4.7 a limit of data is about. It was tried: with 300,000 KiB (ulimit -d) tests are
// recorded and replayed, with 240,000 Go's runtime ends on the way, and with 60,000 before
// anything runs.
const leastData = 400_000 << 10

// tooFewAddresses says in one line why a limit of address space is too low, "" where it is
// not.
func tooFewAddresses(limit uint64) string { return tooLow("-v", limit, leastAddresses) }

// tooLittleData is the same of a limit of data.
func tooLittleData(limit uint64) string { return tooLow("-d", limit, leastData) }

func tooLow(which string, limit, least uint64) string {
	if limit >= least {
		return ""
	}
	return fmt.Sprintf("ulimit %s is %d, and pyrr takes %d: raise it, or limit what is really used, by a control group (systemd-run -p MemoryMax=…, docker run --memory)", which, limit>>10, least>>10)
}
