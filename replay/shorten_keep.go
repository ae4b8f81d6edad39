package replay

import (
	"errors"
	"fmt"
	"io"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/internal/mem"
	"pyrr/internal/recording"
)

// part is what is kept of a page: a bit for each eight bytes.
type part [pageSize / 8 / 64]uint64

// add keeps a span of the page, and says how many bytes of it were not kept before.
func (b *part) add(from, to uint64) (more int) {
	for i := from / 8; i*8 < to; i++ {
		if bit := uint64(1) << (i % 64); b[i/64]&bit == 0 {
			b[i/64] |= bit
			more += 8
		}
	}
	return more
}

// only clears what is not kept of a page.
func (b *part) only(page []byte) {
	for i := range len(page) / 8 {
		if b[i/64]&(1<<(i%64)) == 0 {
			clear(page[i*8 : i*8+8])
		}
	}
}

// join adds what another part of the page keeps.
func (b *part) join(o *part) {
	for i := range b {
		b[i] |= o[i]
	}
}

// others calls f for each span of the page that is not kept.
func (b *part) others(f func(from, to uint64)) {
	const units = pageSize / 8
	for i := uint64(0); i < units; {
		k := i
		for k < units && b[k/64]&(1<<(k%64)) == 0 {
			k++
		}
		if k > i {
			f(i*8, k*8)
		}
		i = k + 1
	}
}

// hasOwn says whether the image has bytes of its own for the page i.
func (a *touchedMapping) hasOwn(i int) bool {
	_, ok := a.ownAt(a.Start + uint64(i)*pageSize)
	return ok
}

// ownAt finds the bytes of the image's own that hold an address, or else the next
// behind it.
func (a *touchedMapping) ownAt(addr uint64) (int, bool) {
	return slices.BinarySearchFunc(a.own, addr, func(w recording.Write, addr uint64) int {
		switch {
		case w.Addr+uint64(len(w.Data)) <= addr:
			return -1
		case w.Addr > addr:
			return 1
		}
		return 0
	})
}

// readable adds to the pages that were used what readers of them need, and nothing
// but them reads: the names of variables, say. It is read in the image, so the
// pages that it lies in are kept with that alone.
func (c *cut) readable(rec *recording.Recording) {
	if c.python == nil {
		return
	}
	image := &imageReader{of: c.touched, rec: rec, files: map[recording.FileID]io.ReaderAt{}}
	defer image.close()
	needs := c.python.NewNeeds(image, c.touched.keep)
	for _, code := range c.running {
		needs.Code(code)
	}
	for _, a := range c.touched.mappings {
		if a.Prot&unix.PROT_WRITE == 0 {
			continue // a library's text has no objects
		}
		for i := range a.own {
			w := &a.own[i]
			first := int((w.Addr - a.Start) / pageSize)
			for k := 0; k < len(w.Data)/pageSize; k++ {
				if a.seen[first+k] {
					needs.Part(w.Addr+uint64(k)*pageSize, w.Data[k*pageSize:][:pageSize])
				}
			}
		}
	}
}

// need notes that a span is to be kept.
func (t *touched) need(addr uint64, n int) { t.keep(addr, n) }

// keep is need, and says how many bytes of the span were not kept before.
func (t *touched) keep(addr uint64, n int) (more int) {
	t.pages(addr, addr+uint64(max(n, 0)), func(a *touchedMapping, i int, from, to uint64) {
		if a.seen[i] {
			return
		}
		if a.also == nil {
			a.also = map[int]*part{}
		}
		if a.also[i] == nil {
			a.also[i] = &part{}
		}
		more += a.also[i].add(from%pageSize, from%pageSize+to-from)
	})
	return more
}

// imageMem reads the image of a cut.
type imageReader struct {
	of    *touched
	rec   *recording.Recording
	files map[recording.FileID]io.ReaderAt // nil for one that can't be read
}

func (m *imageReader) close() {
	for _, f := range m.files {
		if c, ok := f.(io.Closer); ok {
			c.Close()
		}
	}
}

// ReadAt implements mem.Reader.
func (m *imageReader) ReadAt(b []byte, addr uint64) error {
	for len(b) > 0 {
		a := m.of.find(addr)
		if a == nil || a.Prot == 0 {
			return &mem.Error{Addr: addr, Len: len(b), Err: unix.EFAULT}
		}
		n, err := m.read(a, b[:min(uint64(len(b)), a.End-addr)], addr)
		if err != nil {
			return &mem.Error{Addr: addr, Len: len(b), Err: err}
		}
		b, addr = b[n:], addr+uint64(n)
	}
	return nil
}

// read reads the beginning of what lies in an area: one that is of one kind.
func (m *imageReader) read(a *touchedMapping, b []byte, addr uint64) (int, error) {
	i, ok := a.ownAt(addr)
	if ok {
		return copy(b, a.own[i].Data[addr-a.own[i].Addr:]), nil
	}
	if i < len(a.own) {
		b = b[:min(uint64(len(b)), a.own[i].Addr-addr)]
	}
	clear(b)
	if a.File == 0 {
		return len(b), nil
	}
	f, known := m.files[a.File]
	if !known {
		if r, _, err := m.rec.ReadFile(a.File); err == nil {
			f = r
		}
		m.files[a.File] = f
	}
	if f == nil {
		return 0, errors.New("its file can't be read")
	}
	if _, err := f.ReadAt(b, int64(a.Offset+addr-a.Start)); err != nil && err != io.EOF {
		return 0, err
	}
	return len(b), nil // behind its end there are zeros
}

// unused finds what the new recording does not need of the mapped files.
func (c *cut) unused(rec *recording.Recording) (map[recording.FileID][]recording.Patch, error) {
	need := map[recording.FileID][]bool{}
	pages := func(id recording.FileID, from, to uint64) {
		for at := from / pageSize; at*pageSize < to; at++ {
			for uint64(len(need[id])) <= at {
				need[id] = append(need[id], false)
			}
			need[id][at] = true
		}
	}
	parts := map[recording.FileID]map[uint64]*part{}
	for _, a := range c.mappings() {
		if a.File == 0 {
			continue
		}
		for i := range a.seen {
			off := a.Offset + uint64(i)*pageSize
			if a.seen[i] {
				pages(a.File, off, off+pageSize)
			} else if b := a.also[i]; b != nil && !a.hasOwn(i) {
				if parts[a.File] == nil {
					parts[a.File] = map[uint64]*part{}
				}
				if have := parts[a.File][off/pageSize]; have != nil {
					have.join(b)
				} else {
					joined := *b
					parts[a.File][off/pageSize] = &joined
				}
			}
		}
	}
	for _, m := range c.mapped {
		pages(m.File, m.Offset, m.Offset+m.End-m.Start)
	}
	const most = 1 << 20
	zeros := make([]byte, most)
	patches := map[recording.FileID][]recording.Patch{}
	for _, f := range rec.Files() {
		if f.Want > 1<<36 {
			return nil, fmt.Errorf("file %d has %d bytes", f.ID, f.Want)
		}
		r, size, err := rec.ReadFile(f.ID)
		if err != nil {
			return nil, err
		}
		keepTables(r, uint64(size), c.runs(f.ID), func(from, to uint64) { pages(f.ID, from, min(to, uint64(size))) })
		if c, ok := r.(io.Closer); ok {
			c.Close()
		}
		needed := need[f.ID]
		for at := uint64(0); at < uint64(size); {
			page := at / pageSize
			if page < uint64(len(needed)) && needed[page] {
				at += pageSize
				continue
			}
			if b := parts[f.ID][page]; b != nil {
				end := min(at+pageSize, uint64(size))
				b.others(func(from, to uint64) {
					if from, to = at+from, min(at+to, end); from < to {
						patches[f.ID] = append(patches[f.ID], recording.Patch{Off: from, Data: zeros[:to-from]})
					}
				})
				at = end
				continue
			}
			to := at
			for to < uint64(size) && to-at < most && parts[f.ID][to/pageSize] == nil && (to/pageSize >= uint64(len(needed)) || !needed[to/pageSize]) {
				to += pageSize
			}
			to = min(to, uint64(size))
			patches[f.ID] = append(patches[f.ID], recording.Patch{Off: at, Data: zeros[:to-at]})
			at = to
		}
	}
	return patches, nil
}
