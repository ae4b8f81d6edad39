package capture

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// A fork of a process with much memory takes long, since the kernel copies the tables of
// that. So it is copied while the process runs, as often as it takes until little is
// left that was written to meanwhile, and that is copied while the process stands still.

const (
	// largeMemory is from where on that is faster: a fork takes 30 µs a megabyte.
	largeMemory = 64 << 20
	// mostPasses are made, as long as more than fewWritten is written to during one.
	mostPasses = 5
	fewWritten = 1 << 20
	// mostStanding is what is copied while the process stands still. Where that is more,
	// a fork is not slower.
	mostStanding = 16 << 20
)

// testAhead is called when a copy that was made ahead is complete, or was given up.
var testAhead func(done bool)

// ahead is a copy of the private memory of a process.
type ahead struct {
	pid     int
	w       *ptrace.Written
	mr      *linux.MapsReader
	tracked map[span]bool
	pages   map[uint64][]byte
	// What it holds in the end: the mappings, the pages, and the addresses of those in
	// order.
	maps  []linux.Mapping
	there []span
	kept  []span // of files that can't be written to: what the passes found
	list  []uint64
	// What is copied while the process stands still.
	fresh []ptrace.Span
	room  []byte
}

// isLarge says whether a process has much memory of its own.
func isLarge(pid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "\nRssAnon:")
	kB, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseUint(kB, 10, 64)
	return err == nil && n<<10 >= largeMemory
}

// copyAhead copies the memory of a large process that runs, nil where the kernel does
// not tell what is written to meanwhile.
func (in *instant) copyAhead() *ahead {
	fd, err := in.userfault()
	in.goOn()
	if err != nil {
		return nil
	}
	w, err := ptrace.TrackWrites(in.pid, fd)
	if err != nil {
		return nil
	}
	mr, err := linux.NewMapsReader(in.pid)
	if err != nil {
		w.Close()
		return nil
	}
	a := &ahead{pid: in.pid, w: w, mr: mr, tracked: map[span]bool{}, pages: map[uint64][]byte{}}
	for range mostPasses {
		n, err := a.pass()
		if err != nil {
			a.close()
			return nil
		}
		if n <= fewWritten {
			break
		}
	}
	// Room for what is left, which is really there once it was written to.
	a.room = make([]byte, 2*fewWritten)
	for at := 0; at < len(a.room); at += pageSize {
		a.room[at] = 1
	}
	return a
}

// userfault makes the process open a userfaultfd(2), which it does not see: it stands
// still until pyrr has it instead.
func (in *instant) userfault() (int, error) {
	defer hurry()()
	if err := in.stopAll(); err != nil {
		return 0, err
	}
	maker, err := in.readRegs()
	if err != nil {
		return 0, err
	}
	if !maker.stopped || !in.mayCall(maker) {
		return 0, unix.EPERM
	}
	theirs, err := in.call(maker, sys.SYS_USERFAULTFD, ptrace.UserfaultfdArgs)
	if err != nil {
		return 0, err
	}
	fd := -1
	pidfd, err := unix.PidfdOpen(in.pid, 0)
	if err == nil {
		fd, err = unix.PidfdGetfd(pidfd, int(theirs), 0)
		unix.Close(pidfd)
	}
	if _, cerr := in.call(maker, sys.SYS_CLOSE, uint64(theirs)); err == nil && cerr != nil {
		err = cerr
		unix.Close(fd)
	}
	return fd, err
}

// call makes a stopped thread execute a system call of pyrr's.
func (in *instant) call(t *still, nr uint64, args ...uint64) (int64, error) {
	var six [6]uint64
	copy(six[:], args)
	var none int
	var ret int64
	err := in.inject(t, nr, six, func(got int64) bool { ret = got; return true }, &none)
	if err == nil && ret < 0 && ret > -4096 {
		err = unix.Errno(-ret)
	}
	return ret, err
}

// private says whether a mapping is copied: what is shared is read where it is, as a
// fork would share it.
func private(m *linux.Mapping) bool {
	return !m.Shared && m.Path != "[vdso]" && m.Path != "[vsyscall]" && !strings.HasPrefix(m.Path, "[vvar")
}

// pass copies what was written to since the last pass, and returns how much that was.
func (a *ahead) pass() (int, error) {
	maps, err := a.mr.Read()
	if err != nil {
		return 0, err
	}
	n := 0
	for i := range maps {
		m := &maps[i]
		if !private(m) {
			continue
		}
		if s := (span{m.Start, m.End}); !a.tracked[s] {
			if a.w.Add(m.Start, m.End) != nil {
				continue // it has just changed: it is copied in the end
			}
			a.tracked[s] = true
		}
		err := a.w.Protect(m.Start, m.End, m.Ino != 0, func(r ptrace.Region) error {
			n += int(r.End - r.Start)
			if len(a.pages)*pageSize+n > maxImage {
				return errors.New("it has too much memory")
			}
			return a.copy(r.Start, r.End)
		})
		if err != nil && !errors.Is(err, unix.EPERM) {
			return 0, err
		}
	}
	return n, nil
}

// copy copies some pages.
func (a *ahead) copy(start, end uint64) error {
	const chunk = 1 << 20
	for at := start; at < end; at += chunk {
		b := make([]byte, min(chunk, end-at))
		if err := (ptrace.Mem)(a.pid).ReadAt(b, at); err != nil {
			if ptrace.Gone(err) {
				return err
			}
			b = readPages(a.pid, at, at+uint64(len(b)))
		}
		for off := 0; off < len(b); off += pageSize {
			a.pages[at+uint64(off)] = b[off : off+pageSize : off+pageSize]
		}
	}
	return nil
}

// manyPages is how large a mapping is from where on it is faster to look first for the
// pages that are not protected than to look at each page.
const manyPages = 16 << 20

// finish completes the copy, while the process stands still. Where that would take
// long, it says so, and nothing is done.
func (a *ahead) finish() (bool, error) {
	var err error
	if a.maps, err = a.mr.Read(); err != nil {
		return false, err
	}
	a.there, a.kept, a.fresh = nil, nil, nil
	size := uint64(0)
	isFresh := func(r ptrace.Region) error {
		a.fresh = append(a.fresh, ptrace.Span{Addr: r.Start, Data: a.take(r.End - r.Start)})
		size += r.End - r.Start
		if size > mostStanding {
			return errTooMuch
		}
		return nil
	}
	for i := range a.maps {
		m := &a.maps[i]
		if !private(m) {
			continue
		}
		tracked := a.tracked[span{m.Start, m.End}]
		if tracked && m.Ino != 0 && m.Prot&unix.PROT_WRITE == 0 {
			a.kept = append(a.kept, span{m.Start, m.End})
			continue
		}
		var err error = unix.EPERM
		if tracked {
			err = a.changes(m, isFresh)
		}
		if errors.Is(err, unix.EPERM) {
			err = a.w.There(m.Start, m.End, m.Ino != 0, isFresh)
		}
		switch {
		case errors.Is(err, errTooMuch):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("see what it wrote to: %w", err)
		}
	}
	return true, a.copyFresh()
}

// errTooMuch is of a process that writes to more than is copied while it stands still.
var errTooMuch = errors.New("it writes to much memory")

// changes finds what was written to in a mapping since the last pass. The error is EPERM
// for one that is not tracked any more.
func (a *ahead) changes(m *linux.Mapping, isFresh func(ptrace.Region) error) error {
	if m.End-m.Start < manyPages {
		return a.w.Now(m.Start, m.End, m.Ino != 0, func(r ptrace.Region) error {
			if r.Written() {
				return isFresh(r)
			}
			a.there = append(a.there, span{r.Start, r.End})
			return nil
		})
	}
	at := m.Start
	err := a.w.Unprotected(m.Start, m.End, func(r ptrace.Region) error {
		a.there = append(a.there, span{at, r.Start})
		at = r.End
		return a.w.There(r.Start, r.End, m.Ino != 0, isFresh)
	})
	if err == nil {
		a.there = append(a.there, span{at, m.End})
	}
	return err
}

// take is room for so many bytes.
func (a *ahead) take(n uint64) []byte {
	if n > uint64(len(a.room)) {
		a.room = make([]byte, max(n, fewWritten))
	}
	b := a.room[:n:n]
	a.room = a.room[n:]
	return b
}

// copyFresh copies what was found to be written to.
func (a *ahead) copyFresh() error {
	n, err := ptrace.ReadV(a.pid, a.fresh)
	if err == nil {
		return nil
	}
	if ptrace.Gone(err) {
		return err
	}
	// Memory that the program itself has no access to, or beyond the end of a file.
	for _, s := range a.fresh {
		if n -= len(s.Data); n >= 0 {
			continue
		}
		if err := (ptrace.Mem)(a.pid).ReadAt(s.Data, s.Addr); err != nil {
			copy(s.Data, readPages(a.pid, s.Addr, s.Addr+uint64(len(s.Data))))
		}
	}
	return nil
}

// settle lists what the copy holds once it is complete.
func (a *ahead) settle() {
	for _, s := range a.fresh {
		for off := 0; off < len(s.Data); off += pageSize {
			a.pages[s.Addr+uint64(off)] = s.Data[off : off+pageSize : off+pageSize]
		}
		a.there = append(a.there, span{s.Addr, s.Addr + uint64(len(s.Data))})
	}
	for _, s := range a.there {
		for at := s.start; at < s.end; at += pageSize {
			a.list = append(a.list, at)
		}
	}
	for at := range a.pages {
		if slices.ContainsFunc(a.kept, func(s span) bool { return at >= s.start && at < s.end }) {
			a.list = append(a.list, at)
		}
	}
	slices.Sort(a.list)
}

// close ends the tracking. The kernel takes away the protection a mapping at a time.
func (a *ahead) close() {
	for s := range maps.Keys(a.tracked) {
		_ = a.w.End(s.start, s.end) // closing ends what is left
	}
	a.w.Close()
	a.mr.Close()
}

// runs calls each for the pages of a mapping that the copy has, as few times as
// possible.
func (a *ahead) runs(m *linux.Mapping, each func(start uint64, b []byte) error) error {
	const most = 1 << 20
	i, _ := slices.BinarySearch(a.list, m.Start)
	for i < len(a.list) && a.list[i] < m.End {
		start := a.list[i]
		var b []byte
		for i < len(a.list) && a.list[i] == start+uint64(len(b)) && a.list[i] < m.End && len(b) < most {
			page := a.pages[a.list[i]]
			if page == nil {
				page = make([]byte, pageSize)
			}
			b = append(b, page...)
			i++
		}
		if err := each(start, b); err != nil {
			return err
		}
	}
	return nil
}

// ReadSome reads memory as it was, as far as it is in the copy, else as it is.
func (a *ahead) ReadSome(p []byte, addr uint64) int {
	n := 0
	for n < len(p) {
		at := addr + uint64(n)
		page, off := a.pages[at&^(pageSize-1)], at&(pageSize-1)
		if page == nil {
			k := (ptrace.Mem)(a.pid).ReadSome(p[n:min(len(p), n+int(pageSize-off))], at)
			if n += k; k < int(pageSize-off) {
				break
			}
			continue
		}
		n += copy(p[n:], page[off:])
	}
	return n
}
