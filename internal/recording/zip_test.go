package recording

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// packInto makes an archive of the given members, with zip64 fields if big.
func packInto(t testing.TB, path string, big bool, members ...string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := newZipWriter(f, time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), len(members)/2, 0)
	z.big = big
	for i := 0; i < len(members); i += 2 {
		if err := z.add(members[i], strings.NewReader(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
}

// Other programs can unpack what pyrr packs.
func TestZipIsAZip(t *testing.T) {
	want := []string{"pyrr.json", "{}", "events/0001", strings.Repeat("x", 70000), "files/empty", ""}
	for _, big := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "x.zip")
		packInto(t, path, big, want...)
		r, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range r.File {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(in)
			if err != nil || f.Name != want[2*i] || string(b) != want[2*i+1] {
				t.Errorf("big %v: member %d: %s, %d bytes, %v", big, i, f.Name, len(b), err)
			}
			if y := f.Modified.Year(); y != 2026 {
				t.Errorf("big %v: year %d", big, y)
			}
		}
		if len(r.File) != len(want)/2 {
			t.Errorf("big %v: %d members", big, len(r.File))
		}
		r.Close()
		members := mustReadZip(t, path)
		if len(members) != len(want)/2 || members[1].size != 70000 {
			t.Errorf("big %v: %+v", big, members)
		}
		for _, tool := range [][]string{{"unzip", "-t", path}, {"python3", "-c", "import sys,zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)", path}} {
			t.Run(tool[0], func(t *testing.T) {
				if _, err := exec.LookPath(tool[0]); err != nil {
					t.Skip(err)
				}
				if out, err := exec.Command(tool[0], tool[1:]...).CombinedOutput(); err != nil {
					t.Errorf("big %v: %v: %s", big, err, out)
				}
			})
		}
	}
}

func mustReadZip(t testing.TB, path string) []member {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	members, err := readZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return members
}

// foreign makes an archive with archive/zip, which writes whatever it is told to write.
func foreign(t testing.TB, method uint16, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		m, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileZips(t *testing.T) {
	le := binary.LittleEndian
	path := filepath.Join(t.TempDir(), "x.zip")
	packInto(t, path, false, "pyrr.json", "{}", "events/0001", "abcdef")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// rename changes a member's name in both headers, to a name of the same length.
	rename := func(from, to string) []byte { return bytes.ReplaceAll(good, []byte(from), []byte(to)) }
	// edit changes the end record or the directory of a good archive.
	edit := func(change func(b []byte, dir, end int)) []byte {
		b := bytes.Clone(good)
		end := len(b) - zipEndSize
		change(b, int(le.Uint32(b[end+16:])), end)
		return b
	}
	second := zipCentralSize + len("pyrr.json")
	tests := []struct {
		name string
		zip  []byte
		want string
	}{
		{"path traversal", rename("events/0001", "../../etc/x"), "not allowed"},
		{"absolute path", rename("events/0001", "/etc/passwd"), "not allowed"},
		{"dot element", rename("events/0001", "events/./01"), "not allowed"},
		{"backslash", rename("events/0001", `events\0001`), "not allowed"},
		{"newline", rename("events/0001", "events\n0001"), "not allowed"},
		{"hidden", rename("events/0001", ".vents/0001"), "not allowed"},
		{"deflated", foreign(t, zip.Deflate, "pyrr.json"), "compressed"},
		{"data descriptor", foreign(t, zip.Store, "pyrr.json"), "bad header in the directory"},
		{"comment", append(edit(func(b []byte, dir, end int) { b[end+20] = 1 }), 'x'), "not a recording"},
		{"bytes behind", append(bytes.Clone(good), 0), "not a recording"},
		{"bytes in front", append([]byte("#!/bin/sh\n"), good...), "not a recording"},
		{"more members than there are", edit(func(b []byte, dir, end int) { b[end+8]++; b[end+10]++ }), "member 2: bad header"},
		{"fewer members than there are", edit(func(b []byte, dir, end int) { b[end+8]--; b[end+10]-- }), "belong to no member"},
		{"directory beyond the file", edit(func(b []byte, dir, end int) { le.PutUint32(b[end+12:], 1<<31) }), "above the limits"},
		{"directory elsewhere", edit(func(b []byte, dir, end int) { le.PutUint32(b[end+16:], 3) }), "not a recording"},
		{"size beyond the file", edit(func(b []byte, dir, end int) { le.PutUint32(b[dir+20:], 1<<30); le.PutUint32(b[dir+24:], 1<<30) }), "is next"},
		{"overlap", edit(func(b []byte, dir, end int) { le.PutUint32(b[dir+second+42:], 0) }), "is next"},
		{"another size inside", edit(func(b []byte, dir, end int) { b[22]++ }), "the directory differ"},
		{"another name inside", edit(func(b []byte, dir, end int) { b[zipLocalSize] = 'P' }), "the directory differ"},
		{"encrypted", edit(func(b []byte, dir, end int) { b[dir+8] |= 1 }), "bad header in the directory"},
		{"empty", nil, "not a recording"},
		{"zip64 claim", edit(func(b []byte, dir, end int) { le.PutUint32(b[end+16:], 1<<32-1) }), "above the limits"},
		{"no members", zipForm{}.end(0, 0, 0), "pyrr.json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.pyrr.zip")
			if err := os.WriteFile(path, tt.zip, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := Open(path)
			if err == nil {
				r.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want one with %q", err, tt.want)
			}
		})
	}
	t.Run("two of a name", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "x.pyrr.zip")
		packInto(t, path, false, "pyrr.json", "{}", "events/0001", "abc", "events/0001", "def")
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "there are two") {
			t.Errorf("error %v", err)
		}
	})
}

// When Pack fails it leaves nothing behind, and no half-made file under the final name.
func TestPackFails(t *testing.T) {
	dir, _ := sample(t)
	out := t.TempDir()
	if err := Pack(dir, filepath.Join(out, "no", "such", "folder.zip")); err == nil {
		t.Error("packed into a folder that does not exist")
	}
	path := filepath.Join(out, "x.pyrr.zip")
	if err := Pack(dir, path); err != nil {
		t.Fatal(err)
	}
	if err := Pack(path, filepath.Join(out, "y.pyrr.zip")); err == nil || !strings.Contains(err.Error(), "packed already") {
		t.Errorf("packed a packed recording: %v", err)
	}
	if err := os.Mkdir(filepath.Join(out, "dir.zip"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Pack(dir, filepath.Join(out, "dir.zip")); err == nil {
		t.Error("packed over a folder")
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

// The same recording packs to the same bytes.
func TestPackIsDeterministic(t *testing.T) {
	dir, _ := sample(t)
	var packed [2][]byte
	for i := range packed {
		path := filepath.Join(t.TempDir(), "x.pyrr.zip")
		if err := Pack(dir, path); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		packed[i] = b
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("they differ")
	}
}
