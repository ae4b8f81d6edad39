//go:build unix

package pytest

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestInstallElsewhere: where the folder for temporary files is of no use, the plugin lies
// in another one, and all users can read it whatever the umask is.
func TestInstallElsewhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tmp := range []string{"/nonexistent", file, t.TempDir()} {
		t.Setenv("TMPDIR", tmp)
		near := t.TempDir()
		was := syscall.Umask(0o777)
		dir, err := Install(near)
		syscall.Umask(was)
		if err != nil {
			t.Fatalf("TMPDIR=%s: %v", tmp, err)
		}
		defer os.RemoveAll(dir)
		for _, name := range []string{"pyrr_pytest.py", info + "/entry_points.txt", info, ""} {
			want := fs.FileMode(0o755)
			if filepath.Ext(name) == ".py" || filepath.Ext(name) == ".txt" {
				want = 0o644
			}
			if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != want {
				t.Errorf("TMPDIR=%s: %s: %v, %v", tmp, name, st, err)
			}
		}
	}
}
