package inject

import "encoding/binary"

// An asm collects machine code whose data references are relative to the
// instruction pointer, so that the bytes don't depend on where the area is.
type asm struct {
	b      []byte
	org    uint32 // offset of b[0] in the area
	labels map[string]int
	fixups []fixup
}

// A fixup is a 32-bit displacement at b[at] to be filled in.
type fixup struct {
	at    int
	label string
}

func (a *asm) emit(b ...byte) { a.b = append(a.b, b...) }

// here is the offset in the area of the next instruction.
func (a *asm) here() uint32 { return a.org + uint32(len(a.b)) }

func (a *asm) label(name string) { a.labels[name] = len(a.b) }

// data emits an instruction that ends in a 32-bit displacement to the byte at
// off of the area, followed by imm.
func (a *asm) data(off uint32, op []byte, imm ...byte) {
	a.emit(op...)
	end := a.here() + 4 + uint32(len(imm))
	a.b = binary.LittleEndian.AppendUint32(a.b, off-end)
	a.emit(imm...)
}

// jump emits a jump to a label: the opcode, then a 32-bit displacement.
func (a *asm) jump(label string, op ...byte) {
	a.emit(op...)
	a.fixups = append(a.fixups, fixup{len(a.b), label})
	a.emit(0, 0, 0, 0)
}

// link fills the jumps in.
func (a *asm) link() {
	for _, f := range a.fixups {
		binary.LittleEndian.PutUint32(a.b[f.at:], uint32(a.labels[f.label]-(f.at+4)))
	}
}

// Offsets in the code page of what the stub is made of.
type stubLayout struct {
	code                   []byte
	gadget, timeFunc, full uint32 // of the area
	replay, end            uint32
	vsyscall               [3]uint32 // gettimeofday, time, getcpu, by system calls
	cfi                    []byte
}

// timeIDs are the clocks that the kernel's vDSO reads without a system
// call: REALTIME, MONOTONIC, MONOTONIC_RAW, REALTIME_COARSE, MONOTONIC_COARSE,
// BOOTTIME (clock_gettime(2), linux/time.h).
const timeIDs = 1<<0 | 1<<1 | 1<<4 | 1<<5 | 1<<6 | 1<<7

// assemble makes the code of the area. base is needed for the unwind
// program alone.
func assemble(base uint64) stubLayout {
	a := &asm{org: codeOff, labels: map[string]int{}}
	var l stubLayout

	// The gadget: any system call, then back to the tracer.
	l.gadget = a.here()
	a.emit(0x0f, 0x05) // syscall
	a.emit(0xcc)       // int3
	for a.here()%16 != 0 {
		a.emit(0xcc)
	}

	onStack, offStack := a.clockGettime(&l)

	// What fn points to on replay: the answer is in the buffer already.
	for a.here()%16 != 0 {
		a.emit(0xcc)
	}
	l.replay = a.here()
	a.emit(0x31, 0xc0, 0xc3) // xor eax, eax; ret
	a.vsyscallCode(&l)
	l.end = a.here()
	a.link()
	l.code = a.b
	l.cfi = stubCFI(base, onStack-codeOff, offStack-codeOff)
	return l
}

// clockGettime is int clock_gettime(clockid_t id /* edi */, struct timespec *ts /* rsi */).
// It leaves all caller-saved general registers but rax zero and the flags as of an
// equal comparison, so that nothing of how the answer came about is left in them. From
// onStack to offStack it is on a stack of its own.
func (a *asm) clockGettime(l *stubLayout) (onStack, offStack uint32) {
	l.timeFunc = a.here()
	a.data(modeOff, []byte{0x83, 0x3d}, ModeBuffer) // cmp dword [mode], 0
	a.jump("special", 0x0f, 0x85)                   // jne
	a.emit(0x83, 0xff, 7)                           // cmp edi, 7
	a.jump("syscall", 0x0f, 0x87)                   // ja
	a.emit(0xb8, timeIDs, 0, 0, 0)                  // mov eax, timeIDs
	a.emit(0x0f, 0xa3, 0xf8)                        // bt eax, edi
	a.jump("syscall", 0x0f, 0x83)                   // jnc
	a.label("again")
	a.data(countOff, []byte{0x48, 0x8b, 0x05}) // mov rax, [count]
	a.emit(0x48, 0x3d)                         // cmp rax, MaxReadings
	a.b = binary.LittleEndian.AppendUint32(a.b, MaxReadings)
	a.jump("full", 0x0f, 0x83) // jae

	a.data(userTSOff, []byte{0x48, 0x89, 0x35}) // mov [userTS], rsi
	a.data(userSPOff, []byte{0x48, 0x89, 0x25}) // mov [userSP], rsp
	a.data(bufOff, []byte{0x48, 0x8d, 0x35})    // lea rsi, [buf]
	a.emit(0x48, 0xc1, 0xe0, 4)                 // shl rax, 4
	a.emit(0x48, 0x01, 0xc6)                    // add rsi, rax
	a.data(stackTop, []byte{0x48, 0x8d, 0x25})  // lea rsp, [stack top]
	onStack = a.here()                          //
	a.data(fnOff, []byte{0xff, 0x15})           // call [fn]
	a.data(userSPOff, []byte{0x48, 0x8b, 0x25}) // mov rsp, [userSP]
	offStack = a.here()                         //
	a.data(userTSOff, []byte{0x48, 0x8b, 0x35}) // mov rsi, [userTS]
	a.data(countOff, []byte{0x48, 0x8b, 0x05})  // mov rax, [count]
	a.data(bufOff, []byte{0x48, 0x8d, 0x15})    // lea rdx, [buf]
	a.emit(0x48, 0x89, 0xc1)                    // mov rcx, rax
	a.emit(0x48, 0xc1, 0xe1, 4)                 // shl rcx, 4
	a.emit(0x4c, 0x8b, 0x04, 0x0a)              // mov r8, [rdx+rcx]
	a.emit(0x4c, 0x8b, 0x4c, 0x0a, 8)           // mov r9, [rdx+rcx+8]
	a.emit(0x48, 0xff, 0xc0)                    // inc rax
	a.data(countOff, []byte{0x48, 0x89, 0x05})  // mov [count], rax
	a.emit(0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2)  // xor eax, eax; ecx; edx
	a.emit(0x31, 0xff, 0x45, 0x31, 0xd2)        // xor edi, edi; r10d
	a.emit(0x45, 0x31, 0xdb)                    // xor r11d, r11d
	// The program's pointer may be bad. A fault here finds everything else
	// done, and the program's own stack.
	a.emit(0x4c, 0x89, 0x06)             // mov [rsi], r8
	a.emit(0x4c, 0x89, 0x4e, 8)          // mov [rsi+8], r9
	a.emit(0x31, 0xf6, 0x45, 0x31, 0xc0) // xor esi, esi; r8d
	a.emit(0x45, 0x31, 0xc9)             // xor r9d, r9d
	a.emit(0x39, 0xc0)                   // cmp eax, eax: unlike xor, defines AF
	a.emit(0xc3)                         // ret

	a.label("full")
	l.full = a.here()
	a.emit(0xcc)          // int3: the tracer empties the buffer
	a.jump("again", 0xe9) // jmp

	a.label("special")
	a.data(modeOff, []byte{0x83, 0x3d}, ModePassthrough) // cmp dword [mode], 1
	a.jump("syscall", 0x0f, 0x85)                        // jne
	a.data(fnOff, []byte{0xff, 0x25})                    // jmp [fn]

	// The other clocks cost a system call without pyrr, too.
	a.label("syscall")
	a.emit(0xb8, 228, 0, 0, 0)           // mov eax, SYS_clock_gettime
	a.emit(0x0f, 0x05)                   // syscall
	a.emit(0x31, 0xc9, 0x45, 0x31, 0xdb) // xor ecx, ecx; r11d
	a.emit(0x31, 0xd2, 0x31, 0xf6)       // xor edx, edx; esi
	a.emit(0x31, 0xff, 0x45, 0x31, 0xc0) // xor edi, edi; r8d
	a.emit(0x45, 0x31, 0xc9)             // xor r9d, r9d
	a.emit(0x45, 0x31, 0xd2)             // xor r10d, r10d
	a.emit(0x39, 0xc0)                   // cmp eax, eax
	a.emit(0xc3)                         // ret
	return onStack, offStack
}

// stubCFI is the unwind program of the code page: everywhere the return
// address is on top of the stack, but between the offsets on and off, the
// stack pointer of the caller is in the cell userSP (DWARF 5, 6.4.2).
func stubCFI(base uint64, on, off uint32) []byte {
	// DW_OP_addr cell, DW_OP_deref, DW_OP_plus_uconst 8
	expr := append([]byte{0x03}, le(base+userSPOff)...)
	expr = append(expr, 0x06, 0x23, 8)
	b := append([]byte{0x03}, le(uint16(on))...) // DW_CFA_advance_loc2
	b = append(b, 0x0f, byte(len(expr)))         // DW_CFA_def_cfa_expression
	b = append(b, expr...)
	b = append(b, 0x03)
	b = append(b, le(uint16(off-on))...)
	return append(b, 0x0c, 7, 8) // DW_CFA_def_cfa rsp+8
}
