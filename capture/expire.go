package capture

import (
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
)

// group opens the processes of the command that are in the process group of
// its first, as far as they were seen: those that Ctrl-C reaches. A shell that
// waits for a program does not pass a signal on.
func (r *recorder) group() []ptrace.Process {
	pgid, err := unix.Getpgid(r.rootPID)
	if err != nil {
		return nil
	}
	var fds []ptrace.Process
	for _, t := range r.tasks {
		if t.tid != t.pid || t.dead || t.helper || t.leadExit {
			continue
		}
		if id, err := unix.Getpgid(t.pid); err != nil || id != pgid {
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
		if !p.Ended(time.Until(until)) {
			p.Send(unix.SIGKILL)
			p.Ended(killWait)
		}
		p.Close()
	}
	r.expired = nil
}
