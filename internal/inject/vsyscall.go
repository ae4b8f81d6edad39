package inject

import "encoding/binary"

// The kernel's vsyscall page offers three calls at fixed addresses
// (arch/x86/entry/vsyscall). The kernel answers them where the page faults, and no
// tracer is told. What calls them so loads an address and jumps to it: the load is a
// site, and gets the address of a function of the area that makes the system call.
const (
	vsyscallPage = 0xffffffffff600000
	vsyscallStep = 0x400
)

// vsyscalls are the system calls that they stand for, in order: gettimeofday, time and
// getcpu.
var vsyscalls = [3]uint32{96, 201, 309}

// InVsyscall says whether an address lies in the vsyscall page.
func InVsyscall(addr uint64) bool { return addr&^0xfff == vsyscallPage }

// farCall is how far behind the load of an address its call may be.
const farCall = 64

// loadOf classifies what sets a register to the address of a vsyscall: mov with a
// constant of 32 or 64 bits, lea of an absolute address.
func loadOf(in insn, code []byte) (reg int, value uint64, ok bool) {
	if in.m != mapOne || in.rex&8 == 0 || in.opsize || in.rep || in.repne || in.lock {
		return 0, 0, false
	}
	imm32 := func() uint64 { return uint64(int64(int32(binary.LittleEndian.Uint32(code[in.len-4:])))) }
	switch {
	case in.op == 0xc7 && in.modrm&0xf8 == 0xc0:
		return int(in.modrm&7 | in.rex<<3&8), imm32(), true
	case in.op&0xf8 == 0xb8:
		return int(in.op&7 | in.rex<<3&8), binary.LittleEndian.Uint64(code[in.len-8:]), true
	case in.op == 0x8d && in.modrm&0xc7 == 4 && in.rex&2 == 0 && code[in.at+1] == 0x25:
		return int(in.modrm>>3&7 | in.rex<<1&8), imm32(), true
	}
	return 0, 0, false
}

// vsyscallOf is the site of a load, if it is one. It does not say that the address is
// called.
func vsyscallOf(in insn, code []byte) (s Site, ok bool) {
	reg, value, ok := loadOf(in, code)
	which := (value - vsyscallPage) / vsyscallStep
	if !ok || value%vsyscallStep != 0 || which >= uint64(len(vsyscalls)) || in.len > maxSite {
		return s, false
	}
	s = Site{Insn: Vsyscall, Len: in.len, Reg: reg, Size: int(which)}
	copy(s.Orig[:], code[:in.len])
	return s, true
}

// called says whether the register of a load is called, or jumped to, a few instructions
// behind it, none of which does anything else with it: then the constant is an address
// and not the number -10485760. code begins with the load.
func (s *Site) called(code []byte) bool {
	for i := s.Len; i < min(len(code), s.Len+farCall); {
		in, ok := decode(code[i:])
		if !ok || in.m != mapOne && (in.m != map0F || in.op != 0x1f) {
			return false
		}
		rm := int(in.modrm&7 | in.rex<<3&8)
		reg := int(in.modrm>>3&7 | in.rex<<1&8)
		mod3 := in.modrm>>6 == 3
		switch op := in.op; {
		case in.m == map0F, op == 0x90, op == 0x6a, op == 0x68: // nop, push of a constant
		case op == 0xff && mod3 && (reg&7 == 2 || reg&7 == 4):
			return rm == s.Reg
		case op&0xf8 == 0xb8, op&0xf8 == 0x50: // mov of a constant, push
			if int(op&7|in.rex<<3&8) == s.Reg {
				return false
			}
		case op == 0xc7, op == 0x83, op == 0x81: // mov, arithmetic with a constant
			if mod3 && rm == s.Reg {
				return false
			}
		case op >= 0x88 && op <= 0x8b, op == 0x8d, op == 0x31, op == 0x33, op == 0x85, op == 0x39, op == 0x3b: // mov, lea, xor, test, cmp
			if reg == s.Reg || mod3 && rm == s.Reg {
				return false
			}
		default:
			return false
		}
		i += in.len
	}
	return false
}

// vsyscallConstant says whether b[i:] are the upper bytes of such an address as a constant
// in code, from its third on.
func vsyscallConstant(b []byte, i int) bool {
	return i+1 < len(b) && b[i] == 0x60 && b[i+1] == 0xff && (i < 2 || b[i-2] == 0 && b[i-1]&^0xc == 0)
}

// vsyscallLen is the size of one of the functions in the place of the vsyscalls.
const vsyscallLen = 15

// vsyscallCode emits the functions in the place of the vsyscalls.
func (a *asm) vsyscallCode(l *stubLayout) {
	for i, nr := range vsyscalls {
		for a.here()%16 != 0 {
			a.emit(0xcc)
		}
		l.vsyscall[i] = a.here()
		a.emit(0xb8) // mov eax, NUMBER
		a.b = binary.LittleEndian.AppendUint32(a.b, nr)
		a.emit(0x0f, 0x05)                   // syscall
		a.emit(0x31, 0xc9, 0x45, 0x31, 0xdb) // xor ecx, ecx; r11d
		a.emit(0x39, 0xc0)                   // cmp eax, eax
		a.emit(0xc3)                         // ret
	}
}
