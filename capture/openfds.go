package capture

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"

	"pyrr/internal/recording"
)

// maxOpenFDs bounds the descriptors that are kept of a process.
const maxOpenFDs = 4096

// openFDs lists what a process has open where its recording begins, so that a
// reader knows what a descriptor is that the process did not open within the
// recording. What can't be read is left out: nothing depends on it.
func openFDs(pid int) []recording.OpenFD {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []recording.OpenFD
	details := openDetails{pid: pid, pidfd: -1}
	defer details.close()
	for _, e := range entries {
		fd, err := strconv.ParseInt(e.Name(), 10, 32)
		if err != nil || len(out) == maxOpenFDs {
			continue
		}
		name, err := os.Readlink(dir + "/" + e.Name())
		if err != nil {
			continue
		}
		info, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, e.Name()))
		name += details.of(int(fd), name, info)
		out = append(out, recording.OpenFD{FD: int32(fd), Flags: fdFlags(info), Name: name})
	}
	slices.SortFunc(out, func(a, b recording.OpenFD) int { return int(a.FD) - int(b.FD) })
	return out
}

// fdFlags are the flags of a descriptor, as /proc/PID/fdinfo has them (proc(5)).
func fdFlags(info []byte) uint32 {
	flags, _ := strconv.ParseUint(infoField(info, "flags:"), 8, 32)
	return uint32(flags)
}

// infoField is what stands behind a word at the beginning of a line.
func infoField(info []byte, key string) string {
	for line := range bytes.Lines(info) {
		if rest, ok := bytes.CutPrefix(line, []byte(key)); ok {
			return string(bytes.TrimSpace(rest))
		}
	}
	return ""
}
