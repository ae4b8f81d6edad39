package recording

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// laterEvents are some events, of which one has data in several chunks.
func laterEvents() []Event {
	big := bytes.Repeat([]byte("data that is compressed well "), 100_000) // 2.9 MB
	return []Event{
		{Kind: KindStart, Proc: &Process{ID: 1, PID: 10}},
		{Kind: KindSyscall, Memory: Memory{Mem: []Write{{Addr: 7, Data: big}}}},
		{Kind: KindSyscall, Memory: Memory{Mem: []Write{{Addr: 8, Data: []byte("little")}}}},
		{Kind: KindEnd, Why: EndTest},
	}
}

func TestPackLater(t *testing.T) {
	for _, later := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "x")
		w, err := Create(dir, Header{})
		if err != nil {
			t.Fatal(err)
		}
		if later {
			w.PackLater(MaxLater)
		}
		want := laterEvents()
		for i := range want {
			if err := w.Stream(1).Append(&want[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(Summary{}); err != nil {
			t.Fatal(err)
		}
		stream := filepath.Join(dir, streamName(1))
		st, err := os.Stat(stream)
		if err != nil {
			t.Fatal(err)
		}
		if small := st.Size() < 100_000; small == later {
			t.Errorf("later: %v: the folder's stream has %d bytes", later, st.Size())
		}
		packed := dir + ".pyrr.zip"
		if err := Pack(dir, packed); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(packed); err != nil || st.Size() > 100_000 {
			t.Errorf("later: %v: packed: %d bytes, %v", later, st.Size(), err)
		}
		sameEvents(t, dir, want)
		sameEvents(t, packed, want)

		// The recording that a killed recorder left behind is packed up to where it ends.
		if err := os.Remove(filepath.Join(dir, summaryName)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(stream, st.Size()-10); err != nil {
			t.Fatal(err)
		}
		cut := dir + "-cut.pyrr.zip"
		if err := Pack(dir, cut); err != nil {
			t.Fatal(err)
		}
		a, b := eventsOf(t, dir), eventsOf(t, cut)
		if len(a) != len(b) {
			t.Errorf("later: %v: %d events of a cut recording, %d of it packed", later, len(a), len(b))
		}
	}
}

func eventsOf(t *testing.T, path string) []Event {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	it, err := r.Events(1)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var all []Event
	for {
		var ev Event
		if err := it.Next(&ev); err != nil {
			return all
		}
		all = append(all, ev)
	}
}

// sameEvents compares the events of a recording with the memory that they should have.
func sameEvents(t *testing.T, path string, want []Event) {
	t.Helper()
	got := eventsOf(t, path)
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", path, len(got), len(want))
	}
	for i := range want {
		for k := range want[i].Mem {
			if !bytes.Equal(got[i].Mem[k].Data, want[i].Mem[k].Data) {
				t.Errorf("%s: event %d: other memory", path, i)
			}
		}
	}
}
