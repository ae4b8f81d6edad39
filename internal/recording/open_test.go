package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestOpenRefuses(t *testing.T) {
	replace := func(name string, v any) func(dir string) error {
		return func(dir string) error {
			b, err := marshalJSON(v)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
	}
	newer := testHeader()
	newer.Format = FormatVersion + 1
	foreign := testHeader()
	foreign.Host.Arch = "arm64"
	older := testHeader()
	older.Format = 0
	tests := []struct {
		name   string
		change func(dir string) error
		want   string
	}{
		{"no header", func(dir string) error { return os.Remove(filepath.Join(dir, headerName)) }, "pyrr.json"},
		{"newer format", replace(headerName, newer), `format is 2, made by "pyrr test"; this pyrr reads up to 1`},
		{"no format", replace(headerName, older), "format is 0"},
		{"another architecture", replace(headerName, foreign), `made on the architecture "arm64"`},
		{"no events", func(dir string) error { return os.RemoveAll(filepath.Join(dir, eventsDir)) }, "events"},
		{"header too long", func(dir string) error { return os.Truncate(filepath.Join(dir, headerName), maxJSON+1) }, "above the limit"},
		{"header is a FIFO", func(dir string) error {
			os.Remove(filepath.Join(dir, headerName))
			return unix.Mkfifo(filepath.Join(dir, headerName), 0o600)
		}, "not a file"},
		{"header is a link out of the folder", func(dir string) error {
			os.Remove(filepath.Join(dir, headerName))
			return os.Symlink("/etc/passwd", filepath.Join(dir, headerName))
		}, "escapes"},
		{"file entry beyond its size", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, indexName), indexLine(&File{ID: 1, Size: 5, Want: 6}), 0o600)
		}, "files/index at byte 0"},
		{"huge file entry", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, indexName), indexLine(&File{ID: 1, Size: 1 << 60, Want: 1 << 60}), 0o600)
		}, "files/index at byte 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, _ := sample(t)
			if err := tt.change(dir); err != nil {
				t.Fatal(err)
			}
			r, err := Open(dir)
			if err == nil {
				r.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a recording that does not exist: %v", err)
	}
	if _, err := Open("/dev/null"); err == nil {
		t.Error("/dev/null opens")
	}
}

func TestSetVerified(t *testing.T) {
	dir, _ := sample(t)
	for _, cut := range []bool{false, true} {
		if cut {
			if err := os.Remove(filepath.Join(dir, summaryName)); err != nil {
				t.Fatal(err)
			}
		}
		r := open(t, dir)
		if err := r.SetVerified("exact"); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*Recording{r, open(t, dir)} {
			sum, ok := r.Summary()
			if !ok || sum.Verified != "exact" || sum.Truncated != cut || (sum.Streams == nil) != cut {
				t.Errorf("cut %v: summary %+v", cut, sum)
			}
		}
	}
	zip := filepath.Join(t.TempDir(), "x.pyrr.zip")
	if err := Pack(dir, zip); err != nil {
		t.Fatal(err)
	}
	if err := open(t, zip).SetVerified("exact"); err == nil {
		t.Error("changed a packed recording")
	}
}

func TestSeek(t *testing.T) {
	dir, want := sample(t)
	r := open(t, dir)
	for n := range want {
		for _, before := range []int{0, 1, n / 2} {
			it, err := r.Events(2)
			if err != nil {
				t.Fatal(err)
			}
			var ev Event
			for range min(before, n) {
				if err := it.Next(&ev); err != nil {
					t.Fatal(err)
				}
			}
			if err := it.Seek(uint64(n)); err != nil {
				t.Fatal(err)
			}
			if err := it.Next(&ev); err != nil || !cmp.Equal(want[n], ev, same) {
				t.Fatalf("event %d after %d: %v %+v", n, before, err, ev)
			}
			it.Close()
		}
	}
	it, err := r.Events(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := it.Seek(uint64(len(want)) + 5); err != io.EOF {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := r.Events(3); err == nil {
		t.Error("events of a process that is not there")
	}
}

// A recorder that is killed leaves all that was flushed; files that it had not
// copied yet are read from their original places.
func TestKilledRecorder(t *testing.T) {
	if dir := os.Getenv("PYRR_TEST_KILLED_RECORDER"); dir != "" {
		killedRecorder(t, dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "killed.pyrr.part")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRecorder$")
	cmd.Env = append(os.Environ(), "PYRR_TEST_KILLED_RECORDER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var flushed int
	if _, err := fmt.Fscanf(out, "flushed %d\n", &flushed); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()

	r := open(t, dir)
	if _, ok := r.Summary(); ok {
		t.Error("a killed recorder wrote a summary")
	}
	got := mustRead(t, r, 1)
	last := got[len(got)-1]
	if len(got) <= flushed || last.Kind != KindEnd || last.Why != EndTruncated || last.Instr != uint64(len(got)-2) {
		t.Errorf("%d events of %d flushed, the last %+v", len(got), flushed, last)
	}
	for i, ev := range got[:len(got)-1] {
		if ev.Instr != uint64(i) {
			t.Fatalf("event %d has Instr %d", i, ev.Instr)
		}
	}
}

// killedRecorder records until it is killed.
func killedRecorder(t *testing.T, dir string) {
	w, err := Create(dir, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	s := w.Stream(1)
	appendAll(t, s, []Event{{Kind: KindStart, Proc: &Process{ID: 1}}})
	for i := uint64(1); ; i++ {
		if err := s.Append(&Event{Kind: KindSyscall, Instr: i}); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 {
			w.Flush()
		}
		if i == 50000 {
			for queued(w) > 0 {
				time.Sleep(time.Millisecond)
			}
			fmt.Printf("flushed %d\n", i)
		}
	}
}

// cutRecording makes a recording whose recorder was killed with half of a
// mapped file copied.
func cutRecording(t *testing.T, data []byte) (dir string, f *os.File, id FileID) {
	t.Helper()
	w, dir := create(t)
	f, _ = testFile(t, t.TempDir(), "mapped", data)
	id = addFile(t, w, f, uint64(len(data)))
	appendAll(t, w.Stream(1), []Event{{Kind: KindStart, Proc: &Process{ID: 1}}})
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, summaryName)); err != nil {
		t.Fatal(err)
	}
	// The index has a line for the beginning and one for the end of the copy.
	index, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(index, '\n') + 1
	blobPath := filepath.Join(dir, blobName(id))
	st, err := os.Stat(blobPath)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, indexName), index[:first+10], 0o600), os.Truncate(blobPath, st.Size()*2/3))
	if err != nil {
		t.Fatal(err)
	}
	return dir, f, id
}

func TestCutFileCopy(t *testing.T) {
	data := testContent(4, 6<<20+1234)
	t.Run("original is there", func(t *testing.T) {
		dir, _, id := cutRecording(t, data)
		if !bytes.Equal(readFile(t, open(t, dir), id), data) {
			t.Error("it differs")
		}
		zip := filepath.Join(t.TempDir(), "x.pyrr.zip")
		if err := Pack(dir, zip); err != nil {
			t.Fatal(err)
		}
		r := open(t, zip)
		if !bytes.Equal(readFile(t, r, id), data) {
			t.Error("it differs after packing")
		}
		if f := r.Files()[0]; f.Kept != f.Want || f.SHA256 == "" {
			t.Errorf("not complete: %+v", f)
		}
	})
	t.Run("original has changed", func(t *testing.T) {
		dir, f, id := cutRecording(t, data)
		if err := os.WriteFile(f.Name(), data[1:], 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := open(t, dir).ReadFile(id)
		if err == nil || !strings.Contains(err.Error(), "bytes were kept: the original can't be used: it has changed since") {
			t.Errorf("error %v", err)
		}
		zip := filepath.Join(t.TempDir(), "x.pyrr.zip")
		if err := Pack(dir, zip); err != nil {
			t.Fatal(err)
		}
		if _, _, err := open(t, zip).ReadFile(id); err == nil || !strings.Contains(err.Error(), "the recording is packed") {
			t.Errorf("packed: error %v", err)
		}
	})
	t.Run("original is gone", func(t *testing.T) {
		dir, f, id := cutRecording(t, data)
		os.Remove(f.Name())
		if _, _, err := open(t, dir).ReadFile(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("folder of another user", func(t *testing.T) {
		dir, _, id := cutRecording(t, data)
		if err := os.Chown(dir, 12345, 12345); err != nil {
			t.Skipf("give the folder away: %v", err)
		}
		if _, _, err := open(t, dir).ReadFile(id); err == nil || !strings.Contains(err.Error(), "another user") {
			t.Errorf("error %v", err)
		}
	})
}

// A small file that unpacks to much is read with little memory, one chunk
// at a time.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 60<<20)
	note := encodeEvents([]Event{{Kind: KindNote}})
	var s streamBuilder
	s.chunk(encodeEvents([]Event{{Kind: KindStart, Proc: &Process{ID: 1}}}), 1, nil)
	for range 12 { // 720 MB unpacked: events of an unknown kind with 60 MB of data
		s.chunk(append(append(appendUvarint2(nil, 2, uint64(len(zeros))), 200, 0), zeros...), 1, nil)
	}
	s.chunk(note, 1, nil)
	if len(s.out) > 1<<20 {
		t.Fatalf("the bomb has %d bytes", len(s.out))
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	it := iterOver(t, s.out)
	var ev Event
	n := 0
	peak := uint64(0)
	for it.Next(&ev) == nil {
		n++
		runtime.ReadMemStats(&after)
		peak = max(peak, after.HeapInuse)
	}
	if n != 15 {
		t.Errorf("%d events", n)
	}
	if peak > before.HeapInuse+300<<20 {
		t.Errorf("%d MB in use", (peak-before.HeapInuse)>>20)
	}
}

// Random bytes are not a recording.
func TestRandomBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	path := filepath.Join(t.TempDir(), "x.pyrr.zip")
	for n := range 100 {
		if err := os.WriteFile(path, randomBytes(rnd, n*10+1), 0o600); err != nil {
			t.Fatal(err)
		}
		var d *DamagedError
		if _, err := Open(path); !errors.As(err, &d) {
			t.Fatalf("error %v", err)
		}
	}
}
