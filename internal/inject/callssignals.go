package inject

// ofTraps are the signals that traps of pyrr's raise (SIGILL, SIGTRAP, SIGBUS, SIGSEGV):
// the recorder has to know what a program does about them before the next one comes.
const ofTraps = 1<<4 | 1<<5 | 1<<7 | 1<<11

// guardSignals are rt_sigaction and rt_sigprocmask. A mask that lets go of a signal that
// waits delivers it before the call returns: such a call stops.
func (a *callsAsm) guardSignals() {
	const sigBlock, sigSetmask, sysSigpending, maskSize = 0, 2, 127, 8
	a.label("sigaction")
	a.emit(0x48, 0x85, 0xf6) // test rsi, rsi
	a.je("go")
	a.emit(0x83, 0xff, 30) // cmp edi, 30: SIGSYS is 31, of traps too
	a.ja("slow")
	a.emit(0x41, 0xbb) // mov r11d, ofTraps
	a.imm32(ofTraps)
	a.emit(0x41, 0x0f, 0xa3, 0xfb) // bt r11d, edi
	a.jump("slow", 0x0f, 0x82)     // jb
	a.jmp("go")

	a.label("mask")
	a.emit(0x49, 0x83, 0xfa, maskSize) // cmp r10, maskSize
	a.jne("slow")
	a.emit(0x48, 0x85, 0xf6) // test rsi, rsi
	a.je("go")
	a.emit(0x85, 0xff) // test edi, edi: sigBlock
	a.je("go")
	a.emit(0x83, 0xff, sigSetmask) // cmp edi, sigSetmask
	a.ja("slow")
	a.atEnd()
	a.ja("slow")
	a.save(saved{cellRet, rcx}, saved{cellNr, rax}, saved{cellSI, rsi}, saved{cellDX, rdi})
	a.emit(0x49, 0x8d, 0xbb) // lea rdi, [r11+callHead]
	a.imm32(callHead)
	a.emit(0xbe) // mov esi, maskSize
	a.imm32(maskSize)
	a.emit(0xb8) // mov eax, rt_sigpending
	a.imm32(sysSigpending)
	a.syscall()
	a.emit(0x48, 0x0b, 0x07) // or rax, [rdi]
	a.emit(0x49, 0x89, 0xc3) // mov r11, rax
	a.restore(saved{cellRet, rcx}, saved{cellNr, rax}, saved{cellSI, rsi}, saved{cellDX, rdi})
	a.emit(0x4d, 0x85, 0xdb) // test r11, r11
	a.jne("slow")
	a.jmp("go")
}

// masked notes what the thread blocks now. It keeps rdi, which is where the record ends.
func (a *callsAsm) masked() {
	const sysSigprocmask, maskSize = 14, 8
	a.label("masked")
	a.save(saved{cellSI, rdi})
	a.emit(0x31, 0xff)                         // xor edi, edi: SIG_BLOCK
	a.emit(0x31, 0xf6)                         // xor esi, esi: nothing
	a.cell(cellMask, []byte{0x48, 0x8d, 0x15}) // lea rdx, [mask]
	a.emit(0x41, 0xba)                         // mov r10d, maskSize
	a.imm32(maskSize)
	a.emit(0xb8) // mov eax, rt_sigprocmask
	a.imm32(sysSigprocmask)
	a.syscall()
	a.cell(cellMask, []byte{0x48, 0x81, 0x0d}, 0, 1, 0, 0) // or qword [mask], maskNoted
	a.cell(cellCur, []byte{0x4c, 0x8b, 0x1d})              // mov r11, [cur]
	a.load(r10, arg10)
	a.restore(saved{cellSI, rdi})
	a.jmp("done")
}

// guardAdvice is madvise of the part of a stack that is below where the thread is: what
// the C library gives up where a thread ends.
func (a *callsAsm) guardAdvice() {
	const dontNeed, farthest = 4, 1 << 26 // MADV_DONTNEED
	a.label("advise")
	a.emit(0x83, 0xfa, dontNeed) // cmp edx, dontNeed
	a.jne("slow")
	a.emit(0x49, 0x89, 0xe3) // mov r11, rsp
	a.emit(0x49, 0x29, 0xfb) // sub r11, rdi
	a.jump("slow", 0x0f, 0x82)
	a.emit(0x49, 0x81, 0xfb) // cmp r11, farthest
	a.imm32(farthest)
	a.ja("slow")
	a.emit(0x4c, 0x39, 0xde) // cmp rsi, r11
	a.ja("slow")
	a.jmp("go")
}

// NewMask is the signal mask of a thread (bit n-1 for signal n) that a calls area's
// Mask tells of. ok is false where no buffered call has changed it.
func NewMask(cell uint64) (mask uint64, ok bool) {
	return cell &^ maskNoted, cell&maskNoted != 0
}
