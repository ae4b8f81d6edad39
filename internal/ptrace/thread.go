//go:build linux

package ptrace

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Go calls f in a goroutine that has an OS thread of its own, which ends with it. The thread
// has no children before: a Waits takes in what ends of those, too, and who started them,
// by os/exec in a goroutine that was on this thread, would wait for them in vain. Nor is it the
// process's first, to which the kernel gives the children of threads that end.
func Go(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != os.Getpid() && !hasChildren() {
			f()
			return
		}
		// Another goroutine gets another thread as long as this one is kept.
		begun := make(chan struct{})
		Go(func() { close(begun); f() })
		<-begun
		runtime.UnlockOSThread()
	}()
}

// hasChildren reports whether the calling thread has children, or tracees.
func hasChildren() bool {
	err := unix.EINTR
	for err == unix.EINTR {
		err, _ = unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|wNoThread, nil).(unix.Errno)
	}
	return err == 0 // not ECHILD, nor EINVAL before Linux 4.7
}
