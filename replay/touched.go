package replay

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// touched is the memory of an image, and what of it was used since.
type touched struct{ mappings []*touchedMapping }

// touchedMapping is a mapping of the image.
type touchedMapping struct {
	recording.Mapping
	seen []bool // pages
	// own are the bytes that differ from the file, or from zeros, in runs of
	// pages.
	own []recording.Write
	// also is what readers need of pages that were not used; see readable.
	also map[int]*part
}

// kept says whether the page i is in the new recording, whole or in part.
func (a *touchedMapping) kept(i int) bool { return a.seen[i] || a.also[i] != nil }

func (a *touchedMapping) all(seen bool) {
	for i := range a.seen {
		a.seen[i] = seen
	}
}

func (t *touched) find(addr uint64) *touchedMapping {
	if at := t.from(addr); at < len(t.mappings) && addr >= t.mappings[at].Start {
		return t.mappings[at]
	}
	return nil
}

// from is the number of the first area that ends behind an address.
func (t *touched) from(addr uint64) int {
	lo, hi := 0, len(t.mappings)
	for lo < hi {
		if mid := (lo + hi) / 2; t.mappings[mid].End <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// pages calls each for the pages of areas that a span has a part of, with that part. A
// span may be anything: it comes from pointers that may be none.
func (t *touched) pages(start, end uint64, each func(a *touchedMapping, page int, from, to uint64)) {
	for _, a := range t.mappings[t.from(start):] {
		if a.Start >= end {
			return
		}
		last := min(end, a.End)
		for at := max(start, a.Start); at < last; {
			page := (at - a.Start) / pageSize
			next := min(last, a.Start+(page+1)*pageSize)
			each(a, int(page), at, next)
			at = next
		}
	}
}

// mark notes that a span was used.
func (t *touched) mark(start, end uint64) {
	t.pages(start, end, func(a *touchedMapping, page int, _, _ uint64) { a.seen[page] = true })
}

// add adds an area to the start event: all of a mapped file, whose bytes are
// cheap, else the pages that were used.
func (a *touchedMapping) add(start *recording.Event) {
	if a.File != 0 || a.Prot == 0 || a.Name == "[stack]" {
		start.Maps = append(start.Maps, a.Mapping)
	} else {
		for i := 0; i < len(a.seen); {
			if !a.kept(i) {
				i++
				continue
			}
			k := i
			for k < len(a.seen) && a.kept(k) {
				k++
			}
			m := a.Mapping
			m.Start, m.End = a.Start+uint64(i)*pageSize, a.Start+uint64(k)*pageSize
			start.Maps = append(start.Maps, m)
			i = k
		}
	}
}

// addOwn adds the image's own bytes of the pages that are kept whole, or of those that
// are in part: the latter are mostly zeros, and pack better by themselves.
func (a *touchedMapping) addOwn(start *recording.Event, whole bool) {
	for _, w := range a.own {
		first := int((w.Addr - a.Start) / pageSize)
		n := len(w.Data) / pageSize
		is := func(i int) bool { return a.kept(first+i) && a.seen[first+i] == whole }
		for i := 0; i < n; {
			if !is(i) {
				i++
				continue
			}
			k := i
			for k < n && is(k) {
				k++
			}
			data := slices.Clone(w.Data[i*pageSize : k*pageSize])
			for at := i; at < k && !whole; at++ {
				a.also[first+at].only(data[(at-i)*pageSize:][:pageSize])
			}
			start.Mem = append(start.Mem, recording.Write{Addr: w.Addr + uint64(i)*pageSize, Data: data})
			i = k
		}
	}
}

// read takes the bytes that differ from what is mapped.
func (a *touchedMapping) read(p *Process) error {
	pagemap, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", p.pid))
	if err != nil {
		return fmt.Errorf("read which pages process %d has: %w", p.Info.ID, err)
	}
	defer pagemap.Close()
	const chunk, present, swapped, ofFile = 512, 1 << 63, 1 << 62, 1 << 61
	var entries [chunk * 8]byte
	buf, zero := make([]byte, chunk*pageSize), make([]byte, pageSize)
	for at := a.Start; at < a.End; at += chunk * pageSize {
		n := int(min(chunk, (a.End-at)/pageSize))
		if _, err := pagemap.ReadAt(entries[:n*8], int64(at/pageSize*8)); err != nil {
			return fmt.Errorf("read which pages process %d has: %w", p.Info.ID, err)
		}
		has := func(i int) bool {
			e := binary.LittleEndian.Uint64(entries[i*8:])
			return e&swapped != 0 || e&present != 0 && (a.File == 0 || e&ofFile == 0)
		}
		for i := 0; i < n; i++ {
			if !has(i) {
				continue
			}
			k := i
			for k < n && has(k) {
				k++
			}
			b := buf[:(k-i)*pageSize]
			if err := (ptrace.Mem)(p.pid).ReadAt(b, at+uint64(i)*pageSize); err != nil {
				return err
			}
			for len(b) > 0 && a.File == 0 && bytes.Equal(b[:pageSize], zero) {
				b, i = b[pageSize:], i+1
			}
			if len(b) > 0 {
				a.own = append(a.own, recording.Write{Addr: at + uint64(i)*pageSize, Data: append([]byte(nil), b...)})
			}
			i = k
		}
	}
	return nil
}

// guard is what a process can't get at yet, so that its first touch shows.
type guard struct {
	of     *touched
	hidden map[uint64]bool // pages
	mem    mem.Reader      // of the process, nil where nothing was read yet
}

// reader reads the memory of process pid, most of which is hidden from it.
func (g *guard) reader(pid int) mem.Reader {
	if g.mem == nil {
		g.mem = ptrace.Mem(pid)
		if m, err := ptrace.OpenMem(pid); err == nil {
			g.mem = m
		}
	}
	return g.mem
}

func (g *guard) clone() *guard {
	if g == nil {
		return nil
	}
	n := &guard{of: g.of, hidden: make(map[uint64]bool, len(g.hidden))}
	for a := range g.hidden {
		n.hidden[a] = true
	}
	return n
}

// faulted gives a thread, stopped by SIGSEGV, the page that it touched. It
// reports whether that was what it stopped for.
func (p *Process) faulted(t *Thread) (bool, error) {
	var info ptrace.SigInfo
	if err := ptrace.GetSigInfo(t.tid, &info); err != nil {
		return false, fmt.Errorf("read the fault of thread %d: %w", t.TID, err)
	}
	page := info.Addr() &^ (pageSize - 1)
	if !p.guard.hidden[page] {
		return false, nil
	}
	return true, p.reveal(t, page, page+pageSize)
}

// reveal gives back the hidden pages of a span, and notes that they are used.
func (p *Process) reveal(t *Thread, start, end uint64) error {
	g := p.guard
	for at := start &^ (pageSize - 1); at < end; {
		a := g.of.find(at)
		if !g.hidden[at] || a == nil {
			at += pageSize
			continue
		}
		to := at
		for to < end && to < a.End && g.hidden[to] {
			delete(g.hidden, to)
			a.seen[(to-a.Start)/pageSize] = true
			to += pageSize
		}
		ret, err := p.call(t, unix.SYS_MPROTECT, at, to-at, uint64(a.Prot))
		if err != nil {
			return err
		}
		if ret != 0 {
			return fmt.Errorf("give back %#x-%#x: %w", at, to, unix.Errno(-ret))
		}
		at = to
	}
	return nil
}

// unguard gives back what a call is going to change as a whole.
func (p *Process) unguard(t *Thread, start, end uint64) error {
	if p.guard == nil || start >= end {
		return nil
	}
	if end-start > 1<<36 {
		return fmt.Errorf("a call on %d bytes of memory", end-start)
	}
	p.guard.of.mark(start, end)
	return p.reveal(t, start, end)
}

// watchedMem notes what is read.
type watchedMem struct {
	mem.Reader
	of *touched
}

func (m watchedMem) ReadAt(b []byte, addr uint64) error {
	err := m.Reader.ReadAt(b, addr)
	if err == nil {
		m.of.mark(addr, addr+uint64(len(b)))
	}
	return err
}

// Noted implements mem.NotingReader. What the program has changed since the image was
// taken lies in pages that it touched: there is nothing to be noted of those.
func (m watchedMem) Noted() (mem.Reader, func(addr uint64, n int)) { return m.Reader, m.of.need }

// layout lists the mappings of the process, named as the recording names
// them.
func (p *Process) layout() ([]recording.Mapping, error) {
	type inode struct{ dev, ino uint64 }
	files := map[inode]recording.FileID{}
	for id, fd := range p.s.files {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return nil, fmt.Errorf("stat file %d of the recording: %w", id, err)
		}
		files[inode{st.Dev, st.Ino}] = id
	}
	maps, err := linux.ReadMaps(p.pid)
	if err != nil {
		return nil, err
	}
	var out []recording.Mapping
	for _, have := range maps {
		m := recording.Mapping{Start: have.Start, End: have.End, Prot: have.Prot, Offset: have.Off}
		if m.Start >= gadgetBase && m.Start < hookEnd || m.Start > userTop {
			continue
		}
		if have.Ino != 0 {
			m.File = files[inode{have.Dev, have.Ino}]
		}
		if m.File == 0 {
			m.Offset = 0
		}
		for i := len(p.laid) - 1; i >= 0; i-- {
			if l := &p.laid[i]; l.Start < m.End && m.Start < l.End {
				m.Name = l.Name
				// Neighbours of the same kind are one mapping for the kernel.
				if m.File == 0 && l.Start > m.Start && l.Name != "" {
					rest := m
					m.End, m.Name = l.Start, ""
					out = append(out, m)
					m = rest
					m.Start, m.Name = l.Start, l.Name
				}
				if m.File == 0 && l.End < m.End && l.Name != "" {
					rest := m
					m.End = l.End
					out = append(out, m)
					m = rest
					m.Start, m.Name = l.End, ""
				}
				break
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// keepTables names the parts of an ELF file that readers of stacks need,
// whether the program touches them or not: headers and notes, and where its
// code runs dynamic symbols and unwind tables.
func keepTables(r io.ReaderAt, size uint64, runs bool, keep func(from, to uint64)) {
	e, err := elf.NewFile(io.NewSectionReader(r, 0, int64(size)))
	var head [64]byte
	if err != nil {
		// Its section headers lie behind the bytes that are kept.
		if _, rerr := r.ReadAt(head[:], 0); rerr != nil || string(head[:4]) != elf.ELFMAG {
			return
		}
		binary.LittleEndian.PutUint64(head[0x28:], 0) // e_shoff
		clear(head[0x3c:0x40])                        // e_shnum, e_shstrndx
		rest := io.NewSectionReader(r, 0, int64(size))
		if e, err = elf.NewFile(&patchedHead{head[:], rest}); err != nil {
			return
		}
	}
	keep(0, pageSize)
	var segments []*elf.Prog
	for _, p := range e.Progs {
		if p.Type == elf.PT_LOAD {
			segments = append(segments, p)
		}
	}
	for _, p := range e.Progs {
		switch {
		case p.Type == elf.PT_DYNAMIC, p.Type == elf.PT_NOTE:
			keep(p.Off, p.Off+p.Filesz)
		case !runs:
		case p.Type == elf.PT_LOAD && p.Off == 0 && p.Flags&elf.PF_X == 0:
			// Symbols and their names. What a library was relocated by is
			// read before it runs, and never again.
			from, to := relocations(e, r, p)
			keep(0, from)
			keep(to, p.Filesz)
		case p.Type == elf.PT_LOAD && p.Off == 0:
			keep(0, e.Entry-min(e.Entry, p.Vaddr))
		case p.Type == elf.PT_GNU_EH_FRAME:
			for _, s := range segments {
				if p.Off >= s.Off && p.Off < s.Off+s.Filesz {
					keep(p.Off, s.Off+s.Filesz)
				}
			}
		}
	}
}

// relocations says where in the segment p, which begins with the file, the
// relocations lie that are not those of the PLT (DT_RELA, DT_RELASZ; gABI,
// "Dynamic Section"), as offsets in the file.
func relocations(e *elf.File, r io.ReaderAt, p *elf.Prog) (from, to uint64) {
	from, to = p.Filesz, p.Filesz // none
	for _, d := range e.Progs {
		if d.Type != elf.PT_DYNAMIC {
			continue
		}
		b := make([]byte, min(d.Filesz, 1<<16))
		if n, err := r.ReadAt(b, int64(d.Off)); err != nil && n < len(b) {
			return
		}
		var at, size uint64
		for ; len(b) >= 16; b = b[16:] {
			switch v := binary.LittleEndian.Uint64(b[8:]); elf.DynTag(binary.LittleEndian.Uint64(b)) {
			case elf.DT_RELA:
				at = v
			case elf.DT_RELASZ:
				size = v
			}
		}
		if at >= p.Vaddr && size <= p.Filesz && at-p.Vaddr <= p.Filesz-size {
			from = at - p.Vaddr
			to = from + size
		}
	}
	return from, to
}

// patchedHead is a file with another beginning.
type patchedHead struct {
	head []byte
	rest io.ReaderAt
}

func (p *patchedHead) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.rest.ReadAt(b, off)
	if off < int64(len(p.head)) {
		copy(b[:n], p.head[off:])
	}
	return n, err
}
