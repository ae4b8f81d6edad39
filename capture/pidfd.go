package capture

import (
	"golang.org/x/sys/unix"
)

// pidfd is a process to which signals can be sent without the danger that its
// number is another's by then.
type pidfd struct {
	pid int
	fd  int // -1 where the kernel has none (before Linux 5.3)
}

// openProcess opens a process that was not waited for yet, so that its number is
// still its own.
func openProcess(pid int) pidfd {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		fd = -1
	}
	return pidfd{pid, fd}
}

// send sends a signal. It is nothing if the process has ended.
func (p pidfd) send(sig unix.Signal) {
	if p.fd >= 0 {
		unix.PidfdSendSignal(p.fd, sig, nil, 0)
	} else if p.pid > 0 {
		unix.Kill(p.pid, sig)
	}
}

func (p pidfd) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}

// kill ends a process whose end was not reported yet.
func kill(pid int) {
	p := openProcess(pid)
	p.send(unix.SIGKILL)
	p.close()
}
