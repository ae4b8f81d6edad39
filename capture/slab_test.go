package capture

import (
	"bytes"
	"os"
	"testing"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
)

// No two pieces share a byte, and none grows into the next.
func TestPiecesAreApart(t *testing.T) {
	var s slab
	var all [][]byte
	for i := range 4000 {
		n := 1 + i*37%3000
		if i%500 == 0 {
			n = slabPiece + i
		}
		b := s.cut(n)
		if len(b) != n || cap(b) != n {
			t.Fatalf("%d bytes of %d, asked for %d", len(b), cap(b), n)
		}
		for _, c := range b {
			if c != 0 {
				t.Fatalf("piece %d was used before", i)
			}
		}
		for k := range b {
			b[k] = byte(i)
		}
		all = append(all, b)
	}
	for i, b := range all {
		if !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, len(b))) {
			t.Fatalf("piece %d was written over", i)
		}
	}
}

func TestKeepCopies(t *testing.T) {
	var s slab
	shared := []byte("first")
	kept := s.keep(shared)
	copy(shared, "other")
	if string(kept) != "first" {
		t.Errorf("it is %q", kept)
	}
	if s.keep(nil) != nil {
		t.Error("nothing is something")
	}
}

// What an event holds stays as it is when the next is read: capture reads this
// test's own memory, whose content changes in between.
func TestEventsKeepTheirBytes(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	area := bytes.Repeat([]byte("a"), 3000)
	big := bytes.Repeat([]byte("A"), 100_000)
	ranges := []mem.Range{rangeOf(area), rangeOf(big)}
	th := &task{tid: os.Getpid(), inCall: inCall{call: &linux.Syscall{Name: "read"}}}
	var first, second recording.Event
	if err := f.capture(th, &first, ranges); err != nil {
		t.Fatal(err)
	}
	for i := range area {
		area[i] = 'b'
	}
	for i := range big {
		big[i] = 'B'
	}
	if err := f.capture(th, &second, ranges); err != nil {
		t.Fatal(err)
	}
	for i, want := range []byte("aA") {
		if b := first.Mem[i].Data; b[0] != want || b[len(b)-1] != want {
			t.Errorf("the first event's bytes became %q", b[0])
		}
	}
	for i, want := range []byte("bB") {
		if b := second.Mem[i].Data; b[0] != want || b[len(b)-1] != want {
			t.Errorf("the second event has %q", b[0])
		}
	}
}
