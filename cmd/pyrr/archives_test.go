//go:build linux && amd64

package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
	"pyrr/internal/setup"
)

// canary stands in files that no recording here holds.
const canary = "CANARY-of-another-file"

// mapping makes a recording of a process that has a file mapped, as a folder and packed.
func mapping(t *testing.T) (folder, packed string) {
	t.Helper()
	folder = forge(t, func(w *recording.Writer) {
		ids := make([]recording.FileID, 2)
		for i := range ids {
			var err error
			if ids[i], err = w.AddFileBytes(fmt.Sprintf("/opt/lib%d.so", i), bytes.Repeat([]byte{byte('a' + i)}, 5000)); err != nil {
				t.Fatal(err)
			}
		}
		end(stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"mapped"}}, func(start *recording.Event) {
			for i, id := range ids {
				at := uint64(1<<33) + uint64(i)<<20
				start.Maps = append(start.Maps, recording.Mapping{Start: at, End: at + 8192, Prot: 5, File: id, Name: "/opt/lib.so"})
			}
		}), 1)
	}, nil)
	packed = filepath.Join(t.TempDir(), "packed"+recording.PackedSuffix)
	if err := recording.Pack(folder, packed); err != nil {
		t.Fatal(err)
	}
	return folder, packed
}

// header changes the fields of a member in the directory and in the header before the
// member: at32 are the offsets of 4-byte fields in the two, 0 for none.
func header(b []byte, name string, local, central int, value uint32) []byte {
	out := bytes.Clone(b)
	for _, h := range []struct {
		sig      string
		size, at int
	}{{"PK\x03\x04", 30, local}, {"PK\x01\x02", 46, central}} {
		for i := 0; h.at > 0 && i+h.size+len(name) <= len(out); i++ {
			if string(out[i:i+4]) == h.sig && string(out[i+h.size:i+h.size+len(name)]) == name {
				binary.LittleEndian.PutUint32(out[i+h.at:], value)
			}
		}
	}
	return out
}

// archives are packed recordings whose directories lie. Names are of the same length as
// the real ones, so that all else in the archive stays right.
func archives(packed []byte) map[string][]byte {
	out := map[string][]byte{
		"compressed":      header(packed, "files/0001", 8, 10, 8),
		"huge":            header(packed, "files/0001", 22, 24, 1<<32-2),
		"huge packed":     header(packed, "events/0001", 18, 20, 1<<32-2),
		"far":             header(packed, "files/0002", 0, 42, 1<<32-2),
		"the same place":  header(packed, "files/0002", 0, 42, 0),
		"a link":          header(packed, "files/0001", 0, 38, 0xa1ff<<16),
		"another sum":     header(packed, "pyrr.json", 14, 16, 7),
		"many members":    append(bytes.Clone(packed[:len(packed)-12]), append([]byte{255, 255, 255, 255}, packed[len(packed)-8:]...)...),
		"twice in itself": append(bytes.Clone(packed), packed...),
	}
	for name, change := range map[string][2]string{
		"up": {"files/0001", "../../../x"}, "up within": {"events/0001", "events/../x"}, "absolute": {"files/0001", "/etc/passw"},
		"NUL": {"files/0001", "files\x000001"}, "backslash": {"files/0001", `files\0001`}, "drive": {"files/0001", "C:/le/0001"},
		"twice": {"files/0002", "files/0001"}, "in capitals": {"files/0002", "FILES/0001"}, "escape": {"files/0001", "files/\x1b[1m"},
		"a folder": {"files/0001", "files/001/"}, "dots": {"files/0001", "files/./01"}, "no events": {"events/0001", "eventz/0001"},
		"index twice": {"files/0001", "files/indx"}, "hidden": {"files/0001", "files/.001"}, "other events": {"events/0001", "events/9999"},
		"not UTF-8": {"files/0001", "files/\xff\xfe01"}, "the header twice": {"files/index", "pyrr.jsonxx"},
	} {
		out["name: "+name] = bytes.ReplaceAll(packed, []byte(change[0]), []byte(change[1]))
	}
	return out
}

// indexes are lists of mapped files that lie, for the folder of a recording. other is a
// file that does not belong to the recording.
func indexes(other string) map[string]string {
	line := func(f map[string]any) string {
		b, _ := json.Marshal(f)
		return fmt.Sprintf("%08x %s\n", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)), b)
	}
	file := func(more ...any) map[string]any {
		f := map[string]any{"id": 1, "path": "/opt/lib.so", "size": 5000, "want": 5000, "kept": 5000}
		for i := 0; i < len(more); i += 2 {
			f[more[i].(string)] = more[i+1]
		}
		return f
	}
	second := line(file("id", 2))
	return map[string]string{
		"another file":      line(file("path", other, "kept", 0, "size", len(canary), "want", len(canary))) + second,
		"another, relative": line(file("path", "../../"+filepath.Base(other), "kept", 0)) + second,
		"another, at /proc": line(file("path", "/proc/self/environ", "kept", 0)) + second,
		"a device":          line(file("path", "/dev/zero", "kept", 0, "size", 1<<32, "want", 1<<32)) + second,
		"NULs":              line(file("path", "\x00/opt\x00/lib")) + second,
		"escapes":           line(file("path", escape+"\r\n")) + second,
		"a long path":       line(file("path", strings.Repeat("/x", 20_000))) + second,
		"a line too long":   line(file("path", strings.Repeat("/x", 40_000))) + second,
		"huge":              line(file("size", uint64(1)<<62, "want", uint64(1)<<62)) + second,
		"8 GiB of it":       line(file("size", uint64(8)<<30, "want", uint64(8)<<30, "kept", uint64(8)<<30)) + second,
		"more than wanted":  line(file("kept", 6000)) + second,
		"number 0":          line(file("id", 0)) + second,
		"a huge number":     line(file("id", uint64(1)<<40)) + second,
		"a negative number": line(file("id", -1)) + second,
		"of itself":         line(file("same", 1)) + second,
		"in a circle":       line(file("same", 2)) + line(file("id", 2, "same", 1)),
		"of none":           line(file("same", 77)) + second,
		"twice":             line(file()) + line(file("path", other, "kept", 0)) + line(file()) + second,
		"in capitals":       line(file("path", "/opt/LIB.so")) + second,
		"zeros beyond":      line(file("zeros", []uint32{1 << 31, 1 << 31, 1 << 31})) + second,
		"zeros, too many":   line(file("zeros", make([]uint32, 5000))) + second,
		"not sorted":        second + line(file()),
		"none":              "",
		"no lines":          strings.Repeat("\n", 100_000),
		"a wrong sum":       "00000000 {}\n",
		"nested":            strings.Repeat("[", 60_000) + "\n",
		"a number as path":  line(map[string]any{"id": 1, "path": 7}) + second,
	}
}

// folders are changes of a recording's folder that lead out of it.
func folders(other string) map[string]func(dir string) error {
	link := func(to string, names ...string) func(dir string) error {
		return func(dir string) error {
			for _, name := range names {
				at := filepath.Join(dir, name)
				if err := os.RemoveAll(at); err != nil {
					return err
				}
				if err := os.Symlink(to, at); err != nil {
					return err
				}
			}
			return nil
		}
	}
	pipe := func(name string) func(dir string) error {
		return func(dir string) error {
			at := filepath.Join(dir, name)
			if err := os.RemoveAll(at); err != nil {
				return err
			}
			return unix.Mkfifo(at, 0o600)
		}
	}
	out := map[string]func(dir string) error{
		"a loop": link("loop", "loop", "stacks"),
		"a folder as a file": func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, "sources"), 0o700)
		},
		"deep": func(dir string) error { return os.MkdirAll(filepath.Join(dir, "events", "0002", "0003"), 0o700) },
	}
	for _, name := range []string{"pyrr.json", "summary.json", "events/0001", "files/0001", "files/index", "stacks", "sources"} {
		out["a link out: "+name] = link(other, name)
		out["a pipe: "+name] = pipe(name)
		out["endless: "+name] = link("/dev/zero", name)
	}
	for _, name := range []string{"events", "files"} {
		out["a link out: "+name] = link(filepath.Dir(other), name)
	}
	return out
}

// tree lists what is below a folder.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// Whatever the directory of an archive, the list of files or the folder says: no reader
// shows a byte of another file, makes a file outside of the place it was told, waits or panics.
func TestForgedArchives(t *testing.T) {
	t.Setenv("CI", "")
	folder, packed := mapping(t)
	whole, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	other := filepath.Join(top, "other.txt")
	if err := os.WriteFile(other, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	forged := map[string]string{"as it is": packed}
	put := func(kind, name string) string {
		dir := filepath.Join(top, "forged", fmt.Sprint(len(forged)))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		forged[kind+": "+name] = filepath.Join(dir, "forged"+map[bool]string{true: recording.PackedSuffix, false: recording.PartSuffix}[kind == "archive"])
		return forged[kind+": "+name]
	}
	for name, b := range archives(whole) {
		if err := os.WriteFile(put("archive", name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range indexes(other) {
		dir := put("index", name)
		if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "files/index"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range folders(other) {
		dir := put("folder", name)
		if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
	}
	lines := []string{"info REC", "ls DIR", "events --raw REC", "bt REC", "explain --all REC", "report -o OUT/page.html REC", "pack -o OUT/packed.pyrr.zip REC",
		"pack --thin -o OUT/thin.pyrr.zip REC", "replay --batch REC", "diff REC REC", "summary REC", "profile REC", "where REC x", "open -o OUT REC", "push REC oci://localhost:1/team/app:tag"}
	for name, rec := range forged {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			before := tree(t, top)
			for _, line := range lines {
				since := time.Now()
				status, stdout, stderr := capturePyrr(strings.Fields(strings.NewReplacer("REC", rec, "DIR", filepath.Dir(rec), "OUT", out).Replace(line))...)
				if name == "as it is" && status != 0 && !strings.HasPrefix(line, "push") && !strings.HasPrefix(line, "where") {
					t.Errorf("%s: status %d: %s", line, status, stderr)
				}
				if status < 0 || status > 5 || strings.Contains(stdout+stderr, canary) || strings.Contains(stdout+stderr, escape) && !strings.HasPrefix(line, "events --raw") {
					t.Errorf("%s: status %d: %.300s%.300s", line, status, stdout, stderr)
				}
				if took := time.Since(since); setup.Slow(took, 2*time.Minute) {
					t.Errorf("%s takes %v", line, took)
				}
			}
			if after := tree(t, top); !slices.Equal(before, after) {
				t.Errorf("there are other files than before: %v", after)
			}
			for _, made := range tree(t, out) {
				b, err := os.ReadFile(made)
				if err == nil && bytes.Contains(b, []byte(canary)) {
					t.Errorf("%s holds what another file does", made)
				}
				if strings.HasSuffix(made, recording.PackedSuffix) && holds(t, made) {
					t.Errorf("%s holds what another file does", made)
				}
			}
		})
	}
}

// holds says whether a packed recording has the canary in a mapped file.
func holds(t *testing.T, packed string) bool {
	rec, err := recording.Open(packed)
	if err != nil {
		t.Errorf("what was packed can't be read: %v", err)
		return false
	}
	defer rec.Close()
	for _, f := range rec.Files() {
		r, n, err := rec.ReadFile(f.ID)
		if err != nil || n > 1<<20 {
			continue
		}
		b, _ := io.ReadAll(io.NewSectionReader(r, 0, n))
		if bytes.Contains(b, []byte(canary)) {
			return true
		}
	}
	return false
}

// The names in a zip of artifacts lead nowhere. Of two recordings with the same name none
// replaces the other, also where file names differ only in capitals.
func TestOpenArtifacts(t *testing.T) {
	t.Setenv("CI", "")
	_, packed := mapping(t)
	whole, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	file, out := filepath.Join(top, "in", "artifacts.zip"), filepath.Join(top, "a", "b", "out")
	for _, dir := range []string{filepath.Dir(file), out} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"../../../up.pyrr.zip", "/tmp/absolute.pyrr.zip", `..\..\back.pyrr.zip`, "C:/drive.pyrr.zip", "nul\x00byte.pyrr.zip", "job1/same.pyrr.zip", "job2/same.pyrr.zip",
		"job3/SAME.pyrr.zip", "link.pyrr.zip", "..pyrr.zip", strings.Repeat("long", 200) + ".pyrr.zip", "\x1b[1mescape.pyrr.zip", "shared/../../x"}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		data := whole
		if strings.HasPrefix(name, "link") {
			h.SetMode(os.ModeSymlink | 0o777)
			data = []byte("/etc/passwd")
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := capturePyrr("open", "-o", out, file)
	t.Logf("status %d\n%s%s", status, stdout, stderr)
	if strings.Contains(stdout+stderr, "\x1b[1m") {
		t.Errorf("a name reaches the terminal as it is:\n%s%s", stdout, stderr)
	}
	unpacked, folded := 0, map[string]bool{}
	for _, name := range tree(t, top) {
		switch st, err := os.Lstat(name); {
		case err != nil:
			t.Fatal(err)
		case st.IsDir() || name == file:
		case !st.Mode().IsRegular() || !strings.HasPrefix(name, filepath.Join(out, "artifacts")+"/"):
			t.Errorf("it makes %s, %v", name, st.Mode())
		default:
			unpacked++
			if lower := strings.ToLower(name); folded[lower] {
				t.Errorf("two names differ in capitals only: %s", name)
			} else {
				folded[lower] = true
			}
		}
	}
	if want := len(names) - 1; unpacked != want {
		t.Errorf("%d recordings were unpacked, not %d", unpacked, want)
	}
}

// Of zeros without end no more are written than asked for.
func TestOpenBomb(t *testing.T) {
	t.Setenv("CI", "")
	top := t.TempDir()
	file := filepath.Join(top, "artifacts.zip")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("bomb.pyrr.zip")
	if err == nil {
		_, err = io.CopyN(w, zeroes{}, 64<<20)
	}
	if err = errors.Join(err, z.Close(), os.WriteFile(file, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := capturePyrr("open", "--max-size", "1MB", "-o", filepath.Join(top, "bomb"), file); status != 3 || !strings.Contains(stderr, "more than --max-size") {
		t.Errorf("status %d: %s", status, stderr)
	}
	for _, name := range tree(t, filepath.Join(top, "bomb")) {
		if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() {
			t.Errorf("%s of %d bytes is left", name, st.Size())
		}
	}
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { clear(b); return len(b), nil }
