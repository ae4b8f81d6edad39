package capture

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// A mapping of a file that nobody writes to by mapping it costs nothing: its
// process runs on as if it had none, the file is copied in the background, and a
// replay maps the copy. Such a mapping is quiet. What it shows changes only when
// somebody changes the file, so that is what is watched for:
//
//   - A recorded process changes a file by a call on a descriptor, which stops: a
//     calls area knows the inodes of the mapped files, and opens none of them without
//     a stop (inject.CallsArea, Held). No process that shows the file runs code
//     while the call is made, and each gets an event with what is new to it.
//   - What others change is told by inotify(7), and looked for where a thread
//     returns from a call that may have waited. Where a user has as many instances of
//     it as are allowed, the file's times and its size tell. A program that is not
//     recorded, and changes the file while a recorded one computes, is seen late.
//
// From the first change on a replay has memory of its own in place of the copy.
// Who maps the file shared and to write takes part in what shared.go does.

// quietFile is a file that quiet mappings show.
type quietFile struct {
	key  objectKey
	maps []*sharedMap
	file *os.File
	size uint64
	gen  int           // counts the changes by others, as far as they were told
	wd   int           // of inotify, -1 where it does not tell
	was  fileTimes     // when it was looked at last, where inotify does not tell
	obj  *sharedObject // that takes turns, if processes map it so too
	// changed: it was written to while it was mapped.
	changed bool
	// stored: a process maps it to write, which nothing tells of.
	stored bool
}

// quiet is what the recorder knows of such files.
type quiet struct {
	files map[objectKey]*quietFile
	wds   map[int]*quietFile
	held  [inject.HeldBytes]byte
	fd    int // of inotify, -1 where there is none
}

const (
	// maxAtOnce bounds the files whose content is taken where they are mapped; of
	// larger ones it is taken before the first change.
	maxAtOnce = maxFresh
	// tick is how coarse the times of files are: of one that was changed within it,
	// the next change may not show.
	tick = 100 * time.Millisecond
)

// unseen is the hash of no page.
const unseen = 1

// isCode reports whether a file is a program or a library that is mapped as
// ld.so does: private, and an ELF file.
func isCode(f *os.File, shared bool) bool {
	var b [4]byte
	_, err := f.ReadAt(b[:], 0)
	return !shared && err == nil && string(b[:]) == "\x7fELF"
}

// mapQuiet notes a new quiet mapping and takes what it shows.
func (r *recorder) mapQuiet(t *task, ev *recording.Event, m recording.Mapping, f *os.File, st *unix.Stat_t, off uint64) error {
	p, size := t.proc, uint64(st.Size)
	q, err := r.quietFile(f, m.Name, st)
	if err != nil {
		return err
	}
	n := min(m.End-m.Start, max(size, off)-off)
	qm := &sharedMap{
		obj: &sharedObject{key: q.key}, quiet: q, proc: p, start: m.Start, end: m.End, off: off,
		prot: uint64(m.Prot), gen: q.gen, shared: m.Shared,
	}
	if m.Shared { // a private one may have pages of its own in the file's holes
		qm.obj.file = q.file
	}
	q.maps, p.quiet = append(q.maps, qm), append(p.quiet, qm)
	if r.holdInode(q.key.ino) {
		r.tellHeld()
	}
	r.stopWrites(q.key)
	if m.Shared = false; p.ep == nil {
		qm.ofFile = true // as in the image that a recording begins with
		return nil
	}
	if fresh := time.Since(time.Unix(st.Ctim.Unix())) < tick; fresh && n <= maxFresh {
		ev.Maps = []recording.Mapping{m}
		qm.seen = map[uint64]uint64{}
		ev.Mem = append(ev.Mem, qm.changed(t.tid, m.Start, m.End)...)
		return nil
	}
	id, err := r.addFile(p, f, m.Name, off+(m.End-m.Start))
	if err != nil {
		return err
	}
	if n <= maxAtOnce {
		p.ep.w.SettleFile(q.key.dev, q.key.ino)
	}
	m.File, m.Offset, qm.ofFile = id, off, true
	ev.Maps = []recording.Mapping{m}
	return nil
}

// quietFile returns what is known of a file, which is watched from now on. One that can't
// be kept open can't be watched.
func (r *recorder) quietFile(f *os.File, name string, st *unix.Stat_t) (*quietFile, error) {
	key := objectKey{st.Dev, st.Ino}
	if q := r.quiet.files[key]; q != nil {
		return q, nil
	}
	if r.quiet.files == nil {
		r.quiet.files, r.quiet.wds, r.quiet.fd = map[objectKey]*quietFile{}, map[int]*quietFile{}, -1
		if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
			r.quiet.fd = fd
		}
	}
	for _, old := range r.quiet.files {
		r.dropFile(old) // if it is copied by now
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("keep %.200s open, which was mapped: %w", name, err)
	}
	q := &quietFile{key: key, size: uint64(st.Size), wd: -1, was: timesOf(st), file: os.NewFile(uintptr(fd), name)}
	if r.quiet.fd >= 0 {
		if wd, err := unix.InotifyAddWatch(r.quiet.fd, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.IN_MODIFY); err == nil {
			q.wd = wd
			r.quiet.wds[wd] = q
		}
	}
	r.quiet.files[key] = q
	return q, nil
}

// dropQuiet forgets a quiet mapping.
func (r *recorder) dropQuiet(m *sharedMap) {
	same := func(x *sharedMap) bool { return x == m }
	q := m.quiet
	m.proc.quiet = slices.DeleteFunc(m.proc.quiet, same)
	q.maps = slices.DeleteFunc(q.maps, same)
	r.dropFile(q)
}

// copies says whether a file is still to be copied to a recording: it may not change before.
func (r *recorder) copies(key objectKey) bool {
	return slices.ContainsFunc(r.written(), func(ep *epoch) bool { return ep.w.CopiesFile(key.dev, key.ino) })
}

// dropFile forgets a file that nobody maps any more, once it is copied.
func (r *recorder) dropFile(q *quietFile) {
	if len(q.maps) > 0 || q.obj != nil || r.quiet.files[q.key] != q || r.copies(q.key) {
		return
	}
	delete(r.quiet.files, q.key)
	q.file.Close()
	if q.wd >= 0 {
		delete(r.quiet.wds, q.wd)
		unix.InotifyRmWatch(r.quiet.fd, uint32(q.wd))
	}
	clear(r.quiet.held[:])
	for key := range r.quiet.files {
		r.holdInode(key.ino)
	}
	r.tellHeld()
}

// unmapQuiet forgets what of quiet mappings lies in a part of the address space.
func (r *recorder) unmapQuiet(p *process, start, end uint64) {
	for _, m := range slices.Clone(p.quiet) {
		switch {
		case m.end <= start || m.start >= end:
		case start <= m.start && m.end <= end:
			r.dropQuiet(m)
		case start <= m.start:
			m.off += end - m.start
			m.start = end
		case m.end <= end:
			m.end = start
		default:
			rest := *m
			rest.seen = maps.Clone(m.seen)
			rest.off += end - m.start
			rest.start = end
			m.end = start
			m.quiet.maps, p.quiet = append(m.quiet.maps, &rest), append(p.quiet, &rest)
		}
	}
}

// forkQuiet gives a forked child the quiet mappings of its parent.
func (r *recorder) forkQuiet(from, to *process) {
	for _, m := range from.quiet {
		c := *m
		c.proc, c.seen = to, maps.Clone(m.seen)
		m.quiet.maps, to.quiet = append(m.quiet.maps, &c), append(to.quiet, &c)
	}
}

// protectQuiet notes a new protection of quiet mappings. One that is shared and
// becomes writable is not quiet any more.
func (r *recorder) protectQuiet(t *task, start, end, prot uint64) error {
	for _, m := range slices.Clone(t.proc.quiet) {
		if m.start < start || m.end > end {
			continue
		}
		if m.prot = prot & 7; m.shared && prot&unix.PROT_WRITE != 0 {
			if err := r.promote(t, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// promote makes a quiet mapping of t's process, which stands at the exit of a
// call, one that takes turns with others (shared.go).
func (r *recorder) promote(t *task, m *sharedMap) error {
	evs, err := m.taken(t.tid, m.quiet.sizeNow())
	if err != nil {
		return err
	}
	t.resize = append(t.resize, evs...)
	q := m.quiet
	s := r.addShared(m.proc, m.start, m.end, m.off, m.prot, q.key)
	s.seen, s.noFile, s.gen = m.seen, m.noFile, m.gen
	q.obj = s.obj
	if m.shared {
		s.obj.keepOpen(q.file) // a private one may have pages of its own in its holes
	}
	r.dropQuiet(m)
	t.mapped, t.promoted = s, append(t.promoted, s)
	return nil
}

// promoteOwn does so with all quiet mappings of a file that a process has which
// now maps it to write.
func (r *recorder) promoteOwn(t *task, key objectKey) error {
	q := r.quiet.files[key]
	if q == nil {
		return nil
	}
	q.stored = true
	for _, m := range slices.Clone(q.maps) {
		if m.proc == t.proc {
			if err := r.promote(t, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdInode notes an inode that no process is to open without a stop.
func (r *recorder) holdInode(ino uint64) (new bool) {
	bit := ino % (inject.HeldBytes * 8)
	old := r.quiet.held[bit/8]
	r.quiet.held[bit/8] |= 1 << (bit % 8)
	return r.quiet.held[bit/8] != old
}

// tellHeld tells all processes that make calls without a stop which inodes those
// are.
func (r *recorder) tellHeld() {
	for _, p := range r.processes {
		if p.mode == modeRecord && p.calls != nil && len(p.tasks) > 0 {
			ptrace.Write(p.anyTID(), p.calls.img.Held, r.quiet.held[:])
		}
	}
}

// stopWrites makes calls stop that write to a file by a descriptor which was open
// before it was mapped.
func (r *recorder) stopWrites(key objectKey) {
	for _, p := range r.processes {
		if p.mode != modeRecord || p.calls == nil || len(p.tasks) == 0 {
			continue
		}
		tid := p.anyTID()
		kinds := make([]byte, inject.CallFDs)
		if (ptrace.Mem)(tid).ReadAt(kinds, p.calls.img.FDs) != nil {
			continue
		}
		for fd, k := range kinds {
			var st unix.Stat_t
			if k&inject.FDWrite == 0 || unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", p.pid, fd), &st) != nil {
				continue
			}
			if st.Dev == key.dev && st.Ino == key.ino {
				ptrace.Write(tid, p.calls.img.FDs+uint64(fd), []byte{k &^ inject.FDWrite})
			}
		}
	}
}

func (p *process) anyTID() int {
	for tid := range p.tasks {
		return tid
	}
	return p.pid
}

// moveQuiet notes that mremap(2) moved or resized a part of the address space.
func (r *recorder) moveQuiet(t *task, old, oldLen, at, newLen uint64) error {
	for _, m := range slices.Clone(t.proc.quiet) {
		if old < m.start || old >= m.end {
			continue
		}
		c := *m
		c.off += old - m.start
		c.start, c.end = at, at+newLen
		c.quiet.maps = append(c.quiet.maps, &c) // first: the file is not to be forgotten
		r.unmapQuiet(t.proc, old, old+oldLen)
		t.proc.quiet = append(t.proc.quiet, &c)
		evs, err := c.taken(t.tid, c.quiet.sizeNow())
		if err != nil {
			return err
		}
		t.resize = append(t.resize, evs...)
		break
	}
	return nil
}

// freezeQuiet notes that an image of a process is made: what of quiet mappings was
// changed is copied, the rest is to be mapped from the file.
func (f *frozen) freezeQuiet(p *process, tid int) {
	for _, m := range p.quiet {
		if !m.quiet.changed {
			m.ofFile = true
			f.quiet = append(f.quiet, quietSpan{span{m.start, m.end}, m.quiet.key})
			continue
		}
		f.skip = append(f.skip, span{m.start, m.end})
		m.noFile = 0
		f.copies = append(f.copies, recording.Write{Addr: m.start, Data: readPages(tid, m.start, m.end)})
	}
}

// quietSpan is where an image is to map a file.
type quietSpan struct {
	span
	key objectKey
}

// takeQuiet copies what an image shows of a file that is about to change. Mappings made
// since are no part of the image: their content comes with the events.
func (f *frozen) takeQuiet(key objectKey) {
	f.quiet = slices.DeleteFunc(f.quiet, func(s quietSpan) bool {
		if s.key != key {
			return false
		}
		f.skip = append(f.skip, s.span)
		f.copies = append(f.copies, recording.Write{Addr: s.start, Data: readPages(f.pid, s.start, s.end)})
		return true
	})
}

// givenUp takes what quiet mappings show after the program gave up its own pages of
// them: the file's content as it is now.
func (r *recorder) givenUp(t *task, ev *recording.Event, start, end uint64) {
	for _, m := range t.proc.quiet {
		lo, hi := max(m.start, start), min(m.end, end)
		if lo >= hi || m.ofFile && !m.quiet.changed {
			continue
		}
		for at := lo; at < hi; at += pageSize {
			page := make([]byte, pageSize)
			if (ptrace.Mem)(t.tid).ReadAt(page, at) == nil { // else beyond the end of the file
				ev.Mem = append(ev.Mem, recording.Write{Addr: at, Data: page})
			}
		}
	}
}
