package replay

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// Hash returns a hash of the registers of all threads, and one of all memory
// that the program can write, without what the replay itself keeps there.
func (x *Session) Hash() (regs, memory uint64, err error) {
	err = x.With(func(p *Process, _ *Thread) error {
		regs, memory, err = p.hash()
		return err
	})
	return regs, memory, err
}

func (p *Process) hash() (regs, memory uint64, err error) {
	h := fnv.New64a()
	ids := make([]int32, 0, len(p.threads))
	for id := range p.threads {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		t := p.threads[id]
		binary.Write(h, binary.LittleEndian, id)
		binary.Write(h, binary.LittleEndian, t.regs)
		x, err := ptrace.GetXState(t.tid, p.s.xstate)
		if err != nil {
			return 0, 0, fmt.Errorf("read the extended registers of thread %d: %w", id, err)
		}
		// XSTATE_BV says which components the processor took to be in use, which
		// it need not tell the same each time (Intel SDM 1, 13.6, XINUSE). Those
		// that it left out have their initial values here.
		if len(x) >= xstateBV+8 {
			h.Write(x[:xstateBV])
			x = x[xstateBV+8:]
		}
		h.Write(x)
	}
	regs = h.Sum64()
	h.Reset()
	ranges, err := p.writable()
	if err != nil {
		return 0, 0, err
	}
	m := p.Mem()
	var page [pageSize]byte
	var zero [pageSize]byte
	var sum [12]byte
	for _, r := range ranges {
		// Below a stack pointer is what calls have left there; some of it hangs
		// on which registers the processor took to be in use.
		for _, t := range p.threads {
			if low := t.regs.SP() - linux.RedZone; low > r[0] && low < r[1] {
				r[0] = low &^ (pageSize - 1)
			}
		}
		for a := r[0]; a < r[1]; a += pageSize {
			// A page that cannot be read is the same in all replays.
			if m.ReadAt(page[:], a) == nil && page != zero {
				for _, t := range p.threads {
					if low := t.regs.SP() - linux.RedZone; low > a && low < a+pageSize {
						clear(page[:low-a])
					}
				}
				binary.LittleEndian.PutUint64(sum[:], a)
				binary.LittleEndian.PutUint32(sum[8:], crc32.Checksum(page[:], castagnoli))
				h.Write(sum[:])
			}
		}
	}
	return regs, h.Sum64(), nil
}

// xstateBV is the offset of XSTATE_BV in an XSAVE area.
const xstateBV = 512

// writable lists the program's writable memory.
func (p *Process) writable() ([][2]uint64, error) {
	maps, err := p.Writable()
	if err != nil {
		return nil, err
	}
	own := func(a uint64) bool {
		switch {
		case a >= gadgetBase && a < hookEnd:
			return true
		case p.cell != 0 && a >= p.stubs && a < p.stubs+2*clockCode+2*pageSize:
			return true
		}
		return p.area != nil && a >= p.area.Count&^(pageSize-1) && a < p.area.Count&^(pageSize-1)+0x15000
	}
	var out [][2]uint64
	for _, m := range maps {
		for a := m.Start; a < m.End; {
			if own(a) {
				a += pageSize
				continue
			}
			b := a
			for b < m.End && !own(b) {
				b += pageSize
			}
			out = append(out, [2]uint64{a, b})
			a = b
		}
	}
	return out, nil
}
