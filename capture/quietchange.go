package capture

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// What a quietly mapped file shows after somebody changed it; see quiet.go.

// writesQuiet returns the quietly mapped file that the call at hand is going to
// change through a descriptor.
func (r *recorder) writesQuiet(t *task) *quietFile {
	arg, ok := writers[int(t.ev.Nr)]
	if !ok {
		return nil
	}
	fd := int(int32(t.ev.Args[arg]))
	if name, ok := t.proc.fds[fdKey{t.pid, fd}]; ok && !strings.HasPrefix(name, "/") {
		return nil // a pipe, a socket
	}
	return r.quietAt(fmt.Sprintf("/proc/%d/fd/%d", t.pid, fd))
}

func (r *recorder) quietAt(path string) *quietFile {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return nil
	}
	return r.quiet.files[objectKey{st.Dev, st.Ino}]
}

// enterQuiet makes a call that changes a quietly mapped file, while no process
// that shows the file runs. It reports false where the call changes none.
func (r *recorder) enterQuiet(t *task) (bool, error) {
	if q := r.cuts(t); q != nil {
		r.settleFile(q)
	}
	q := r.writesQuiet(t)
	if q == nil {
		return false, nil
	}
	for _, m := range q.maps {
		if c := m.proc.cur; m.proc != t.proc && m.proc.mode == modeRecord && c != nil && c.computing() && !c.stopped && !c.dead {
			m.proc.wanted = true
			r.logEnter(t)
			r.waiters = append(r.waiters, &waiter{t: t, quiet: q, atEntry: true, arrived: true})
			return true, nil
		}
	}
	r.settleFile(q)
	switch t.ev.Nr {
	case sys.SYS_SPLICE, sys.SYS_SENDFILE:
		return false, nil // it may wait for the other descriptor
	}
	t.once = true
	if err := r.resume(t, 0); err != nil {
		return true, err
	}
	st, err := r.waitSync(t)
	if err != nil {
		return true, err
	}
	return true, r.dispatch(t, st)
}

// written are the recordings that are being made.
func (r *recorder) written() []*epoch {
	eps := slices.Clone(r.epochs.list)
	if r.command != nil {
		eps = append(eps, r.command)
	}
	return eps
}

// cuts returns the quietly mapped file that the call at hand is going to cut by its name.
func (r *recorder) cuts(t *task) *quietFile {
	dir, flags := unix.AT_FDCWD, uint64(unix.O_TRUNC)
	switch args := t.ev.Args; t.ev.Nr {
	case sys.SYS_TRUNCATE, sys.SYS_CREAT:
	case sys.SYS_OPEN:
		flags = args[1]
	case sys.SYS_OPENAT:
		dir, flags = int(int32(args[0])), args[2]
	default:
		return nil
	}
	if flags&unix.O_TRUNC == 0 {
		return nil
	}
	path := string(t.ev.In)
	switch {
	case filepath.IsAbs(path):
		path = "root" + path
	case dir == unix.AT_FDCWD:
		path = "cwd/" + path
	default:
		path = fmt.Sprintf("fd/%d/%s", dir, path)
	}
	return r.quietAt(fmt.Sprintf("/proc/%d/%s", t.pid, path))
}

// settleFile takes the content of a file, for all that need it, before it changes.
func (r *recorder) settleFile(q *quietFile) {
	for _, ep := range r.written() {
		ep.w.FileChanges(q.key.dev, q.key.ino)
		if f := ep.frozen; f != nil && ep.image == nil && !q.changed {
			f.takeQuiet(q.key)
		}
	}
}

// quietEffects records what the call at hand changed in quietly mapped files, for
// all processes that show them. t is at its exit.
func (r *recorder) quietEffects(t *task, ev *recording.Event) error {
	if ev.Ret < 0 {
		return nil
	}
	var q *quietFile
	from, to := uint64(0), uint64(1)<<63
	switch t.ev.Nr {
	case sys.SYS_TRUNCATE:
		path := string(t.ev.In)
		if filepath.IsAbs(path) {
			path = "root" + path
		} else {
			path = "cwd/" + path
		}
		q = r.quietAt(fmt.Sprintf("/proc/%d/%s", t.pid, path))
	case sys.SYS_OPEN, sys.SYS_OPENAT, sys.SYS_OPENAT2, sys.SYS_CREAT:
		if q = r.quietAt(fmt.Sprintf("/proc/%d/fd/%d", t.pid, ev.Ret)); q != nil && q.sizeNow() == q.size {
			q = nil // it was not cut
		}
	default:
		if q = r.writesQuiet(t); q != nil {
			from, to = written(t, ev, q.sizeNow())
		}
	}
	if q == nil {
		return nil
	}
	if to == 1<<63 {
		if err := r.cutShared(q, t); err != nil {
			return err
		}
	}
	err := r.fileChanged(q, t, from, to)
	r.dropFile(q)
	return err
}

// sizeNow asks for the size of a file.
func (q *quietFile) sizeNow() uint64 {
	var st unix.Stat_t
	if unix.Fstat(int(q.file.Fd()), &st) != nil {
		return q.size
	}
	return uint64(st.Size)
}

// fileChanged logs what is new in a part of a file to each process that shows it: to
// t's own with the call at whose exit it is, to others where they are.
func (r *recorder) fileChanged(q *quietFile, t *task, from, to uint64) error {
	q.changed = true
	size := q.sizeNow()
	for _, m := range slices.Clone(q.maps) {
		if m.proc.mode != modeRecord || len(m.proc.tasks) == 0 {
			continue
		}
		evs, err := m.renew(r.readerOf(m, t), from, to, size)
		if err := r.tell(m, t, evs, err); err != nil {
			return err
		}
	}
	q.size = size
	r.askOfFiles() // it is told of this too
	q.seen()
	return nil
}

// readerOf is a thread by which the memory of a mapping is read.
func (r *recorder) readerOf(m *sharedMap, t *task) int {
	if m.proc == t.proc {
		return t.tid
	}
	return m.proc.anyTID()
}

// tell logs what is new to the process of a mapping. An error ends the recording of
// that process; it is returned if it is t's.
func (r *recorder) tell(m *sharedMap, t *task, evs []recording.Event, err error) error {
	if m.proc == t.proc {
		t.resize = append(t.resize, evs...)
		return err
	}
	if err != nil {
		r.settle(t, m.proc, err)
		return nil
	}
	r.logOpenOn(m.proc)
	for i := range evs {
		for _, o := range m.proc.tasks {
			if !o.dead && !o.leadExit && o.state != stateNew {
				evs[i].TID = int32(o.tid)
				break
			}
		}
		evs[i].Instr = m.proc.base
		r.log(m.proc, &evs[i])
	}
	return nil
}

// seen notes that all who show a file have what it was changed to so far.
func (q *quietFile) seen() {
	for _, m := range q.maps {
		m.gen = q.gen
	}
	if q.obj != nil {
		for _, m := range q.obj.maps {
			m.gen = q.gen
		}
	}
}

// lookQuiet looks whether others have changed files that t's process shows, where
// t returns from a call that may have waited.
func (r *recorder) lookQuiet(t *task) error {
	r.askOfFiles()
	for _, m := range slices.Clone(t.proc.quiet) {
		q := m.quiet
		if m.gen == q.gen && !q.stored {
			continue
		}
		m.gen = q.gen
		if err := r.fileChanged(q, t, 0, 1<<63); err != nil {
			return err
		}
	}
	for _, m := range t.proc.shared {
		q := r.quiet.files[m.obj.key]
		if q == nil || m.gen == q.gen {
			continue
		}
		evs, err := m.renewHeld(t.tid, q)
		if err != nil {
			return err
		}
		t.resize = append(t.resize, evs...)
		m.gen = q.gen
	}
	return nil
}

// tooLarge says of a file that more of it would have to be taken than is at once.
func tooLarge(q *quietFile, size uint64) error {
	return fmt.Errorf("%.200s, a mapped file of %d MiB, changes, and no more than %d MiB are taken at once", q.file.Name(), size>>20, maxFresh>>20)
}

// renewHeld returns the events that make a replay show what of a file the mapping
// holds, which may be changed in any place.
func (m *sharedMap) renewHeld(tid int, q *quietFile) ([]recording.Event, error) {
	size := q.sizeNow()
	last := min(pageUp(size), m.off+m.end-m.start)
	if last > m.off+maxFresh {
		return nil, tooLarge(q, size)
	}
	ev := recording.Event{Kind: recording.KindFault}
	m.held(m.off, last, func(start, end uint64) {
		for n := (m.off + start - m.start) / pageSize; n*pageSize < m.off+end-m.start; n++ {
			m.seen[n] = unseen
		}
		ev.Mem = append(ev.Mem, m.changed(tid, start, end)...)
	})
	evs := []recording.Event{ev}
	if size != q.size {
		evs = append(evs, m.resized(size, size < q.size)...)
	}
	return evs, nil
}

// cutShared logs that a file was cut by its name, to those who take turns with it.
func (r *recorder) cutShared(q *quietFile, t *task) error {
	if q.obj == nil {
		return nil
	}
	for _, m := range slices.Clone(q.obj.maps) {
		if m.proc.mode != modeRecord || len(m.proc.tasks) == 0 {
			continue
		}
		evs, err := m.renewHeld(r.readerOf(m, t), q)
		if err := r.tell(m, t, evs, err); err != nil {
			return err
		}
	}
	return nil
}

// fileTimes are what stat(2) tells of a file that others may change.
type fileTimes struct {
	modified, changed unix.Timespec
	size              int64
}

func timesOf(st *unix.Stat_t) fileTimes { return fileTimes{st.Mtim, st.Ctim, st.Size} }

// askOfFiles takes note of what others have changed since it was asked last.
func (r *recorder) askOfFiles() {
	if r.quiet.fd >= 0 {
		r.readInotify()
	}
	for _, q := range r.quiet.files {
		if q.wd < 0 && q.lookAt() {
			q.gen++
		}
	}
}

// lookAt reports whether a file that nothing tells of may have been changed since it
// was looked at last. Its times are coarse: of one that was changed just now the next
// change may not show.
func (q *quietFile) lookAt() bool {
	var st unix.Stat_t
	if unix.Fstat(int(q.file.Fd()), &st) != nil {
		return false
	}
	was, now := q.was, timesOf(&st)
	q.was = now
	switch {
	case was.size != now.size || was.modified != now.modified:
		return true
	case st.Size > maxFresh:
		return false // as after chmod: that much is not compared for it
	}
	return was.changed != now.changed || q.changed && time.Since(time.Unix(st.Ctim.Unix())) < tick
}

// readInotify takes what the kernel tells of watched files (inotify(7)).
func (r *recorder) readInotify() {
	var buf [4096]byte
	for {
		n, err := unix.Read(r.quiet.fd, buf[:])
		if err != nil || n < unix.SizeofInotifyEvent {
			return
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			wd, mask := int(int32(binary.LittleEndian.Uint32(b))), binary.LittleEndian.Uint32(b[4:])
			if q := r.quiet.wds[wd]; q != nil && mask&unix.IN_MODIFY != 0 {
				q.gen++
			}
			if mask&unix.IN_Q_OVERFLOW != 0 {
				for _, q := range r.quiet.files {
					q.gen++
				}
			}
			b = b[min(len(b), unix.SizeofInotifyEvent+int(binary.LittleEndian.Uint32(b[12:]))):]
		}
	}
}

// renew returns the events that make a replayed mapping show a part of its file,
// whose size is now size, as it is.
func (m *sharedMap) renew(tid int, from, to, size uint64) ([]recording.Event, error) {
	if m.ofFile {
		return m.taken(tid, size)
	}
	var evs []recording.Event
	if lo, hi := max(from&^(pageSize-1), m.off), min(to, pageUp(size), m.off+m.end-m.start); lo < hi {
		if m.end-m.start > maxFresh && hi-lo > maxFresh {
			return nil, tooLarge(m.quiet, size)
		}
		if m.prot&unix.PROT_WRITE != 0 {
			for n := lo / pageSize; n*pageSize < hi; n++ {
				m.seen[n] = unseen // it may have written there itself
			}
		}
		ev := recording.Event{Kind: recording.KindFault, Memory: recording.Memory{Mem: m.changed(tid, m.start+lo-m.off, m.start+pageUp(hi)-m.off)}}
		if len(ev.Mem) > 0 {
			evs = append(evs, ev)
		}
	}
	if size != m.quiet.size {
		evs = append(evs, m.resized(size, size < m.quiet.size)...)
	}
	return evs, nil
}

// taken returns the events that give a replayed mapping memory of its own with what
// it shows now; what is beyond the end of the file can't be reached.
func (m *sharedMap) taken(tid int, size uint64) ([]recording.Event, error) {
	last := m.start + min(max(pageUp(size), m.off)-m.off, m.end-m.start)
	if last-m.start > maxFresh {
		return nil, tooLarge(m.quiet, size)
	}
	ev := recording.Event{Kind: recording.KindWrite, Memory: recording.Memory{Maps: []recording.Mapping{{Start: m.start, End: m.end, Prot: uint32(m.prot), Name: m.quiet.file.Name()}}}}
	m.ofFile, m.noFile, m.seen = false, 0, map[uint64]uint64{}
	ev.Mem = m.changed(tid, m.start, last)
	evs := []recording.Event{ev}
	if last < m.end {
		m.noFile = last
		evs = append(evs, recording.Event{Kind: recording.KindFault, Memory: recording.Memory{Maps: []recording.Mapping{{Start: last, End: m.end}}}})
	}
	return evs, nil
}
