package capture

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// Descendants lists the processes that some have started, that those have started, and so
// on, as far as each still has its maker: makers come before what they made.
func Descendants(of ...int) []int {
	list, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, e := range list {
		if child, err := strconv.Atoi(e.Name()); err == nil {
			parent := parentOf(child)
			children[parent] = append(children[parent], child)
		}
	}
	delete(children, 0) // of those that could not be read
	var out []int
	for at := slices.Clone(of); len(at) > 0; at = at[1:] {
		out = append(out, children[at[0]]...)
		at = append(at, children[at[0]]...)
		delete(children, at[0])
	}
	return out
}

// parentOf is the process that made pid, or has it now: field 4 of /proc/PID/stat
// (proc(5)); 0 if that can't be read.
func parentOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// PID (NAME) STATE PPID …, where the name may hold anything.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(string(f[1]))
	return n
}
