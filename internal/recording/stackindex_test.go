package recording

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/stack"
)

// emptyRecording returns a recording in a folder, with no events.
func emptyRecording(t testing.TB) (*Recording, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "x.part")
	w, err := Create(dir, Header{Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, dir
}

func randomFrame(rng *rand.Rand) stack.Frame {
	if rng.IntN(3) == 0 {
		f := stack.Frame{Kind: stack.C, Func: fmt.Sprintf("c_%d", rng.IntN(20)), Module: "/lib/libc.so.6", Offset: rng.Uint64N(1 << 40), Eval: rng.IntN(5) == 0}
		if rng.IntN(10) == 0 {
			f.Func, f.Module, f.Err = "", "", "no unwind table"
		}
		return f
	}
	f := stack.Frame{Kind: stack.Python, Func: fmt.Sprintf("Cläss.f%d", rng.IntN(30)), File: fmt.Sprintf("/src/%d.py", rng.IntN(10)), Line: rng.IntN(500)}
	if rng.IntN(2) == 0 {
		f.EndLine, f.Col, f.EndCol = f.Line+rng.IntN(3), 1+rng.IntN(80), 1+rng.IntN(80)
	}
	return f
}

// TestStackIndexRoundTrip compares the index with what was put into it: more
// events than one section has, in two processes whose events take turns.
func TestStackIndexRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r, dir := emptyRecording(t)
	if _, err := r.StackIndex(); !errors.Is(err, ErrNoIndex) {
		t.Errorf("without an index: %v", err)
	}
	w, err := r.WriteStacks()
	if err != nil {
		t.Fatal(err)
	}
	want := map[int][][]stack.Frame{}
	var frames []stack.Frame // outermost first
	for range sectionEvery + 99 {
		keep := 0
		if len(frames) > 0 {
			keep = rng.IntN(len(frames) + 1)
		}
		frames = slices.Clone(frames[:keep])
		for range rng.IntN(4) {
			frames = append(frames, randomFrame(rng))
		}
		node := uint32(0)
		for i := range frames {
			node = w.Node(node, w.Frame(&frames[i]))
		}
		proc := 1 + rng.IntN(4000)/3999
		w.Event(proc, node)
		inner := slices.Clone(frames)
		slices.Reverse(inner)
		want[proc] = append(want[proc], inner)
	}
	w.SetFull()
	w.Name(1, 41, 0, "MainThread")
	w.Name(1, 42, 10, "wörker")
	w.Name(1, 42, 30, "")
	w.Name(2, 42, 5, "other")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "x.pyrr.zip")
	if err := Pack(dir, packed); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, packed} {
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		x, err := r.StackIndex()
		if err != nil {
			t.Fatal(err)
		}
		if !x.Full() || x.Events(1) != uint64(len(want[1])) || x.Events(2) != uint64(len(want[2])) || x.Events(3) != 0 {
			t.Errorf("full %v, events %d %d %d", x.Full(), x.Events(1), x.Events(2), x.Events(3))
		}
		sameStacks(t, want, x)
		if _, ok, err := x.Stack(1, 41, uint64(len(want[1]))); ok || err != nil {
			t.Errorf("beyond the last event: %v, %v", ok, err)
		}
		for _, tt := range []struct {
			proc  int
			tid   int32
			event uint64
			name  string
		}{{1, 41, 3, "MainThread"}, {1, 42, 9, ""}, {1, 42, 10, "wörker"}, {1, 42, 29, "wörker"}, {1, 42, 31, ""}, {2, 42, 6, "other"}, {2, 41, 6, ""}} {
			if got := x.Name(tt.proc, tt.tid, tt.event); got != tt.name {
				t.Errorf("name of thread %d in process %d at %d is %q, want %q", tt.tid, tt.proc, tt.event, got, tt.name)
			}
		}
	}
}

// sameStacks compares an index with the stacks of each process.
func sameStacks(t *testing.T, want map[int][][]stack.Frame, x *StackIndex) {
	for proc, list := range want {
		for i, frames := range list {
			node, err := x.Node(proc, uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			if got := x.Frames(node); !slices.Equal(got, frames) {
				t.Fatalf("event %d of process %d (-want +got):\n%s", i, proc, cmp.Diff(frames, got))
			}
		}
	}
}

// TestStackIndexLimit: an index that would be too large is not written.
func TestStackIndexLimit(t *testing.T) {
	r, dir := emptyRecording(t)
	w, err := r.WriteStacks()
	if err != nil {
		t.Fatal(err)
	}
	w.limit = 3
	for i := range 5 {
		w.Event(1, w.Node(0, w.Frame(&stack.Frame{Kind: stack.Python, Func: "f", Line: i})))
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "too many stacks") {
		t.Errorf("error %v", err)
	}
	if _, err := r.StackIndex(); !errors.Is(err, ErrNoIndex) {
		t.Errorf("there is one: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "stacks*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestStackIndexText(t *testing.T) {
	r, _ := emptyRecording(t)
	w, err := r.WriteStacks()
	if err != nil {
		t.Fatal(err)
	}
	outer := w.Node(0, w.Frame(&stack.Frame{Kind: stack.Python, Func: "main", File: "a.py", Line: 3, EndLine: 3, Col: 1, EndCol: 8}))
	inner := w.Node(outer, w.Frame(&stack.Frame{Kind: stack.C, Func: "read", Module: "libc.so.6", Offset: 0x1f0}))
	for _, n := range []uint32{0, outer, outer, inner} {
		w.Event(1, n)
	}
	w.Name(1, 41, 0, "MainThread")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	x, err := r.StackIndex()
	if err != nil {
		t.Fatal(err)
	}
	const want = `frame 0 python func="main" file="a.py" line=3 endline=3 col=1 endcol=8
frame 1 c func="read" module="libc.so.6" offset=0x1f0
stack 1 frame=0
stack 2 outer=1 frame=1
name proc=1 tid=41 name="MainThread"
events proc=1 from=0 to=0 stack=0
events proc=1 from=1 to=2 stack=1
events proc=1 from=3 to=3 stack=2
`
	var got strings.Builder
	if err := x.WriteText(&got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Errorf("text form (-want +got):\n%s", d)
	}
}

// forgedMember writes a member whose chunks are intact and hold any content.
func forgedMember(t testing.TB, dir, name string, magic [4]byte, sections [][]byte, counts []uint32, firsts []uint64) {
	t.Helper()
	enc, err := newEncoder()
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var out, buf []byte
	for i, raw := range sections {
		h := chunkHeader{magic: magic, seq: uint32(i), first: firsts[i], count: counts[i], raw: uint32(len(raw)), sum: crc32.Checksum(raw, castagnoli)}
		buf = writeTo(buf, enc, h, raw)
		out = append(out, buf...)
	}
	if err := os.WriteFile(filepath.Join(dir, name), out, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestForgedStackIndex(t *testing.T) {
	end := func(texts, frames, nodes, procs byte) []byte {
		return []byte{sectionEnd, stacksVersion, 0, texts, frames, nodes, procs}
	}
	deep := []byte{sectionNodes}
	for range maxStackDepth + 1 {
		deep = append(deep, 0, 0)
	}
	tests := []struct {
		name     string
		sections [][]byte
		counts   []uint32
		err      string
	}{
		{"no end", [][]byte{{sectionFrames, 0, 0, 0, 0}}, []uint32{1}, "no end"},
		{"another version", [][]byte{{sectionEnd, 9, 0}}, []uint32{0}, ErrNoIndex.Error()},
		{"a section of a later version", [][]byte{{77, 1, 2}, end(1, 0, 1, 0)}, []uint32{2, 0}, ""},
		{"after the end", [][]byte{end(1, 0, 1, 0), {sectionStrings, 0}}, []uint32{0, 1}, "follows the end"},
		{"fewer than the end says", [][]byte{end(4, 0, 1, 0)}, []uint32{0}, "there should be 4"},
		{"parent before the first", [][]byte{{sectionNodes, 1, 0}, end(1, 0, 2, 0)}, []uint32{1, 0}, "parent"},
		{"frame that is not there", [][]byte{{sectionNodes, 0, 2}, end(1, 0, 2, 0)}, []uint32{1, 0}, "frame 1 of 0"},
		{"text that is not there", [][]byte{{sectionFrames, 0, 14, 0, 0}, end(1, 1, 1, 0)}, []uint32{1, 0}, "text 7 of 0"},
		{"unknown flags", [][]byte{{sectionFrames, 0x80, 0, 0, 0}, end(1, 1, 1, 0)}, []uint32{1, 0}, "flags"},
		{"too deep", [][]byte{{sectionFrames, 0, 0, 0, 0}, deep, {sectionEnd, stacksVersion, 0, 1, 1, 0x82, 0x80, 0x04, 0}}, []uint32{1, maxStackDepth + 1, 0}, "more than"},
		{"cut entry", [][]byte{{sectionFrames, 0, 0}, end(1, 1, 1, 0)}, []uint32{1, 0}, errShort.Error()},
		{"too much", [][]byte{{sectionFrames, 0, 0, 0, 0, 0}, end(1, 1, 1, 0)}, []uint32{1, 0}, "too many"},
		{"process 0", [][]byte{{sectionEvents, 0, 0}, end(1, 0, 1, 1)}, []uint32{1, 0}, "process 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, dir := emptyRecording(t)
			forgedMember(t, dir, stacksName, magicStacks, tt.sections, tt.counts, make([]uint64, len(tt.sections)))
			_, err := r.StackIndex()
			got := ""
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.err) || (got == "") != (tt.err == "") {
				t.Errorf("error %q, want %q", got, tt.err)
			}
		})
	}
}

// TestDamagedStackIndex flips each byte of an index: an error, or the same
// stacks, and never a panic.
func TestDamagedStackIndex(t *testing.T) {
	r, dir := emptyRecording(t)
	w, err := r.WriteStacks()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		node := uint32(0)
		for range rng.IntN(5) {
			f := randomFrame(rng)
			node = w.Node(node, w.Frame(&f))
		}
		w.Event(1, node)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, stacksName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := func() (string, error) {
		x, err := r.StackIndex()
		if err != nil {
			return "", err
		}
		var b strings.Builder
		err = x.WriteText(&b)
		return b.String(), err
	}
	want, err := text()
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := text(); err == nil && got != want {
			t.Fatalf("byte %d is not noticed", i)
		}
	}
	for i := range whole {
		if err := os.WriteFile(path, whole[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := text(); err == nil {
			t.Fatalf("%d of %d bytes are taken for the whole", i, len(whole))
		}
	}
}

// FuzzStackIndex gives the reader intact chunks of arbitrary content.
func FuzzStackIndex(f *testing.F) {
	f.Add([]byte{5, 1, sectionFrames, 0, 0, 0, 0, 3, 1, sectionNodes, 0, 0, 3, 1, sectionEvents, 1, 2, 7, 0, sectionEnd, stacksVersion, 1, 1, 1, 2, 1})
	f.Add([]byte{8, 2, sectionStrings, 2, 'a', 'b', 3, 'c', 'd', 'e', 5, 1, sectionNames, 1, 82, 0, 1})
	r, dir := emptyRecording(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		// Each section: its length, its count, its bytes.
		var sections [][]byte
		var counts []uint32
		first := map[byte]uint64{}
		var firsts []uint64
		for len(data) > 2 {
			n := min(int(data[0])+1, len(data)-2)
			raw := data[2 : 2+n]
			sections, counts, firsts = append(sections, raw), append(counts, uint32(data[1])), append(firsts, first[raw[0]])
			first[raw[0]] += uint64(data[1])
			data = data[2+n:]
		}
		for _, tt := range []struct {
			name  string
			magic [4]byte
		}{{stacksName, magicStacks}, {sourcesName, magicSources}} {
			forgedMember(t, dir, tt.name, tt.magic, sections, counts, firsts)
		}
		r.readSources()
		x, err := r.StackIndex()
		if err != nil {
			return
		}
		var b strings.Builder
		x.WriteText(&b)
		for proc := range x.procs {
			for i := range min(x.Events(proc), 100) {
				x.Stack(proc, 1, i)
			}
		}
	})
}

func TestSources(t *testing.T) {
	r, dir := emptyRecording(t)
	if all, err := r.Sources(); err != nil || len(all) != 0 {
		t.Errorf("without any: %d, %v", len(all), err)
	}
	w, err := r.WriteSources()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"/a.py": "x = 1\n", "empty.py": ""}
	for i := range 30 {
		want[fmt.Sprintf("/big/%d.py", i)] = strings.Repeat(fmt.Sprintf("y = %d\n", i), 50_000)
	}
	for name, text := range want {
		if err := w.Add(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add("/huge.py", make([]byte, MaxSource+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a huge one: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	all, err := again.Sources()
	if err != nil || len(all) != len(want) {
		t.Fatalf("%d of %d, %v", len(all), len(want), err)
	}
	for name, text := range want {
		if string(all[name]) != text {
			t.Errorf("%s differs", name)
		}
	}
}
