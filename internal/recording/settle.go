package recording

import (
	"errors"
	"syscall"
)

// maxTaken bounds what SettleFile keeps in memory.
const maxTaken = 64 << 20

// SettleFile reads what is still to be copied of a file, which may be changed at any time.
// Where that is too much to be kept in memory it waits until it is copied.
func (w *Writer) SettleFile(dev, ino uint64) {
	st := &w.store
	st.mu.Lock()
	var found []*entry
	for _, e := range st.pending {
		if e.Dev == dev && e.Ino == ino {
			found = append(found, e)
		}
	}
	st.mu.Unlock()
	for _, e := range found {
		if !e.settle(st) {
			w.copyNow(e)
		}
	}
}

// FileChanges does so with a file that is about to be changed, and is another one then.
func (w *Writer) FileChanges(dev, ino uint64) {
	w.SettleFile(dev, ino)
	st := &w.store
	st.mu.Lock()
	defer st.mu.Unlock()
	for key := range st.byKey {
		if key.dev == dev && key.ino == ino {
			delete(st.byKey, key)
		}
	}
}

// CopiesFile says whether something of a file is still to be read.
func (w *Writer) CopiesFile(dev, ino uint64) bool {
	st := &w.store
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, e := range st.pending {
		if e.Dev == dev && e.Ino == ino && !e.settled {
			return true
		}
	}
	return false
}

// settle takes what is still to be copied. It reports false where that is too much.
func (e *entry) settle(st *store) bool {
	e.io.Lock()
	defer e.io.Unlock()
	st.mu.Lock()
	src, from, want, room := e.src, e.Kept, e.Want, maxTaken-min(st.taken, maxTaken)
	if e.sum == nil || e.Same != 0 {
		from = 0 // copying begins again
	}
	st.mu.Unlock()
	if src == nil || e.taken != nil || from >= want || unchanged(e) != nil {
		return true
	}
	if want-from > room {
		return false
	}
	b := make([]byte, want-from)
	if _, err := src.ReadAt(b, int64(from)); err == nil && unchanged(e) == nil {
		e.taken = b
		st.mu.Lock()
		st.taken += uint64(len(b))
		e.settled = e.Want == want
		st.mu.Unlock()
	}
	return true
}

// copyNow has the background goroutine copy a file before all others, and waits for it.
func (w *Writer) copyNow(e *entry) {
	w.start()
	st := &w.store
	st.mu.Lock()
	defer st.mu.Unlock()
	st.urgent = e
	for e.pending && w.Err() == nil {
		w.q.poke()
		st.room.Wait()
	}
	st.urgent = nil
}

// hole says whether the next n bytes are in a hole of the file, which need not be read.
func (e *entry) hole(n uint64) bool {
	const seekData = 3 // linux/fs.h
	if e.Kept+n > e.data {
		at, err := e.src.Seek(int64(e.Kept), seekData)
		switch {
		case err == nil:
			e.data = uint64(at)
		case errors.Is(err, syscall.ENXIO):
			e.data = e.Size // nothing but a hole
		default:
			return false
		}
	}
	return e.Kept+n <= e.data
}
