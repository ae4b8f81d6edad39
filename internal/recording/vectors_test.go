package recording

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pyrr/internal/goldentest"
)

// section is a file of a txtar archive: its marker line names it.
type section struct {
	name string
	data []byte
}

// parseTxtar reads the format of golang.org/x/tools/txtar: a comment, then
// sections, each after a line "-- NAME --".
func parseTxtar(text string) (comment string, sections []section) {
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-- ")
		if name, ok2 := strings.CutSuffix(name, " --"); ok && ok2 {
			sections = append(sections, section{name: name})
		} else if n := len(sections); n > 0 {
			sections[n-1].data = append(sections[n-1].data, line...)
		} else {
			comment += line
		}
	}
	return comment, sections
}

func formatTxtar(comment string, sections []section) []byte {
	b := []byte(comment)
	for _, s := range sections {
		b = fmt.Appendf(b, "-- %s --\n%s", s.name, s.data)
	}
	return b
}

// streamBuilder builds the stream of process 1 from the sections of a vector.
type streamBuilder struct {
	out  []byte
	seq  uint32
	next uint64
}

// chunk appends a chunk with the raw content; edit may forge its header.
func (s *streamBuilder) chunk(raw []byte, count uint32, edit func(h *chunkHeader)) {
	enc, err := newEncoder()
	if err != nil {
		panic(err)
	}
	packed := enc.EncodeAll(raw, nil)
	h := chunkHeader{magic: magicEvents, stream: 1, seq: s.seq, first: s.next, count: count,
		raw: uint32(len(raw)), packed: uint32(len(packed)), sum: crc32.Checksum(raw, castagnoli)}
	if edit != nil {
		edit(&h)
	}
	var head [chunkHeaderSize]byte
	h.put(head[:])
	s.out = append(append(s.out, head[:]...), packed...)
	s.seq++
	s.next += uint64(count)
}

// encodeEvents is the raw content of a chunk with the events.
func encodeEvents(events []Event) []byte {
	var d deltas
	var raw []byte
	for i := range events {
		head := d.encode(nil, &events[i], events[i].fields())
		var data []byte
		for _, w := range events[i].Mem {
			data = append(data, w.Data...)
		}
		raw = appendUvarint2(raw, uint64(len(head)), uint64(len(data)))
		raw = append(append(raw, head...), data...)
	}
	return raw
}

// unhex reads hexadecimal digits; # begins a comment.
func unhex(t testing.TB, text []byte) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// section appends what a section of a vector describes:
//
//	events                events in the text form, as a good chunk
//	chunk COUNT [K=V…]    raw content in hexadecimal, header fields forged
//	bytes                 bytes in hexadecimal as they are
//	cut N                 the last N bytes are taken off
//	set AT                bytes in hexadecimal, replacing those at AT
func (s *streamBuilder) section(t testing.TB, f section) {
	t.Helper()
	words := strings.Fields(f.name)
	number := func(w string) uint64 {
		v, err := strconv.ParseUint(w, 0, 64)
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		return v
	}
	switch words[0] {
	case "events":
		events, err := ParseText(bytes.NewReader(f.data))
		if err != nil {
			t.Fatal(err)
		}
		s.chunk(encodeEvents(events), uint32(len(events)), nil)
	case "chunk":
		s.chunk(unhex(t, f.data), uint32(number(words[1])), func(h *chunkHeader) {
			for _, kv := range words[2:] {
				k, v, _ := strings.Cut(kv, "=")
				switch k {
				case "flags":
					h.flags = uint16(number(v))
				case "stream":
					h.stream = uint32(number(v))
				case "seq":
					h.seq = uint32(number(v))
				case "first":
					h.first = number(v)
				case "raw":
					h.raw = uint32(number(v))
				case "packed":
					h.packed = uint32(number(v))
				case "sum":
					h.sum = uint32(number(v))
				default:
					t.Fatalf("%s: unknown field", f.name)
				}
			}
		})
	case "bytes":
		s.out = append(s.out, unhex(t, f.data)...)
	case "cut":
		s.out = s.out[:len(s.out)-int(number(words[1]))]
	case "set":
		copy(s.out[number(words[1]):], unhex(t, f.data))
	default:
		t.Fatalf("unknown section %s", f.name)
	}
}

// Each testdata/*.txtar is a stream, or a text form, with the result of reading it: the
// section want has the events that were read and the error.
func TestVectors(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			comment, sections := parseTxtar(string(text))
			last := len(sections) - 1
			if last < 0 || sections[last].name != "want" || comment == "" {
				t.Fatal("a vector must begin with a comment that says why it exists, and end with the section want")
			}
			var got bytes.Buffer
			if sections[0].name == "text" {
				events, err := ParseText(bytes.NewReader(sections[0].data))
				for i := range events {
					got.Write(FormatEvent(nil, uint64(i), &events[i]))
				}
				if err != nil {
					fmt.Fprintf(&got, "error: %v\n", err)
				}
			} else {
				var s streamBuilder
				for _, f := range sections[:last] {
					s.section(t, f)
				}
				it := iterOver(t, s.out)
				if err := WriteText(&got, it); err != nil {
					fmt.Fprintf(&got, "error: %v\n", err)
				}
			}
			if goldentest.Updating(t) {
				sections[last].data = got.Bytes()
				if err := os.WriteFile(path, formatTxtar(comment, sections), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := string(sections[last].data); got.String() != want {
				t.Errorf("got:\n%swant:\n%s", got.String(), want)
			}
		})
	}
}

// iterOver reads a stream of process 1 from memory, as if it were in a
// recording whose recorder was killed.
func iterOver(t testing.TB, stream []byte) *Iter {
	t.Helper()
	dec, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	it := &Iter{r: &Recording{}, proc: 1, name: streamName(1), src: content{ReaderAt: bytes.NewReader(stream), size: int64(len(stream))}, dec: dec}
	t.Cleanup(it.Close)
	return it
}
