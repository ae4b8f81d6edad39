package usercache

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestDir(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, xdg, home, want string }{
		{"home", "", home, home + "/.cache/pyrr/a/b"},
		{"XDG", home + "/made later", "/nonexistent", home + "/made later/pyrr/a/b"},
		{"a home that is not there", "", home + "/nobody", ""},
		{"a home that is a file", "", file, ""},
		{"no home", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", tt.xdg)
			t.Setenv("HOME", tt.home)
			got, err := Dir("a", "b")
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders have no modes")
	}
	for _, tt := range []struct {
		name   string
		folder string // is made with mode
		mode   fs.FileMode
		owner  int
		good   bool
	}{
		{"nothing is there", "", 0, 0, true},
		{"the user's own", "pyrr/blocks", 0o700, os.Geteuid(), true},
		{"readable by others", "pyrr", 0o755, os.Geteuid(), true},
		{"others write into it", "pyrr", 0o777, os.Geteuid(), false},
		{"the group writes into what is below", "pyrr/blocks", 0o770, os.Geteuid(), false},
		{"another user's", "pyrr", 0o700, 12345, false},
		{"another user's below", "pyrr/blocks", 0o700, 12345, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := t.TempDir()
			t.Setenv("XDG_CACHE_HOME", base)
			if tt.folder != "" {
				folder := filepath.Join(base, tt.folder)
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(folder, tt.mode); err != nil {
					t.Fatal(err)
				}
				if tt.owner != os.Geteuid() && os.Chown(folder, tt.owner, -1) != nil {
					t.Skip("only root can give a folder away")
				}
			}
			got, err := Private("blocks", "x")
			if want := filepath.Join(base, "pyrr/blocks/x"); (err == nil) != tt.good || tt.good && got != want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a/b/file")
	for _, text := range []string{"one", "two"} {
		if err := WriteFile(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(name); err != nil || string(b) != text {
			t.Errorf("%q, %v", b, err)
		}
	}
	// A folder in its place: an error, and nothing left behind.
	if err := os.MkdirAll(filepath.Join(dir, "taken/x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "taken"), nil); err == nil {
		t.Error("a folder was replaced")
	}
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Name(), ".new-") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestPrune(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limit  int64
		spared time.Duration
		want   string
	}{
		{"below its limit", 40, 0, "a b c d"},
		{"the oldest go, to half of the limit", 39, 0, "d"},
		{"but none that was just fetched", 39, 150 * time.Minute, "c d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for i, name := range []string{"a", "b", "c", "d"} {
				path := filepath.Join(dir, "below "+name, name)
				if err := WriteFile(path, make([]byte, 10)); err != nil {
					t.Fatal(err)
				}
				used := time.Now().Add(time.Duration(i-4) * time.Hour)
				if err := os.Chtimes(path, used, used); err != nil {
					t.Fatal(err)
				}
			}
			half := filepath.Join(dir, "below d", unfinished+"1")
			if err := os.WriteFile(half, make([]byte, 100), 0o600); err != nil {
				t.Fatal(err)
			}
			long := time.Now().Add(-2 * time.Hour)
			if err := os.Chtimes(half, long, long); err != nil {
				t.Fatal(err)
			}
			Prune(dir, tt.limit, tt.spared)
			var left []string
			filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					left = append(left, d.Name())
				}
				return err
			})
			if got := strings.Join(left, " "); got != tt.want {
				t.Errorf("left: %s; want %s", got, tt.want)
			}
			if folders, err := os.ReadDir(dir); err != nil || len(folders) != len(left) {
				t.Errorf("%d folders for %d files: %v", len(folders), len(left), err)
			}
		})
	}
}
