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
// an instruction beside it, which a jump can replace: the comparison of its
// result that follows, or the one that sets the number of the call before it.
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
		var last []byte // the instruction before, if there is none between
		var end uint64
		failed = s.sweep(f, func(in insn, code []byte, addr uint64) {
			before := last
			if addr != end {
				before = nil
			}
			last, end = code[:in.len], addr+uint64(in.len)
			if to, ok := branch(in, code, addr); ok {
				targets[to] = true
				return
			}
			if in.m != map0F || in.op != 0x05 || in.len != 2 {
				return
			}
			n := comparison(code[2:])
			if n == 0 {
				if len(before) == movSize && setsNumber(before) && bufferedCalls[int(binary.LittleEndian.Uint32(before[1:]))] != classNone {
					at := addr - movSize
					sites = append(sites, CallSite{Off: s.offset(at), Vaddr: at, Len: movSize + 2, Orig: append(slices.Clone(before), code[:2]...)})
				}
				return
			}
			if addr+uint64(2+n) > f.end {
				return
			}
			if len(before) == movSize && setsNumber(before) && bufferedCalls[int(binary.LittleEndian.Uint32(before[1:]))] == classNone {
				return // it stops anyway, and each page with a site is a copy of its own
			}
			sites = append(sites, CallSite{Off: s.offset(addr), Vaddr: addr, Len: 2 + n, Orig: slices.Clone(code[:2+n])})
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
		if err != nil || len(b) < 7 {
			return nil, false
		}
		call, after := b[len(c.before()):], c.after()
		if call[0] != 0x0f || call[1] != 0x05 || comparison(after) != len(after) || (len(after) == 0) != setsNumber(b) {
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
