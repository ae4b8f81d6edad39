package replay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
	"pyrr/internal/recording/rectest"
)

// A small recording can hold files of any size: zeros take no memory, and files that need
// more memory than the machine has are refused before the memory is used up.
func TestFilesOfARecordingTakeNoMoreThanThereIs(t *testing.T) {
	const size = 32 << 20
	path := filepath.Join(t.TempDir(), "mapped")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("x", 3<<20)), 8<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "x.pyrr.part")
	w, err := recording.Create(dir, recording.Header{Tool: "pyrr", Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	id, err := w.AddFile(path, int(f.Fd()), st, size)
	if err != nil {
		t.Fatal(err)
	}
	rec := rectest.Reopen(t, w, dir)
	load := func() (*session, error) {
		s := &session{rec: rec, opened: opened{files: map[recording.FileID]int{}}}
		err := s.loadFiles()
		t.Cleanup(s.close)
		return s, err
	}
	s, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Fstat(s.files[id], &st); err != nil {
		t.Fatal(err)
	}
	if taken := st.Blocks * 512; st.Size != size || taken > 4<<20 {
		t.Errorf("a file of %d bytes, 3 MiB of them not zero, takes %d as one of %d", size, taken, st.Size)
	}
	free := freeMemory
	defer func() { freeMemory = free }()
	freeMemory = func() int64 { return 2 << 20 }
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "more memory than this machine has free") {
		t.Errorf("with less memory than they need: %v", err)
	}
}
