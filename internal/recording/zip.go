package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// zipWriter writes an archive.
type zipWriter struct {
	zipForm
	w       io.WriteSeeker
	at      int64
	members []member
	date    uint32 // MS-DOS date and time
}

// newZipWriter begins an archive of n members of together size bytes.
func newZipWriter(w io.WriteSeeker, t time.Time, n int, size int64) *zipWriter {
	t = t.UTC()
	z := &zipWriter{w: w, date: 1<<21 | 1<<16} // 1980-01-01
	z.big = zipIsBig(n, size)
	if y := t.Year(); y >= 1980 && y < 2108 {
		z.date = uint32(y-1980)<<25 | uint32(t.Month())<<21 | uint32(t.Day())<<16 |
			uint32(t.Hour())<<11 | uint32(t.Minute())<<5 | uint32(t.Second()/2)
	}
	return z
}

// add writes a member with what r yields.
func (z *zipWriter) add(name string, r io.Reader) error {
	if !safeName(name) {
		return fmt.Errorf("name %q can't be packed", name)
	}
	m := member{name: name, header: z.at}
	// First a header without size and checksum, put right afterwards.
	if err := z.write(z.local(&m, z.date)); err != nil {
		return err
	}
	sum := crc32.NewIEEE()
	n, err := io.CopyBuffer(io.MultiWriter(z.w, sum), r, make([]byte, 256<<10))
	z.at += n
	if err != nil {
		return err
	}
	m.size, m.crc = n, sum.Sum32()
	if !z.big && z.at >= math.MaxUint32 {
		return fmt.Errorf("%s grew while it was packed", name)
	}
	if _, err := z.w.Seek(m.header, io.SeekStart); err != nil {
		return err
	}
	if _, err := z.w.Write(z.local(&m, z.date)); err != nil {
		return err
	}
	if _, err := z.w.Seek(z.at, io.SeekStart); err != nil {
		return err
	}
	z.members = append(z.members, m)
	return nil
}

func (z *zipWriter) write(b []byte) error {
	n, err := z.w.Write(b)
	z.at += int64(n)
	return err
}

// close writes the directory.
func (z *zipWriter) close() error {
	start := z.at
	for i := range z.members {
		if err := z.write(z.central(&z.members[i], z.date)); err != nil {
			return err
		}
	}
	return z.write(z.end(uint64(len(z.members)), uint64(z.at-start), uint64(start)))
}

var (
	errNotPacked = errors.New("not a recording packed by pyrr, or cut at its end")
	errBadDir    = errors.New("bad header in the directory")
)

// readZip reads the directory of an archive of size bytes and checks it and
// every local header.
func readZip(r io.ReaderAt, size int64) ([]member, error) {
	z, n, dirStart, dirSize, err := readZipEnd(r, size)
	if err != nil {
		return nil, err
	}
	dir := make([]byte, dirSize)
	if _, err := r.ReadAt(dir, dirStart); err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	members := make([]member, 0, min(n, dirSize/zipCentralSize))
	seen := map[string]bool{}
	next := int64(0) // where the next local header has to be
	for i := range n {
		m, date, rest, err := z.parseCentral(dir)
		if err != nil {
			return nil, fmt.Errorf("member %d: %w", i, err)
		}
		dir = rest
		switch {
		case seen[m.name]:
			return nil, fmt.Errorf("member %s: there are two", m.name)
		case m.header != next || m.data > dirStart || m.size > dirStart-m.data:
			return nil, fmt.Errorf("member %s: %d bytes at %d, where %d is next and %d the end", m.name, m.size, m.header, next, dirStart)
		}
		seen[m.name] = true
		next = m.data + m.size
		local := make([]byte, m.data-m.header)
		if _, err := r.ReadAt(local, m.header); err != nil {
			return nil, fmt.Errorf("member %s: %w", m.name, err)
		}
		if !bytes.Equal(z.local(&m, date), local) {
			return nil, fmt.Errorf("member %s: its header at %d and the directory differ", m.name, m.header)
		}
		m.date = date
		members = append(members, m)
	}
	if len(dir) != 0 || next != dirStart {
		return nil, errors.New("bytes that belong to no member")
	}
	return members, nil
}

// readZipEnd reads the records at the end of the archive: its form, and how
// many members the directory has, where it begins and how long it is.
func readZipEnd(r io.ReaderAt, size int64) (z zipForm, n, start, length int64, err error) {
	le := binary.LittleEndian
	fail := func(err error) (zipForm, int64, int64, int64, error) { return z, 0, 0, 0, err }
	b := make([]byte, min(size, zip64EndSize+zip64LocSize+zipEndSize))
	if _, err := r.ReadAt(b, size-int64(len(b))); err != nil {
		return fail(err)
	}
	if len(b) < zipEndSize || le.Uint32(b[len(b)-zipEndSize:]) != zipEndSig {
		return fail(errNotPacked)
	}
	e := b[len(b)-zipEndSize:]
	un, ulen, ustart := uint64(le.Uint16(e[8:])), uint64(le.Uint32(e[12:])), uint64(le.Uint32(e[16:]))
	if ustart == math.MaxUint32 {
		z.big = true
		if len(b) < zip64EndSize+zip64LocSize+zipEndSize {
			return fail(errNotPacked)
		}
		un, ulen, ustart = le.Uint64(b[24:]), le.Uint64(b[40:]), le.Uint64(b[48:])
	}
	if un > maxMembers || ulen > maxZipCentral || ustart > math.MaxInt64/4 {
		return fail(fmt.Errorf("%d members with %d bytes of directory at %d are above the limits", un, ulen, ustart))
	}
	end := z.end(un, ulen, ustart)
	if ustart+ulen+uint64(len(end)) != uint64(size) || !bytes.HasSuffix(b, end) {
		return fail(errNotPacked)
	}
	return z, int64(un), int64(ustart), int64(ulen), nil
}

// parseCentral parses one header of the directory.
func (z zipForm) parseCentral(b []byte) (m member, date uint32, rest []byte, err error) {
	le := binary.LittleEndian
	fail := func(err error) (member, uint32, []byte, error) { return member{}, 0, nil, err }
	if len(b) < zipCentralSize || le.Uint32(b) != zipCentralSig {
		return fail(errBadDir)
	}
	nameLen := int(le.Uint16(b[28:]))
	localExtra, extra := z.extras()
	all := zipCentralSize + nameLen + extra
	if len(b) < all {
		return fail(errBadDir)
	}
	m.name = string(b[zipCentralSize : zipCentralSize+nameLen])
	if !safeName(m.name) {
		return fail(fmt.Errorf("name %.200q is not allowed", m.name))
	}
	if method := le.Uint16(b[10:]); method != 0 {
		return fail(fmt.Errorf("%s is compressed, which pyrr does not do: unzip it and open the folder", m.name))
	}
	size, header := uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[42:]))
	if z.big {
		x := b[zipCentralSize+nameLen : all]
		size, header = le.Uint64(x[4:]), le.Uint64(x[20:])
	}
	if size > math.MaxInt64/4 || header > math.MaxInt64/4 {
		return fail(fmt.Errorf("%s: size %d at %d", m.name, size, header))
	}
	m.size, m.header, m.crc = int64(size), int64(header), le.Uint32(b[16:])
	m.data = m.header + zipLocalSize + int64(nameLen+localExtra)
	date = le.Uint32(b[12:])
	if !bytes.Equal(z.central(&m, date), b[:all]) {
		return fail(errBadDir)
	}
	return m, date, b[all:], nil
}
