//go:build linux

package ptrace

import (
	"errors"
	"os"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// page is the size of one, and pages are how many are watched.
const page, pages = 4096, 64

// TestWritten compares what the kernel says was written to with what was, in this
// process itself.
func TestWritten(t *testing.T) {
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, UserfaultfdArgs, 0, 0)
	if e != 0 {
		t.Skipf("userfaultfd: %v", e)
	}
	w, err := TrackWrites(os.Getpid(), int(fd))
	if errors.Is(err, unix.EINVAL) {
		t.Skipf("before Linux 6.7: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b, err := unix.Mmap(-1, 0, pages*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	start := addressOf(b)
	end := start + pages*page
	list := func(scan func(each func(Region) error) error) (pages []int) {
		t.Helper()
		err := scan(func(r Region) error {
			for at := r.Start; at < r.End; at += page {
				pages = append(pages, int(at-start)/page)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return pages
	}
	there := func(each func(Region) error) error { return w.There(start, end, false, each) }
	protect := func(each func(Region) error) error { return w.Protect(start, end, false, each) }
	unprotected := func(each func(Region) error) error { return w.Unprotected(start, end, each) }
	for n := range 40 {
		b[n*page] = 1
	}
	if err := protect(nil); !errors.Is(err, unix.EPERM) {
		t.Errorf("not tracked: %v", err)
	}
	if err := w.Add(start, end); err != nil {
		t.Fatal(err)
	}
	if got := list(protect); len(got) != 40 {
		t.Errorf("at first: %v", got)
	}
	if a, b := list(there), list(unprotected); len(a) != 40 || len(b) != pages-40 || b[0] != 40 {
		t.Errorf("then: %v, %v", a, b)
	}
	b[7*page+1], b[50*page] = 2, 2
	var dst [8]byte
	copy(dst[:], b[9*page:]) // reading is no write
	unix.Madvise(b[20*page:22*page], unix.MADV_DONTNEED)
	if got := list(unprotected); len(got) != pages-40+3 || !slices.Equal(got[:4], []int{7, 20, 21, 40}) {
		t.Errorf("not protected after two writes: %v", got)
	}
	var fresh, same []int
	if err := w.Now(start, end, false, func(r Region) error {
		for at := r.Start; at < r.End; at += page {
			if n := int(at-start) / page; r.Written() {
				fresh = append(fresh, n)
			} else {
				same = append(same, n)
			}
		}
		return nil
	}); err != nil || !slices.Equal(fresh, []int{7, 50}) || len(same) != 37 || slices.Contains(same, 20) {
		t.Errorf("there now: %v written to, %v not: %v", fresh, same, err)
	}
	if got := list(protect); !slices.Equal(got, []int{7, 50}) {
		t.Errorf("after two writes: %v", got)
	}
	if a, b := list(there), list(protect); len(a) != 39 || len(b) != 0 {
		t.Errorf("in the end: %v, %v", a, b)
	}
	// The kernel writes for the program, and it is as if nobody looked.
	kernelWrites(t, b, list, protect)
}

// kernelWrites checks that the kernel writes for the program as if nobody looked.
func kernelWrites(t *testing.T, b []byte, list func(scan func(each func(Region) error) error) (pages []int), protect func(each func(Region) error) error) {
	var err error
	p, q, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	q.WriteString("x")
	if n, err := p.Read(b[3*page : 3*page+1]); n != 1 || err != nil {
		t.Errorf("a read into a page that is tracked: %d, %v", n, err)
	}
	if got := list(protect); !slices.Equal(got, []int{3}) {
		t.Errorf("after the kernel wrote: %v", got)
	}
}

func addressOf(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
