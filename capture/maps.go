package capture

import (
	"bufio"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

var errEOF = io.EOF

// mapping is a line of /proc/PID/maps (proc(5)).
type mapping struct {
	start, end uint64
	prot       uint32
	shared     bool
	off        uint64
	dev        uint64
	ino        uint64
	path       string
}

func readMaps(pid int) ([]mapping, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, fmt.Errorf("read the mappings of process %d: %w", pid, err)
	}
	defer f.Close()
	var all []mapping
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		m, err := parseMapping(sc.Text())
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, sc.Err()
}

func parseMapping(line string) (mapping, error) {
	var m mapping
	var perms string
	var major, minor uint32
	n, err := fmt.Sscanf(line, "%x-%x %s %x %x:%x %d", &m.start, &m.end, &perms, &m.off, &major, &minor, &m.ino)
	if n != 7 {
		return m, fmt.Errorf("read mapping %q: %w", line, err)
	}
	m.dev = unix.Mkdev(major, minor)
	for i, bit := range []uint32{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_EXEC} {
		if perms[i] != '-' {
			m.prot |= bit
		}
	}
	m.shared = perms[3] == 's'
	if i := strings.IndexAny(line, "/["); i > 0 {
		m.path = line[i:]
	}
	return m, nil
}

// open opens the file behind a mapping, nil if it can't be had any more.
func (m *mapping) open(pid int) *os.File {
	for _, path := range []string{fmt.Sprintf("/proc/%d/root%s", pid, m.path), fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, m.start, m.end)} {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) == nil && st.Ino == m.ino && st.Mode&unix.S_IFMT == unix.S_IFREG {
			return f
		}
		f.Close()
	}
	return nil
}

// loadBias is the load address of an ELF file minus its link address, from
// one of its mappings.
func loadBias(f *os.File, start, off uint64) (uint64, error) {
	e, err := elf.NewFile(f)
	if err != nil {
		return 0, fmt.Errorf("read ELF file %s: %w", f.Name(), err)
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_LOAD && p.Off&^(pageSize-1) == off {
			return start - p.Vaddr&^(pageSize-1), nil
		}
	}
	return 0, fmt.Errorf("%s has no segment at offset %#x", f.Name(), off)
}

// findGap finds a free span near [lo, hi), below it first: within the 2 GiB
// that relative jump tables reach.
func (r *recorder) findGap(pid int, lo, hi, size uint64) (uint64, error) {
	const reach = 1 << 30
	maps, err := readMaps(pid)
	if err != nil {
		return 0, err
	}
	for i := len(maps) - 1; i >= 0; i-- {
		if maps[i].start > lo {
			continue
		}
		floor := uint64(1 << 20)
		if i > 0 {
			floor = maps[i-1].end
		}
		if at := maps[i].start - size; maps[i].start > size && at >= floor+1<<20 && lo-at < reach {
			return at - 1<<19, nil
		}
	}
	for i := range maps {
		if maps[i].end < hi {
			continue
		}
		ceil := uint64(1 << 47)
		if i+1 < len(maps) {
			ceil = maps[i+1].start
		}
		// Not directly above: the heap of the program grows there.
		if at := maps[i].end + reach/2; at+size < ceil && at-lo < 2*reach-size {
			return at, nil
		}
	}
	return 0, fmt.Errorf("no room for the counting stubs near %#x", lo)
}

func procStrings(pid int, name string) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// stackLimit is the size up to which the main thread's stack may grow.
func stackLimit(pid int) uint64 {
	const most = 1 << 30
	var l unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_STACK, nil, &l); err != nil {
		return 8 << 20
	}
	return min(l.Cur, most)
}

// cpuName is the model name of /proc/cpuinfo.
func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
