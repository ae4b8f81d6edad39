package unwind

import (
	"bytes"
	"cmp"
	"slices"

	"pyrr/internal/mem"
)

// Modules says what is mapped where in one address space. It also keeps what
// walks found out, and may be used by one goroutine at a time.
type Modules struct {
	// Redirect, when set, gives for an address that belongs to no file the
	// one to take instead: code that was put into the process stands before
	// the code that it goes on to.
	Redirect func(m mem.Reader, pc uint64) (uint64, bool)

	// Reuse makes each walk return its frames in the memory of the last one's.
	Reuse bool

	mods  []*Module // by Start, without overlap
	cache map[rowKey]cached
	block []byte
	// extent is how much of its stack the last walk needed: the next one is
	// mostly of the same thread.
	extent int
	frames []Frame
}

// Module is a file that is mapped.
type Module struct {
	*File
	Start, End uint64
	// Bias is what to add to a link address for the real one.
	Bias uint64
}

type cached struct {
	mod *Module
	row *row
	err error
}

const (
	maxModules = 1 << 16
	maxCached  = 1 << 16
)

// Map notes that the beginning of a file's file was mapped at start. What
// was there before is gone.
func (s *Modules) Map(start uint64, im *File) (*Module, bool) {
	bias, ok := im.Bias(start)
	// lld leaves no holes in files: where the end of one segment and the beginning of
	// the next are in the first page, that is mapped once for each.
	if m := s.Find(start); m != nil && m.File == im && start > m.Start && im.segmentIn(start-m.Bias) {
		return m, true
	}
	lo, hi := im.span()
	if !ok || lo == hi || len(s.mods) >= maxModules {
		return nil, false
	}
	m := &Module{File: im, Start: lo + bias, End: (hi + bias + 4095) &^ 4095, Bias: bias}
	if m.Start >= m.End {
		return nil, false
	}
	s.Unmap(m.Start, m.End)
	i, _ := slices.BinarySearchFunc(s.mods, m.Start, func(o *Module, at uint64) int { return cmp.Compare(o.Start, at) })
	s.mods = slices.Insert(s.mods, i, m)
	clear(s.cache)
	return m, true
}

// Unmap notes that nothing is mapped from start to end any more. A file
// that lies there in part is cut where that leaves its beginning.
func (s *Modules) Unmap(start, end uint64) {
	changed := false
	s.mods = slices.DeleteFunc(s.mods, func(m *Module) bool {
		if m.End <= start || end <= m.Start {
			return false
		}
		changed = true
		return start <= m.Start
	})
	if !changed {
		return
	}
	for i, m := range s.mods {
		if m.Start < start && start < m.End {
			cut := *m
			cut.End = start
			s.mods[i] = &cut
		}
	}
	clear(s.cache)
}

// Clone returns a copy for a forked process.
func (s *Modules) Clone() *Modules {
	return &Modules{Redirect: s.Redirect, Reuse: s.Reuse, mods: slices.Clone(s.mods)}
}

// List returns what is mapped, by address.
func (s *Modules) List() []*Module { return slices.Clone(s.mods) }

// Find returns the file at an address, nil for none.
func (s *Modules) Find(addr uint64) *Module {
	i, ok := slices.BinarySearchFunc(s.mods, addr, func(o *Module, at uint64) int { return cmp.Compare(o.Start, at) })
	if !ok {
		i--
	}
	if i < 0 || addr >= s.mods[i].End {
		return nil
	}
	return s.mods[i]
}

// MemoryFile makes a file of what is mapped from start to end and is no
// file's, such as the vDSO.
func MemoryFile(name string, m mem.Reader, start, end uint64) (*File, error) {
	const limit = 1 << 20
	b, err := mem.Bytes(m, start, int(min(end-start, limit)))
	if err != nil {
		return nil, err
	}
	return NewFile(name, bytes.NewReader(b), int64(len(b)), nil)
}

// lookup returns the file and the rules for an address.
func (s *Modules) lookup(pc uint64, ret bool) cached {
	key := rowKey{pc, ret}
	if c, ok := s.cache[key]; ok {
		return c
	}
	var c cached
	at := pc
	if ret {
		at--
	}
	if c.mod = s.Find(at); c.mod == nil {
		c.err = errNoCFI
	} else {
		c.row, c.err = c.mod.rowAt(rowKey{pc - c.mod.Bias, ret})
	}
	if s.cache == nil || len(s.cache) >= maxCached {
		s.cache = map[rowKey]cached{}
	}
	s.cache[key] = c
	return c
}
