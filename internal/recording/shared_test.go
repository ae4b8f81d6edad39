package recording

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cutOf is a recording of the file at path, packed by pack. The pages that zero names are
// zeros in it, as the pages that a test does not touch.
func cutOf(t *testing.T, path string, zero [][2]int, to string, pack func(dir, zip string) error) {
	t.Helper()
	src, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	w, dir := create(t)
	size := uint64(fstat(t, src).Size)
	id := addFile(t, w, src, size)
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	if len(zero) > 0 {
		var patches []Patch
		for _, z := range zero {
			from, end := uint64(z[0])*pageSize, min(uint64(z[1])*pageSize, size)
			patches = append(patches, Patch{Off: from, Data: make([]byte, end-from)})
		}
		cut := filepath.Join(t.TempDir(), "cut.pyrr.part")
		if err := open(t, dir).Rewrite(cut, Changes{Files: map[FileID][]Patch{id: patches}}); err != nil {
			t.Fatal(err)
		}
		dir = cut
	}
	if err := pack(dir, to); err != nil {
		t.Fatal(err)
	}
}

// readableFile makes a file that everybody may read.
func readableFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "libsome.so")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func zeroed(b []byte, zero [][2]int) []byte {
	b = slices.Clone(b)
	for _, z := range zero {
		clear(b[z[0]*pageSize : min(z[1]*pageSize, len(b))])
	}
	return b
}

var cuts = [][2]int{{0, 1}, {3, 300}, {300, 301}, {700, 2000}}

func TestThin(t *testing.T) {
	content := testContent(4, 3<<20+100)
	for i := range content {
		content[i] |= 1
	}
	for name, zero := range map[string][][2]int{"whole": nil, "cut": cuts} {
		t.Run(name, func(t *testing.T) {
			path := readableFile(t, content)
			zip := filepath.Join(t.TempDir(), "fat.pyrr.zip")
			cutOf(t, path, zero, zip, Pack)
			fat := open(t, zip)
			if lacks := fat.Lacks(); lacks != nil {
				t.Fatalf("the packed recording lacks %v", lacks)
			}
			var out bytes.Buffer
			left, err := Thin(zip, &out, func(f File) bool { return fat.Elsewhere(f) == nil })
			if err != nil || len(left) != 1 {
				t.Fatalf("left %v, %v", left, err)
			}
			if st, err := os.Stat(zip); err != nil || int64(out.Len()) > st.Size()/10 {
				t.Errorf("thin it has %d bytes", out.Len())
			}
			thinPath := filepath.Join(t.TempDir(), "thin.pyrr.zip")
			if err := os.WriteFile(thinPath, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			thin := open(t, thinPath)
			want := zeroed(content, zero)
			if got := readFile(t, thin, 1); !bytes.Equal(got, want) {
				t.Error("the file is read with other bytes")
			}
			if lacks := thin.Lacks(); len(lacks) != 1 || lacks[0].Path != path {
				t.Errorf("it lacks %v", lacks)
			}
			// Written again, the recording is whole and still knows its file.
			again := filepath.Join(t.TempDir(), "again.pyrr.part")
			if err := thin.Rewrite(again, Changes{}); err != nil {
				t.Fatal(err)
			}
			r := open(t, again)
			if got := readFile(t, r, 1); !bytes.Equal(got, want) || r.Lacks() != nil {
				t.Error("written again, the recording is not whole")
			}
			if r.Files()[0].Of != fat.Files()[0].Of || (zero != nil) != (r.Files()[0].Of != "") {
				t.Errorf("written again its file is %+v", r.Files()[0])
			}
			// One byte that is not zero and that another file has: that shows that the file is
			// not the same.
			for _, change := range []func(){
				func() {
					b := slices.Clone(content)
					b[2*pageSize]++
					os.WriteFile(path, b, 0o644)
				},
				func() { os.WriteFile(path, content, 0o600); os.Chmod(path, 0o600) },
				func() { os.Remove(path) },
			} {
				change()
				_, _, err = open(t, thinPath).ReadFile(1)
				missing, ok := errors.AsType[*MissingFileError](err)
				if !ok || !strings.Contains(missing.Error(), path) || len(missing.Hints()) == 0 {
					t.Errorf("without its file: %v", err)
				}
			}
		})
	}
}

// If secrets in a file were replaced, nothing says what the file was.
func TestPatchedFileHasNoOriginal(t *testing.T) {
	path := readableFile(t, testContent(5, 1<<20))
	zip := filepath.Join(t.TempDir(), "cut.pyrr.zip")
	cutOf(t, path, cuts[:2], zip, Pack)
	dir := filepath.Join(t.TempDir(), "patched.pyrr.part")
	if err := open(t, zip).Rewrite(dir, Changes{Files: map[FileID][]Patch{1: {{Off: 2 * pageSize, Data: []byte("x")}}}}); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	f := r.Files()[0]
	if f.Of != "" || f.Zeros != nil {
		t.Errorf("it says %+v", f)
	}
	if r.Elsewhere(f) == nil {
		t.Error("it is found elsewhere")
	}
}

func TestZerosAreChecked(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	for _, f := range []File{
		{Of: sum}, {Zeros: []uint32{0, 1}}, {Of: "../../etc/passwd", Zeros: []uint32{0, 1}},
		{Of: sum, Zeros: []uint32{0, 0, 1}}, {Of: sum, Zeros: []uint32{1 << 31, 1 << 31, 1}},
		{Of: sum, Zeros: make([]uint32, maxZeros+1)},
	} {
		f.ID, f.Size, f.Want, f.Kept, f.SHA256 = 1, 1<<20, 1<<20, 1<<20, sum
		if _, err := parseIndexLine(indexLine(&f)); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
	f := File{ID: 1, Size: 1 << 20, Want: 1 << 20, Kept: 1 << 20, SHA256: sum, Of: sum, Zeros: []uint32{0, 1, 2, 253}}
	if _, err := parseIndexLine(indexLine(&f)); err != nil {
		t.Error(err)
	}
}

// Recordings that were cut in different ways share the file from which they were cut; a
// recording that is moved away without it says what is missing.
func TestPackShared(t *testing.T) {
	content := testContent(6, 3<<20)
	for i := range content {
		content[i] |= 1
	}
	path := readableFile(t, content)
	dir := t.TempDir()
	ways := [][][2]int{nil, cuts[:2], cuts[1:]}
	var names []string
	for i, zero := range ways {
		names = append(names, filepath.Join(dir, string(rune('a'+i))+PackedSuffix))
		cutOf(t, path, zero, names[i], PackShared)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	shared, err := os.ReadDir(filepath.Join(dir, SharedDir))
	if err != nil || len(shared) != 1 {
		t.Fatalf("%v %v are shared", shared, err)
	}
	for i, zero := range ways {
		if got := readFile(t, open(t, names[i]), 1); !bytes.Equal(got, zeroed(content, zero)) {
			t.Errorf("%s reads as other bytes", names[i])
		}
	}
	moved := filepath.Join(t.TempDir(), "moved.pyrr.zip")
	if err := os.Rename(names[1], moved); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, moved).ReadFile(1); err == nil || !strings.Contains(err.Error(), "is thin") || strings.Contains(err.Error(), "\n") {
		t.Errorf("moved away: %v", err)
	}
	// A file that was damaged in the folder is repaired by the next recording, if the
	// original is there again.
	at := filepath.Join(dir, SharedDir, shared[0].Name())
	if err := os.Truncate(at, 1000); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, names[2]).ReadFile(1); err == nil {
		t.Error("a cut content was taken")
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	cutOf(t, path, cuts[2:], filepath.Join(dir, "d"+PackedSuffix), PackShared)
	os.Remove(path)
	if got := readFile(t, open(t, names[2]), 1); !bytes.Equal(got, zeroed(content, ways[2])) {
		t.Error("the file was not repaired")
	}
}
