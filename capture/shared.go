package capture

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
)

// Memory that several mappings share (two processes, or one process twice)
// is held by one mapping at a time. The others have no access to it: their
// next touch is a fault, at a point of their execution that replay finds
// again by itself, and there the log says what the holder wrote meanwhile.
// So each process replays by itself, and all of them run in parallel.
//
// What is held is a unit of 64 KiB. Holders change only while the present
// one runs no user code: at a system call or before an exact instruction.

const (
	unitSize  = 64 << 10
	unitPages = unitSize / pageSize
)

type objectKey struct{ dev, ino uint64 }

// sharedMap is a MAP_SHARED mapping of a recorded process.
type sharedMap struct {
	obj        *sharedObject
	proc       *process
	start, end uint64
	off        uint64 // in the object
	prot       uint64
	// seen holds a hash of each page as the process last saw it, by its
	// number in the object.
	seen map[uint64]uint64
	// noFile is where replay lets accesses fault as those beyond the end of the
	// file do; 0 where it does not.
	noFile uint64

	// Of quiet ones, see quiet.go:
	quiet  *quietFile // nil for others
	gen    int        // the changes that it has
	ofFile bool       // a replay maps a copy of the file
	shared bool
}

var (
	seenSeed = maphash.MakeSeed()
	zeroPage = maphash.Bytes(seenSeed, make([]byte, pageSize))
)

var errBusy = errors.New("held by running code")

// addShared notes a new shared mapping. It returns the object, which is
// multi if another mapping shows it already.
func (r *recorder) addShared(p *process, start, end, off, prot uint64, key objectKey) *sharedMap {
	var o *sharedObject
	if key.ino != 0 {
		o = r.objects[key]
	}
	if o == nil {
		o = &sharedObject{key: key, holder: map[uint64]*sharedMap{}}
		if key.ino != 0 {
			r.objects[key] = o
			r.nowShown(key.dev)
		}
	}
	m := &sharedMap{obj: o, proc: p, start: start, end: end, off: off, prot: prot, seen: map[uint64]uint64{}}
	p.shared = append(p.shared, m)
	o.show(m)
	return m
}

// dropShared forgets a mapping that is no more.
func (r *recorder) dropShared(m *sharedMap) {
	o := m.obj
	if o.hide(m) {
		if r.objects[o.key] == o {
			delete(r.objects, o.key)
		}
		if o.file != nil {
			o.file.Close()
			o.file = nil
		}
		if q := r.quiet.files[o.key]; q != nil && q.obj == o {
			q.obj = nil
			r.dropFile(q)
		}
	}
	for i, x := range m.proc.shared {
		if x == m {
			m.proc.shared = append(m.proc.shared[:i], m.proc.shared[i+1:]...)
			break
		}
	}
}

// span of a unit within the mapping.
func (m *sharedMap) span(unit uint64) (start, end uint64) {
	lo := max(unit*unitSize, m.off)
	hi := min((unit+1)*unitSize, m.off+m.end-m.start)
	if lo >= hi {
		return 0, 0
	}
	return m.start + lo - m.off, m.start + hi - m.off
}

func (m *sharedMap) unitOf(addr uint64) uint64 { return (m.off + addr - m.start) / unitSize }

// forkShared gives a forked child its own view of what its parent shares: it
// holds nothing at first.
func (r *recorder) forkShared(parent, child *task) error {
	from, p := parent.proc, child.proc
	if len(from.shared) == 0 && len(from.made) == 0 {
		return nil
	}
	if err := r.makeHelper(parent); err != nil {
		return err
	}
	if err := r.makeHelper(child); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindFault, TID: int32(child.tid)}
	for _, m := range append([]*sharedMap(nil), from.shared...) {
		o := m.obj
		c := &sharedMap{obj: o, proc: p, start: m.start, end: m.end, off: m.off, prot: m.prot, seen: map[uint64]uint64{}}
		o.share(m)
		// The replayed child begins with a copy of what the parent has: its
		// own writes where it holds the unit, what it saw last elsewhere.
		for n, h := range m.seen {
			c.seen[n] = h
		}
		for u, h := range o.holder {
			if h == m {
				start, end := m.span(u)
				c.changed(child.tid, start, end)
			}
		}
		o.maps = append(o.maps, c)
		p.shared = append(p.shared, c)
		if err := r.protect(p, c.start, c.end, unix.PROT_NONE); err != nil {
			return err
		}
		ev.Maps = append(ev.Maps, recording.Mapping{Start: c.start, End: c.end})
	}
	r.log(p, &ev)
	return nil
}

// mapShared handles a new shared mapping of an object that others show too.
func (r *recorder) mapShared(t *task, m *sharedMap) error {
	if !m.obj.multi {
		return nil
	}
	for _, o := range m.obj.maps {
		if o.proc != t.proc && o.proc.helper == nil {
			return fmt.Errorf("memory shared with process %d, which can't be stopped for it", o.proc.pid)
		}
	}
	if err := r.makeHelper(t); err != nil {
		return err
	}
	if err := r.protect(t.proc, m.start, m.end, unix.PROT_NONE); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindFault, TID: int32(t.tid), Instr: t.proc.base,
		Memory: recording.Memory{Maps: []recording.Mapping{{Start: m.start, End: m.end}}}}
	r.log(t.proc, &ev)
	return nil
}

// restoreShared gives back access to shared mappings.
func (r *recorder) restoreShared(p *process, tid int) {
	if p.helper == nil {
		return
	}
	for _, m := range p.shared {
		if m.obj.multi {
			r.protect(p, m.start, m.end, m.prot)
			p.guarded = append(p.guarded, span{m.start, m.end})
		}
	}
	r.endShared(p)
}

// wasGuarded reports whether there was memory at addr that threads had faults in
// while they were recorded.
func (p *process) wasGuarded(addr uint64) bool {
	return slices.ContainsFunc(p.guarded, func(s span) bool { return s.start <= addr && addr < s.end })
}

// endShared forgets the shared mappings of a process that is no more.
func (r *recorder) endShared(p *process) {
	for _, m := range append([]*sharedMap(nil), p.shared...) {
		r.dropShared(m)
	}
	r.dropHelper(p)
	r.serveAll()
}
