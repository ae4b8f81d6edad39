package recording

import (
	"encoding/binary"
	"math"
	"strings"
)

// A packed recording is a zip file of a strict form (APPNOTE.TXT of PKWARE,
// 4.3): every member stored, as the content is compressed already; no
// encryption, no comments, no data descriptors; local headers that agree
// with the directory; nothing overlapping and no gaps. The reader builds the
// headers that the writer would have built and takes nothing else, which
// leaves zip bombs and ambiguous archives no room.
const (
	zipLocalSig   = 0x04034b50
	zipCentralSig = 0x02014b50
	zipEndSig     = 0x06054b50
	zip64EndSig   = 0x06064b50
	zip64LocSig   = 0x07064b50

	zipLocalSize   = 30
	zipCentralSize = 46
	zipEndSize     = 22
	zip64EndSize   = 56
	zip64LocSize   = 20

	// Lengths of the zip64 fields in the headers of a large archive: above
	// 4 GiB or 65534 members all headers have one, below none has.
	zip64LocalExtra   = 20
	zip64CentralExtra = 28

	zipUTF8 = 1 << 11

	maxMembers    = 1 << 19
	maxZipName    = 100
	maxZipCentral = maxMembers * (zipCentralSize + maxZipName + zip64CentralExtra)
)

// member is a file inside a packed recording.
type member struct {
	name   string
	header int64 // offset of the local header
	data   int64 // offset of the content
	size   int64
	crc    uint32
	date   uint32 // MS-DOS date and time
}

// safeName says whether name may be a member's: short, of plain characters,
// relative and without dot elements.
func safeName(name string) bool {
	if name == "" || len(name) > maxZipName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_/", rune(c)) {
			return false
		}
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || part[0] == '.' {
			return false
		}
	}
	return true
}

// zipForm makes the headers of an archive.
type zipForm struct {
	big bool // with zip64 fields
}

func (z zipForm) extras() (local, central int) {
	if z.big {
		return zip64LocalExtra, zip64CentralExtra
	}
	return 0, 0
}

// common appends the fields that local and central headers share.
func (z zipForm) common(b []byte, m *member, date uint32, extra int) []byte {
	le := binary.LittleEndian
	version, size := uint16(10), uint32(m.size)
	if z.big {
		version, size = 45, math.MaxUint32 // the size is in the zip64 field
	}
	b = le.AppendUint16(b, version) // needed to extract
	b = le.AppendUint16(b, zipUTF8)
	b = le.AppendUint16(b, 0) // stored
	b = le.AppendUint32(b, date)
	b = le.AppendUint32(b, m.crc)
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, size)
	b = le.AppendUint16(b, uint16(len(m.name)))
	return le.AppendUint16(b, uint16(extra))
}

func (z zipForm) local(m *member, date uint32) []byte {
	le := binary.LittleEndian
	extra, _ := z.extras()
	b := le.AppendUint32(nil, zipLocalSig)
	b = z.common(b, m, date, extra)
	b = append(b, m.name...)
	if z.big {
		b = appendZip64(b, m.size, m.size)
	}
	return b
}

func (z zipForm) central(m *member, date uint32) []byte {
	le := binary.LittleEndian
	_, extra := z.extras()
	header := uint32(m.header)
	if z.big {
		header = math.MaxUint32
	}
	b := le.AppendUint32(nil, zipCentralSig)
	b = le.AppendUint16(b, 3<<8|45) // made by Unix
	b = z.common(b, m, date, extra)
	b = le.AppendUint16(b, 0)            // comment
	b = le.AppendUint16(b, 0)            // disk
	b = le.AppendUint16(b, 0)            // internal attributes
	b = le.AppendUint32(b, 0o100644<<16) // mode
	b = le.AppendUint32(b, header)
	b = append(b, m.name...)
	if z.big {
		b = appendZip64(b, m.size, m.size, m.header)
	}
	return b
}

// appendZip64 adds the extra field with the numbers that are too large for 32 bits.
func appendZip64(b []byte, numbers ...int64) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, uint16(8*len(numbers)))
	for _, n := range numbers {
		b = le.AppendUint64(b, uint64(n))
	}
	return b
}

// end makes the records at the end of an archive: n members, a directory of
// size bytes at start.
func (z zipForm) end(n, size, start uint64) []byte {
	le := binary.LittleEndian
	var b []byte
	count, size32, start32 := uint16(n), uint32(size), uint32(start)
	if z.big {
		b = le.AppendUint32(b, zip64EndSig)
		b = le.AppendUint64(b, zip64EndSize-12)
		b = le.AppendUint16(b, 3<<8|45)
		b = le.AppendUint16(b, 45)
		b = le.AppendUint64(b, 0) // disks
		b = le.AppendUint64(b, n)
		b = le.AppendUint64(b, n)
		b = le.AppendUint64(b, size)
		b = le.AppendUint64(b, start)
		b = le.AppendUint32(b, zip64LocSig)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, start+size)
		b = le.AppendUint32(b, 1)
		count, size32, start32 = math.MaxUint16, math.MaxUint32, math.MaxUint32
	}
	b = le.AppendUint32(b, zipEndSig)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, count)
	b = le.AppendUint16(b, count)
	b = le.AppendUint32(b, size32)
	b = le.AppendUint32(b, start32)
	return le.AppendUint16(b, 0)
}
