package recording

// maxTaken bounds what SettleFile reads of a file.
const maxTaken = 64 << 20

// SettleFile reads what is still to be copied of a file, which is about to be changed.
// What is too large for that may become unstable.
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
		e.settle(st)
	}
}

func (e *entry) settle(st *store) {
	e.io.Lock()
	defer e.io.Unlock()
	st.mu.Lock()
	src, from, want := e.src, e.Kept, e.Want
	if e.sum == nil || e.Same != 0 {
		from = 0 // copying begins again
	}
	st.mu.Unlock()
	if src == nil || e.taken != nil || from >= want || want-from > maxTaken || unchanged(e) != nil {
		return
	}
	b := make([]byte, want-from)
	if _, err := src.ReadAt(b, int64(from)); err == nil && unchanged(e) == nil {
		e.taken = b
	}
}
