package inject

import unix "pyrr/internal/sys"

// assembleCalls makes the common code of a calls area whose cells lie dataOff
// behind its start.
//
// It is entered by a jump from a trampoline, with the registers as at the
// system call except for rcx, which points behind the trampoline's own syscall
// instruction: the way to go on after the call, and two bytes before that the
// way to have it made there.
//
// Fed on replay, it keeps in the record what it was called with, as it does
// while recording, and takes the result and what the call wrote from there.
func assembleCalls(dataOff uint32) (code []byte, labels map[string]int) {
	a := &callsAsm{&asm{labels: map[string]int{}}, dataOff}
	a.dispatch()
	a.guardOthers()
	a.guardData()
	a.guardWords()
	a.guardFDs()
	a.guardOpen()
	a.guardExec()
	a.guardSockets()
	a.guardOptions()
	a.guardNewSockets()
	a.guardMemory()
	a.guardAdvice()
	a.guardQuestions()
	a.guardSelect()
	a.guardTerminal()
	a.guardPolls()
	a.begin()
	a.call()
	a.wrote()
	a.path()
	a.given()
	a.opened()
	a.print()
	a.selects()
	a.told()
	a.toldOf()
	a.toldOfSockets()
	a.named()
	a.sets()
	a.masked()
	a.end()
	a.feed()
	a.label("classes")
	a.emit(le(callClasses)...)
	a.link()
	return a.b, a.labels
}

// atEnd has r11 at the end of what the buffer holds, compared with where it is full.
func (a *callsAsm) atEnd() {
	a.cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	a.cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
}

// begin writes the head of the record.
func (a *callsAsm) begin() {
	a.label("go")
	a.atEnd()
	a.ja("slow")
	a.label("begin")
	a.save(saved{cellRet, rcx})
	a.store(rcx, recPC)
	a.store(rax, recNr)
	for i, reg := range []int{rdi, rsi, rdx, r10, r8, r9} {
		a.store(reg, recArgs+8*i)
	}
	for i, reg := range []int{rbx, rbp, rsp, r12, r12 + 1, r12 + 2, r12 + 3} {
		a.store(reg, recRegs+8*i)
	}
	a.cell(cellBudget, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [budget]
	a.emit(0x48, 0x85, 0xc9)                     // test rcx, rcx
	a.je("counted")
	a.emit(0x48, 0x8b, 0x09)                   // mov rcx, [rcx]
	a.emit(0x48, 0xf7, 0xd9)                   // neg rcx
	a.cell(cellBase, []byte{0x48, 0x03, 0x0d}) // add rcx, [base]
	a.label("counted")
	a.store(rcx, recInstr)
	a.cell(cellReadings, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [readings]
	a.emit(0x48, 0x8b, 0x09)                       // mov rcx, [rcx]
	a.store(rcx, recReadings)
	a.cell(cellCur, []byte{0x4c, 0x89, 0x1d}) // mov [cur], r11
	// Not "unless callsOn": a recording may end here, with callsOff, and then the
	// record does not say what the call does.
	a.cell(cellMode, []byte{0x83, 0x3d}, callsFed) // cmp dword [mode], callsFed
	a.je("fed")
}

// call makes the call, where it might wait without waiting.
func (a *callsAsm) call() {
	a.stamp(recBegan)
	a.load(rax, recNr)
	a.load(rdx, argDX)
	a.cell(cellClass, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [class]
	a.emit(0x83, 0xf9, classPrint)              // cmp ecx, classPrint
	a.jump("call", 0x0f, 0x82)                  // jb
	a.je("print")
	a.emit(0x83, 0xf9, classGone) // cmp ecx, classGone
	a.jne("exists?")
	a.emit(0x48, 0xc7, 0xc0, 0xda, 0xff, 0xff, 0xff) // mov rax, -ENOSYS
	a.jmp("is")
	a.label("exists?")
	a.emit(0x83, 0xf9, classExec) // cmp ecx, classExec
	a.jne("tried")
	a.emit(0x48, 0xc7, 0xc0, 0xfe, 0xff, 0xff, 0xff) // mov rax, -ENOENT: that was found out
	a.jmp("is")
	a.label("tried")
	a.emit(0x83, 0xf9, classRecvTried) // cmp ecx, classRecvTried
	a.jump("call", 0x0f, 0x82)         // jb
	a.emit(0x83, 0xf9, classReadTried) // cmp ecx, classReadTried
	a.jump("ready", 0x0f, 0x83)        // jae
	a.emit(0x41, 0x83, 0xca, 0x40)     // or r10d, MSG_DONTWAIT
	a.jmp("call")
	a.label("ready")
	a.emit(0x83, 0xf9, classTermRead) // cmp ecx, classTermRead
	a.jump("vector", 0x0f, 0x82)      // jb
	a.emit(0x83, 0xf9, classEpoll)    // cmp ecx, classEpoll
	a.jump("call", 0x0f, 0x82)        // jb
	a.jne("polls")
	a.emit(0x45, 0x31, 0xd2) // xor r10d, r10d
	a.jmp("call")
	a.label("polls")
	a.emit(0x83, 0xf9, classSelect) // cmp ecx, classSelect
	a.je("selects")
	a.emit(0x31, 0xd2) // xor edx, edx
	a.label("call")
	a.syscall()
	a.label("called")
	a.cell(cellCur, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [cur]
	a.cell(cellClass, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [class]
	a.emit(0x48, 0x83, 0xf8, 0xf2)              // cmp rax, -EFAULT: a stop tells whether that is so
	a.je("undo")
	a.emit(0x83, 0xf9, classAccess)    // cmp ecx, classAccess
	a.jump("is", 0x0f, 0x82)           // jb
	a.emit(0x83, 0xf9, classEpoll)     // cmp ecx, classEpoll
	a.jump("waits", 0x0f, 0x83)        // jae
	a.emit(0x83, 0xf9, classRecvTried) // cmp ecx, classRecvTried
	a.jump("transferred", 0x0f, 0x83)  // jae
	a.emit(0x48, 0x83, 0xf8, 0xec)     // cmp rax, -ENOTDIR
	a.je("undo")
	a.jmp("is")
	a.waited()
	a.label("undo")
	a.load(r8, arg8)
	a.load(rax, recNr)
	a.load(rdx, argDX)
	a.load(r10, arg10)
	a.restore(saved{cellRet, rcx})
	a.jmp("slow")
	a.label("is")
	a.store(rax, recRet)
	a.label("noted")
	a.stamp(recEnded)
	a.load(rax, recRet)
}

// waited decides whether what an attempt returned, that might have waited, is the result.
func (a *callsAsm) waited() {
	a.label("waits")
	// It was tried: nothing ready is its result only if it was not to wait.
	a.load(r10, arg10)
	a.load(r8, arg8)
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.js("undo")
	a.jne("is")
	a.emit(0x83, 0xf9, classSelect) // cmp ecx, classSelect
	a.je("selected none")
	a.emit(0x83, 0xf9, classEpoll) // cmp ecx, classEpoll
	a.load(rcx, arg10)
	a.je("timeout")
	a.load(rcx, argDX)
	a.label("timeout")
	a.emit(0x85, 0xc9) // test ecx, ecx
	a.je("is")
}

// print makes a write to the command's own output. Where that is a pipe it is tried
// without waiting (pwritev2(2)), as reads and writes of other pipes and of sockets are:
// what would wait is made again with a stop.
func (a *callsAsm) print() {
	const noWait, sysPreadv2 = 8, 327 // RWF_NOWAIT
	a.label("print")
	a.cell(cellKind, []byte{0xf6, 0x05}, FDPipe) // test byte [kind], FDPipe
	a.je("call")
	a.label("vector")
	a.save(saved{cellSI, rsi}, saved{cellDX, rdx}) // a struct iovec
	a.cell(cellSI, []byte{0x48, 0x8d, 0x35})       // lea rsi, [si]
	a.emit(0xba)                                   // mov edx, 1
	a.imm32(1)
	a.emit(0x49, 0xc7, 0xc2) // mov r10, -1: where it stands
	a.imm32(^uint32(0))
	a.emit(0x45, 0x31, 0xc0) // xor r8d, r8d
	a.emit(0x41, 0xb9)       // mov r9d, noWait
	a.imm32(noWait)
	a.emit(0xb8) // mov eax, preadv2
	a.imm32(sysPreadv2)
	a.emit(0x83, 0xf9, classReadTried) // cmp ecx, classReadTried
	a.je("vectored")
	a.emit(0xff, 0xc0) // inc eax: pwritev2
	a.label("vectored")
	a.syscall()
	a.label("printed")
	a.cell(cellCur, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [cur]
	a.load(rsi, argSI)
	a.load(r8, arg8)
	a.load(r9, arg9)
	a.label("transferred")
	a.load(r10, arg10)
	// What the socket or the pipe says of itself is the result, but not what comes of
	// the try: -EAGAIN, -EINTR, -EFAULT, -EBADF, -EINVAL.
	for _, again := range []byte{0xf5, 0xfc, 0xf2, 0xf7, 0xea} {
		a.emit(0x48, 0x83, 0xf8, again) // cmp rax, again
		a.je("undo")
	}
	a.emit(0x48, 0x83, 0xf8, 0xa1) // cmp rax, -EOPNOTSUPP
	a.jne("is")
	a.jmp("undo")
}

// opened keeps what kind of file a new descriptor is.
func (a *callsAsm) opened() {
	a.label("kind")
	a.cell(cellClass, []byte{0x83, 0x3d}, classOpen) // cmp dword [class], classOpen
	a.jne("told")
	a.load(rcx, recRet)
	a.emit(0x48, 0x81, 0xf9) // cmp rcx, CallFDs
	a.imm32(CallFDs)
	a.jae("done")
	a.cell(cellKind, []byte{0x8a, 0x05}) // mov al, [kind]
	a.emit(0x3c, created)                // cmp al, created
	a.jne("kinded")
	// It is new: what it is on, it tells itself. There is room behind what
	// the record has.
	a.save(saved{cellSI, rdi})
	a.emit(0x48, 0x8d, 0x77, 8) // lea rsi, [rdi+8]
	a.emit(0x89, 0xcf)          // mov edi, ecx
	a.emit(0xb8)                // mov eax, fstat
	a.imm32(5)
	a.syscall()
	a.cell(cellCur, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [cur]
	a.emit(0x48, 0x8b, 0x56, statDev)         // mov rdx, [rsi+statDev]
	a.emit(0x8b, 0x4e, stMode)                // mov ecx, [rsi+stMode]
	a.restore(saved{cellSI, rdi})
	a.emit(0x85, 0xc0) // test eax, eax
	a.emit(0xb8)       // mov eax, 0
	a.imm32(0)
	a.jne("new")
	a.emit(0x81, 0xe1) // and ecx, S_IFMT
	a.imm32(sIfmt)
	a.emit(0x81, 0xf9) // cmp ecx, S_IFREG
	a.imm32(sIfreg)
	a.jne("new")
	a.jumpIfDev(rdx, "local")
	a.jmp("new")
	a.label("local")
	a.emit(0xb0, FDRead|FDWrite) // mov al, …
	a.label("new")
	a.load(rcx, recRet)
	a.label("kinded")
	a.cell(cellFDs, []byte{0x48, 0x8d, 0x35}) // lea rsi, [fds]
	a.emit(0x88, 0x04, 0x0e)                  // mov [rsi+rcx], al
	a.jmp("done")
}

// told keeps what a call told of memory or of a descriptor.
func (a *callsAsm) told() {
	a.label("told")
	a.cell(cellClass, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [class]
	a.toldByClass()
	a.toldOfCopy()
	a.label("memory")
	a.emit(0x83, 0xf9, classMmap) // cmp ecx, classMmap
	a.load(rsi, argSI)
	a.je("mapped")
	a.emit(0x83, 0xf9, classMremap) // cmp ecx, classMremap
	a.load(rsi, argDX)
	a.jne("unmapped")
	a.label("mapped")
	a.load(rax, recRet)
	a.emit(0x48, 0x3d) // cmp rax, -4095: an error
	a.imm32(0xfffff001)
	a.jae("done")
	a.cell(cellLast, []byte{0x48, 0x89, 0x05}) // mov [last], rax
	a.emit(0x48, 0x81, 0xc6)                   // add rsi, 0xfff
	a.imm32(0xfff)
	a.emit(0x48, 0x81, 0xe6) // and rsi, -0x1000
	a.imm32(0xfffff000)
	a.cell(cellLast+8, []byte{0x48, 0x89, 0x35}) // mov [last.len], rsi
	a.jmp("done")
	a.label("unmapped")
	a.emit(0x80, 0x7a, 5, 0) // cmp byte [rdx+fstat], 0
	a.je("done")
	a.emit(0x49, 0x83, 0xbb) // cmp qword [r11+recRet], 0
	a.imm32(recRet)
	a.emit(0)
	a.jne("done")
	a.emit(0x49, 0x83, 0xbb) // cmp qword [r11+recInLen], 0
	a.imm32(recInLen)
	a.emit(0)
	a.jne("done")
	a.load(rcx, argDI)
	a.emit(0x48, 0x81, 0xf9) // cmp rcx, CallFDs
	a.imm32(CallFDs)
	a.jae("done")
	a.emit(0x41, 0x8b, 0xb3) // mov esi, [r11+callHead+stMode]
	a.imm32(callHead + stMode)
	a.emit(0x81, 0xe6) // and esi, S_IFMT
	a.imm32(sIfmt)
	a.emit(0x81, 0xfe) // cmp esi, S_IFREG
	a.imm32(sIfreg)
	a.cell(cellFDs, []byte{0x48, 0x8d, 0x35}) // lea rsi, [fds]
	a.je("regular")
	a.emit(0x41, 0xf6, 0x83) // test byte [r11+callHead+stMode+1], S_IFBLK &^ S_IFCHR: no character device
	a.imm32(callHead + stMode + 1)
	a.emit((sIfblk &^ sIfchr) >> 8)
	a.jne("other")
	a.emit(0x49, 0x81, 0xbb) // cmp qword [r11+callHead+stRdev], null(4)
	a.imm32(callHead + stRdev)
	a.imm32(devNull)
	a.je("done")
	a.label("other")
	a.emit(0xf6, 0x04, 0x0e, FDStdout|FDStderr|FDTry) // test byte [rsi+rcx], FDStdout|FDStderr|FDTry
	a.jne("done")
	a.emit(0xc6, 0x04, 0x0e, 0) // mov byte [rsi+rcx], 0
	a.jmp("done")
	a.label("regular")
	a.emit(0x49, 0x8b, 0x83) // mov rax, [r11+callHead+statDev]
	a.imm32(callHead + statDev)
	a.jumpIfDev(rax, "readable")
	a.jmp("done")
	a.label("readable")
	a.emit(0x80, 0x0c, 0x0e, FDRead) // or byte [rsi+rcx], FDRead
	a.jmp("done")
}

// toldOfCopy keeps that a descriptor is what the one is that it was copied from.
func (a *callsAsm) toldOfCopy() {
	a.emit(0x83, 0xf9, classDupTold) // cmp ecx, classDupTold
	a.jne("memory")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.js("done")
	a.load(rcx, recNr)
	a.emit(0x83, 0xf9, unix.SYS_DUP2) // cmp ecx, dup2
	a.jne("duplicated")
	a.load(rcx, argDI)
	a.emit(0x48, 0x81, 0xf9) // cmp rcx, CallFDs
	a.imm32(CallFDs)
	a.jae("done")
	a.cell(cellFDs, []byte{0x48, 0x8d, 0x35}) // lea rsi, [fds]
	a.emit(0x8a, 0x04, 0x0e)                  // mov al, [rsi+rcx]
	a.load(rcx, argSI)
	a.emit(0x88, 0x04, 0x0e) // mov [rsi+rcx], al
	a.jmp("done")
}

// toldByClass leads calls of the class in rcx to what is kept of them.
func (a *callsAsm) toldByClass() {
	a.emit(0x83, 0xf9, classFutex) // cmp ecx, classFutex
	a.je("woken")
	a.emit(0x83, 0xf9, classMask) // cmp ecx, classMask
	a.je("masked")
	a.emit(0x83, 0xf9, classPipe) // cmp ecx, classPipe
	a.je("piped")
	a.emit(0x83, 0xf9, classSocket) // cmp ecx, classSocket
	a.je("made")
	a.emit(0x83, 0xf9, classPair) // cmp ecx, classPair
	a.je("made")
	a.emit(0x83, 0xf9, className) // cmp ecx, className
	a.je("connected")
	a.emit(0x83, 0xf9, classTaken) // cmp ecx, classTaken
	a.je("connected")
}

// toldOf keeps that a thread was woken, and what a pipe's descriptors and a copy are.
func (a *callsAsm) toldOf() {
	a.label("woken")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.jle("done")
	a.load(rcx, argSI)
	a.emit(0xf6, 0xc1, 0x80) // test cl, FUTEX_PRIVATE_FLAG
	a.je("done")
	a.cell(cellReady, []byte{0xc6, 0x05}, ReadyCalls) // mov byte [ready], ReadyCalls: a thread of this process
	a.jmp("done")
	a.label("duplicated")
	a.load(rcx, argDI)
	a.cell(cellFDs, []byte{0x48, 0x8d, 0x35}) // lea rsi, [fds]
	a.emit(0x8a, 0x14, 0x0e)                  // mov dl, [rsi+rcx]
	a.jmp("socket's")
	a.label("piped")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.jne("done")
	for _, off := range []uint32{0, 4} {
		end := []string{"read end", "write end"}[off/4]
		a.emit(0x41, 0x8b, 0x8b) // mov ecx, [r11+callHead+off]
		a.imm32(callHead + off)
		a.emit(0x81, 0xf9) // cmp ecx, CallFDs
		a.imm32(CallFDs)
		a.jae(end)
		a.cell(cellFDs, []byte{0x48, 0x8d, 0x35})      // lea rsi, [fds]
		a.emit(0xc6, 0x04, 0x0e, FDRead|FDWrite|FDTry) // mov byte [rsi+rcx], …
		a.label(end)
	}
	a.jmp("done")
}

// end completes the record and goes on behind the call.
func (a *callsAsm) end() {
	a.label("done")
	a.emit(0x48, 0x83, 0xc7, 7)    // add rdi, 7
	a.emit(0x48, 0x83, 0xe7, 0xf8) // and rdi, -8
	a.label("finish")
	a.cell(cellPos, []byte{0x48, 0x89, 0x3d}) // mov [pos], rdi
	a.load(rax, recRet)
	a.load(rdi, argDI)
	a.load(rsi, argSI)
	a.load(rdx, argDX)
	a.restore(saved{cellRet, rcx})
	a.emit(0xff, 0xe1) // jmp rcx
}

// feed takes from the next record what the call did, on replay.
func (a *callsAsm) feed() {
	a.label("feed")
	a.atEnd()
	a.jae("slow")
	a.jmp("begin")
	a.label("fed")
	a.load(rdi, recOut)
	a.load(rcx, recOutLen)
	a.emit(0x49, 0x8d, 0xb3) // lea rsi, [r11+callHead]
	a.imm32(callHead)
	a.emit(0x48, 0x83, 0xff, pieces) // cmp rdi, pieces
	a.je("pieces")
	a.emit(0xf3, 0xa4) // rep movsb
	a.label("in pieces")
	a.load(rdi, recNext)
	a.jmp("finish")

	a.feedPieces()

	a.label("slow")
	a.emit(0x48, 0x83, 0xe9, 2) // sub rcx, 2
	a.emit(0xff, 0xe1)          // jmp rcx
}
