package capture

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"pyrr/internal/linux"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
)

// writing has 72 MB, of which a thread changes one word and then another one, far
// apart, all the time; it gives memory away, moves it and maps more.
const writing = `
import ctypes, mmap, struct, sys, threading
size = 72 << 20
m = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, size, 4096):
    m[at:at + 8] = struct.pack("<Q", at)
base = ctypes.addressof(ctypes.c_char.from_buffer(m))
a, b = (ctypes.c_uint64.from_address(base + at) for at in (8, 40 << 20))
b.value = 0
def other():
    while True:
        n = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        n[5] = 1
        n.resize(3 << 20)
        n.close()
threading.Thread(target=other, daemon=True).start()
print(base, flush=True)
n = 0
while True:
    n += 1
    a.value = n
    b.value = n
`

// TestInstantOfLarge takes instants of a process that is copied while it runs: all that
// it holds is of one moment.
func TestInstantOfLarge(t *testing.T) {
	probe.Require(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	cmd := exec.Command(python, "-c", writing)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait() // killed
	}()
	line, _ := bufio.NewReader(out).ReadString('\n')
	var base uint64
	if _, err := fmt.Sscan(line, &base); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if !isLarge(cmd.Process.Pid) {
		t.Error("it is not large")
	}
	ahead := false
	testAhead = func(done bool) { ahead = done }
	defer func() { testAhead = nil }()
	var last uint64
	open := openFDs(cmd.Process.Pid)
	for range 2 {
		before, err := linux.ReadMaps(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "x.pyrr.part")
		if _, err := Attach(context.Background(), Options{Running: Running{PID: cmd.Process.Pid, Instant: true}, Dir: dir, Warn: func(s string) { t.Error(s) }}); err != nil {
			t.Fatal(err)
		}
		image := imageOf(t, dir)
		a, b := image(base+8), image(base+40<<20)
		if a < b || a > b+1 || a <= last {
			t.Errorf("it stood at %d and %d, after %d", a, b, last)
		}
		last = a
		for at := uint64(4096); at < 72<<20; at += 4096 {
			if got := image(base + at); got != at && at != 40<<20 {
				t.Fatalf("at %#x it has %#x", at, got)
			}
		}
		// Nothing of the copying is left: neither descriptors nor mappings.
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			after, err := linux.ReadMaps(cmd.Process.Pid)
			now := openFDs(cmd.Process.Pid)
			if err == nil && len(after) <= len(before)+2 && len(now) == len(open) { // those of other threads come and go
				break
			}
			if err != nil || time.Now().After(end) {
				t.Errorf("%d mappings, and %d after it: %v; %v were open, and now %v", len(before), len(after), err, open, now)
				break
			}
		}
		if !ahead {
			t.Log("the process was not copied ahead: before Linux 6.7, or userfaultfd(2) is forbidden")
		}
	}
}

// imageOf returns what reads a word of the image that a recording begins with.
func imageOf(t *testing.T, dir string) func(addr uint64) uint64 {
	t.Helper()
	rec, err := recording.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	events, err := rec.Events(1)
	if err != nil {
		t.Fatal(err)
	}
	var ev recording.Event
	if err := events.Next(&ev); err != nil {
		t.Fatal(err)
	}
	words := map[uint64][]byte{}
	for _, w := range ev.Mem {
		for off := 0; off < len(w.Data); off += pageSize {
			words[w.Addr+uint64(off)] = w.Data[off:min(len(w.Data), off+pageSize)]
		}
	}
	return func(addr uint64) uint64 {
		page := words[addr&^(pageSize-1)]
		if page == nil {
			return 0
		}
		return binary.LittleEndian.Uint64(page[addr%pageSize:])
	}
}
