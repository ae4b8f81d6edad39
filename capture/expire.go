package capture

import (
	"time"

	"golang.org/x/sys/unix"
)

// group opens the processes of the command that are in the process group of
// its first, as far as they were seen: those that Ctrl-C reaches. A shell that
// waits for a program does not pass a signal on.
func (r *recorder) group() []pidfd {
	pgid, err := unix.Getpgid(r.rootPID)
	if err != nil {
		return nil
	}
	var fds []pidfd
	for _, t := range r.tasks {
		if t.tid != t.pid || t.dead || t.helper || t.leadExit {
			continue
		}
		if id, err := unix.Getpgid(t.pid); err != nil || id != pgid {
			continue
		}
		if p := openProcess(t.pid); p.fd >= 0 {
			fds = append(fds, p)
		}
	}
	return fds
}

// signalGroup sends a signal to what group opened.
func (r *recorder) signalGroup(sig unix.Signal) {
	for _, p := range r.expired {
		p.send(sig)
	}
}

// killWait is how long the kernel may take to end a process that got SIGKILL:
// long for one that is in the midst of a core dump or of a slow disk.
const killWait = 10 * time.Second

// endGroup waits for what group opened, as long as the command has to end by
// itself, and ends what is left then. Nothing of it runs once it returns.
func (r *recorder) endGroup() {
	until := time.Now()
	if !r.killAt.IsZero() {
		until = r.killAt
	}
	for _, p := range r.expired {
		if !pidfdEnded(p.fd, time.Until(until)) {
			p.send(unix.SIGKILL)
			pidfdEnded(p.fd, killWait)
		}
		p.close()
	}
	r.expired = nil
}

// pidfdEnded reports whether the process behind a pidfd ends within d.
// A pidfd is readable once its process is a zombie or gone (pidfd_open(2)).
func pidfdEnded(fd int, d time.Duration) bool {
	until := time.Now().Add(d)
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, int(max(0, time.Until(until).Milliseconds())))
		if err != unix.EINTR {
			return n > 0 && err == nil
		}
	}
}
