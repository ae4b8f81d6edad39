package inject

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Hand-written assembly often has neither unwind information nor symbols:
// libjpeg's and dav1d's look at the processor, OpenSSL's padlock engine. Such
// code is entered where known functions call or jump to. From there on only
// what control flow reaches is taken for code; the gaps between functions
// are full of constants, too.

// maxGapCode bounds the instructions that are followed from one entry.
const maxGapCode = 1 << 14

// A flow says what a thread does after an instruction.
type flow uint8

const (
	flowNext   flow = iota // goes on behind it
	flowCall               // goes on behind it, and calls the target
	flowBranch             // goes on behind it, or at the target
	flowJump               // goes on at the target
	flowStop               // goes where nothing here tells
)

// flowOf classifies an instruction and returns the target of direct calls
// and jumps, for an instruction at addr.
func flowOf(in insn, code []byte, addr uint64) (flow, uint64) {
	next := addr + uint64(in.len)
	rel8 := func() uint64 { return next + uint64(int64(int8(code[in.len-1]))) }
	rel32 := func() uint64 { return next + uint64(int64(int32(binary.LittleEndian.Uint32(code[in.len-4:])))) }
	op := in.op
	switch {
	case in.m == mapOne && op == 0xe8:
		return flowCall, rel32()
	case in.m == mapOne && op == 0xe9:
		return flowJump, rel32()
	case in.m == mapOne && op == 0xeb:
		return flowJump, rel8()
	case in.m == mapOne && (op >= 0x70 && op <= 0x7f || op >= 0xe0 && op <= 0xe3):
		return flowBranch, rel8()
	case in.m == map0F && op >= 0x80 && op <= 0x8f:
		return flowBranch, rel32()
	case in.m == mapOne && (op == 0xc2 || op == 0xc3 || op == 0xca || op == 0xcb || op == 0xcf || op == 0xf4 || op == 0xcc),
		in.m == mapOne && op == 0xff && (in.modrm>>3&7 == 4 || in.modrm>>3&7 == 5),
		in.m == map0F && (op == 0x0b || op == 0xb9 || op == 0xff):
		return flowStop, 0
	}
	return flowNext, 0
}

// gaps looks for sites in code that no function is known for.
func (s *scanner) gaps() error {
	known := mergeSpans(s.known)
	byStart := func(f span, a uint64) int { return cmp.Compare(f.start, a) }
	// around returns the known function that holds addr, or the gap.
	around := func(addr uint64) (f span, isGap bool) {
		i, found := slices.BinarySearchFunc(known, addr, byStart)
		if found {
			return known[i], false
		}
		f = span{0, ^uint64(0)}
		if i > 0 {
			if addr < known[i-1].end {
				return known[i-1], false
			}
			f.start = known[i-1].end
		}
		if i < len(known) {
			f.end = known[i].start
		}
		return f, true
	}
	var wanted []span // gaps that hold a candidate
	for _, c := range s.wanted {
		if f, isGap := around(c.addr); isGap && !c.covered && (len(wanted) == 0 || wanted[len(wanted)-1] != f) {
			wanted = append(wanted, f)
		}
	}
	leadsTo := func(addr uint64) bool {
		i, found := slices.BinarySearchFunc(wanted, addr, byStart)
		return found || i > 0 && addr < wanted[i-1].end
	}

	var entries []uint64
	seen := map[uint64]bool{}
	enter := func(addr uint64) {
		if !seen[addr] && leadsTo(addr) {
			seen[addr] = true
			entries = append(entries, addr)
		}
	}
	for _, e := range s.unsized {
		enter(e)
	}
	callers := map[span]bool{}
	err := s.calls(func(addr, to uint64) {
		if leadsTo(to) {
			if f, isGap := around(addr); !isGap {
				callers[f] = true
			}
		}
	})
	if err != nil {
		return err
	}
	for f := range callers {
		err := s.sweep(f, func(in insn, code []byte, addr uint64) {
			if kind, to := flowOf(in, code, addr); kind == flowCall || kind == flowJump {
				enter(to)
			}
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(entries)
	for len(entries) > 0 {
		e := entries[len(entries)-1]
		entries = entries[:len(entries)-1]
		gap, _ := around(e)
		if err := s.follow(e, gap, enter); err != nil {
			return err
		}
	}
	return nil
}

// calls reports all bytes that look like a call or jump with a 32-bit
// displacement, whatever they belong to, and where it would go.
func (s *scanner) calls(visit func(addr, to uint64)) error {
	const overlap = 4
	for _, p := range s.code {
		err := chunks(p, overlap, func(b []byte, n int, addr uint64) error {
			for i := 0; i < n && i+overlap < len(b); i++ {
				if b[i]&0xfe == 0xe8 {
					rel := int32(binary.LittleEndian.Uint32(b[i+1:]))
					visit(addr+uint64(i), addr+uint64(i)+5+uint64(int64(rel)))
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

// follow takes the sites that control flow reaches from an entry within its
// gap. Where it reaches bytes that don't decode, or the middle of another
// instruction, the entry was none, and nothing is taken.
func (s *scanner) follow(entry uint64, gap span, enter func(uint64)) error {
	p := s.segment(entry)
	if p == nil {
		return nil
	}
	w := codeWalk{lo: max(gap.start, p.Vaddr), hi: min(gap.end, p.Vaddr+p.Filesz), read: func(addr uint64, b []byte) (int, error) {
		if s.decoded += maxInsn; s.decoded > maxDecode {
			return 0, errTooMuch
		}
		n, err := p.ReadAt(b, int64(addr-p.Vaddr))
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("read code at %#x: %w", addr, err)
		}
		return n, nil
	}}
	if code, err := w.from(entry); !code || w.full || err != nil {
		return err
	}
	for i := range w.sites {
		w.sites[i].Off = s.offset(w.sites[i].Vaddr)
	}
	s.found = append(s.found, w.sites...)
	for _, c := range w.calls {
		enter(c)
	}
	return nil
}

// mergeSpans sorts spans and joins those that overlap.
func mergeSpans(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var out []span
	for _, f := range spans {
		if n := len(out); n > 0 && f.start < out[n-1].end {
			out[n-1].end = max(out[n-1].end, f.end)
			continue
		}
		out = append(out, f)
	}
	return out
}
