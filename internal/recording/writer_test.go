package recording

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"exists": dir, "below a file": filepath.Join(file, "x")} {
		if w, err := Create(path, testHeader()); err == nil {
			w.Close(Summary{})
			t.Errorf("%s: made a recording", name)
		}
	}
}

// fillUntilError appends and flushes until the writer fails; no call may
// hang.
func fillUntilError(t *testing.T, w *Writer, proc int) (appended int, err error) {
	t.Helper()
	s := w.Stream(proc)
	appendAll(t, s, []Event{{Kind: KindStart, Proc: &Process{ID: proc}}})
	appended = 1
	data := testContent(uint64(proc), 100<<10)
	for i := range 20000 {
		ev := Event{Kind: KindSyscall, Instr: uint64(i), Memory: Memory{Mem: []Write{{Addr: 1, Data: data}}}}
		if err := s.Append(&ev); err != nil {
			return appended, err
		}
		appended++
		if i%8 == 0 {
			w.Flush()
		}
	}
	return appended, nil
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	w, err := Create(filepath.Join(dir, "full.pyrr.part"), testHeader())
	if err != nil {
		t.Fatal(err)
	}
	appended, err := fillUntilError(t, w, 1)
	if !errors.Is(err, unix.ENOSPC) || !errors.Is(w.Err(), unix.ENOSPC) {
		t.Fatalf("after %d events: %v", appended, err)
	}
	// What does not fit is dropped without waiting.
	f, st := testFile(t, t.TempDir(), "f", make([]byte, 100))
	if _, err := w.AddFile("f", int(f.Fd()), st, 100); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("AddFile: %v", err)
	}
	if _, err := w.AddFileBytes("f", make([]byte, 100)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("AddFileBytes: %v", err)
	}
	if err := w.Close(Summary{}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Close: %v", err)
	}
	// The part that was written can be read, and ends as a cut recording.
	r := open(t, filepath.Join(dir, "full.pyrr.part"))
	got := mustRead(t, r, 1)
	if n := len(got); n < 2 || n > appended+1 || got[n-1].Why != EndTruncated {
		t.Errorf("%d events read of %d, the last %+v", n, appended, got[n-1].Why)
	}
}

// The same without root: the stream can't be written.
func TestStreamFails(t *testing.T) {
	w, dir := create(t)
	if err := os.Mkdir(filepath.Join(dir, streamName(2)), 0o700); err != nil {
		t.Fatal(err)
	}
	appended, err := fillUntilError(t, w, 2)
	if err == nil || !strings.Contains(err.Error(), "events/0002") {
		t.Fatalf("after %d events: %v", appended, err)
	}
	err = w.Close(Summary{Status: 3})
	if err == nil {
		t.Error("Close has no error")
	}
	sum, ok := open(t, dir).Summary()
	if !ok || !sum.Truncated || sum.Status != 3 || !strings.Contains(sum.Why, "events/0002") {
		t.Errorf("summary %+v", sum)
	}
}

// With the background goroutine stuck, Flush still returns, Append waits
// once the queue is full, and all goes on when it can.
func TestBackPressure(t *testing.T) {
	w, dir := create(t)
	fifo := filepath.Join(dir, streamName(1))
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	const n = 100
	data := make([]byte, 1<<20)
	done := make(chan error)
	go func() {
		s := w.Stream(1)
		err := s.Append(&Event{Kind: KindStart, Proc: &Process{ID: 1}})
		for range n {
			err = errors.Join(err, s.Append(&Event{Kind: KindWrite, Memory: Memory{Mem: []Write{{Addr: 1, Data: data}}}}))
		}
		done <- err
	}()
	for !w.q.full() && queued(w) < maxQueue-2<<20 {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-done:
		t.Fatalf("Append does not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if q := queued(w); q > maxQueue {
		t.Errorf("%d bytes in the queue", q)
	}
	s2 := w.Stream(2)
	if err := s2.Append(&Event{Kind: KindStart, Proc: &Process{ID: 2}}); err != nil {
		t.Fatal(err)
	}
	w.Flush() // if it waits, the test hangs
	r, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		var sink bytes.Buffer
		sink.ReadFrom(r)
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := w.Close(Summary{}); err != nil {
		t.Error(err)
	}
}

func queued(w *Writer) int {
	w.q.mu.Lock()
	defer w.q.mu.Unlock()
	return w.q.bytes
}

func TestConcurrentStreams(t *testing.T) {
	w, dir := create(t)
	dirFiles := t.TempDir()
	var files [2]*os.File // each of two processes
	for i := range files {
		files[i], _ = testFile(t, dirFiles, fmt.Sprint(i), testContent(uint64(i), 300000))
	}
	var wg sync.WaitGroup
	const procs = 4
	want := make([][]Event, procs)
	for p := range procs {
		want[p] = randomEvents(rand.New(rand.NewPCG(uint64(p), 1)), p+1, 400)
		f := files[p%2]
		wg.Go(func() {
			for i := range want[p] {
				if err := w.Stream(p + 1).Append(&want[p][i]); err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					w.Flush()
					addFile(t, w, f, uint64(i*1000))
					if _, err := w.AddFileBytes("x", testContent(uint64(i), 1000)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	stop := make(chan bool)
	go func() { // as the recorder's timer does
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				w.Flush()
			}
		}
	}()
	wg.Wait()
	stop <- true
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	for p := range procs {
		wg.Go(func() {
			if !cmp.Equal(want[p], mustRead(t, r, p+1), same) {
				t.Errorf("process %d differs", p+1)
			}
			for _, f := range r.Files() {
				if n := uint64(len(readFile(t, r, f.ID))); n != f.Want || f.Unstable != "" {
					t.Errorf("%+v: %d bytes", f, n)
				}
			}
		})
	}
	wg.Wait()
}

// The tracer calls Append for every stop, so it must not allocate.
func TestAppendDoesNotAllocate(t *testing.T) {
	w, _ := create(t)
	s := w.Stream(1)
	appendAll(t, s, []Event{{Kind: KindStart, Proc: &Process{ID: 1}}})
	ev := plainEvent()
	data := make([]byte, 600)
	ev.Mem = []Write{{Addr: 0x7ffc00001000, Data: data}}
	step := func() {
		ev.Instr += 900
		ev.Time += 40000
		if err := s.Append(&ev); err != nil {
			t.Fatal(err)
		}
	}
	for range 5000 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
}

func plainEvent() Event {
	return Event{Kind: KindSyscall, Stop: StopSyscall, TID: 1234, Instr: 1e6, Reached: Reached{PC: 0x7f1122334455, RegSum: 0xdeadbeef}, Nr: 262,
		Args: [6]uint64{0xffffff9c, 0x7f1100002000, 0x7ffc00001000}, Ret: 0, Time: 1e9, EndTime: 1e9 + 3000}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{0, 144, 4096} {
		b.Run(fmt.Sprintf("mem%d", size), func(b *testing.B) {
			w, _ := create(b)
			s := w.Stream(1)
			appendAll(b, s, []Event{{Kind: KindStart, Proc: &Process{ID: 1}}})
			ev := plainEvent()
			if size > 0 {
				ev.Mem = []Write{{Addr: 0x7ffc00001000, Data: testContent(1, size)}}
			}
			b.ReportAllocs()
			for b.Loop() {
				ev.Instr += 900
				ev.Time += 40000
				ev.EndTime = ev.Time + 3000
				ev.RegSum = ev.RegSum*1664525 + 1013904223
				if err := s.Append(&ev); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if err := w.Close(Summary{}); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	w, dir := create(b)
	s := w.Stream(1)
	appendAll(b, s, []Event{{Kind: KindStart, Proc: &Process{ID: 1}}})
	ev := plainEvent()
	ev.Mem = []Write{{Addr: 0x7ffc00001000, Data: testContent(1, 144)}}
	const n = 100000
	for range n {
		ev.Instr += 900
		ev.Time += 40000
		appendAll(b, s, []Event{ev})
	}
	if err := w.Close(Summary{}); err != nil {
		b.Fatal(err)
	}
	r := open(b, dir)
	var it *Iter
	left := 0
	b.ReportAllocs()
	for b.Loop() {
		if left == 0 {
			var err error
			if it, err = r.Events(1); err != nil {
				b.Fatal(err)
			}
			left = n
		}
		var ev Event
		if err := it.Next(&ev); err != nil {
			b.Fatal(err)
		}
		left--
	}
}
