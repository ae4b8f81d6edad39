package logview

import (
	"slices"

	"pyrr/internal/linux"
)

// turn is a lock on a file, or on bytes of it, that was taken or given back.
type turn struct {
	Transfer
	file *File
	lock linux.Lock
}

// turn notes what a call does to the lock of a file, where somebody asks for channels.
func (m *merger) turn(sc *scan, f *File, o *op) {
	if m.channels == nil || o.more == nil {
		return
	}
	l := o.more.lock
	if ofFile(o) {
		l = linux.Lock{}
	}
	if o.arg&^nonblock == linux.LockNone {
		m.gaveBack(sc, o, f, l)
	} else if t, ok := m.channels.transfer(sc, o); ok {
		m.channels.took = append(m.channels.took, turn{t, f, l})
	}
}

// gaveBack notes that a lock is free from an operation on, whatever that is.
func (m *merger) gaveBack(sc *scan, o *op, f *File, l linux.Lock) {
	if m.channels == nil {
		return
	}
	if t, ok := m.channels.transfer(sc, o); ok {
		m.channels.gave = append(m.channels.gave, turn{t, f, l})
	}
}

// transfer is when an operation was, as long as there is room.
func (c *channels) transfer(sc *scan, o *op) (Transfer, bool) {
	if c.most <= 0 {
		return Transfer{}, false
	}
	c.most--
	if o.more == nil || o.more.entered == 0 {
		return Transfer{sc.p.ID, o.n, o.time, o.time}, true
	}
	return Transfer{sc.p.ID, o.more.entered, o.more.began, o.time}, true
}

// locked are the open files of a process that have locks of their own.
func (m *merger) locked(sc *scan) []*File {
	if m.channels == nil {
		return nil
	}
	var out []*File
	for _, d := range m.table(sc, 0).fds {
		if d.File.Lock != 0 || m.ranges(d.File) {
			out = append(out, d.File)
		}
	}
	slices.SortFunc(out, func(a, b *File) int { return a.Num - b.Num })
	return out
}

// ranges reports whether an open file has locks on ranges.
func (m *merger) ranges(f *File) bool {
	return slices.ContainsFunc(m.locks, func(l RecordLock) bool { return l.Owner == linux.LockOfRange && l.File == f })
}

// closed notes that an open file's locks are free, if a descriptor that went was its last.
func (m *merger) closed(sc *scan, o *op, f *File) {
	if m.channels == nil || f.Lock == 0 && !m.ranges(f) || m.isOpen(f) {
		return
	}
	if f.Lock != 0 {
		m.gaveBack(sc, o, f, linux.Lock{})
	}
	for i := range m.locks {
		if l := &m.locks[i]; l.Owner == linux.LockOfRange && l.File == f {
			m.gaveBack(sc, o, f, l.Lock)
		}
	}
}

// isOpen reports whether some process has a descriptor of an open file.
func (m *merger) isOpen(f *File) bool {
	has := func(t *table) bool {
		if t == nil {
			return false
		}
		for _, d := range t.fds {
			if d.File == f {
				return true
			}
		}
		return false
	}
	for p, t := range m.tables {
		if has(t) {
			return true
		}
		for _, own := range p.tables {
			if has(own) {
				return true
			}
		}
	}
	for _, c := range m.kids {
		if c.Reaped == nil && has(c.held) {
			return true
		}
	}
	return false
}

// lockKey is what locks are in each other's way for: a file, and whether it is the lock
// of an open file or those of ranges, which do not know of each other (flock(2)).
type lockKey struct {
	path   string
	file   *File // where it has no path
	ranges bool
}

func (t *turn) key() lockKey {
	k := lockKey{path: t.file.Path, ranges: t.lock.Owner > linux.LockOfFile}
	if k.path == "" {
		k.file = t.file
	}
	return k
}

// locks are the channels of locks: one for each range that was taken.
func (c *channels) locks() []Channel {
	gave, left := map[lockKey][]*turn{}, 4*(len(c.gave)+len(c.took))
	for i := range c.gave {
		gave[c.gave[i].key()] = append(gave[c.gave[i].key()], &c.gave[i])
	}
	type wanted struct {
		lockKey
		start, end uint64
	}
	at := map[wanted]int{}
	var out []Channel
	for i := range c.took {
		t := &c.took[i]
		w := wanted{t.key(), t.lock.Start, t.lock.End}
		k, ok := at[w]
		if !ok {
			var ch Channel
			for _, g := range gave[w.lockKey] {
				if left--; left < 0 {
					break // of a file with very many ranges the rest goes without
				}
				if !w.ranges || g.lock.Start < w.end && w.start < g.lock.End {
					ch.Writes = append(ch.Writes, g.Transfer)
				}
			}
			k = -1
			if len(ch.Writes) > 0 {
				k = len(out)
				byTime(ch.Writes)
				out = append(out, ch)
			}
			at[w] = k
		}
		if k >= 0 {
			out[k].Reads = append(out[k].Reads, t.Transfer)
		}
	}
	for i := range out {
		byTime(out[i].Reads)
	}
	return out
}
