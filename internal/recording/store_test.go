package recording

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// testFile makes a file and opens it as the recorder would.
func testFile(t testing.TB, dir, name string, data []byte) (*os.File, unix.Stat_t) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, fstat(t, f)
}

func fstat(t testing.TB, f *os.File) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// content makes n bytes that compress a little, with a stretch of zeros.
func testContent(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		if i < 3<<20 || i > 5<<20 {
			b[i] = byte(rnd.Uint32() & 0x1f)
		}
	}
	return b
}

func addFile(t testing.TB, w *Writer, f *os.File, upto uint64) FileID {
	t.Helper()
	id, err := w.AddFile(f.Name(), int(f.Fd()), fstat(t, f), upto)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func readFile(t testing.TB, r *Recording, id FileID) []byte {
	t.Helper()
	src, n, err := r.ReadFile(id)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(src, 0, n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A recording that is closed at any moment after a file was added holds the
// file: the background goroutine may be about to look for work just then.
func TestCloseAfterAddFile(t *testing.T) {
	content := []byte("small")
	f, _ := testFile(t, t.TempDir(), "small", content)
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for i := range rounds {
		w, dir := create(t)
		id := addFile(t, w, f, 4096)
		for range i % 50 * 100 {
			runtime.Gosched()
		}
		if err := w.Close(Summary{}); err != nil {
			t.Fatal(err)
		}
		if got := readFile(t, open(t, dir), id); !bytes.Equal(got, content) {
			t.Fatalf("round %d: the file holds %q, want %q", i, got, content)
		}
	}
}

func TestStoredFilesAreRead(t *testing.T) {
	files := t.TempDir()
	big := testContent(1, 7<<20+123)
	fBig, _ := testFile(t, files, "big", big)
	fCopy, _ := testFile(t, files, "copy", big)
	fSmall, _ := testFile(t, files, "small", []byte("small"))
	fEmpty, _ := testFile(t, files, "empty", nil)
	fGone, _ := testFile(t, files, "gone", []byte("deleted while recording"))
	if err := os.Remove(fGone.Name()); err != nil {
		t.Fatal(err)
	}

	w, dir := create(t)
	idBig := addFile(t, w, fBig, 1000)
	idCopy := addFile(t, w, fCopy, 8<<20)
	idSmall := addFile(t, w, fSmall, 4096)
	idEmpty := addFile(t, w, fEmpty, 4096)
	idGone := addFile(t, w, fGone, 4096)
	idBytes, err := w.AddFileBytes("vdso", big[:3<<20])
	if err != nil {
		t.Fatal(err)
	}
	if id, err := w.AddFileBytes("other name", big[:3<<20]); err != nil || id != idBytes {
		t.Errorf("the same bytes again: %d, %v; want %d", id, err, idBytes)
	}
	if id := addFile(t, w, fBig, 10); id != idBig {
		t.Errorf("the same file again has id %d, not %d", id, idBig)
	}
	if id := addFile(t, w, fBig, 8<<20); id != idBig {
		t.Errorf("the extended file has id %d, not %d", id, idBig)
	}
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	zip := filepath.Join(t.TempDir(), "x.pyrr.zip")
	if err := Pack(dir, zip); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(files); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, zip} {
		r := open(t, path)
		for _, tt := range []struct {
			name string
			id   FileID
			want []byte
		}{
			{"big", idBig, big}, {"copy", idCopy, big}, {"small", idSmall, []byte("small")}, {"empty", idEmpty, nil},
			{"gone", idGone, []byte("deleted while recording")}, {"bytes", idBytes, big[:3<<20]},
		} {
			if got := readFile(t, r, tt.id); !bytes.Equal(got, tt.want) {
				t.Errorf("%s: %s: %d bytes that differ from those %d stored", path, tt.name, len(got), len(tt.want))
			}
		}
		for _, f := range r.Files() {
			if f.Unstable != "" || f.Kept != f.Want {
				t.Errorf("%+v is not complete", f)
			}
		}
		readAnywhere(t, r, idBig, big)
		if _, _, err := r.ReadFile(99); err == nil {
			t.Error("read a file that is not there")
		}
	}
	// big and its copy are kept once.
	var kept int
	for _, id := range []FileID{idBig, idCopy} {
		if _, err := os.Stat(filepath.Join(dir, blobName(id))); err == nil {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("the same content is kept %d times", kept)
	}
}

// readAnywhere checks reads of a stored file from any place to any place.
func readAnywhere(t *testing.T, r *Recording, idBig FileID, big []byte) {
	src, _, err := r.ReadFile(idBig)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		off, n := rnd.IntN(len(big)), rnd.IntN(2<<20)
		p := make([]byte, n)
		got, err := src.ReadAt(p, int64(off))
		want := big[off:min(off+n, len(big))]
		if !bytes.Equal(p[:got], want) || (err != nil) != (got < n) {
			t.Fatalf("ReadAt(%d bytes at %d) = %d, %v", n, off, got, err)
		}
	}
}

func TestChangedFileIsUnstable(t *testing.T) {
	tests := []struct {
		name   string
		change func(path string) error
		want   string
	}{
		{"grown", func(p string) error { return os.WriteFile(p, make([]byte, 2000), 0o600) }, "its size went from 1000 to 2000"},
		{"written", func(p string) error { return os.WriteFile(p, make([]byte, 1000), 0o600) }, "written to"},
		{"cut", func(p string) error { return os.Truncate(p, 10) }, "its size went from 1000 to 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, st := testFile(t, t.TempDir(), "f", make([]byte, 1000))
			st.Mtim.Sec -= 100 // as if the change came later than the clock's tick
			if err := tt.change(f.Name()); err != nil {
				t.Fatal(err)
			}
			w, dir := create(t)
			id, err := w.AddFile(f.Name(), int(f.Fd()), st, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Close(Summary{}); err != nil {
				t.Fatal(err)
			}
			r := open(t, dir)
			if got := r.Files()[0].Unstable; !strings.Contains(got, tt.want) {
				t.Errorf("unstable: %q, want %q", got, tt.want)
			}
			if _, _, err := r.ReadFile(id); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ReadFile: %v, want %q", err, tt.want)
			}
		})
	}
}

// TestHoles keeps a file most of which was never written: the holes are not read.
func TestHoles(t *testing.T) {
	want := make([]byte, 6*blockSize)
	copy(want[3*blockSize+100:], "middle")
	copy(want[len(want)-4:], "tail")
	f, _ := testFile(t, t.TempDir(), "sparse", nil)
	write, err := os.OpenFile(f.Name(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	for _, at := range []int{3 * blockSize, len(want) - 4096} {
		if _, err := write.WriteAt(want[at:at+4096], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	e := &entry{src: f, File: File{Size: uint64(len(want))}}
	for n, hole := range []bool{true, true, true, false, true, false} {
		if e.Kept = uint64(n) * blockSize; e.hole(blockSize) != hole {
			t.Errorf("block %d is a hole: %v", n, !hole)
		}
	}
	w, dir := create(t)
	id := addFile(t, w, f, uint64(len(want)))
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readFile(t, open(t, dir), id), want) {
		t.Error("the file is not the same")
	}
}
