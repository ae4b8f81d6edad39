package inject

import "slices"

// MadeSites finds the instructions that Insn names in machine code that was made at run
// time: in what control flow reaches from entry within [lo, hi), with direct calls.
// read fills b with the bytes at addr and says how many there are. Off and Vaddr of the
// sites are their addresses. What does not decode, or enters the middle of an
// instruction, is no code: then there are none.
func MadeSites(read func(addr uint64, b []byte) int, entry, lo, hi uint64) []Site {
	var sites []Site
	lens := map[uint64]int{}
	work := []uint64{entry}
	var buf [maxInsn]byte
	for len(work) > 0 {
		addr := work[len(work)-1]
		work = work[:len(work)-1]
		for addr >= lo && addr < hi && lens[addr] == 0 {
			if len(lens) >= maxGapCode {
				return sites
			}
			n := read(addr, buf[:min(uint64(maxInsn), hi-addr)])
			in, ok := decode(buf[:n])
			if !ok {
				return nil
			}
			lens[addr] = in.len
			if site, ok := siteOf(in, buf[:n]); ok {
				site.Vaddr, site.Off = addr, addr
				sites = append(sites, site)
			}
			kind, to := flowOf(in, buf[:n], addr)
			if kind == flowCall || kind == flowBranch || kind == flowJump {
				work = append(work, to)
			}
			if kind == flowStop || kind == flowJump {
				break
			}
			addr += uint64(in.len)
		}
	}
	if overlap(lens) {
		return nil
	}
	slices.SortFunc(sites, func(a, b Site) int { return int(int64(a.Off - b.Off)) })
	return sites
}
