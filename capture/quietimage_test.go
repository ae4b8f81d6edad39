package capture

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
)

// TestImageLeavesLaterMappings: before a file changes, an image copies the parts that the
// image itself maps, and nothing of mappings that were made after the image.
func TestImageLeavesLaterMappings(t *testing.T) {
	b, err := unix.Mmap(-1, 0, 2*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	b[0] = 1
	at := uint64(uintptr(unsafe.Pointer(&b[0])))
	f, q, p := &frozen{pid: os.Getpid()}, &quietFile{key: objectKey{1, 2}}, &process{}
	add := func(start uint64) {
		m := &sharedMap{quiet: q, proc: p, start: start, end: start + pageSize}
		p.quiet, q.maps = append(p.quiet, m), append(q.maps, m)
	}
	add(at)
	f.freezeQuiet(p, f.pid)
	add(at + pageSize)
	r := &recorder{}
	r.command = &epoch{frozen: f, lead: p, w: &recording.Writer{}}
	r.settleFile(q)
	if len(f.copies) != 1 || f.copies[0].Addr != at || len(f.skip) != 1 {
		t.Errorf("an image with the mapping at %#x takes %d copies and skips %v", at, len(f.copies), f.skip)
	}
}
