package capture

import (
	"time"

	"golang.org/x/sys/unix"
)

// group opens the processes of the command that are in the process group of
// its first, as far as they were seen: those that Ctrl-C reaches. A shell that
// waits for a program does not pass a signal on.
func (r *recorder) group() []int {
	pgid, err := unix.Getpgid(r.rootPID)
	if err != nil {
		return nil
	}
	var fds []int
	for _, t := range r.tasks {
		if t.tid != t.pid || t.dead || t.helper || t.leadExit {
			continue
		}
		if id, err := unix.Getpgid(t.pid); err != nil || id != pgid {
			continue
		}
		if fd, err := unix.PidfdOpen(t.pid, 0); err == nil {
			fds = append(fds, fd)
		}
	}
	return fds
}

// signalGroup sends a signal to what group opened.
func (r *recorder) signalGroup(sig unix.Signal) {
	for _, fd := range r.expired {
		unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

// endGroup waits for what group opened, as long as the command has to end by
// itself, and ends what is left then.
func (r *recorder) endGroup() {
	until := time.Now()
	if !r.killAt.IsZero() {
		until = r.killAt
	}
	for _, fd := range r.expired {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			n, err := unix.Poll(poll, int(max(0, time.Until(until).Milliseconds())))
			if err == unix.EINTR {
				continue
			}
			if n == 0 || err != nil {
				unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			}
			break
		}
		unix.Close(fd)
	}
	r.expired = nil
}
