//go:build linux

package ptrace

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process to which signals can be sent without the danger that its
// number is another's by then. The zero value is nobody.
type Process struct {
	pid int
	fd  int // a pidfd; 0 where the kernel has none (before Linux 5.3), or there is no process
}

// OpenProcess opens a process that was not waited for yet, so that its number is
// still its own.
func OpenProcess(pid int) Process {
	if pid <= 0 {
		return Process{}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		fd = 0
	}
	return Process{pid, fd}
}

// Known reports whether the process is held by a pidfd, and so surely the one that
// was opened.
func (p Process) Known() bool { return p.fd > 0 }

// PID is the process's number.
func (p Process) PID() int { return p.pid }

// Send sends a signal. It is nothing if the process has ended.
func (p Process) Send(sig unix.Signal) {
	if p.fd > 0 {
		unix.PidfdSendSignal(p.fd, sig, nil, 0)
	} else if p.pid > 0 {
		unix.Kill(p.pid, sig)
	}
}

// Ended reports whether a known process ends within d. A pidfd is readable once its
// process is a zombie or gone (pidfd_open(2)).
func (p Process) Ended(d time.Duration) bool {
	until := time.Now().Add(d)
	poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, int(max(0, time.Until(until).Milliseconds())))
		if err != unix.EINTR {
			return n > 0 && err == nil
		}
	}
}

func (p Process) Close() {
	if p.fd > 0 {
		unix.Close(p.fd)
	}
}

// Kill ends a process whose end was not waited for yet.
func Kill(pid int) {
	p := OpenProcess(pid)
	p.Send(unix.SIGKILL)
	p.Close()
}

// KillTracee ends a process whose end another thread may have waited for meanwhile: it
// is nothing where the number is that of a process which none of ours traces.
func KillTracee(pid int) {
	p := OpenProcess(pid)
	defer p.Close()
	// What was opened is asked now: if it is a tracee, it can't become another process.
	if tracedByUs(pid) {
		p.Send(unix.SIGKILL)
	}
}

// tracedByUs reads TracerPid of proc(5), which is the thread that traces.
func tracedByUs(pid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // what can't be read is gone
	_, after, _ := strings.Cut(string(status), "\nTracerPid:\t")
	tid, _, ok := strings.Cut(after, "\n")
	if !ok || tid == "0" {
		return false
	}
	_, err := os.Stat("/proc/self/task/" + tid)
	return err == nil
}
