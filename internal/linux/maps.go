package linux

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	unix "pyrr/internal/sys"
)

// Mapping is a line of /proc/PID/maps (proc_pid_maps(5)).
type Mapping struct {
	Start, End uint64
	Prot       uint32 // PROT_READ, PROT_WRITE, PROT_EXEC
	Shared     bool
	Off        uint64 // in the file
	Dev        uint64 // as stat(2) gives it
	Ino        uint64 // 0 without a file
	Path       string // or [heap] and the like, "" for none
}

// ReadMaps lists the mappings of a process in the order of their addresses.
func ReadMaps(pid int) ([]Mapping, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, fmt.Errorf("read the mappings of process %d: %w", pid, err)
	}
	all := make([]Mapping, 0, bytes.Count(b, []byte("\n")))
	for line := range strings.Lines(string(b)) {
		m, ok := parseMapping(strings.TrimSuffix(line, "\n"))
		if !ok {
			return nil, fmt.Errorf("read the mappings of process %d: %q is none", pid, line)
		}
		all = append(all, m)
	}
	return all, nil
}

// parseMapping reads
// "START-END rwxp OFFSET MAJOR:MINOR INODE   PATH".
func parseMapping(line string) (m Mapping, ok bool) {
	ok = true
	field := func() string {
		f, rest, _ := strings.Cut(line, " ")
		line = rest
		return f
	}
	number := func(s string, base int) uint64 {
		n, err := strconv.ParseUint(s, base, 64)
		ok = ok && err == nil
		return n
	}
	start, end, _ := strings.Cut(field(), "-")
	m.Start, m.End = number(start, 16), number(end, 16)
	perms := field()
	if len(perms) != 4 {
		return m, false
	}
	for i, bit := range []uint32{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_EXEC} {
		if perms[i] != '-' {
			m.Prot |= bit
		}
	}
	m.Shared = perms[3] == 's'
	m.Off = number(field(), 16)
	major, minor, _ := strings.Cut(field(), ":")
	m.Dev = unix.Mkdev(uint32(number(major, 16)), uint32(number(minor, 16)))
	m.Ino = number(field(), 10)
	m.Path = strings.TrimLeft(line, " ")
	return m, ok
}
