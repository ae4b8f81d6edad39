package replay

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLowestFile: under a low limit the recording's files lie lower, and where
// there is no room for them the error says what is needed.
func TestLowestFile(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	}()
	for _, tt := range []struct {
		limit uint64
		files int
		want  int
		err   string
	}{
		{4096, 15, firstFile, ""},
		{512, 15, 512 - 15 - 4, ""},
		{64, 15, 64 - 15 - 4, ""},
		{64, 40, 0, "64 files may be open at a time, and 68 are needed: ulimit -n 68"},
		{4096, 4090, 0, "ulimit -n 4118"},
	} {
		if tt.limit > was.Max {
			t.Logf("no more than %d files may be open here", was.Max)
			continue
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: tt.limit, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
		got, err := lowestFile(tt.files)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("limit %d, %d files: %d, %v; want %d, %q", tt.limit, tt.files, got, err, tt.want, tt.err)
		}
	}
}
