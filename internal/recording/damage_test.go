package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dump is all that a reader sees of a recording, or the first error.
func dump(path string) (text string, err error) {
	r, err := Open(path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	var out bytes.Buffer
	sum, ok := r.Summary()
	fmt.Fprintf(&out, "%+v\n%+v %v\n%+v\n", r.Header(), sum, ok, r.Files())
	procs, err := r.Procs()
	if err != nil {
		return "", err
	}
	for _, p := range procs {
		fmt.Fprintf(&out, "%+v\n", p)
		it, err := r.Events(p.ID)
		if err != nil {
			return "", err
		}
		err = WriteText(&out, it)
		it.Close()
		if err != nil {
			return "", err
		}
	}
	for _, f := range r.Files() {
		src, n, err := r.ReadFile(f.ID)
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(&out, io.NewSectionReader(src, 0, n)); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// sample makes a recording of two processes in several chunks, with a file.
func sample(t testing.TB) (dir string, events []Event) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(7, 8))
	w, dir := create(t)
	f, _ := testFile(t, t.TempDir(), "mapped", testContent(2, 20000))
	addFile(t, w, f, 20000)
	for proc := 1; proc <= 2; proc++ {
		events = randomEvents(rnd, proc, 60)
		for i := range events {
			appendAll(t, w.Stream(proc), events[i:i+1])
			if i%13 == 12 {
				w.Flush()
			}
		}
	}
	if err := w.Close(Summary{Status: 1, Events: 120}); err != nil {
		t.Fatal(err)
	}
	return dir, events
}

// chunkEnds returns where the chunks of a stream end, and how many events
// there are up to there.
func chunkEnds(t *testing.T, b []byte) (ends []int, events []uint64) {
	t.Helper()
	for at := 0; at < len(b); {
		h, err := parseChunkHeader(b[at:at+chunkHeaderSize], magicEvents, 2, uint32(len(ends)))
		if err != nil {
			t.Fatal(err)
		}
		at += chunkHeaderSize + int(h.packed)
		ends = append(ends, at)
		events = append(events, h.first+uint64(h.count))
	}
	return ends, events
}

func TestCutStream(t *testing.T) {
	dir, want := sample(t)
	name := filepath.Join(dir, streamName(2))
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	ends, counts := chunkEnds(t, whole)
	if len(ends) < 4 {
		t.Fatalf("%d chunks", len(ends))
	}
	var cuts []int
	for _, e := range append([]int{0}, ends...) {
		cuts = append(cuts, max(e-1, 0), e, e+1, e+chunkHeaderSize-1, e+chunkHeaderSize, e+chunkHeaderSize+1)
	}
	rnd := rand.New(rand.NewPCG(9, 9))
	for range 100 {
		cuts = append(cuts, rnd.IntN(len(whole)))
	}
	for _, finished := range []bool{true, false} {
		if !finished {
			if err := os.Remove(filepath.Join(dir, summaryName)); err != nil {
				t.Fatal(err)
			}
		}
		for _, cut := range cuts {
			if cut >= len(whole) {
				continue
			}
			if err := os.WriteFile(name, whole[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			kept, end := uint64(0), 0 // what the whole chunks hold
			for i := range ends {
				if ends[i] <= cut {
					kept, end = counts[i], ends[i]
				}
			}
			r, err := Open(dir)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			it, err := r.Events(2)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			got, err := readEvents(it)
			last, lastErr := r.LastEvent(2)
			r.Close()
			if (err == nil) != (lastErr == nil) || err == nil && !cmp.Equal(got[len(got)-1], last, same) {
				t.Fatalf("cut at %d: the last event is %+v, %v; reading all of them: %v", cut, last, lastErr, err)
			}
			if finished {
				// The summary says that there was more.
				var d *DamagedError
				if !errors.As(err, &d) || d.File != "events/0002" || d.Offset != int64(end) || d.Event != kept || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("cut at %d: error %v, want an error for events/0002 at %d, event %d", cut, err, end, kept)
				}
			} else {
				// The recorder was killed: the stream gets an end.
				if err != nil || len(got) == 0 {
					t.Fatalf("cut at %d: %d events, %v", cut, len(got), err)
				}
				last := got[len(got)-1]
				got = got[:len(got)-1]
				text := fmt.Sprintf("events/0002 ends at byte %d, before event %d", end, kept)
				if last.Kind != KindEnd || last.Why != EndTruncated || last.Text != text || kept > 0 && last.Instr != want[kept-1].Instr {
					t.Fatalf("cut at %d: ends with %+v, want text %q", cut, last, text)
				}
			}
			if !cmp.Equal(want[:kept], got, same) {
				t.Fatalf("cut at %d: the events before it differ", cut)
			}
		}
	}
}

// A flipped bit is noticed, or it has no meaning.
func TestBitFlips(t *testing.T) {
	dir, _ := sample(t)
	want, err := dump(dir)
	if err != nil {
		t.Fatal(err)
	}
	zip := filepath.Join(t.TempDir(), "x.pyrr.zip")
	if err := Pack(dir, zip); err != nil {
		t.Fatal(err)
	}
	if got, err := dump(zip); err != nil || got != want {
		t.Fatalf("the packed recording reads differently: %v", err)
	}
	rnd := rand.New(rand.NewPCG(10, 11))
	flip := func(t *testing.T, file, recording string, n int) {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		defer os.WriteFile(file, whole, 0o600)
		noticed := 0
		for range n {
			b := bytes.Clone(whole)
			at := rnd.IntN(len(b))
			b[at] ^= 1 << rnd.IntN(8)
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := dump(recording)
			if err == nil && got != want {
				t.Fatalf("bit flipped in byte %d (%#x, was %#x): read without an error, but differently", at, b[at], whole[at])
			}
			if err != nil {
				noticed++
				if strings.Contains(file, "events") && !strings.Contains(err.Error(), "events/0002 at byte ") {
					t.Fatalf("byte %d: the error does not say where: %v", at, err)
				}
			}
		}
		if noticed < n*9/10 {
			t.Errorf("%d of %d noticed", noticed, n)
		}
	}
	t.Run("zip", func(t *testing.T) { flip(t, zip, zip, 1000) })
	for _, name := range []string{headerName, summaryName, indexName, "events/0002", "files/0001"} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) { flip(t, filepath.Join(dir, name), dir, 150) })
	}
}

// A packed recording that is cut does not open.
func TestCutZip(t *testing.T) {
	dir, _ := sample(t)
	zip := filepath.Join(t.TempDir(), "x.pyrr.zip")
	if err := Pack(dir, zip); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(zip)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 1 + len(whole)/200 {
		if err := os.WriteFile(zip, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		var d *DamagedError
		if _, err := Open(zip); !errors.As(err, &d) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}
