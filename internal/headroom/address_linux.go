package headroom

import "syscall"

// Addresses says in one line why pyrr can't work under the limit of address space that it was
// started with (getrlimit(2), RLIMIT_AS), "" where it can.
func Addresses() string {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &lim); err != nil {
		return ""
	}
	return tooFewAddresses(lim.Cur)
}
