package inject

// An opMap is an x86 opcode map: where in the manual's tables an opcode is
// looked up.
type opMap uint8

const (
	mapOne    opMap = iota // one-byte opcodes
	map0F                  // 0F xx
	map0F38                // 0F 38 xx
	map0F3A                // 0F 3A xx
	mapVector              // VEX, EVEX or XOP encoded
)

// An insn is what the scanner has to know about one decoded instruction.
type insn struct {
	len    int
	m      opMap
	op     byte
	modrm  byte // when the opcode has one
	at     int  // where that is
	rex    byte
	opsize bool // 66
	rep    bool // F3
	repne  bool // F2
	lock   bool // F0
}

// maxInsn is the longest instruction that a processor accepts (Intel SDM
// volume 2, 2.3.11).
const maxInsn = 15

// The shape of the bytes behind an opcode.
const (
	shModRM = 1 << iota // a ModRM byte, with SIB and displacement
	shImm8
	shImm16
	shImmZ // 2 bytes with a 66 prefix, else 4
	shImm32
	shImmV  // like shImmZ, 8 with REX.W
	shMoffs // 8 bytes, 4 with a 67 prefix
	shBad
)

// oneByte and twoByte hold the shape of each opcode of the one-byte and the
// 0F map in 64-bit mode (Intel SDM volume 2, appendix A).
var oneByte, twoByte = opcodeTables()

func opcodeTables() (one, two [256]uint8) {
	set := func(t *[256]uint8, shape uint8, ops ...int) {
		for _, op := range ops {
			t[op] = shape
		}
	}
	span := func(t *[256]uint8, shape uint8, from, to int) {
		for op := from; op <= to; op++ {
			t[op] = shape
		}
	}

	for op := 0; op < 0x40; op += 8 {
		span(&one, shModRM, op, op+3)
		one[op+4] = shImm8
		one[op+5] = shImmZ
		span(&one, shBad, op+6, op+7)
	}
	span(&one, shBad, 0x60, 0x62)
	set(&one, shModRM, 0x63)
	set(&one, shImmZ, 0x68, 0xa9)
	set(&one, shModRM|shImmZ, 0x69, 0x81, 0xc7)
	set(&one, shImm8, 0x6a, 0xa8, 0xcd, 0xeb)
	set(&one, shModRM|shImm8, 0x6b, 0x80, 0x83, 0xc0, 0xc1, 0xc6)
	span(&one, shImm8, 0x70, 0x7f)
	span(&one, shModRM, 0x84, 0x8f)
	set(&one, shBad, 0x82, 0x9a, 0xc4, 0xc5, 0xce, 0xd4, 0xd5, 0xd6, 0xea)
	span(&one, shMoffs, 0xa0, 0xa3)
	span(&one, shImm8, 0xb0, 0xb7)
	span(&one, shImmV, 0xb8, 0xbf)
	set(&one, shImm16, 0xc2, 0xca)
	set(&one, shImm16|shImm8, 0xc8)
	span(&one, shModRM, 0xd0, 0xd3)
	span(&one, shModRM, 0xd8, 0xdf)
	span(&one, shImm8, 0xe0, 0xe7)
	set(&one, shImm32, 0xe8, 0xe9)
	set(&one, shModRM, 0xf6, 0xf7, 0xfe, 0xff) // f6 and f7: see decode

	span(&two, shModRM, 0x00, 0xff)
	set(&two, shBad, 0x04, 0x0a, 0x0c, 0x36, 0x39, 0x7a, 0x7b)
	span(&two, shBad, 0x24, 0x27)
	span(&two, shBad, 0x3b, 0x3f)
	set(&two, 0, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x0e, 0x37, 0x77)
	span(&two, 0, 0x30, 0x35)
	span(&two, 0, 0xa0, 0xa2)
	span(&two, 0, 0xa8, 0xaa)
	span(&two, 0, 0xc8, 0xcf)
	span(&two, shImm32, 0x80, 0x8f)
	span(&two, shModRM|shImm8, 0x70, 0x73)
	set(&two, shModRM|shImm8, 0x0f, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6)
	return one, two
}

// decode finds the length and the opcode of the instruction at the start of
// b. It fails on bytes that are no instruction in 64-bit mode, on encodings
// that it does not know (APX), and where b ends too early.
func decode(b []byte) (insn, bool) {
	var in insn
	if len(b) > maxInsn {
		b = b[:maxInsn]
	}
	i := 0
	addr32 := false
prefixes:
	for ; i < len(b); i++ {
		switch c := b[i]; c {
		case 0x66:
			in.opsize = true
		case 0x67:
			addr32 = true
		case 0xf2:
			in.repne = true
		case 0xf3:
			in.rep = true
		case 0xf0:
			in.lock = true
		case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65:
		default:
			if c&0xf0 != 0x40 {
				break prefixes
			}
			in.rex = c
			continue
		}
		in.rex = 0 // only a REX right before the opcode counts
	}
	if i >= len(b) {
		return in, false
	}

	shape, i, ok := opcode(b, i, &in)
	if !ok || shape&shBad != 0 {
		return in, false
	}
	if shape&shModRM != 0 {
		if i, ok = in.address(b, i); !ok {
			return in, false
		}
		if in.m == mapOne && (in.op == 0xf6 || in.op == 0xf7) && in.modrm>>3&7 < 2 {
			if in.op == 0xf6 { // test r/m8, imm8
				shape |= shImm8
			} else {
				shape |= shImmZ
			}
		}
	}
	in.len = i + in.immediates(shape, addr32)
	return in, in.len <= len(b)
}

// opcode reads the opcode at b[i] and returns the shape of what follows and
// where that starts.
func opcode(b []byte, i int, in *insn) (shape uint8, next int, ok bool) {
	at := func(k int) byte { return b[i+k] }
	left := len(b) - i
	switch c := at(0); {
	case c == 0xc5 && left >= 3:
		shape, ok = vectorShape(1, at(2))
		in.m, in.op, i = mapVector, at(2), i+3
	case c == 0xc4 && left >= 4:
		shape, ok = vectorShape(at(1)&0x1f, at(3))
		in.m, in.op, i = mapVector, at(3), i+4
	case c == 0x62 && left >= 6:
		shape, ok = vectorShape(at(1)&7, at(4))
		ok = ok && shape != 0 // vzeroupper has no such form
		in.m, in.op, i = mapVector, at(4), i+5
	case c == 0x8f && left >= 4 && at(1)&0x1f >= 8: // XOP, not pop
		shape, ok = vectorShape(at(1)&0x1f, at(3))
		in.m, in.op, i = mapVector, at(3), i+4
	case c != 0x0f:
		return oneByte[c], i + 1, in.set(mapOne, c)
	case left < 2:
		return 0, i, false
	case at(1) == 0x38 && left >= 3:
		return shModRM, i + 3, in.set(map0F38, at(2))
	case at(1) == 0x3a && left >= 3:
		return shModRM | shImm8, i + 3, in.set(map0F3A, at(2))
	default:
		op := at(1)
		shape = twoByte[op]
		if op == 0x78 && (in.opsize || in.repne) { // SSE4a extrq, insertq
			shape |= shImm16
		}
		return shape, i + 2, in.set(map0F, op)
	}
	return shape, i, ok
}

func (in *insn) set(m opMap, op byte) bool {
	in.m, in.op = m, op
	return true
}

// vectorShape is the shape of a VEX, EVEX (maps 1 to 6) or XOP (8 to 10)
// encoded instruction.
func vectorShape(m, op byte) (uint8, bool) {
	switch m {
	case 1:
		switch {
		case op == 0x77: // vzeroupper, vzeroall
			return 0, true
		case op >= 0x70 && op <= 0x73, op == 0xc2, op == 0xc4, op == 0xc5, op == 0xc6:
			return shModRM | shImm8, true
		}
		return shModRM, true
	case 2, 5, 6, 9:
		return shModRM, true
	case 3, 8:
		return shModRM | shImm8, true
	case 10:
		return shModRM | shImm32, true
	}
	return shBad, false
}

// address reads the ModRM byte at b[i] and skips the SIB byte and the
// displacement.
func (in *insn) address(b []byte, i int) (next int, ok bool) {
	if i >= len(b) {
		return i, false
	}
	in.modrm, in.at = b[i], i
	i++
	mod, rm := in.modrm>>6, in.modrm&7
	// Moves to and from control and debug registers ignore mod.
	if mod == 3 || in.m == map0F && in.op >= 0x20 && in.op <= 0x23 {
		return i, true
	}
	if rm == 4 {
		if i >= len(b) {
			return i, false
		}
		if b[i]&7 == 5 && mod == 0 {
			i += 4
		}
		i++
	}
	switch {
	case mod == 1:
		i++
	case mod == 2, mod == 0 && rm == 5:
		i += 4
	}
	return i, i <= len(b)
}

// immediates is the number of immediate bytes of a shape.
func (in *insn) immediates(shape uint8, addr32 bool) int {
	n := 0
	if shape&shImm8 != 0 {
		n++
	}
	if shape&shImm16 != 0 {
		n += 2
	}
	if shape&shImm32 != 0 {
		n += 4
	}
	z := 4
	if in.opsize && in.rex&8 == 0 {
		z = 2
	}
	if shape&shImmZ != 0 {
		n += z
	}
	if shape&shImmV != 0 {
		if in.rex&8 != 0 {
			z = 8
		}
		n += z
	}
	if shape&shMoffs != 0 {
		if n += 8; addr32 {
			n -= 4
		}
	}
	return n
}
