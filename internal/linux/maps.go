package linux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	return parseMaps(pid, b)
}

func parseMaps(pid int, b []byte) ([]Mapping, error) {
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

// MapsReader lists the mappings of a process again and again, which costs little where
// they are still the same.
type MapsReader struct {
	pid       int
	f         *os.File
	text, was []byte // as the kernel has it; what list was made of
	list      []Mapping
}

// NewMapsReader returns one for a process. It has to be closed.
func NewMapsReader(pid int) (*MapsReader, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, fmt.Errorf("read the mappings of process %d: %w", pid, err)
	}
	return &MapsReader{pid: pid, f: f, text: make([]byte, 1<<16)}, nil
}

// Read lists the mappings as ReadMaps does. The list is not to be changed.
func (r *MapsReader) Read() ([]Mapping, error) {
	n := 0
	for {
		if n == len(r.text) {
			r.text = append(r.text, make([]byte, len(r.text))...)
		}
		k, err := r.f.ReadAt(r.text[n:], int64(n))
		n += k
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the mappings of process %d: %w", r.pid, err)
		}
	}
	if r.list != nil && bytes.Equal(r.text[:n], r.was) {
		return r.list, nil
	}
	list, err := parseMaps(r.pid, r.text[:n])
	if err != nil {
		return nil, err
	}
	r.was, r.list = append(r.was[:0], r.text[:n]...), list
	return list, nil
}

// Close closes the file that it reads.
func (r *MapsReader) Close() { r.f.Close() }

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
