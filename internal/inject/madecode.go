package inject

import "slices"

// MadeSites finds the instructions that Insn names in machine code that was made at run
// time: in what control flow reaches from entry within [lo, hi), with direct calls.
// read fills b with the bytes at addr and says how many there are. Off and Vaddr of the
// sites are their addresses. What does not decode, or enters the middle of an
// instruction, is no code: then there are none.
func MadeSites(read func(addr uint64, b []byte) int, entry, lo, hi uint64) []Site {
	w := codeWalk{lo: lo, hi: hi, into: true, read: func(addr uint64, b []byte) (int, error) { return read(addr, b), nil }}
	code, _ := w.from(entry) // read has no errors
	if !code {
		return nil
	}
	if !w.full {
		slices.SortFunc(w.sites, func(a, b Site) int { return int(int64(a.Off - b.Off)) })
	}
	return w.sites
}
