package linux

import (
	"os"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMapsReader reads this process's own mappings, before and after there is one more.
func TestMapsReader(t *testing.T) {
	r, err := NewMapsReader(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.text = r.text[:100] // which has to grow
	has := func(start, end uint64) bool {
		t.Helper()
		list, err := r.Read()
		if err != nil || len(list) < 5 {
			t.Fatalf("%d mappings: %v", len(list), err)
		}
		return slices.ContainsFunc(list, func(m Mapping) bool { return m.Start <= start && end <= m.End && m.Prot == unix.PROT_READ })
	}
	const size = 1 << 20
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	at := uint64(uintptr(unsafe.Pointer(&b[0])))
	for range 2 {
		if !has(at, at+size) {
			t.Error("a mapping is missing")
		}
	}
	if err := unix.Munmap(b); err != nil {
		t.Fatal(err)
	}
	if has(at, at+size) {
		t.Error("a mapping is there that is gone")
	}
}
