package capture

import (
	"bytes"
	"hash/maphash"
	"slices"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

var zeros [pageSize]byte

// changed reads a part of a shared mapping as it is now, and returns the pages
// that differ from what the process saw last; they are seen from then on.
// Replay begins with zeros.
func (m *sharedMap) changed(tid int, start, end uint64) []recording.Write {
	const chunk = 1 << 20
	var ws []recording.Write
	for at := start; at < end; {
		lo, hi := m.obj.data(m.off+at-m.start, m.off+end-m.start)
		lo, hi = m.start+lo&^(pageSize-1)-m.off, min(end, m.start+pageUp(hi)-m.off)
		ws = append(ws, m.emptied(at, lo)...)
		for at = lo; at < hi; at += chunk {
			b := make([]byte, min(chunk, hi-at))
			if (ptrace.Mem)(tid).ReadAt(b, at) == nil {
				ws = m.compare(ws, at, b)
				continue
			}
			for p := at; p < min(hi, at+chunk); p += pageSize {
				page := make([]byte, pageSize)
				if (ptrace.Mem)(tid).ReadAt(page, p) == nil { // else beyond the end of the file
					ws = m.compare(ws, p, page)
				}
			}
		}
		at = hi
	}
	return ws
}

// compare adds the pages of b, which lies at addr, that are new to the process.
func (m *sharedMap) compare(ws []recording.Write, addr uint64, b []byte) []recording.Write {
	for off := uint64(0); off < uint64(len(b)); off += pageSize {
		page := b[off : off+pageSize]
		n := (m.off + addr + off - m.start) / pageSize
		h := zeroPage
		if !bytes.Equal(page, zeros[:]) {
			h = maphash.Bytes(seenSeed, page)
		}
		old, ok := m.seen[n]
		switch {
		case !ok && h == zeroPage, ok && h == old:
			continue
		}
		m.seen[n] = h
		ws = append(ws, recording.Write{Addr: addr + off, Data: page})
	}
	return ws
}

// emptied returns zeros for the pages of a span, which is a hole of the file,
// that the process saw with something in them.
func (m *sharedMap) emptied(start, end uint64) []recording.Write {
	if start >= end || len(m.seen) == 0 {
		return nil
	}
	lo, hi := (m.off+start-m.start)/pageSize, (m.off+end-m.start)/pageSize
	var pages []uint64
	if hi-lo < uint64(len(m.seen)) {
		for n := lo; n < hi; n++ {
			if h, ok := m.seen[n]; ok && h != zeroPage {
				pages = append(pages, n)
			}
		}
	} else {
		for n, h := range m.seen {
			if n >= lo && n < hi && h != zeroPage {
				pages = append(pages, n)
			}
		}
		slices.Sort(pages)
	}
	var ws []recording.Write
	for _, n := range pages {
		m.seen[n] = zeroPage
		ws = append(ws, recording.Write{Addr: m.start + n*pageSize - m.off, Data: zeros[:]})
	}
	return ws
}

// data is the first part of [off, end) of the object that is not known to be a
// hole; it is empty, at end, when there is none. A mapping may be far larger
// than what was ever written to it.
func (o *sharedObject) data(off, end uint64) (lo, hi uint64) {
	if o.file == nil {
		return off, end
	}
	fd := int(o.file.Fd())
	at, err := unix.Seek(fd, int64(off), unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO || err == nil && uint64(at) >= end:
		return end, end
	case err != nil:
		return off, end // a file system without holes
	}
	till, err := unix.Seek(fd, at, unix.SEEK_HOLE)
	if err != nil || uint64(till) > end {
		return uint64(at), end
	}
	return uint64(at), uint64(till)
}
