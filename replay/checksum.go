package replay

import (
	"encoding/binary"
	"hash/crc32"

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
			if max(crc32.Checksum(page[:], castagnoli), 1) != want {
				return p.diverged(ev, "the page at %#x holds something else", addr)
			}
			p.s.res.Pages++
		}
	}
	return nil
}
