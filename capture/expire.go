package capture

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
)

// group opens the processes of the command that are in the process group of
// its first, as far as they were seen: those that Ctrl-C reaches. A shell that
// waits for a program does not pass a signal on.
func (r *recorder) group() []ptrace.Process {
	var err error
	if r.pgid, err = unix.Getpgid(r.rootPID); err != nil {
		return nil
	}
	var fds []ptrace.Process
	for _, t := range r.tasks {
		if t.tid != t.pid || t.dead || t.helper || t.leadExit {
			continue
		}
		if id, err := unix.Getpgid(t.pid); err != nil || id != r.pgid {
			continue
		}
		if p := ptrace.OpenProcess(t.pid); p.Known() {
			fds = append(fds, p)
		}
	}
	return fds
}

// signalGroup sends a signal to what group opened.
func (r *recorder) signalGroup(sig unix.Signal) {
	for _, p := range r.expired {
		p.Send(sig)
	}
}

// tellLate tells a process of the time-out that was made while its maker was let go: it
// was not there when the others were told.
func (r *recorder) tellLate(pid int) {
	if id, err := unix.Getpgid(pid); err != nil || id != r.pgid {
		return
	}
	p := ptrace.OpenProcess(pid)
	if !p.Known() {
		return
	}
	r.expired = append(r.expired, p)
	if r.o.Kill {
		p.Send(unix.SIGKILL)
	} else {
		p.Send(unix.SIGINT)
	}
}

// findOffspring adds what the command's processes have started since the time-out, in
// their process group: nobody is left to end that once they are killed.
func (r *recorder) findOffspring() {
	makers := []int{r.rootPID}
	for _, p := range r.expired {
		makers = append(makers, p.PID())
	}
	for _, pid := range Descendants(makers...) {
		if id, err := unix.Getpgid(pid); err != nil || id != r.pgid || slices.Contains(makers, pid) {
			continue
		}
		if p := ptrace.OpenProcess(pid); p.Known() {
			r.expired = append(r.expired, p)
		}
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
	if slices.ContainsFunc(r.expired, func(p ptrace.Process) bool { return !p.Ended(time.Until(until)) }) {
		r.findOffspring()
	}
	for _, p := range r.expired {
		if !p.Ended(0) {
			p.Send(unix.SIGKILL)
			p.Ended(killWait)
		}
		p.Close()
	}
	r.expired = nil
}
