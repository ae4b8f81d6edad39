package inject

// codeWalk takes the sites that control flow reaches within [lo, hi).
type codeWalk struct {
	lo, hi uint64
	// read fills b with the bytes at addr and says how many there are.
	read func(addr uint64, b []byte) (int, error)
	// into has direct calls followed, too; else calls are where they go.
	into  bool
	sites []Site // their Off is their address
	calls []uint64
	full  bool // there is more code than is looked at
}

// from follows control flow from an entry. Where it reaches bytes that don't decode, or
// the middle of another instruction, the entry was none: then that is no code.
func (w *codeWalk) from(entry uint64) (code bool, err error) {
	lens := map[uint64]int{}
	work := []uint64{entry}
	var buf [maxInsn + farCall]byte
	for len(work) > 0 {
		addr := work[len(work)-1]
		work = work[:len(work)-1]
		for addr >= w.lo && addr < w.hi && lens[addr] == 0 { // else it is known, or leads away
			if w.full = len(lens) >= maxGapCode; w.full {
				return true, nil
			}
			n, err := w.read(addr, buf[:min(uint64(len(buf)), w.hi-addr)])
			if err != nil {
				return false, err
			}
			in, ok := decode(buf[:n])
			if !ok {
				return false, nil
			}
			lens[addr] = in.len
			if site, ok := siteOf(in, buf[:n]); ok {
				site.Vaddr, site.Off = addr, addr
				w.sites = append(w.sites, site)
			}
			kind, to := flowOf(in, buf[:n], addr)
			switch {
			case kind == flowBranch, kind == flowJump, kind == flowCall && w.into:
				work = append(work, to)
			case kind == flowCall:
				w.calls = append(w.calls, to)
			}
			if kind == flowStop || kind == flowJump {
				break
			}
			addr += uint64(in.len)
		}
	}
	return !overlap(lens), nil
}

// overlap says whether of instructions, by their addresses with their lengths, one
// begins within another: then they are not code.
func overlap(lens map[uint64]int) bool {
	for addr, n := range lens {
		for i := 1; i < n; i++ {
			if lens[addr+uint64(i)] != 0 {
				return true
			}
		}
	}
	return false
}
