//go:build linux

package ptrace

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Written tells which pages of another process were written to, while that runs. What the
// program did not change of a file is none of them. The
// kernel protects them from writing, and takes the protection from a page by itself when
// it is written to (UFFD_FEATURE_WP_ASYNC of userfaultfd(2), Linux 6.7). When it is
// closed, or its owner ends, nothing of it is left.
type Written struct {
	fd      int
	pagemap *os.File
	free    []*[regionsAtATime]Region // room for what the kernel lists
}

// Of linux/userfaultfd.h.
const (
	uffdAPI         = 0xaa
	uffdWPAsync     = 1 << 15 // UFFD_FEATURE_WP_ASYNC
	uffdRegisterWP  = 1 << 1  // UFFDIO_REGISTER_MODE_WP
	uffdIoctlAPI    = 0xc018aa3f
	uffdIoctlBegin  = 0xc020aa00 // UFFDIO_REGISTER
	uffdIoctlEnd    = 0x8010aa01 // UFFDIO_UNREGISTER
	uffdUserOnly    = 1          // UFFD_USER_MODE_ONLY
	UserfaultfdArgs = uffdUserOnly | unix.O_CLOEXEC | unix.O_NONBLOCK
)

// Of linux/fs.h (Documentation/admin-guide/mm/pagemap.rst).
const (
	pagemapScan    = 0xc0606610
	scanProtect    = 1 << 0 // PM_SCAN_WP_MATCHING
	scanTracked    = 1 << 1 // PM_SCAN_CHECK_WPASYNC
	pageWritten    = 1 << 1
	pageFile       = 1 << 2
	pagePresent    = 1 << 3
	pageSwapped    = 1 << 4
	regionsAtATime = 512
	// pagesAtATime bounds for how long what is done to a mapping keeps the process from
	// its memory.
	pagesAtATime = 4096
)

// pmScanArg is struct pm_scan_arg.
type pmScanArg struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages uint64
	inverted, mask, anyOf, returned                         uint64
}

// A Region is a run of pages; struct page_region.
type Region struct {
	Start, End uint64
	categories uint64
}

// Written says of what Now lists whether it was written to.
func (r Region) Written() bool { return r.categories&pageWritten != 0 }

// TrackWrites makes a Written of a descriptor that process pid got from
// userfaultfd(UserfaultfdArgs), and that the caller has by pidfd_getfd(2). The
// descriptor is the Written's from then on.
func TrackWrites(pid, fd int) (*Written, error) {
	w := &Written{fd: fd}
	api := [3]uint64{uffdAPI, uffdWPAsync, 0}
	err := w.ioctl(fd, uffdIoctlAPI, unsafe.Pointer(&api))
	if err == nil {
		w.pagemap, err = os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("track the writes of process %d: %w", pid, err)
	}
	return w, nil
}

func (w *Written) ioctl(fd int, nr uintptr, arg unsafe.Pointer) error {
	if _, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), nr, uintptr(arg)); e != 0 {
		return e
	}
	return nil
}

// Add begins to track a mapping, whose pages all count as written to.
func (w *Written) Add(start, end uint64) error {
	arg := [4]uint64{start, end - start, uffdRegisterWP, 0}
	return w.ioctl(w.fd, uffdIoctlBegin, unsafe.Pointer(&arg))
}

// Protect lists the pages of a mapping, of a file or not, that were written to since they
// were protected, and protects them again. The error is EPERM for a mapping that is not
// tracked.
func (w *Written) Protect(start, end uint64, ofFile bool, each func(Region) error) error {
	arg := pmScanArg{flags: scanTracked | scanProtect, start: start, end: end,
		mask: pageWritten, anyOf: pagePresent | pageSwapped, returned: pageWritten, maxPages: pagesAtATime}
	if ofFile {
		arg.inverted, arg.mask = pageFile, pageFile|pageWritten
	}
	return w.scan(&arg, each)
}

// Unprotected lists what is not protected in a mapping, whether anything is there or not:
// all but the pages that were not written to. It is faster than Scan.
func (w *Written) Unprotected(start, end uint64, each func(Region) error) error {
	arg := pmScanArg{flags: scanTracked, start: start, end: end,
		mask: pageWritten, returned: pageWritten}
	return w.scan(&arg, each)
}

// There lists the pages that are there in a mapping, of a file or not, which need not be
// tracked.
func (w *Written) There(start, end uint64, ofFile bool, each func(Region) error) error {
	arg := pmScanArg{start: start, end: end,
		anyOf: pagePresent | pageSwapped, returned: pagePresent}
	if ofFile { // it takes a look at each page
		arg.inverted, arg.mask = pageFile, pageFile
	}
	return w.scan(&arg, each)
}

// Now lists the pages that are there in a tracked mapping, of a file or not, and says of
// each whether it was written to. It takes a look at each page.
func (w *Written) Now(start, end uint64, ofFile bool, each func(Region) error) error {
	arg := pmScanArg{flags: scanTracked, start: start, end: end,
		anyOf: pagePresent | pageSwapped, returned: pageWritten | pagePresent}
	if ofFile {
		arg.inverted, arg.mask = pageFile, pageFile
	}
	return w.scan(&arg, each)
}

func (w *Written) scan(arg *pmScanArg, each func(Region) error) error {
	// The kernel gets its address as a number, so it must lie where nothing moves: not on
	// a stack, which does when it grows.
	var vec *[regionsAtATime]Region
	if n := len(w.free); n > 0 {
		vec, w.free = w.free[n-1], w.free[:n-1]
	} else {
		vec = new([regionsAtATime]Region)
	}
	defer func() { w.free = append(w.free, vec) }()
	arg.size, arg.vec, arg.vecLen = uint64(unsafe.Sizeof(*arg)), uint64(uintptr(unsafe.Pointer(vec))), regionsAtATime
	for arg.start < arg.end {
		n, _, e := syscall.Syscall(unix.SYS_IOCTL, w.pagemap.Fd(), pagemapScan, uintptr(unsafe.Pointer(arg)))
		runtime.KeepAlive(vec)
		if e != 0 {
			return e
		}
		for _, r := range vec[:n] {
			if err := each(r); err != nil {
				return err
			}
		}
		if arg.walkEnd <= arg.start {
			return nil
		}
		arg.start = arg.walkEnd
	}
	return nil
}

// End stops tracking a mapping.
func (w *Written) End(start, end uint64) error {
	for at := start; at < end; at += pagesAtATime << 12 {
		arg := [2]uint64{at, min(end-at, pagesAtATime<<12)}
		if err := w.ioctl(w.fd, uffdIoctlEnd, unsafe.Pointer(&arg)); err != nil {
			return err
		}
	}
	return nil
}

// Close ends all tracking.
func (w *Written) Close() error {
	w.pagemap.Close()
	return unix.Close(w.fd)
}
