package inject

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// PauseHow says by what a PauseSite leads to its stub.
type PauseHow uint8

// The ways, in the order of preference.
const (
	PauseJump  PauseHow = iota // by a jump of five bytes
	PauseShort                 // by a jump of two bytes to padding, where there is one of five
	PauseTrap                  // not at all: each pass is a trap
)

// A PauseSite is a place in machine code where a thread that waits for another
// one by asking again and again passes: the instruction pause, which tells the
// processor that (Intel SDM volume 2), or a run of nopRun one-byte nops, by
// which OpenBLAS means the same.
type PauseSite struct {
	Off   uint64 // where in the file
	Vaddr uint64 // link-time address
	How   PauseHow
	Pad   uint64 // link-time address of the padding, for PauseShort
	// Orig is what is replaced: with PauseJump also the instructions behind a
	// pause that the jump covers, and which the stub executes instead.
	Orig []byte
}

// Len is the length of what is replaced.
func (s PauseSite) Len() int { return len(s.Orig) }

const (
	nopRun   = 8
	jumpSize = 5
	// maxPauses bounds the sites of a file.
	maxPauses = 1 << 15
)

var (
	pauseBytes = []byte{0xf3, 0x90}
	nopBytes   = bytes.Repeat([]byte{0x90}, nopRun)
)

func isPause(in insn) bool {
	return in.m == mapOne && in.op == 0x90 && in.rep && in.rex&1 == 0 && in.len == len(pauseBytes)
}

// pausesOf finds the PauseSites of an x86-64 ELF file, in functions that are
// disassembled from their starts as by sitesOf.
func pausesOf(r io.ReaderAt, path string) ([]PauseSite, error) {
	s, err := newScanner(r)
	if err == nil && s != nil {
		err = s.pauseCandidates()
	}
	if err != nil {
		return nil, fmt.Errorf("disassemble %s: %w", path, err)
	}
	if s == nil || len(s.wanted) == 0 {
		return nil, nil
	}
	slices.SortFunc(s.wanted, func(a, b candidate) int { return cmp.Compare(a.addr, b.addr) })
	p := &pauseScan{scanner: s, targets: map[uint64]bool{}}
	p.functions()
	if p.err == nil {
		p.err = p.farTargets()
	}
	if p.err != nil {
		return nil, fmt.Errorf("disassemble %s: %w", path, p.err)
	}
	return p.result(), nil
}

// pauseCandidates looks for the bytes of pauses and of runs of nops.
func (s *scanner) pauseCandidates() error {
	for _, p := range s.code {
		err := chunks(p, nopRun-1, func(b []byte, n int, addr uint64) error {
			for _, want := range [][]byte{pauseBytes, nopBytes} {
				for i := 0; i < n; i++ {
					k := bytes.Index(b[i:], want)
					if k < 0 || i+k >= n {
						break
					}
					i += k
					if len(s.wanted) >= maxWanted {
						return errTooMuch
					}
					s.wanted = append(s.wanted, candidate{addr: addr + uint64(i)})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pauseScan collects the sites of a file.
type pauseScan struct {
	*scanner
	sites   []PauseSite
	targets map[uint64]bool // of branches
	pads    []span          // padding behind functions
	err     error
}

// functions disassembles each known function that holds a candidate.
func (p *pauseScan) functions() {
	var spans []span
	if data, addr := p.ehFrame(); data != nil {
		_ = frameSpans(data, addr, func(f span) { spans = append(spans, f) })
	}
	spans = mergeSpans(spans)
	for i, f := range spans {
		if lo, hi := p.candidatesIn(f); lo >= hi {
			continue
		}
		next := ^uint64(0)
		if i+1 < len(spans) {
			next = spans[i+1].start
		}
		if p.err = p.one(f, next); p.err != nil {
			return
		}
	}
}

// one takes the sites of one function. next is where the one behind it begins.
func (p *pauseScan) one(f span, next uint64) error {
	var open *PauseSite // a pause whose five bytes are not together yet
	run := 0            // nops in a row
	var last flow
	end := f.start
	add := func(s PauseSite) { p.sites = append(p.sites, s) }
	err := p.sweep(f, func(in insn, code []byte, addr uint64) {
		if to, ok := branch(in, code, addr); ok {
			p.targets[to] = true
		}
		last, _ = flowOf(in, code, addr)
		end = addr + uint64(in.len)
		if open != nil {
			switch {
			case !movable(in, code):
				open.How, open.Orig = PauseShort, open.Orig[:len(pauseBytes)]
			default:
				open.Orig = append(open.Orig, code[:in.len]...)
				if len(open.Orig) < jumpSize && (last == flowJump || last == flowStop) {
					open.How, open.Orig = PauseShort, open.Orig[:len(pauseBytes)]
				}
			}
			if open.How != PauseJump || len(open.Orig) >= jumpSize {
				add(*open)
				open = nil
			}
			run = 0
			return
		}
		if in.m == mapOne && in.op == 0x90 && in.len == 1 {
			if run++; run == nopRun {
				at := addr + 1 - nopRun
				add(PauseSite{Off: p.offset(at), Vaddr: at, Orig: slices.Clone(nopBytes)})
				run = 0
			}
			return
		}
		run = 0
		if isPause(in) {
			open = &PauseSite{Off: p.offset(addr), Vaddr: addr, Orig: slices.Clone(code[:in.len])}
		}
	})
	if open != nil {
		open.How, open.Orig = PauseShort, open.Orig[:len(pauseBytes)]
		add(*open)
	}
	if end == f.end && (last == flowJump || last == flowStop) {
		p.padding(span{end, next})
	}
	return err
}

// padding notes what lies between two functions where it is nothing but
// fillers.
func (p *pauseScan) padding(gap span) {
	const most = 64
	seg := p.segment(gap.start)
	if seg == nil {
		return
	}
	gap.end = min(gap.end, gap.start+most, seg.Vaddr+seg.Filesz)
	if gap.end < gap.start+jumpSize {
		return
	}
	b := make([]byte, gap.end-gap.start)
	if _, err := seg.ReadAt(b, int64(gap.start-seg.Vaddr)); err != nil {
		return
	}
	for i := 0; i < len(b); {
		if b[i] == 0xcc {
			i++
			continue
		}
		in, ok := decode(b[i:])
		if !ok || !isNop(in) {
			gap.end = gap.start + uint64(i)
			break
		}
		i += in.len
	}
	p.pads = append(p.pads, gap)
}

func isNop(in insn) bool {
	return in.m == mapOne && in.op == 0x90 && !in.rep && in.rex == 0 || in.m == map0F && in.op == 0x1f
}

// farTargets adds what jumps with a 32-bit displacement would lead to, wherever
// their bytes are: the parts of a function lie in different places.
func (p *pauseScan) farTargets() error {
	inside := map[uint64]bool{}
	for _, s := range p.sites {
		for i := 1; i < min(s.Len(), jumpSize); i++ {
			inside[s.Vaddr+uint64(i)] = true
		}
	}
	note := func(_, to uint64) {
		if inside[to] {
			p.targets[to] = true
		}
	}
	if err := p.calls(note); err != nil {
		return err
	}
	const overlap = 5
	for _, seg := range p.code {
		err := chunks(seg, overlap, func(b []byte, n int, addr uint64) error {
			for i := 0; i < n && i+overlap < len(b); i++ {
				if b[i] == 0x0f && b[i+1]&0xf0 == 0x80 {
					_, to := flowOf(insn{len: 6, m: map0F, op: b[i+1]}, b[i:], addr+uint64(i))
					note(0, to)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// result settles how each site is led to its stub.
func (p *pauseScan) result() []PauseSite {
	slices.SortFunc(p.sites, func(a, b PauseSite) int { return cmp.Compare(a.Vaddr, b.Vaddr) })
	var out []PauseSite
	free := uint64(0) // what lies before is taken
	for _, s := range p.sites {
		if s.Vaddr < free || len(out) >= maxPauses {
			continue
		}
		nops := s.Orig[0] == 0x90
		hit := false
		for i := 1; i < min(s.Len(), jumpSize); i++ {
			hit = hit || p.targets[s.Vaddr+uint64(i)]
		}
		switch {
		case hit && nops:
			continue
		case hit:
			s.How, s.Orig = PauseShort, s.Orig[:len(pauseBytes)]
		}
		if s.How == PauseShort && !p.pad(&s) {
			s.How = PauseTrap
		}
		free = s.Vaddr + uint64(s.Len())
		out = append(out, s)
	}
	return out
}

// pad finds padding that a short jump at a site reaches, and takes it.
func (p *pauseScan) pad(s *PauseSite) bool {
	end := s.Vaddr + uint64(len(pauseBytes))
	for i := range p.pads {
		g := &p.pads[i]
		if g.end-g.start < jumpSize {
			continue
		}
		if d := int64(g.start - end); d >= -128 && d <= 127 {
			s.Pad = g.start
			g.start += jumpSize
			return true
		}
	}
	return false
}

// movable reports whether an instruction does the same elsewhere, once its
// displacements are corrected.
func movable(in insn, code []byte) bool {
	if _, ok := siteOf(in, code); ok {
		return false // replaced by a trap
	}
	op, reg := in.op, in.modrm>>3&7
	switch in.m {
	case mapOne:
		switch {
		case op >= 0xe0 && op <= 0xe3, op == 0xe8, op == 0xcc, op == 0xcd, op == 0xf1, op == 0xf4, op == 0x9c, op == 0x9d,
			op == 0xff && (reg == 2 || reg == 3), op == 0x9a, op == 0xcf,
			(op == 0xc7 || op == 0xc6) && in.modrm == 0xf8, // xbegin, xabort
			in.opsize && (op >= 0x70 && op <= 0x7f || op == 0xe9 || op == 0xeb):
			return false
		}
	case map0F:
		switch {
		case op == 0x05, op == 0x34, op == 0x0b, op == 0xb9, op == 0xff, op == 0x01, in.opsize && op >= 0x80 && op <= 0x8f:
			return false
		}
	}
	return true
}

func encodePause(s PauseSite) string {
	return fmt.Sprintf("%x %x %x %d %x", s.Off, s.Vaddr, s.Orig, s.How, s.Pad)
}

func decodePauses(lines []string) ([]PauseSite, bool) {
	var out []PauseSite
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) != 5 {
			return nil, false
		}
		off, err1 := strconv.ParseUint(f[0], 16, 64)
		vaddr, err2 := strconv.ParseUint(f[1], 16, 64)
		orig, err3 := hex.DecodeString(f[2])
		how, err4 := strconv.ParseUint(f[3], 10, 8)
		pad, err5 := strconv.ParseUint(f[4], 16, 64)
		s := PauseSite{Off: off, Vaddr: vaddr, Orig: orig, How: PauseHow(how), Pad: pad}
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil || !s.plausible() {
			return nil, false
		}
		out = append(out, s)
	}
	return out, len(out) <= maxPauses
}

// plausible checks a site that was read from the cache.
func (s PauseSite) plausible() bool {
	switch s.How {
	case PauseJump:
		return bytes.Equal(s.Orig, nopBytes) || len(s.Orig) >= jumpSize && len(s.Orig) <= len(pauseBytes)+2+maxInsn && bytes.HasPrefix(s.Orig, pauseBytes)
	case PauseShort, PauseTrap:
		return bytes.Equal(s.Orig, pauseBytes)
	}
	return false
}
