package inject

import (
	"encoding/binary"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
)

// Operands returns the memory that the instruction at the start of code reads
// or writes when it is executed with the registers r: too much rather than too
// little. ok is false for one that is not known well enough, that does more than
// change registers and that memory, or whose operands are vectors to compute
// with: no loop that waits is made of such.
func Operands(code []byte, r *linux.Regs) (at []mem.Range, ok bool) {
	in, ok := decode(code)
	if !ok || in.rep || in.repne {
		// A prefix of repetition belongs to an SSE instruction, or to a string.
		if !ok || in.m == mapOne && !(in.op == 0x90 || in.op == 0xc3 || in.op == 0xc2) {
			return nil, false
		}
	}
	const stack = 16
	switch in.m {
	case mapOne:
		op, reg := in.op, in.modrm>>3&7
		switch {
		case op >= 0x50 && op <= 0x5f, op == 0x68, op == 0x6a, op == 0xe8, op == 0xc2, op == 0xc3, op == 0x8f,
			op == 0xff && (reg == 2 || reg == 6):
			at = append(at, mem.Range{Addr: r.Rsp - stack, Len: 2 * stack})
		case op == 0xc9: // leave
			at = append(at, mem.Range{Addr: r.Rbp, Len: 8})
		case op < 0x40 && op&7 < 6, op == 0x63, op == 0x69, op == 0x6b, op >= 0x70 && op <= 0x99, op == 0xa8, op == 0xa9,
			op >= 0xb0 && op <= 0xc1, op == 0xc6 && in.modrm != 0xf8, op == 0xc7 && in.modrm != 0xf8, op >= 0xd0 && op <= 0xd3, op == 0xeb, op == 0xe9,
			op == 0xe3, op == 0xf5, op == 0xf6, op == 0xf7, op == 0xf8, op == 0xf9, op == 0xfc, op == 0xfd, op == 0xfe,
			op == 0xff && (reg < 2 || reg == 4):
		default:
			return nil, false
		}
		if op == 0x8d || op == 0x9a || op == 0x9b {
			return at, op == 0x8d // lea touches nothing
		}
	case map0F:
		op := in.op
		switch {
		case op == 0x1f, op == 0x18, op == 0x0d: // nop, prefetch
			return nil, true
		case op >= 0x40 && op <= 0x4f, op >= 0x80 && op <= 0x9f, op >= 0xa4 && op <= 0xa5, op >= 0xac && op <= 0xad, op == 0xaf,
			op == 0xb0, op == 0xb1, op == 0xb6, op == 0xb7, op >= 0xba && op <= 0xbf, op == 0xb8, op == 0xc0, op == 0xc1,
			op == 0xc7 && in.modrm < 0xc0 && in.modrm>>3&7 == 1, op >= 0xc8 && op <= 0xcf,
			op == 0xae && in.modrm >= 0xe8,                                                                             // fences
			op == 0x10, op == 0x11, op == 0x28, op == 0x29, op == 0x6e, op == 0x6f, op == 0x7e, op == 0x7f, op == 0xd6: // moves
		case (op == 0xa3 || op == 0xab || op == 0xb3 || op == 0xbb) && in.modrm >= 0xc0: // bt of a register
		default:
			return nil, false
		}
	default:
		return nil, false
	}
	if in.at == 0 || in.modrm >= 0xc0 {
		return at, true
	}
	addr, ok := address(in, code, r)
	size := uint64(8)
	if in.m == map0F {
		size = 16
	}
	return append(at, mem.Range{Addr: addr, Len: size}), ok
}

// address is where a memory operand lies (Intel SDM volume 2, 2.1.5).
func address(in insn, code []byte, r *linux.Regs) (uint64, bool) {
	regs := [16]uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15}
	base := uint64(0)
	for _, p := range code[:in.at] {
		switch p {
		case 0x64:
			base = r.FsBase
		case 0x65:
			base = r.GsBase
		case 0x67:
			return 0, false // addresses of 32 bits
		}
		if p == 0x0f {
			break
		}
	}
	mod, rm := in.modrm>>6, in.modrm&7
	at := in.at + 1
	disp32 := func() uint64 { return uint64(int64(int32(binary.LittleEndian.Uint32(code[at:])))) }
	var a uint64
	switch {
	case rm == 4:
		sib := code[at]
		at++
		if i := sib>>3&7 | in.rex<<2&8; i != 4 {
			a = regs[i] << (sib >> 6)
		}
		if sib&7 == 5 && mod == 0 {
			a += disp32()
		} else {
			a += regs[sib&7|in.rex<<3&8]
		}
	case rm == 5 && mod == 0:
		return base + r.Rip + uint64(in.len) + disp32(), true
	default:
		a = regs[rm|in.rex<<3&8]
	}
	switch mod {
	case 1:
		a += uint64(int64(int8(code[at])))
	case 2:
		a += disp32()
	}
	return base + a, true
}
