package headroom

import (
	"cmp"
	"syscall"
)

// Addresses says in one line why pyrr can't work under the limits of address space and of
// data that it was started with (getrlimit(2), RLIMIT_AS, RLIMIT_DATA), "" where it can.
func Addresses() string {
	return cmp.Or(under(syscall.RLIMIT_AS, tooFewAddresses), under(syscall.RLIMIT_DATA, tooLittleData))
}

func under(which int, says func(limit uint64) string) string {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(which, &lim); err != nil {
		return ""
	}
	return says(lim.Cur)
}
