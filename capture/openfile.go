package capture

import (
	"os"

	"golang.org/x/sys/unix"
)

// openOf opens the file behind a descriptor of a process, at its name below /proc, to read
// it, and says what it is. What pyrr may not open by a name (the file's mode has changed, or
// the process's user) it asks the process for: then both have the same open file, so that
// nothing but reads at given places is for it. A file that can't be had so either is an
// error, since nobody would see it change; what is no file at all is nil.
//
// It does without what os.Open does beside: that asks whether one can wait for the file, by
// three calls, for each library that a program maps.
func openOf(pid, fd int, name string) (*os.File, *unix.Stat_t, error) {
	var st unix.Stat_t
	own, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		if unix.Stat(name, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			return nil, &st, nil
		}
		if own = borrow(pid, fd); own < 0 {
			return nil, &st, err
		}
	}
	f := os.NewFile(uintptr(own), name)
	if err := unix.Fstat(own, &st); err != nil {
		f.Close()
		return nil, &st, err
	}
	return f, &st, nil
}

// borrow is a descriptor of one's own for a process's open file, -1 where there is none
// (pidfd_getfd(2): since Linux 5.6).
func borrow(pid, fd int) int {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1
	}
	defer unix.Close(process)
	own, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return -1
	}
	return own
}
