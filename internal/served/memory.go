package served

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// glance is how often the memory of a command is looked at.
const glance = 100 * time.Millisecond

// watch calls fat once if the processes of a group have more than most bytes in
// memory, until ctx is done. Pages that several share count in parts, since the
// snapshots of a replay are forks.
func watch(ctx context.Context, group int, most int64, fat func()) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if inMemory(group) > most {
			fat()
			return
		}
	}
}

// inMemory is what the processes of a group have in memory, in bytes.
func inMemory(group int) int64 {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	var sum int64
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil || groupOf(text) != group {
			continue // it has ended, or is another's
		}
		sum += proportional(filepath.Dir(name))
	}
	return sum
}

// groupOf is the process group in a text of /proc/PID/stat (proc_pid_stat(5)), 0 where
// it has none.
func groupOf(stat []byte) int {
	_, rest, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	if f := bytes.Fields(rest); ok && len(f) > 2 {
		n, _ := strconv.Atoi(string(f[2]))
		return n
	}
	return 0
}

// proportional is the proportional set size of a process (proc_pid_smaps(5)), or what
// it has resident where that can't be read, in bytes.
func proportional(dir string) int64 {
	if text, err := os.ReadFile(filepath.Join(dir, "smaps_rollup")); err == nil {
		if _, rest, ok := bytes.Cut(text, []byte("\nPss:")); ok {
			if f := bytes.Fields(rest); len(f) > 0 {
				kb, _ := strconv.ParseInt(string(f[0]), 10, 64)
				return kb << 10
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "statm"))
	if f := bytes.Fields(text); err == nil && len(f) > 1 {
		pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}
