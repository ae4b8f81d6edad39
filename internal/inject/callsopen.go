package inject

// guardOpen is open: of a file that can be opened at once, that is one that is not
// there, a folder, a regular file on a device that is known to have just such.
func (a *callsAsm) guardOpen() {
	const (
		oCreat, oNoFollow, oTrunc = 0x40, 0x20000, 0x200 // asm-generic/fcntl.h
		// O_ACCMODE, O_EXCL, O_NOCTTY, O_TRUNC, O_APPEND, O_NONBLOCK, O_LARGEFILE,
		// O_DIRECTORY, O_CLOEXEC.
		oKnown = oCreat | oNoFollow | 0x3 | 0x80 | 0x100 | oTrunc | 0x400 | 0x800 | 0x8000 | 0x10000 | 0x80000
	)
	a.label("open")
	a.emit(0xf7, 0xc2) // test edx, ^oKnown
	a.imm32(^uint32(oKnown))
	a.jne("slow")
	a.atEnd()
	a.ja("slow")
	a.save(saved{cellRet, rcx}, saved{cellNr, rax}, saved{cellDX, rdx}, saved{cell10, r10})
	a.emit(0x41, 0x89, 0xd2)    // mov r10d, edx
	a.emit(0x41, 0xc1, 0xea, 9) // shr r10d, 9
	a.emit(0x41, 0x81, 0xe2)    // and r10d, AT_SYMLINK_NOFOLLOW
	a.imm32(0x100)
	a.emit(0x49, 0x8d, 0x93) // lea rdx, [r11+callHead]
	a.imm32(callHead)
	a.emit(0xb8) // mov eax, newfstatat
	a.imm32(sysNewfstatat)
	a.syscall()
	a.cell(cellPos, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [pos]
	a.restore(saved{cellDX, rdx}, saved{cell10, r10})
	a.cell(cellKind, []byte{0xc6, 0x05}, 0) // mov byte [kind], 0
	a.emit(0x48, 0x85, 0xc0)                // test rax, rax
	a.je("exists")
	a.emit(0x48, 0x83, 0xf8, 0xfe) // cmp rax, -ENOENT
	a.jne("unopened")
	a.emit(0xf6, 0xc2, oCreat) // test dl, O_CREAT
	a.je("opened")
	a.cell(cellKind, []byte{0xc6, 0x05}, created) // mov byte [kind], created
	a.jmp("opened")
	a.label("exists")
	a.emit(0x41, 0x8b, 0x83) // mov eax, [r11+callHead+stMode]
	a.imm32(callHead + stMode)
	a.emit(0x25) // and eax, S_IFMT
	a.imm32(sIfmt)
	a.emit(0x3d) // cmp eax, S_IFDIR
	a.imm32(ifDir)
	a.je("opened")
	a.emit(0x3d) // cmp eax, S_IFREG
	a.imm32(sIfreg)
	a.jne("unopened")
	a.emit(0xf7, 0xc2) // test edx, O_TRUNC: only an empty file stays as it is
	a.imm32(oTrunc)
	a.je("kept")
	a.emit(0x49, 0x83, 0xbb) // cmp qword [r11+callHead+stSize], 0
	a.imm32(callHead + stSize)
	a.emit(0)
	a.jne("unopened")
	a.label("kept")
	a.emit(0x49, 0x8b, 0x83) // mov rax, [r11+callHead+statDev]
	a.imm32(callHead + statDev)
	a.unlessOutput("unopened")
	a.emit(0x81, 0xe1) // and ecx, 8*HeldBytes-1
	a.imm32(8*HeldBytes - 1)
	a.cell(cellHeld, []byte{0x0f, 0xa3, 0x0d}) // bt [held], ecx
	a.jump("unopened", 0x0f, 0x82)             // jb
	a.jumpIfDev(rax, "known")
	a.label("unopened")
	a.restore(saved{cellNr, rax}, saved{cellRet, rcx})
	a.jmp("slow")
	a.label("known")
	a.cell(cellKind, []byte{0xc6, 0x05}, FDRead|FDWrite) // mov byte [kind], …
	a.label("opened")
	a.restore(saved{cellNr, rax}, saved{cellRet, rcx})
	a.jmp("go")
}

// guardExec is execve of a program that is not there, as execvp(3) tries the folders
// of the PATH.
func (a *callsAsm) guardExec() {
	a.label("exec")
	a.atEnd()
	a.ja("slow")
	a.save(saved{cellRet, rcx}, saved{cellNr, rdi}, saved{cellSI, rsi}, saved{cellDX, rdx}, saved{cell10, r10})
	a.emit(0x49, 0x8d, 0x93) // lea rdx, [r11+callHead]
	a.imm32(callHead)
	a.emit(0x48, 0x89, 0xfe) // mov rsi, rdi
	a.emit(0x48, 0xc7, 0xc7) // mov rdi, AT_FDCWD
	a.imm32(^uint32(99))     // -100
	a.emit(0x45, 0x31, 0xd2) // xor r10d, r10d
	a.emit(0xb8)             // mov eax, newfstatat
	a.imm32(sysNewfstatat)
	a.syscall()
	a.emit(0x49, 0x89, 0xc3) // mov r11, rax
	a.emit(0xb8)             // mov eax, execve
	a.imm32(sysExecve)
	a.restore(saved{cellNr, rdi}, saved{cellSI, rsi}, saved{cellDX, rdx}, saved{cell10, r10}, saved{cellRet, rcx})
	a.emit(0x49, 0x83, 0xfb, 0xfe) // cmp r11, -ENOENT
	a.jne("slow")
	a.jmp("go")
}

// unlessOutput leads an open of what the command's output goes to, whose device is in
// rax, to where it stops. It leaves the inode in rcx.
func (a *callsAsm) unlessOutput(stops string) {
	a.emit(0x49, 0x8b, 0x8b) // mov rcx, [r11+callHead+statI]
	a.imm32(callHead + statI)
	for i := range uint32(2) {
		other := []string{"other0", "other1"}[i]
		a.cell(cellOuts+16*i, []byte{0x48, 0x3b, 0x05}) // cmp rax, [outs.dev]
		a.jne(other)
		a.cell(cellOuts+16*i+8, []byte{0x48, 0x3b, 0x0d}) // cmp rcx, [outs.ino]
		a.je(stops)
		a.label(other)
	}
}
