package capture

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// peak is how many bytes a process, or one that ended before it, had in memory
// at most: that decides how much a replay of them may take. pid 0 stands for
// those that have ended alone; 0 bytes mean that it is not known.
func peak(pid int) int64 {
	var u unix.Rusage
	most := int64(0)
	if unix.Getrusage(unix.RUSAGE_CHILDREN, &u) == nil {
		most = u.Maxrss << 10
	}
	if pid == 0 {
		return most
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return most
	}
	_, rest, _ := bytes.Cut(b, []byte("\nVmHWM:"))
	value, _, _ := bytes.Cut(bytes.TrimSpace(rest[:min(len(rest), 40)]), []byte(" kB"))
	kib, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return most
	}
	return max(most, kib<<10)
}
