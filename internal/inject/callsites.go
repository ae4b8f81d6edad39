package inject

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A CallSite is a system call instruction in an executable file together with
// an instruction beside it, which a jump can replace: the one that sets the number
// of the call before it, or the one that follows, most often the comparison of its
// result.
type CallSite struct {
	Off   uint64 // where in the file
	Vaddr uint64 // link-time address
	Len   int    // of both instructions
	Orig  []byte // their bytes
}

// setsNumber says whether a site, or a trampoline, begins with mov eax, imm32.
func setsNumber(code []byte) bool { return len(code) >= movSize && code[0] == 0xb8 }

const movSize = 5 // of mov eax, imm32

// SetsNumber says whether a site begins with the instruction that sets the number
// of the call.
func (s CallSite) SetsNumber() bool { return setsNumber(s.Orig) }

// before and after are the instructions of a site around its system call.
func (s CallSite) before() []byte {
	if setsNumber(s.Orig) {
		return s.Orig[:movSize]
	}
	return nil
}

func (s CallSite) after() []byte { return s.Orig[len(s.before())+2:] }

// comparison returns the length of the comparison with a constant that b
// starts with: cmp rax, imm32 or cmp eax, imm32.
func comparison(b []byte) int {
	switch {
	case len(b) >= 6 && b[0] == 0x48 && b[1] == 0x3d:
		return 6
	case len(b) >= 5 && b[0] == 0x3d:
		return 5
	}
	return 0
}

// afterCall returns the length of the instruction that b starts with, where that may be
// the one behind the call of a site.
func afterCall(b []byte) int {
	if n := comparison(b); n != 0 {
		return n
	}
	return unbound(b)
}

const (
	jumpLen = 5 // of jmp rel32
	// longestAfter is what a trampoline has room for behind the call.
	longestAfter = 7
)

// unbound returns the length of the instruction that b starts with, if it does the same
// wherever it lies, and leaves the stack alone: it moves, adds or compares. Else it is 0.
func unbound(b []byte) int {
	in, ok := decode(b)
	if !ok || in.m != mapOne || in.len > longestAfter || in.len < 3 {
		return 0
	}
	switch op := in.op; {
	case op < 0x40 && op&7 < 4, op == 0x80, op == 0x81, op == 0x83, op == 0x84, op == 0x85, op >= 0x88 && op <= 0x8b, op == 0x8d, op == 0xc6, op == 0xc7:
	default:
		return 0
	}
	if in.modrm&0xc7 == 5 || in.modrm&0xc0 == 0xc0 && in.modrm&7 == 4 && in.rex&1 == 0 {
		return 0 // relative to where it lies, or of the stack pointer
	}
	return in.len
}

// callSites finds the system calls of a C library that can be replaced by
// jumps. Functions are disassembled from their starts, as by sitesOf; a pair of
// instructions is left alone where any branch leads to the second of them.
func callSites(r io.ReaderAt, path string) ([]CallSite, error) {
	s, err := newScanner(r)
	if err != nil {
		return nil, fmt.Errorf("disassemble %s: %w", path, err)
	}
	if s == nil {
		return nil, nil
	}
	data, addr := s.ehFrame()
	if data == nil {
		return nil, nil
	}
	var sites []CallSite
	targets := map[uint64]bool{}
	seen := map[uint64]bool{}
	var failed error
	_ = frameSpans(data, addr, func(f span) {
		if failed != nil || seen[f.start] {
			return
		}
		seen[f.start] = true
		var set numberSet
		// What makes threads is called where its function has no entry any more.
		failed = s.sweep(span{f.start, f.end + 2}, func(in insn, code []byte, addr uint64) {
			to, branches := branch(in, code, addr)
			if branches {
				targets[to] = true
			}
			if branches || in.m != map0F || in.op != 0x05 || in.len != 2 {
				set.passes(code[:in.len], addr)
				return
			}
			if site, ok := set.site(code, addr, f.end); ok {
				site.Off = s.offset(site.Vaddr)
				sites = append(sites, site)
			}
			set = numberSet{}
		})
	})
	if failed != nil {
		return nil, fmt.Errorf("disassemble %s: %w", path, failed)
	}
	sites = slices.DeleteFunc(sites, func(c CallSite) bool {
		for a := c.Vaddr + 1; a < c.Vaddr+uint64(c.Len); a++ {
			if targets[a] {
				return true
			}
		}
		return false
	})
	slices.SortFunc(sites, func(a, b CallSite) int { return cmp.Compare(a.Vaddr, b.Vaddr) })
	sites = slices.CompactFunc(sites, func(a, b CallSite) bool { return a.Vaddr == b.Vaddr })
	if len(sites) > MaxSites {
		sites = sites[:MaxSites]
	}
	return sites, nil
}

// numberSet is the instruction that sets the number of the call to come.
type numberSet struct {
	code []byte // nil where none does
	end  uint64 // where it ends
	past int    // instructions since
}

// passes notes an instruction on the way to a call.
func (n *numberSet) passes(code []byte, addr uint64) {
	const most = 3 // that a compiler puts between
	if len(code) == movSize && setsNumber(code) {
		*n = numberSet{code: code, end: addr + movSize}
	} else if n.past++; n.past > most {
		n.code = nil
	}
}

// site returns how a system call at addr, with which code begins, can be replaced by a jump.
func (n *numberSet) site(code []byte, addr, end uint64) (CallSite, bool) {
	buffered := false
	if n.code != nil {
		buffered = bufferedCalls[int(binary.LittleEndian.Uint32(n.code[1:]))] != classNone
	}
	after := comparison(code[2:])
	switch {
	case after == 0 && !buffered:
		return CallSite{}, false
	case after != 0 && n.code != nil && n.end == addr && !buffered:
		return CallSite{}, false // it stops anyway, and each page with a site is a copy of its own
	case after == 0 && n.end == addr:
		return CallSite{Vaddr: addr - movSize, Len: movSize + 2, Orig: append(slices.Clone(n.code), code[:2]...)}, true
	case after == 0:
		after = unbound(code[2:])
	}
	if after == 0 || addr+uint64(2+after) > end {
		return CallSite{}, false
	}
	return CallSite{Vaddr: addr, Len: 2 + after, Orig: slices.Clone(code[:2+after])}, true
}

// branch returns where a direct jump or call leads to.
func branch(in insn, code []byte, addr uint64) (uint64, bool) {
	end := addr + uint64(in.len)
	switch {
	case in.m == mapOne && (in.op >= 0x70 && in.op <= 0x7f || in.op >= 0xe0 && in.op <= 0xe3 || in.op == 0xeb):
		return end + uint64(int64(int8(code[in.len-1]))), true
	case in.m == mapOne && (in.op == 0xe8 || in.op == 0xe9), in.m == map0F && in.op >= 0x80 && in.op <= 0x8f:
		if in.len < 5 {
			return 0, false
		}
		return end + uint64(int64(int32(binary.LittleEndian.Uint32(code[in.len-4:])))), true
	}
	return 0, false
}

func encodeCallSite(s CallSite) string { return fmt.Sprintf("%x %x %x", s.Off, s.Vaddr, s.Orig) }

func decodeCallSites(lines []string) ([]CallSite, bool) {
	var out []CallSite
	for _, l := range lines {
		off, vaddr, b, err := splitSite(l)
		c := CallSite{Off: off, Vaddr: vaddr, Orig: b, Len: len(b)}
		if err != nil || len(b) < jumpLen {
			return nil, false
		}
		call, after := b[len(c.before()):], c.after()
		if call[0] != 0x0f || call[1] != 0x05 || afterCall(after) != len(after) || (len(after) == 0) != setsNumber(b) {
			return nil, false
		}
		out = append(out, c)
	}
	return out, len(out) <= MaxSites
}

// splitSite takes apart what encodeSite made.
func splitSite(text string) (off, vaddr uint64, code []byte, err error) {
	first, rest, _ := strings.Cut(text, " ")
	second, third, _ := strings.Cut(rest, " ")
	if off, err = strconv.ParseUint(first, 16, 64); err != nil {
		return
	}
	if vaddr, err = strconv.ParseUint(second, 16, 64); err != nil {
		return
	}
	code, err = hex.DecodeString(third)
	return
}
