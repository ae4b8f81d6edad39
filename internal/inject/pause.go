package inject

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pyrr/internal/mem"
)

// A stub for each PauseSite counts the passes down, in one cell of the engine
// area, and traps when that comes to 0. It leaves registers, flags and the red
// zone below the stack pointer (System V ABI x86-64, 3.2.2) as they are, and
// works for any number of threads at once, so that a program which is let go
// may keep it. The pause itself is left out: while a process is recorded, one
// of its threads runs at a time.
//
// A stub is pauseStubSize bytes:
//
//	 0  trap:  xchg rax, rcx; pop rax; lea rsp, [rsp+128]; int3
//	12         jmp body
//	14  entry: lea rsp, [rsp-128]; push rax; mov rax, [cell]; lea rax, [rax-1]
//	           mov [cell], rax; xchg rax, rcx; jrcxz trap
//	           xchg rax, rcx; pop rax; lea rsp, [rsp+128]
//	59  body:  the moved instructions; jmp behind the site
//	88         address of the site
const (
	pauseStubSize = 96
	pauseEntry    = 14
	pauseBody     = 59
	pauseBack     = 88
	pauseInt3     = 12 // behind it
)

// PauseOff is where in the engine area the cell is that pauses count down.
const PauseOff = pauseOff

// PauseNone lets threads pass pauses for ever.
const PauseNone = 1 << 60

// A PausesArea says how to lay out the stubs of one file.
type PausesArea struct {
	Code   mem.Range // R-X
	Writes []Write   // the stubs first, then what leads to them
	Traps  []Site    // those that have no stub, at their link-time addresses
}

// PauseSize is the size of the stubs of so many sites.
func PauseSize(sites int) uint64 { return (uint64(sites)*pauseStubSize + 0xfff) &^ 0xfff }

// BuildPauses lays out stubs at base, for code that lies at bias plus its
// link-time address, within 2 GiB of it. cell is the address of the count.
func BuildPauses(base, bias, cell uint64, sites []PauseSite) (*PausesArea, error) {
	img := &PausesArea{Code: mem.Range{Addr: base, Len: PauseSize(len(sites))}}
	text := make([]byte, 0, len(sites)*pauseStubSize)
	var jumps []Write
	for _, s := range sites {
		site := bias + s.Vaddr
		at := base + uint64(len(text))
		stub, ok := pauseStub(at, site, cell, s)
		if s.How == PauseTrap || !ok {
			img.Traps = append(img.Traps, s.trap())
			continue
		}
		text = append(text, stub...)
		from := site
		if s.How == PauseShort {
			from = bias + s.Pad
			jumps = append(jumps, Write{site, []byte{0xeb, byte(from - site - 2)}})
		}
		rel, ok := near(from+jumpSize, at+pauseEntry)
		if !ok {
			return nil, fmt.Errorf("stubs at %#x: too far from the code at %#x", base, site)
		}
		jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, rel)
		for s.How == PauseJump && len(jump) < s.Len() {
			jump = append(jump, 0x90)
		}
		jumps = append(jumps, Write{from, jump})
	}
	img.Writes = append([]Write{{base, text}}, jumps...)
	return img, nil
}

func (s PauseSite) trap() Site {
	t := Site{Off: s.Off, Vaddr: s.Vaddr, Insn: Pause, Len: len(pauseBytes)}
	copy(t.Orig[:], pauseBytes)
	return t
}

// near is the displacement of a jump that ends at from and leads to to.
func near(from, to uint64) (uint32, bool) {
	d := int64(to - from)
	return uint32(int32(d)), d >= math.MinInt32 && d <= math.MaxInt32
}

// pauseStub makes the stub at an address, or says that what it has to execute
// can't be moved there.
func pauseStub(at, site, cell uint64, s PauseSite) ([]byte, bool) {
	addr := le(cell)
	drop := []byte{0x48, 0x91, 0x58, 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0}
	b := append(slices.Clone(drop), 0xcc, 0xeb, pauseBody-pauseEntry)
	b = append(b, 0x48, 0x8d, 0x64, 0x24, 0x80, 0x50) // lea rsp, [rsp-128]; push rax
	b = append(append(b, 0x48, 0xa1), addr...)
	b = append(b, 0x48, 0x8d, 0x40, 0xff)
	b = append(append(b, 0x48, 0xa3), addr...)
	b = append(b, 0x48, 0x91, 0xe3, 0)
	b[len(b)-1] = byte(-len(b)) // to the trap
	b = append(b, drop...)
	if len(b) != pauseBody {
		return nil, false
	}
	if s.How == PauseJump && s.Orig[0] != 0x90 {
		for i := len(pauseBytes); i < s.Len(); {
			in, ok := decode(s.Orig[i:])
			if !ok || !movable(in, s.Orig[i:]) {
				return nil, false
			}
			moved, ok := relocate(in, s.Orig[i:i+in.len], site+uint64(i), at+uint64(len(b)))
			if !ok {
				return nil, false
			}
			b = append(b, moved...)
			i += in.len
		}
	}
	rel, ok := near(at+uint64(len(b))+jumpSize, site+uint64(s.Len()))
	b = binary.LittleEndian.AppendUint32(append(b, 0xe9), rel)
	if !ok || len(b) > pauseBack {
		return nil, false
	}
	for len(b) < pauseBack {
		b = append(b, 0xcc)
	}
	return append(b, le(site)...), true
}

// relocate returns what does at another address what an instruction does.
func relocate(in insn, code []byte, from, to uint64) ([]byte, bool) {
	kind, target := flowOf(in, code, from)
	switch kind {
	case flowJump:
		rel, ok := near(to+jumpSize, target)
		return binary.LittleEndian.AppendUint32([]byte{0xe9}, rel), ok
	case flowBranch:
		rel, ok := near(to+6, target)
		return binary.LittleEndian.AppendUint32([]byte{0x0f, 0x80 | in.op&0xf}, rel), ok
	}
	out := slices.Clone(code)
	hasModRM := in.at > 0
	if hasModRM && in.modrm>>6 == 0 && in.modrm&7 == 5 { // relative to the next instruction
		disp := int64(int32(binary.LittleEndian.Uint32(code[in.at+1:])))
		rel, ok := near(to, from+uint64(disp))
		binary.LittleEndian.PutUint32(out[in.at+1:], rel)
		return out, ok
	}
	return out, true
}

// PauseTrapped reports whether pc is where a thread stands that was trapped
// by a stub of the area at base.
func PauseTrapped(base, pc uint64) bool { return (pc-base)%pauseStubSize == pauseInt3 }

// PauseSiteOf returns the address in the program that an address in the stubs
// at base stands for.
func PauseSiteOf(m mem.Reader, base, pc uint64) (uint64, bool) {
	var b [8]byte
	at := base + (pc-base)/pauseStubSize*pauseStubSize
	if m.ReadAt(b[:], at+pauseBack) != nil {
		return 0, false
	}
	site := binary.LittleEndian.Uint64(b[:])
	return site, site != 0
}
