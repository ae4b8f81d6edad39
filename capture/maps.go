package capture

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"

	"pyrr/internal/linux"

	"golang.org/x/sys/unix"
)

var errEOF = io.EOF

// openMapped opens the file behind a mapping, nil if it can't be had any more. Where the
// process has a root of its own, the kernel gives the path of a mapping from pyrr's root if
// the process's root lies below that, else from the process's (d_path, fs/d_path.c). A way
// that needs no path takes CAP_CHECKPOINT_RESTORE.
func openMapped(m *linux.Mapping, pid int) *os.File {
	for _, path := range []string{fmt.Sprintf("/proc/%d/root%s", pid, m.Path), fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, m.Start, m.End), m.Path} {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) == nil && st.Ino == m.Ino && st.Mode&unix.S_IFMT == unix.S_IFREG && (path != m.Path || st.Dev == m.Dev) {
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
