package recording

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pyrr/internal/stack"
)

// heldBy returns how many bytes of the heap are in use at most while f runs, without those
// that were in use before.
func heldBy(f func()) (most uint64) {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	done, gone := make(chan bool), make(chan bool)
	go func() {
		defer close(gone)
		for {
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse-min(now.HeapInuse, before.HeapInuse))
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	f()
	close(done)
	<-gone
	return most
}

func forged(t *testing.T, events ...Event) (dir string) {
	t.Helper()
	dir = t.TempDir() + "/forged.pyrr.part"
	w, err := Create(dir, Header{Tool: "pyrr", Command: []string{"forged"}, Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s := w.Stream(1)
	for _, ev := range append([]Event{{Kind: KindStart, Proc: &Process{ID: 1}}}, events...) {
		if err := s.Append(&ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Reading what happened takes little memory, however much a small file unpacks to.
func TestBriefReading(t *testing.T) {
	const size = 160 << 20
	data := make([]byte, size)
	copy(data, "the beginning")
	copy(data[size-10:], "the end")
	dir := forged(t,
		Event{Kind: KindSyscall, Ret: 7, Memory: Memory{Mem: []Write{{Addr: 8, Data: data[:4]}, {Addr: 100, Data: data}, {Addr: 1 << 40, Data: data[:9]}}}},
		Event{Kind: KindSyscall, Ret: 8, In: bytes.Repeat([]byte{1}, 7<<20), Text: strings.Repeat("x", 5<<20)},
		Event{Kind: KindSyscall, Ret: 9, Memory: Memory{Mem: []Write{{Addr: 8, Data: []byte("whole")}}}})
	data = nil
	read := func(brief bool) (events []Event) {
		it, err := open(t, dir).Events(1)
		if err != nil {
			t.Fatal(err)
		}
		defer it.Close()
		if brief {
			it.Brief()
		}
		for {
			var ev Event
			if err := it.Next(&ev); errors.Is(err, io.EOF) {
				return events
			} else if err != nil {
				t.Fatal(err)
			}
			events = append(events, ev)
		}
	}
	var events []Event
	if most := heldBy(func() { events = read(true) }); most > 40<<20 {
		t.Errorf("reading briefly holds %d MiB", most>>20)
	}
	big, texts, small := &events[1], &events[2], &events[3]
	if len(events) < 4 || string(big.Mem[1].Data[:13]) != "the beginning" || len(big.Mem[1].Data) != keptBrief-4 || big.Mem[2].Data != nil || big.LeftOut != size+13-keptBrief {
		t.Errorf("of the large event: %d bytes, %d left out", len(big.Mem[1].Data), big.LeftOut)
	}
	if len(texts.In) != keptBrief || len(texts.Text) != keptBrief || texts.Ret != 8 {
		t.Errorf("of the texts: %d and %d bytes", len(texts.In), len(texts.Text))
	}
	if string(small.Mem[0].Data) != "whole" || small.LeftOut != 0 {
		t.Errorf("a small event: %+v", small)
	}
	events = nil
	if most := heldBy(func() { events = read(false) }); most > size+100<<20 {
		t.Errorf("reading all of it holds %d MiB", most>>20)
	}
	if all := events[1].Mem[1].Data; len(all) != size || string(all[size-10:size-3]) != "the end" || events[1].LeftOut != 0 {
		t.Error("the whole event is not whole")
	}
}

// A stream that is cut in the middle of a large event ends there for a brief reader too.
func TestBriefReadingOfACutStream(t *testing.T) {
	dir := forged(t, Event{Kind: KindSyscall}, Event{Kind: KindSyscall, Memory: Memory{Mem: []Write{{Addr: 8, Data: make([]byte, 40<<20)}}}})
	for _, name := range []string{"events/0001", "summary.json"} {
		if name != "events/0001" {
			os.Remove(filepath.Join(dir, name))
		} else if st, err := os.Stat(filepath.Join(dir, name)); err != nil || os.Truncate(filepath.Join(dir, name), st.Size()-30) != nil {
			t.Fatal("can't cut it", err)
		}
	}
	for _, brief := range []bool{false, true} {
		it, err := open(t, dir).Events(1)
		if err != nil {
			t.Fatal(err)
		}
		if brief {
			it.Brief()
		}
		var ev Event
		n := 0
		for err = it.Next(&ev); err == nil && ev.Kind != KindEnd; err = it.Next(&ev) {
			n++
		}
		if err != nil || n != 2 || ev.Why != EndTruncated {
			t.Errorf("brief %v: %d events, then %v, %v", brief, n, ev.Kind, err)
		}
		it.Close()
	}
}

// An index of stacks, or sources, that unpack to far more than they have on the disk are
// refused before they take the memory.
func TestIndexBombs(t *testing.T) {
	dir := forged(t, Event{Kind: KindSyscall})
	r := open(t, dir)
	w, err := r.WriteStacks()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 400_000 {
		w.Frame(&stack.Frame{Kind: stack.Python, Func: "f", File: "a.py", Line: i})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := r.WriteSources()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := s.Add(string(rune('a'+i)), make([]byte, MaxSource)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w, s = nil, nil
	most := heldBy(func() {
		if _, err := open(t, dir).StackIndex(); err == nil {
			t.Error("the index is read")
		}
		if _, err := open(t, dir).Sources(); err == nil {
			t.Error("the sources are read")
		}
	})
	if most > 120<<20 {
		t.Errorf("to refuse them takes %d MiB", most>>20)
	}
}
