package unwind

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"pyrr/internal/mem"
)

// liveKey is the identity of a mapped file of this machine.
type liveKey struct{ dev, inode, path string }

// LiveModules reads the address space of a process of this machine.
func LiveModules(pid int, m mem.Reader, files *Files) (*Modules, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, fmt.Errorf("read the mappings of process %d: %w", pid, err)
	}
	defer f.Close()
	s := &Modules{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// start-end perms offset dev inode path (proc_pid_maps(5))
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			continue
		}
		lo, hi, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(lo, 16, 64)
		end, err2 := strconv.ParseUint(hi, 16, 64)
		offset, err3 := strconv.ParseUint(fields[2], 16, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, fmt.Errorf("mappings of process %d: %q", pid, lines.Text())
		}
		path := strings.Join(fields[5:], " ")
		switch {
		case path == "[vdso]":
			if im, err := MemoryFile(path, m, start, end); err == nil {
				s.Map(start, im)
			}
		case strings.HasPrefix(path, "/") && offset == 0:
			im, err := files.Get(liveKey{fields[3], fields[4], path}, path, func() (io.ReaderAt, int64, error) {
				// The link leads to the file mapped even where another has
				// taken its name since.
				if f, size, err := openRegular(fmt.Sprintf("/proc/%d/map_files/%s", pid, fields[0])); err == nil {
					return f, size, nil
				}
				return asReader(openRegular(path))
			})
			if err == nil {
				s.Map(start, im)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the mappings of process %d: %w", pid, err)
	}
	return s, nil
}

func asReader(f *os.File, size int64, err error) (io.ReaderAt, int64, error) {
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
}
