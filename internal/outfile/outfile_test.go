package outfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func TestWriteRegular(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := Write(file, 0o644, text("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, 0o644, text("two")); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if b, _ := os.ReadFile(file); string(b) != "two" {
		t.Errorf("the file holds %q", b)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("its permissions became %v", st.Mode())
	}
	// What fails leaves the old one, and nothing else.
	if err := Write(file, 0o644, func(io.Writer) error { return io.ErrShortWrite }); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("error %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "two" {
		t.Errorf("a failure left %q", b)
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("left behind: %v", list)
	}
	if err := Write(dir, 0o644, text("x")); err == nil {
		t.Error("a folder was taken for a file")
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "loop"), 0o644, text("x")); err == nil {
		t.Error("a link to itself was followed to an end")
	}
}

func TestWriteIntoFIFO(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("fifo", link); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(fifo, os.O_RDWR, 0) // so that nobody waits for another
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	finished := filepath.Join(dir, "finished")
	if err := os.WriteFile(finished, []byte("three."), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{Write(fifo, 0o644, text("one.")), Write(link, 0o644, text("two.")), Place(finished, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 100)
	n, _ := r.Read(b)
	if got := string(b[:n]); got != "one.two.three." {
		t.Errorf("the FIFO got %q", got)
	}
	if st, err := os.Lstat(fifo); err != nil || st.Mode()&fs.ModeNamedPipe == 0 {
		t.Error("the FIFO was replaced")
	}
	if err := Replaceable(link); err == nil || !strings.Contains(err.Error(), "FIFO") {
		t.Errorf("the file may be replaced: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("left behind: %v", list)
	}
}
