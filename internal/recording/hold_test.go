package recording

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pyrr/internal/linux"
)

// appendCalls appends n system calls of a process, each with some memory.
func appendCalls(t *testing.T, s *Stream, n, size int) {
	t.Helper()
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	for i := range n {
		ev := Event{Kind: KindSyscall, Stop: StopSyscall, TID: 7, Instr: uint64(i), Reached: Reached{PC: 0x1000}, Nr: 1, Ret: int64(i), Time: int64(i),
			Memory: Memory{Mem: []Write{{Addr: 0x7000, Data: data}}}}
		if err := s.Append(&ev); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHold(t *testing.T) {
	tests := []struct {
		name     string
		n, size  int
		flush    bool
		wantDisk bool // before the end
	}{
		{"nothing", 0, 0, false, false},
		{"a few events", 5, 16, false, false},
		{"flushed now and then", 50, 1024, true, false},
		{"more than stays in memory", 40, 1 << 20, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "r.pyrr.part")
			w := Hold(dir, Header{Tool: "test", Started: time.Now(), Test: "t.py::t"})
			s := w.Stream(1)
			s.Reserve(3)
			for i := 0; i < tt.n; i += 5 {
				appendCalls(t, s, min(5, tt.n-i), tt.size)
				if tt.flush {
					w.Flush()
				}
			}
			if _, err := os.Stat(dir); (err == nil) != tt.wantDisk {
				t.Errorf("the folder before the end: %v", err)
			}
			image := bytes.Repeat([]byte{1, 2, 3, 4}, 3<<20)
			begin := []Event{
				{Kind: KindStart, TID: 7, Proc: &Process{ID: 1, PID: 7}, Regs: &linux.Regs{Rip: 1}, Memory: Memory{Mem: []Write{{Addr: 0x10000, Data: image}}}},
				{Kind: KindThread, TID: 8, Regs: &linux.Regs{Rip: 2}, Why: InCall, Nr: 202},
				{Kind: KindWrite, TID: 7, Args: [6]uint64{1, 2, 3}},
			}
			if err := w.Begin(1, begin[:2], nil); err == nil {
				t.Error("two events took the place of three")
			}
			if err := w.Begin(1, begin, nil); err != nil {
				t.Fatal(err)
			}
			if err := s.Append(&Event{Kind: KindEnd, TID: 7, Why: EndTest}); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(Summary{Outcome: "timeout"}); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, tailsDir)); err == nil {
				t.Error("the events' first place is left")
			}
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Header().Test != "t.py::t" {
				t.Errorf("the test is %q", r.Header().Test)
			}
			it, err := r.Events(1)
			if err != nil {
				t.Fatal(err)
			}
			var ev Event
			var kinds []Kind
			for it.Next(&ev) == nil {
				kinds = append(kinds, ev.Kind)
				if ev.Kind == KindStart && !bytes.Equal(ev.Mem[0].Data, image) {
					t.Error("the image has other bytes")
				}
				if ev.Kind == KindSyscall && ev.Ret != int64((len(kinds)-4)%5) {
					t.Errorf("event %d has the result %d", len(kinds)-1, ev.Ret)
				}
			}
			if len(kinds) != 3+tt.n+1 || kinds[0] != KindStart || kinds[1] != KindThread || kinds[len(kinds)-1] != KindEnd {
				t.Errorf("%d events: %v …", len(kinds), kinds[:min(len(kinds), 6)])
			}
		})
	}
}

// An image is read no faster than it is written: little of it waits in memory.
func TestImageGoesThrough(t *testing.T) {
	w := Hold(filepath.Join(t.TempDir(), "r.pyrr.part"), Header{Tool: "test"})
	w.Stream(1).Reserve(1)
	piece := make([]byte, chunkTarget)
	rand.Read(piece) // which takes longer to be written than to be read
	most := 0
	load := func(*Write) ([]byte, error) {
		w.q.mu.Lock()
		most = max(most, w.q.bytes)
		w.q.mu.Unlock()
		return piece, nil
	}
	begin := Event{Kind: KindStart, TID: 7, Proc: &Process{ID: 1, PID: 7}, Regs: &linux.Regs{Rip: 1}}
	for i := range 100 {
		begin.Mem = append(begin.Mem, Write{Addr: uint64(1+i) << 20, Data: piece})
	}
	if err := w.Begin(1, []Event{begin}, load); err != nil {
		t.Fatal(err)
	}
	if most == 0 || most > 8<<20 {
		t.Errorf("%d bytes of an image of 100 MiB were waiting, want at most 8 MiB", most)
	}
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
}

func TestHoldDiscard(t *testing.T) {
	for name, size := range map[string]int{"in memory": 16, "on the disk": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "r.pyrr.part")
			w := Hold(dir, Header{Tool: "test"})
			s := w.Stream(1)
			s.Reserve(1)
			appendCalls(t, s, 30, size)
			if err := w.Discard(); err != nil {
				t.Fatal(err)
			}
			if err := s.Append(&Event{Kind: KindSyscall}); err == nil {
				t.Error("an event was appended after the end")
			}
			for range 18_000 {
				if _, err := os.Stat(dir); os.IsNotExist(err) {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Error("the folder is left")
		})
	}
}

func TestHoldRename(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	w := Hold(dir, Header{Tool: "test", Test: "a"})
	if got := w.Rename(dir+"b", "b"); got != dir+"b" {
		t.Errorf("the folder is %s", got)
	}
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir + "b")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Header().Test != "b" {
		t.Errorf("the test is %q", r.Header().Test)
	}
}

// TestSettle reads a recording whose recorder never closes it.
func TestSettle(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r.pyrr.part")
	w := Hold(dir, Header{Tool: "test", Test: "t.py::t"})
	s := w.Stream(1)
	s.Reserve(2)
	appendCalls(t, s, 5, 1<<10)
	w.Flush()
	appendCalls(t, s, 5, 1<<10)
	begin := []Event{
		{Kind: KindStart, TID: 7, Proc: &Process{ID: 1, PID: 7}, Regs: &linux.Regs{Rip: 1}, Memory: Memory{Mem: []Write{{Addr: 0x10000, Data: bytes.Repeat([]byte{1, 2}, 1<<20)}}}},
		{Kind: KindWrite, TID: 7, Args: [6]uint64{1, 2, 3}},
	}
	if err := w.Begin(1, begin, nil); err != nil {
		t.Fatal(err)
	}
	appendCalls(t, s, 5, 1<<10)
	w.Settle(1)
	w.Settle(1) // once is enough
	appendCalls(t, s, 5, 1<<10)
	w.Flush()
	if n := w.Written(); n > 1<<20 {
		t.Errorf("%d bytes are counted: the image must not be counted", n)
	}
	count := func() int {
		r, err := Open(dir)
		if err != nil {
			return 0
		}
		defer r.Close()
		it, err := r.Events(1)
		if err != nil {
			return 0
		}
		defer it.Close()
		var ev Event
		n := 0
		for it.Next(&ev) == nil {
			n++
		}
		return n
	}
	const want = 2 + 4*5 + 1 // the reader adds an end
	for deadline := time.Now().Add(3 * time.Minute); count() != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events are there, want %d", count(), want)
		}
	}
	// After it is closed, the recording is still the same.
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != want && n != want-1 {
		t.Errorf("%d events are there at the end", n)
	}
	if _, err := os.Stat(filepath.Join(dir, tailsDir)); err == nil {
		t.Error("the events' first place is left")
	}
}

// TestBeginLoads: what is put off is read when it is written, and what can't be read any
// more makes the recording fail.
func TestBeginLoads(t *testing.T) {
	gone := errors.New("gone")
	for _, fails := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "r.pyrr.part")
		w := Hold(dir, Header{Tool: "test"})
		w.Stream(1).Reserve(1)
		later := make([]byte, 1<<20)
		start := Event{Kind: KindStart, TID: 7, Proc: &Process{ID: 1, PID: 7}, Regs: &linux.Regs{Rip: 1}}
		for i := range uint64(5) {
			start.Mem = append(start.Mem, Write{Addr: (i + 1) << 24, Data: later})
		}
		err := w.Begin(1, []Event{start}, func(m *Write) ([]byte, error) {
			if fails && m.Addr == 3<<24 {
				return nil, gone
			}
			return bytes.Repeat([]byte{byte(m.Addr >> 24)}, len(m.Data)), nil
		})
		if fails {
			if !errors.Is(err, gone) {
				t.Errorf("Begin returns %v", err)
			}
			w.Discard()
			continue
		}
		if err := errors.Join(err, w.Close(Summary{})); err != nil {
			t.Fatal(err)
		}
		ev := firstEvent(t, dir)
		if len(ev.Mem) != 5 {
			t.Fatalf("%d parts of memory", len(ev.Mem))
		}
		for i, m := range ev.Mem {
			if !bytes.Equal(m.Data, bytes.Repeat([]byte{byte(i + 1)}, 1<<20)) {
				t.Errorf("part %d has other bytes", i)
			}
		}
	}
}

func firstEvent(t *testing.T, dir string) (ev Event) {
	r, err := Open(dir)
	if err == nil {
		defer r.Close()
		it, bad := r.Events(1)
		if err = bad; err == nil {
			defer it.Close()
			err = it.Next(&ev)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// TestAwait holds that a recording that is thrown away before its first Flush leaves no
// trace on the disk, and that one of which more comes is as any other.
func TestAwait(t *testing.T) {
	for _, tt := range []struct {
		name        string
		n, size     int
		flush, disk bool
	}{
		{"thrown away early", 30, 16, false, false},
		{"flushed", 30, 16, true, true},
		{"more than stays in memory", 40, 1 << 20, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, keep := range []bool{false, true} {
				dir := filepath.Join(t.TempDir(), "r.pyrr.part")
				w := Await(dir, Header{Tool: "test", Started: time.Now()})
				start := Event{Kind: KindStart, TID: 7, Proc: &Process{ID: 1, PID: 7}, Regs: &linux.Regs{Rip: 1}}
				if err := w.Stream(1).Append(&start); err != nil {
					t.Fatal(err)
				}
				appendCalls(t, w.Stream(1), tt.n-1, tt.size)
				if tt.flush {
					w.Flush()
				}
				if _, err := os.Stat(dir); (err == nil) != tt.disk {
					t.Errorf("the folder before the end: %v", err)
				}
				if !keep {
					if err := w.Discard(); err != nil {
						t.Error(err)
					}
					continue
				}
				if err := w.Close(Summary{Events: uint64(tt.n)}); err != nil {
					t.Fatal(err)
				}
				rec, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				var ev Event
				it, err := rec.Events(1)
				if err != nil {
					t.Fatal(err)
				}
				got := 0
				for it.Next(&ev) == nil {
					got++
				}
				if want := tt.n + 1; got != want { // the reader makes up an end
					t.Errorf("%d events, want %d", got, want)
				}
				rec.Close()
			}
		})
	}
}
