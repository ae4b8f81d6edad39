package recording

import (
	"archive/zip"
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vectorStreams returns the streams of testdata, as seeds.
func vectorStreams(f *testing.F) (streams [][]byte, texts []string) {
	f.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, sections := parseTxtar(string(b))
		texts = append(texts, string(sections[len(sections)-1].data))
		if sections[0].name == "text" {
			texts = append(texts, string(sections[0].data))
			continue
		}
		var s streamBuilder
		for _, sec := range sections[:len(sections)-1] {
			s.section(f, sec)
		}
		streams = append(streams, s.out)
	}
	return streams, texts
}

// FuzzStream reads any bytes as a stream. They rarely get past a checksum;
// FuzzEvents goes on from there.
func FuzzStream(f *testing.F) {
	streams, _ := vectorStreams(f)
	for _, s := range streams {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		readEvents(iterOver(t, stream))
	})
}

// FuzzEvents reads any bytes as the content of a chunk. What can be read is
// written and read again: it must be the same.
func FuzzEvents(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 8 {
		f.Add(encodeEvents(randomEvents(rnd, 1, 20)), uint16(20))
	}
	f.Fuzz(func(t *testing.T, raw []byte, count uint16) {
		if len(raw) == 0 {
			return
		}
		var s streamBuilder
		s.chunk(raw, uint32(count), nil)
		events, err := readEvents(iterOver(t, s.out))
		if err != nil || len(events) == 0 {
			return
		}
		if events[0].Kind != KindStart {
			return // the only event is the end that the reader made up
		}
		for i := range events {
			if _, err := checkEvent(&events[i], events[i].fields()); err != nil {
				t.Fatalf("the reader gave out what the writer refuses: %v", err)
			}
		}
		var again streamBuilder
		again.chunk(encodeEvents(events), uint32(len(events)), nil)
		got, err := readEvents(iterOver(t, again.out))
		if err != nil || !cmp.Equal(events, got, same) {
			t.Fatalf("written again and read: %v\n%s", err, cmp.Diff(events, got, same))
		}
	})
}

// FuzzText parses any text; events that can be parsed are the same after they were
// formatted and parsed again.
func FuzzText(f *testing.F) {
	_, texts := vectorStreams(f)
	for _, s := range texts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		events, err := ParseText(bytes.NewReader([]byte(text)))
		if err != nil {
			return
		}
		var out []byte
		for i := range events {
			out = FormatEvent(out, uint64(i), &events[i])
		}
		got, err := ParseText(bytes.NewReader(out))
		if err != nil || !cmp.Equal(events, got, same) {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}

// FuzzZip opens any bytes as a packed recording. A file that is accepted must look the
// same to archive/zip: a file that two readers see differently could be
// inspected as one thing and used as another.
func FuzzZip(f *testing.F) {
	for _, big := range []bool{false, true} {
		path := filepath.Join(f.TempDir(), "x.zip")
		packInto(f, path, big, "pyrr.json", "{}", "events/0001", "abc")
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[1:])
	}
	f.Add(foreign(f, zip.Store, "pyrr.json"))
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := readZip(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(r.File) != len(members) {
			t.Fatalf("archive/zip sees something else: %v", err)
		}
		for i, m := range members {
			at, err := r.File[i].DataOffset()
			if err != nil || r.File[i].Name != m.name || at != m.data || r.File[i].UncompressedSize64 != uint64(m.size) {
				t.Fatalf("member %d: %+v and %+v, %v", i, m, r.File[i].FileHeader, err)
			}
		}
	})
}

// FuzzFolder opens a folder with any pyrr.json, summary.json and index.
func FuzzFolder(f *testing.F) {
	dir, _ := sample(f)
	var seed [3]string
	names := [3]string{headerName, summaryName, indexName}
	for i, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		seed[i] = string(b)
	}
	f.Add(seed[0], seed[1], seed[2])
	f.Add(seed[0], seed[1], seed[2][:len(seed[2])-5])
	f.Fuzz(func(t *testing.T, header, summary, index string) {
		dir := t.TempDir()
		for i, text := range []string{header, summary, index} {
			path := filepath.Join(dir, names[i])
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		os.Mkdir(filepath.Join(dir, eventsDir), 0o700)
		if r, err := Open(dir); err == nil {
			r.Close()
		}
	})
}
