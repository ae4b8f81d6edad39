package replay

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"

	"pyrr/internal/recording"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum compares every page of the writable mappings with the checksums
// in the event: Mem holds, for each mapping, its address and a CRC-32C for
// each page, 0 for one that is not compared.
func (p *Process) checksum(ev *recording.Event) error {
	if err := p.flush(nil); err != nil {
		return err
	}
	var page [pageSize]byte
	m := p.Mem()
	for _, w := range ev.Mem {
		lost := false // the mapping is of a file of which not all was kept
		for i := 0; i+4 <= len(w.Data); i += 4 {
			addr := w.Addr + uint64(i/4)*pageSize
			want := binary.LittleEndian.Uint32(w.Data[i:])
			if want == 0 {
				continue // a system call was writing there
			}
			if err := m.ReadAt(page[:], addr); err != nil {
				if !lost {
					kept, err := p.notKept(addr)
					if err != nil {
						return err
					}
					lost = kept != nil
				}
				if lost {
					continue
				}
				return p.diverged(ev, "the page at %#x is not there: %v", addr, err)
			}
			if max(crc32.Checksum(page[:], castagnoli), 1) != want && !sameButInUse(page[:], want) {
				return p.diverged(ev, "the page at %#x holds something else", addr)
			}
			p.s.res.Pages++
		}
	}
	return nil
}

// xsaveHeader is the size of the header of an XSAVE area, which begins at a multiple of it,
// and inUse the bits of its first word, XSTATE_BV, that tell of a program's registers.
const (
	xsaveHeader = 64
	inUse       = 0xff
)

// sameButInUse reports whether a page would have a checksum if the first word of one XSAVE
// header in it were another. ld.so leaves such areas on the stack where it binds a function,
// and they lie above the stack pointer too, in what a large frame has not used yet. That word
// says which registers the processor took to be in use, which it need not tell the same each
// time (Intel SDM 1, 13.6, XINUSE); the seven others are zero.
func sameButInUse(page []byte, want uint32) bool {
	page = slices.Clone(page)
	var zero [xsaveHeader]byte
	for header := range slices.Chunk(page, xsaveHeader) {
		word := binary.LittleEndian.Uint64(header)
		if word&^inUse != 0 || !bytes.Equal(header[8:], zero[8:]) {
			continue
		}
		for other := range uint64(inUse + 1) {
			binary.LittleEndian.PutUint64(header, other)
			if max(crc32.Checksum(page, castagnoli), 1) == want {
				return true
			}
		}
		binary.LittleEndian.PutUint64(header, word)
	}
	return false
}
