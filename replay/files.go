package replay

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"pyrr/internal/headroom"
	"pyrr/internal/recording"
)

// firstFile is the lowest descriptor of the recording's files in a stub; all
// below it are closed there.
const firstFile = 600

// loadFiles puts the content of the recording's files into memory files,
// which the stubs inherit read-only: a stub can't open anything itself.
func (s *session) loadFiles() error {
	s.keep = firstFile
	s.loadMost = freeMemory()
	files := s.rec.Files()
	fds := make([]int, len(files))
	errs := make([]error, len(files))
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i, f := range files {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			fds[i], errs[i] = s.loadFile(f)
		}()
	}
	wg.Wait()
	for i, f := range files {
		if errs[i] == nil {
			s.files[f.ID] = fds[i]
		}
	}
	for i, f := range files {
		if errs[i] != nil {
			return fmt.Errorf("read file %d (%s) of the recording: %w", f.ID, f.Path, errs[i])
		}
	}
	return nil
}

// freeMemory is what a replay may take: not all that the machine, or the
// container, has free. A recording of a few megabytes can ask for any amount.
var freeMemory = func() int64 {
	free, _ := headroom.Open().Free()
	return free / 4 * 3
}

func (s *session) loadFile(f recording.File) (int, error) {
	rw, err := unix.MemfdCreate("pyrr", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("make a memory file: %w", err)
	}
	defer unix.Close(rw)
	content, size, err := s.rec.ReadFile(f.ID)
	if err != nil {
		return 0, err
	}
	if c, ok := content.(io.Closer); ok {
		defer c.Close()
	}
	if err := unix.Ftruncate(rw, size); err != nil {
		return 0, fmt.Errorf("size a memory file: %w", err)
	}
	buf := make([]byte, 1<<20)
	zeros := make([]byte, len(buf))
	for off := int64(0); off < size; {
		n, err := content.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n > 0 && !bytes.Equal(buf[:n], zeros[:n]) { // which would take memory
			if s.loaded.Add(int64(n)) > s.loadMost {
				return 0, fmt.Errorf("the mapped files of the recording need more memory than this machine has free (%d MiB may be used)", s.loadMost>>20)
			}
			if _, err := unix.Pwrite(rw, buf[:n], off); err != nil {
				return 0, fmt.Errorf("fill a memory file: %w", err)
			}
		}
		off += int64(n)
		if err != nil && off < size {
			return 0, err
		}
	}
	ro, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", rw), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("reopen a memory file: %w", err)
	}
	defer unix.Close(ro)
	return unix.FcntlInt(uintptr(ro), unix.F_DUPFD_CLOEXEC, firstFile)
}
