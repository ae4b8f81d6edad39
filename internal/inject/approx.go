package inject

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// An ApproxSite is an instruction in an executable file whose result the processor's
// maker decides on, in its last bits: the manuals give a bound of the error (Intel SDM
// volume 2, RCPPS and RSQRTPS; volume 1, 8.3.10 for x87; AMD APM volumes 4 and 5).
type ApproxSite struct {
	Vaddr uint64 // link-time address
	Name  string
}

// maxApprox bounds the sites of a file.
const maxApprox = 1 << 12

// x87Approx are the transcendental functions of the x87 by the byte behind D9.
var x87Approx = map[byte]string{0xf0: "f2xm1", 0xf1: "fyl2x", 0xf2: "fptan", 0xf3: "fpatan",
	0xf9: "fyl2xp1", 0xfb: "fsincos", 0xfe: "fsin", 0xff: "fcos"}

// approxOf names an instruction whose result is an approximation, "" for any other.
func approxOf(in insn, code []byte) string {
	names := map[byte]string{0x52: "rsqrt", 0x53: "rcp"}
	switch {
	case in.m == mapOne && in.op == 0xd9:
		return x87Approx[in.modrm]
	case in.m == map0F && names[in.op] != "" && !in.opsize && !in.repne:
		if in.rep {
			return names[in.op] + "ss"
		}
		return names[in.op] + "ps"
	case in.m == mapVector && names[in.op] != "":
		// The last two bits of the byte before the opcode are the prefix: none, or F3.
		if code[0] == 0xc5 || code[0] == 0xc4 && code[1]&0x1f == 1 {
			switch code[in.at-2] & 3 {
			case 0:
				return "v" + names[in.op] + "ps"
			case 2:
				return "v" + names[in.op] + "ss"
			}
		}
	}
	return ""
}

// ApproxSites finds the approximate instructions of an x86-64 ELF file in the functions
// that its unwind table names. A file of another kind has none.
func ApproxSites(r io.ReaderAt, path string) ([]ApproxSite, error) {
	s, err := newScanner(r)
	if err != nil || s == nil {
		return nil, err
	}
	for _, p := range s.code {
		err := s.look(p, 1, func(b []byte, i int) bool {
			switch c := b[i]; {
			case i == 0:
				return false
			case c&^1 == 0x52:
				return b[i-1] == 0x0f || i > 1 && b[i-2] == 0xc5 || i > 2 && b[i-3] == 0xc4
			}
			return b[i-1] == 0xd9 && x87Approx[b[i]] != ""
		})
		if err != nil {
			return nil, fmt.Errorf("disassemble %s: %w", path, err)
		}
	}
	data, addr := s.ehFrame()
	if len(s.wanted) == 0 || data == nil {
		return nil, nil
	}
	slices.SortFunc(s.wanted, func(a, b candidate) int { return cmp.Compare(a.addr, b.addr) })
	var found []ApproxSite
	_ = frameSpans(data, addr, func(f span) { // a malformed end leaves what came before it
		lo, hi := s.candidatesIn(f)
		if lo >= hi || err != nil || s.seen[f.start] {
			return
		}
		s.seen[f.start] = true
		end := min(f.end, s.wanted[hi-1].addr+maxInsn)
		err = s.sweep(span{f.start, end}, func(in insn, code []byte, addr uint64) {
			if name := approxOf(in, code); name != "" && len(found) < maxApprox {
				found = append(found, ApproxSite{addr, name})
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("disassemble %s: %w", path, err)
	}
	return found, nil
}

func encodeApprox(s ApproxSite) string { return fmt.Sprintf("%x %s", s.Vaddr, s.Name) }

func decodeApprox(lines []string) ([]ApproxSite, bool) {
	var out []ApproxSite
	for _, l := range lines {
		at, name, ok := strings.Cut(l, " ")
		vaddr, err := strconv.ParseUint(at, 16, 64)
		if !ok || err != nil || name == "" {
			return nil, false
		}
		out = append(out, ApproxSite{vaddr, name})
	}
	return out, len(out) <= maxApprox
}
