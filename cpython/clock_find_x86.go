package cpython

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// opcodeSet parses a list of numbers and ranges below 256.
func opcodeSet(list string) (set [opcodes]bool) {
	for part := range strings.SplitSeq(list, ",") {
		var lo, hi int
		if n, _ := fmt.Sscanf(part, "%d-%d", &lo, &hi); n == 1 {
			hi = lo
		}
		for op := lo; op <= hi; op++ {
			set[op] = true
		}
	}
	return set
}

const (
	minDistinct = 100     // different targets of a dispatch table
	minSites    = 50      // jumps that must refer to it
	maxWindows  = 1 << 18 // windows of 256 code addresses in a segment
)

// findClock finds and verifies the dispatch tables.
func (im *elfFile) findClock(path string) (*Clock, error) {
	v, err := im.kind(path)
	if ce := (*ClockError)(nil); errors.As(err, &ce) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrNotPython, err)
	} else if v.Major == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrNotPython)
	}
	refuse := func(format string, args ...any) (*Clock, error) {
		return nil, &ClockError{Path: path, Reason: fmt.Sprintf(format, args...)}
	}
	im.relocate()
	hits := im.fingerprint(v.Minor)
	if len(hits) == 0 {
		c, err := im.switchClock(path, v)
		if c != nil || err != nil {
			return c, err
		}
		return nil, &ClockError{
			Path: path, Reason: cpythonName(v) + " without the known table of computed gotos",
			Hint: "it may be configured --without-computed-gotos, or have other opcodes",
		}
	}
	if len(hits) > 1 {
		return refuse("%d tables look like the dispatch table of %s", len(hits), cpythonName(v))
	}
	hit := hits[0]
	if v.Minor < 0 {
		v.Minor = hit.minor
	}
	c := &Clock{Version: v, Path: path, Relocated: im.dynamic}
	c.Lo, c.Hi = im.span()
	if s, ok := im.lookup("_PyRuntime"); ok {
		c.Runtime = s.value
	}
	c.Tables = []Table{{Addr: hit.addr, Entries: opcodes, Uncounted: v.Rules().uncounted, Targets: hit.targets}}

	t, err := im.traceLoop(hit.targets)
	if err != nil {
		return refuse("%v", err)
	}
	sites := t.sitesOf(hit.addr)
	if n := len(sites); 0 < n && n < minSites {
		// Clang 19 makes one jump of all of a function's: what counts are the ways to it.
		shared := make([]uint64, n)
		for i, s := range sites {
			shared[i] = s.pc
		}
		if t, err = im.traceLoop(hit.targets, shared...); err != nil {
			return refuse("%v", err)
		}
		sites = t.sitesOf(hit.addr)
	}
	if c.Sites = len(sites); c.Sites < minSites {
		return refuse("only %d jumps go through the supposed dispatch table at %#x", c.Sites, hit.addr)
	}
	var inSwitch []site
	if v.Rules().InSwitch() {
		var second Table
		if second, inSwitch, err = im.switchTable(t, hit.targets, v.Minor); err != nil {
			return refuse("%v", err)
		}
		c.Tables = append(c.Tables, second)
	}
	if c.NextInstr, err = electNextInstr(sites, inSwitch, v.Rules().NextInstrBias()); err != nil {
		return refuse("%v", err)
	}
	return c, nil
}

// tableHit is a window of 256 code addresses with a version's fingerprint.
type tableHit struct {
	addr    uint64
	minor   int
	targets []uint64
}

// fingerprint searches the file for opcode_targets: of a given minor version,
// or of any for -1.
func (im *elfFile) fingerprint(minor int) []tableHit {
	sets := make([]*[opcodes]bool, len(rules))
	for m, r := range rules {
		if r != nil && (minor < 0 || minor == m) {
			s := opcodeSet(r.unassigned)
			sets[m] = &s
		}
	}
	var hits []tableHit
	for _, exec := range [...]bool{false, true} { // constants may lie among code
		if len(hits) > 0 {
			break
		}
		for i := range im.segs {
			if s := &im.segs[i]; s.exec == exec && im.load(s) == nil {
				hits = im.fingerprintIn(s, sets, hits)
			}
		}
	}
	return hits
}

func (im *elfFile) fingerprintIn(s *segment, sets []*[opcodes]bool, hits []tableHit) []tableHit {
	run, windows := 0, 0
	for off := int(-s.vaddr & 7); off+8 <= len(s.data); off += 8 {
		if !im.isCode(binary.LittleEndian.Uint64(s.data[off:])) {
			run = 0
			continue
		}
		if run++; run < opcodes {
			continue
		}
		if windows++; windows > maxWindows {
			break
		}
		start := off + 8 - opcodes*8
		for m, set := range sets {
			if set == nil {
				continue
			}
			if targets := matchTable(s.data[start:], set); targets != nil {
				hits = append(hits, tableHit{s.vaddr + uint64(start), m, targets})
			}
		}
	}
	return hits
}

// matchTable returns the entries of the table at the start of b if exactly
// the entries of set are equal to each other.
func matchTable(b []byte, set *[opcodes]bool) []uint64 {
	entry := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	unknown := entry(slices.Index(set[:], true))
	for op, in := range set {
		if (entry(op) == unknown) != in {
			return nil
		}
	}
	targets := make([]uint64, opcodes)
	for op := range targets {
		targets[op] = entry(op)
	}
	if len(distinct(targets)) < minDistinct {
		return nil
	}
	return targets
}

func distinct(list []uint64) []uint64 {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// Bounds of the code that is disassembled: Debian's eval loop has 84 KB.
const (
	maxFunctions = 1024
	maxLoopCode  = 4 << 20
)

// traceLoop executes the functions that the table leads into, and
// _PyEval_EvalFrameDefault, symbolically; each way to one of the shared jumps by itself.
func (im *elfFile) traceLoop(targets []uint64, shared ...uint64) (*tracer, error) {
	table := im.functions()
	if table == nil {
		return nil, errors.New("no .eh_frame_hdr that tells where functions start")
	}
	pcs := distinct(targets)
	if s, ok := im.lookup("_PyEval_EvalFrameDefault"); ok {
		pcs = append(pcs, s.value)
	}
	t := newTracer()
	t.shared = shared
	seen := map[uint64]bool{}
	total := uint64(0)
	for _, pc := range pcs {
		f, ok := table.function(pc)
		if !ok {
			return nil, fmt.Errorf("no function at %#x, where the supposed dispatch table leads", pc)
		}
		if seen[f.start] {
			continue
		}
		seen[f.start] = true
		if total += f.end - f.start; total > maxLoopCode || len(seen) > maxFunctions {
			return nil, errors.New("the supposed dispatch table leads to too much code")
		}
		code, ok := im.bytes(f.start, f.end-f.start)
		if !ok {
			return nil, fmt.Errorf("the function at %#x is outside the file", f.start)
		}
		t.run(code, f.start)
	}
	return t, nil
}

// sitesOf returns the jumps through the table at addr.
func (t *tracer) sitesOf(addr uint64) (sites []site) {
	for _, s := range t.sites {
		if !s.rel32 && t.leadsTo(s.base, addr) {
			sites = append(sites, s)
		}
	}
	return sites
}

// leadsTo says whether a jump's table is the one at addr: by its address, or
// by a stack slot in which the code keeps it.
func (t *tracer) leadsTo(base value, addr uint64) bool {
	switch base.kind {
	case valConst:
		return uint64(base.off) == addr
	case valStacked:
		return t.consts[stackConst{base, addr}] > 0
	}
	return false
}

// electNextInstr finds the place that holds next_instr at every dispatch, a register or
// a slot of the stack: all jumps through one table must agree on it, and those of the switch, if any.
// Where next_instr has been moved on by then (bias), a compiler may keep what it
// was in a register as well; Clang's switch leaves only that one.
func electNextInstr(sites, inSwitch []site, bias int) (NextInstr, error) {
	var first error
	for _, bias := range slices.Compact([]int{bias, 0}) {
		votes, voters := votesFor(sites, bias)
		second, _ := votesFor(inSwitch, bias)
		best, most, after := NextInstr{}, 0, 0
		said := []string{}
		for _, n := range slices.SortedFunc(maps.Keys(votes), compareNext) {
			if len(inSwitch) > 0 && second[n] == 0 {
				continue
			}
			if v := votes[n]; v > most {
				best, most, after = n, v, most
			} else {
				after = max(after, v)
			}
			said = append(said, fmt.Sprintf("%v: %d", n, votes[n]))
		}
		if voters >= minSites/2 && most*10 >= voters*9 && after*10 <= most*9 {
			return best, nil
		}
		if first == nil {
			first = fmt.Errorf("no register is next_instr at every jump (votes %v of %d)", said, len(sites))
		}
	}
	return NextInstr{}, first
}

// compareNext orders places: registers first.
func compareNext(a, b NextInstr) int {
	in := map[bool]int{true: 1}
	return cmp.Or(in[a.InStack]-in[b.InStack], cmp.Compare(a.Reg, b.Reg), cmp.Compare(a.Off, b.Off))
}

// votesFor counts, of each place, the jumps at which it holds next_instr but
// for bias, and the jumps at which any does.
func votesFor(sites []site, bias int) (votes map[NextInstr]int, voters int) {
	votes = map[NextInstr]int{}
	for _, s := range sites {
		voted := false
		for _, n := range s.next {
			if n.Bias == bias {
				votes[n]++
				voted = true
			}
		}
		if voted {
			voters++
		}
	}
	return votes, voters
}

// versionInCode finds PY_VERSION as Py_GetVersion (getversion.c) refers to
// it, the version of those that don't export Py_Version.
func (im *elfFile) versionInCode() Version {
	s, ok := im.lookup("Py_GetVersion")
	if !ok || s.size > 4096 {
		return Version{}
	}
	code, ok := im.bytes(s.value, s.size)
	if !ok {
		return Version{}
	}
	for pc := s.value; len(code) > 0; {
		n := len(endbr64)
		if string(code[:min(n, len(code))]) != string(endbr64) {
			in, err := x86asm.Decode(code, 64)
			if err != nil {
				break
			}
			n = in.Len
			for _, a := range in.Args {
				var at uint64
				switch a := a.(type) {
				case x86asm.Mem:
					if a.Base == x86asm.RIP {
						at = pc + uint64(n) + uint64(displacement(a))
					}
				case x86asm.Imm:
					at = uint64(a)
				}
				if text, ok := im.cstring(at, 16); at != 0 && ok {
					if v, ok := parseVersion(text); ok {
						return v
					}
				}
			}
		}
		code, pc = code[n:], pc+uint64(n)
	}
	return Version{}
}
