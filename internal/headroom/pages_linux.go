package headroom

import "golang.org/x/sys/unix"

// SmallPages keeps this process from getting huge pages until the returned function is
// called (PR_SET_THP_DISABLE of prctl(2)): where every process gets them, the 20 MB of a
// recorder become 40 to 60, of a limit that is its program's. What it starts meanwhile
// inherits that.
func SmallPages() (undo func()) {
	if was, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0); err != nil || was != 0 {
		return func() {}
	}
	if unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) != nil {
		return func() {}
	}
	return func() { unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0) }
}
