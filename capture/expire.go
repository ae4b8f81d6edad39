package capture

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// newborn adds to what group opened what that has made since the time-out, in its process
// group: a pool starts workers in the place of those that the signal ended. Whoever is
// killed first has nobody left that says which were its own.
func (r *recorder) newborn() {
	known, pgid := map[int]bool{}, 0
	for _, p := range r.expired {
		known[p.PID()] = true
		if id, err := unix.Getpgid(p.PID()); err == nil && !p.Ended(0) {
			pgid = id
		}
	}
	if pgid == 0 {
		return
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for found := true; found; {
		found = false
		for _, path := range stats {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if known[pid] {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			// Behind the name, which may be anything: state, parent, process group.
			fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
			if len(fields) < 3 || string(fields[2]) != strconv.Itoa(pgid) {
				continue
			}
			if parent, err := strconv.Atoi(string(fields[1])); err != nil || !known[parent] {
				continue
			}
			if p := ptrace.OpenProcess(pid); p.Known() {
				r.expired, known[pid], found = append(r.expired, p), true, true
			}
		}
	}
}

// endGroup waits for what group opened, as long as the command has to end by
// itself, and ends what is left then. Nothing of it runs once it returns.
func (r *recorder) endGroup() {
	until := time.Now()
	if !r.killAt.IsZero() {
		until = r.killAt
	}
	if slices.ContainsFunc(r.expired, func(p ptrace.Process) bool { return !p.Ended(time.Until(until)) }) {
		r.newborn()
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
