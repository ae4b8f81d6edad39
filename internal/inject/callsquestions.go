package inject

// maxCopied bounds what is copied between files at once: nobody else of the process runs
// meanwhile.
const maxCopied = 1 << 23

// guardQuestions are calls of which an argument says whether they only ask, and copies
// from one regular file to another.
func (a *callsAsm) guardQuestions() {
	a.label("kill")
	a.emit(0x85, 0xf6) // test esi, esi
	a.jne("slow")
	a.jmp("go")

	a.label("limits")
	a.emit(0x85, 0xff) // test edi, edi: of this process
	a.jne("slow")
	a.emit(0x48, 0x85, 0xd2) // test rdx, rdx: none are set
	a.jne("slow")
	a.jmp("go")

	// Without room they return how much there is, and write nothing.
	a.label("list")
	a.emit(0x48, 0x85, 0xd2) // test rdx, rdx
	a.je("slow")
	a.jmp("bounded")
	a.label("attr")
	a.emit(0x4d, 0x85, 0xd2) // test r10, r10
	a.je("slow")
	a.emit(0x49, 0x81, 0xfa) // cmp r10, maxCallData
	a.imm32(maxCallData)
	a.ja("slow")
	a.jmp("go")

	a.label("sendfile")
	a.emit(0x49, 0x81, 0xfa) // cmp r10, maxCopied
	a.imm32(maxCopied)
	a.ja("slow")
	a.mayOn(FDWrite)
	a.emit(0x41, 0xf6, 0x04, 0x3b, FDStdout|FDStderr|FDPipe|FDTry) // test byte [r11+rdi], …
	a.jne("slow")
	a.emit(0x48, 0x81, 0xfe) // cmp rsi, CallFDs
	a.imm32(CallFDs)
	a.jae("slow")
	a.emit(0x41, 0xf6, 0x04, 0x33, FDRead) // test byte [r11+rsi], FDRead
	a.je("slow")
	a.emit(0x41, 0xf6, 0x04, 0x33, FDPipe|FDTry) // test byte [r11+rsi], …
	a.jne("slow")
	a.jmp("go")
}
