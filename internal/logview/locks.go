package logview

import (
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// maxLocks bounds the locks on ranges that are held at a time.
const maxLocks = 1 << 16

const nonblock = 4 // LOCK_NB of sys/file.h

// RecordLock is a lock on bytes of a file (fcntl(2)).
type RecordLock struct {
	linux.Lock
	File   *File // through which it was taken
	PID    int   // whose it is, of linux.LockOfProcess; else that of File
	Shared bool
	At     Moment
}

// same reports whether two open files are of one file on the disk, as far as the
// paths tell that they were opened with.
func same(a, b *File) bool { return a == b || a.Path != "" && a.Path == b.Path }

// owns reports whether two locks belong to the same owner, who is never in his
// own way.
func (l *RecordLock) owns(o *RecordLock) bool {
	return l.Owner == o.Owner && l.PID == o.PID && (l.Owner == linux.LockOfProcess || l.File == o.File)
}

func (l *RecordLock) overlaps(o *RecordLock) bool {
	return same(l.File, o.File) && l.Start < o.End && o.Start < l.End
}

// lock applies what a call does to the locks on a file.
func (m *merger) lock(sc *scan, f *File, o *op) {
	at := m.at(sc, o)
	m.turn(sc, f, o)
	if ofFile(o) {
		if f.Lock = o.arg &^ nonblock; f.Lock == linux.LockNone {
			f.Lock = 0
		}
		f.Locked = at
		return
	}
	l := RecordLock{Lock: o.more.lock, File: f, Shared: o.arg == linux.LockShared, At: at}
	if l.Owner == linux.LockOfProcess {
		l.PID = sc.p.PID
	}
	// What the owner had on these bytes is replaced.
	kept := m.locks[:0:0]
	for i := range m.locks {
		h := m.locks[i]
		if !h.owns(&l) || !h.overlaps(&l) {
			kept = append(kept, h)
			continue
		}
		before, behind := h, h
		before.End, behind.Start = l.Start, l.End
		for _, part := range []RecordLock{before, behind} {
			if part.Start < part.End {
				kept = append(kept, part)
			}
		}
	}
	m.locks = kept
	if o.arg == linux.LockNone {
		return
	}
	if len(m.locks) >= maxLocks {
		m.s.Partial = true
		return
	}
	m.locks = append(m.locks, l)
}

// unlock takes away what a process has locked of a file, which it loses when it
// closes any descriptor of that; of all files where f is nil.
func (m *merger) unlock(sc *scan, o *op, pid int, f *File) {
	if len(m.locks) == 0 {
		return
	}
	m.locks = slices.DeleteFunc(m.locks, func(l RecordLock) bool {
		lost := l.Owner == linux.LockOfProcess && l.PID == pid && (f == nil || same(l.File, f))
		if lost {
			m.gaveBack(sc, o, l.File, l.Lock)
		}
		return lost
	})
}

// ofFile tells an operation on the lock of an open file, flock(2), from one on a range.
func ofFile(o *op) bool { return o.more == nil || o.more.lock.Owner <= linux.LockOfFile }

// finishLocks puts the locks that are held into the state.
func (m *merger) finishLocks() {
	m.s.Locks = slices.DeleteFunc(m.locks, func(l RecordLock) bool { return l.File.Closed() })
}

// Blocker returns where the lock was taken that keeps a thread waiting for one
// on the same file, and that file; ok is false where the thread does not wait for
// one, or nobody in the recording holds it.
func (s *State) Blocker(p *Process, t *Thread) (at Moment, f *File, ok bool) {
	if t == nil || t.Open == nil {
		return at, nil, false
	}
	return s.BlockerOf(p, t, &t.Open.Enter, "")
}

// BlockerOf is Blocker of a call that a thread has made, and by which it did not get a
// lock: e is its beginning, path that of the file, "" where the descriptor tells.
func (s *State) BlockerOf(p *Process, t *Thread, e *recording.Event, path string) (at Moment, f *File, ok bool) {
	fd, op, lock, ok := linux.LockWanted(int(e.Nr), e.Args, e.In)
	mine := p.FD(t, fd)
	if path != "" && (mine == nil || mine.Path != path) {
		mine = &File{Path: path} // it was closed since
	}
	if !ok || mine == nil {
		return at, nil, false
	}
	if lock.Owner == linux.LockOfFile {
		for _, f := range s.Files {
			if f != mine && same(f, mine) && f.Lock != 0 && len(f.Holders) > 0 {
				return f.Locked, f, true
			}
		}
		return at, nil, false
	}
	want := RecordLock{Lock: lock, File: mine, Shared: op == linux.LockShared}
	if lock.Owner == linux.LockOfProcess {
		want.PID = p.PID
	}
	for i := range s.Locks {
		l := &s.Locks[i]
		if !l.owns(&want) && l.overlaps(&want) && !(l.Shared && want.Shared) {
			return l.At, l.File, true
		}
	}
	return at, nil, false
}
