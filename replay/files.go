package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"

	unix "pyrr/internal/sys"

	"pyrr/internal/headroom"
	"pyrr/internal/hint"
	"pyrr/internal/recording"
)

// firstFile is the lowest descriptor of the recording's files in a stub; all
// below it are closed there. Where fewer are permitted (ulimit -n), it is lower, but
// leaves ownFiles to pyrr.
const firstFile, ownFiles = 600, 24

// lowestFile returns the descriptor from which on there is room for n files.
func lowestFile(n int) (int, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("ask how many files may be open: %w", err)
	}
	const spare = 4 // for what is open while one is loaded
	may := int(min(lim.Cur, 1<<20))
	if first := may - n - spare; first < ownFiles {
		return 0, fmt.Errorf("%d files may be open at a time, and %d are needed: ulimit -n %d", may, ownFiles+n+spare, ownFiles+n+spare)
	} else if first < firstFile {
		return first, nil
	}
	return firstFile, nil
}

// loadFiles puts the content of the recording's files into memory files,
// which the stubs inherit read-only: a stub can't open anything itself.
func (s *session) loadFiles() error {
	s.loadMost = freeMemory()
	files := s.rec.Files()
	var err error
	if s.keep, err = lowestFile(len(files)); err != nil {
		return err
	}
	fds := make([]int, len(files))
	errs := make([]error, len(files))
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0)) // each may take a thread: see headroom.KeepThreads
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
			if _, says := errors.AsType[*recording.MissingFileError](errs[i]); says {
				return errs[i]
			}
			return fmt.Errorf("load file %d (%s): %w", f.ID, f.Path, errs[i])
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

var (
	loadBlocks = sync.Pool{New: func() any { return new([1 << 20]byte) }}
	noBytes    [1 << 20]byte
)

func (s *session) loadFile(f recording.File) (int, error) {
	content, size, err := s.rec.ReadFile(f.ID)
	if _, lost := errors.AsType[*recording.NotKeptError](err); lost {
		content, size, err = s.rec.ReadKept(f.ID) // what is behind can't be reached: lost.go
	}
	if err != nil {
		return 0, err
	}
	if c, ok := content.(io.Closer); ok {
		defer c.Close()
	}
	if src, ok := content.(*os.File); ok {
		// The file itself, which the recorder had open as well.
		return unix.FcntlInt(src.Fd(), unix.F_DUPFD_CLOEXEC, s.keep)
	}
	rw, err := unix.MemfdCreate("pyrr", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("make a memory file: %w", err)
	}
	defer unix.Close(rw)
	if err := unix.Ftruncate(rw, size); errors.Is(err, syscall.EFBIG) {
		return 0, hint.With(hint.Machinef("a file may not have the %d KiB that one of the recording's has (ulimit -f)", size>>10), "ulimit -f unlimited")
	} else if err != nil {
		return 0, fmt.Errorf("size a memory file: %w", err)
	}
	block := loadBlocks.Get().(*[1 << 20]byte)
	defer loadBlocks.Put(block)
	buf, zeros := block[:], noBytes[:]
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
	return unix.FcntlInt(uintptr(ro), unix.F_DUPFD_CLOEXEC, s.keep)
}
