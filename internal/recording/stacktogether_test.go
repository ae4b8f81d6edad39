package recording

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/stack"
)

// Facts that name frames by their numbers are read as they were written, and frames that
// are in the stacks anyway add little to the index.
func TestFactsNameFrames(t *testing.T) {
	index := func(facts string) (*StackIndex, int64) {
		t.Helper()
		r, dir := emptyRecording(t)
		w, err := r.WriteStacks()
		if err != nil {
			t.Fatal(err)
		}
		node := uint32(0)
		for i := range 30 {
			node = w.Node(node, w.Frame(&stack.Frame{Kind: stack.Python, Func: fmt.Sprintf("f%d", i%7), File: fmt.Sprintf(`/a "b"/m%d.py`, i%5), Line: 10 * i}))
		}
		w.Event(1, node)
		w.Event(2, node)
		if facts != "" {
			w.Facts(1, []byte(facts))
			w.Facts(2, []byte(`{"proc":2}`))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(filepath.Join(dir, stacksName))
		if err != nil {
			t.Fatal(err)
		}
		x, err := r.StackIndex()
		if err != nil {
			t.Fatal(err)
		}
		return x, st.Size()
	}
	var frames []string
	for i := range 30 {
		frames = append(frames, fmt.Sprintf(`{"func":"f%d","file":"/a \"b\"/m%d.py","line":%d}`, i%7, i%5, 10*i))
	}
	frames = append(frames, `{"func":"<other>","file":"/né.py","line":3,"count":7}`)
	text := `{"frames":[` + strings.Join(frames, ",") + `],"says":"\"func\":\"x\",\"file\":\"y\",\"line\":3 and \"f\":1","ident":18446744073709551615}`
	_, without := index("")
	x, with := index(text)
	if diff := cmp.Diff(text, string(x.Facts(1))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if string(x.Facts(2)) != `{"proc":2}` || !json.Valid(x.Facts(1)) {
		t.Errorf("facts of the other process: %s", x.Facts(2))
	}
	if with > without+220 {
		t.Errorf("an index of %d bytes has %d with facts", without, with)
	}
}

// Few bytes that stand for many are refused.
func TestFactsBomb(t *testing.T) {
	d := indexDecoder{x: &StackIndex{frames: []stack.Frame{{Func: strings.Repeat("x", 1<<20)}}, facts: map[int][]byte{1: []byte(strings.Repeat(`"f":0,`, 1000))}}, budget: 16 << 20}
	if err := d.expandFacts(); err == nil {
		t.Errorf("%d bytes of facts were taken", len(d.x.facts[1]))
	}
	d.x.facts = map[int][]byte{1: []byte(`{"f":1}`)}
	if err := d.expandFacts(); err == nil {
		t.Error("a frame that is not there was taken")
	}
}
