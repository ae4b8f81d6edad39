package inject

import unix "pyrr/internal/sys"

// dispatch leads a call to what decides whether it needs a stop, by its class.
func (a *callsAsm) dispatch() {
	a.cell(cellMode, []byte{0x83, 0x3d}, callsOn) // cmp dword [mode], callsOn
	a.jump("slow", 0x0f, 0x82)                    // jb
	a.ja("feed")
	a.emit(0x48, 0x3d) // cmp rax, callTable
	a.imm32(callTable)
	a.jae("slow")
	a.cell(cellTable, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [table]
	a.emit(0x45, 0x0f, 0xb6, 0x1c, 0x03)        // movzx r11d, byte [r11+rax]
	a.emit(0x45, 0x85, 0xdb)                    // test r11d, r11d
	a.je("slow")
	a.cell(cellClass, []byte{0x4c, 0x89, 0x1d}) // mov [class], r11
	a.slowIfShared()
	a.cell(cellClass, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [class]
	a.is(classRead, "read")
	a.is(classWrite, "write")
	a.is(classIoctl, "ioctl")
	a.is(classFutex, "futex")
	a.is(classClose, "close")
	a.is(classDup2, "dup2")
	a.is(classDupTold, "dup2")
	a.is(classFcntl, "fcntl")
	a.is(classGetdents, "bounded")
	a.is(classOpen, "open")
	a.is(classTruncate, "truncate")
	a.is(classRecv, "recv")
	a.is(classSend, "send")
	a.is(classMmap, "mmap")
	a.is(classMremap, "mremap")
	a.is(classMunmap, "munmap")
	a.is(classMprotect, "mprotect")
	a.is(classSigaction, "sigaction")
	a.is(classFill, "random")
	a.is(classSync, "sync")
	a.is(classEpollCtl, "epollctl")
	a.is(classExec, "exec")
	a.is(classReadlink, "readlink")
	a.is(classEpoll, "epoll")
	a.is(classPoll, "poll")
	a.jmp("go")
}

// guardOthers are the calls of which one argument decides.
func (a *callsAsm) guardOthers() {
	a.label("sigaction")
	a.emit(0x48, 0x85, 0xf6) // test rsi, rsi
	a.jne("slow")
	a.emit(0x48, 0x85, 0xd2) // test rdx, rdx
	a.je("slow")
	a.jmp("go")

	a.label("readlink")
	a.emit(0x48, 0x85, 0xd2) // test rdx, rdx
	a.je("slow")
	a.jmp("bounded")

	a.label("random")
	a.slowAbove(rsi, maxCallData)
	a.jmp("go")

	a.label("epollctl")
	a.emit(0x83, 0xfe, 2) // cmp esi, EPOLL_CTL_DEL, whose pointer leads nowhere
	a.je("slow")
	a.jmp("go")

	a.label("sync")
	a.mayOn(FDWrite)
	a.jmp("go")
}

// guardData are those that read and write files, and what they may take of the record.
func (a *callsAsm) guardData() {
	a.label("read")
	a.mayOn(FDRead)
	a.emit(0x48, 0x81, 0xfa) // cmp rdx, maxCallData
	a.imm32(maxCallData)
	a.jump("go", 0x0f, 0x86) // jbe
	a.slowAbove(rdx, maxCallOut)
	a.cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	a.emit(0x49, 0x01, 0xd3)                    // add r11, rdx
	a.cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	a.ja("slow")
	a.jmp("go")

	a.label("truncate")
	a.mayOn(FDWrite)
	a.jmp("go")

	a.label("write")
	a.mayOn(FDWrite)
	a.slowAbove(rdx, maxCallOut)
	a.emit(0x45, 0x0f, 0xb6, 0x1c, 0x3b)        // movzx r11d, byte [r11+rdi]
	a.emit(0x41, 0xf6, 0xc3, FDStdout|FDStderr) // test r11b, FDStdout|FDStderr
	a.je("go")
	a.cell(cellKind, []byte{0x44, 0x88, 0x1d}) // mov [kind], r11b
	a.slowAbove(rdx, maxPrinted)
	a.emit(0x83, 0xf8, unix.SYS_WRITE) // cmp eax, write
	a.jne("slow")
	a.cell(cellClass, []byte{0xc6, 0x05}, classPrint) // mov byte [class], classPrint
	a.jmp("go")
	a.label("bounded")
	a.slowAbove(rdx, maxCallData)
	a.jmp("go")
}

// guardWords are ioctl and futex, by the word that says what they do.
func (a *callsAsm) guardWords() {
	const tcgets = 0x5401 // asm-generic/ioctls.h
	a.label("ioctl")
	a.emit(0x81, 0xfe) // cmp esi, TCGETS
	a.imm32(tcgets)
	a.jne("slow")
	a.jmp("go")

	const futexWake, futexCmd = 1, 0x7f // linux/futex.h
	a.label("futex")
	a.emit(0x41, 0x89, 0xf3)            // mov r11d, esi
	a.emit(0x41, 0x83, 0xe3, futexCmd)  // and r11d, futexCmd
	a.emit(0x41, 0x83, 0xfb, futexWake) // cmp r11d, FUTEX_WAKE
	a.jne("slow")
	a.jmp("go")
}

// slowAbove has a call stop whose argument in a register is above a limit.
func (a *callsAsm) slowAbove(reg byte, limit uint32) {
	a.emit(0x48, 0x81, 0xf8|reg) // cmp reg, limit
	a.imm32(limit)
	a.ja("slow")
}

// forget lets go what is known of the descriptor in a register, which a call gives a
// new meaning.
func (a *callsAsm) forget(label string, reg byte) {
	a.label(label)
	a.emit(0x48, 0x81, 0xf8|reg) // cmp reg, CallFDs
	a.imm32(CallFDs)
	a.jae("slow")
	a.cell(cellFDs, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [fds]
	a.emit(0x41, 0xc6, 0x04, reg<<3|0x03, 0)  // mov byte [r11+reg], 0
	a.jmp("go")
}

// guardFDs are those after which a descriptor stands for something else.
func (a *callsAsm) guardFDs() {
	a.forget("close", rdi)
	a.forget("dup2", rsi)

	a.label("fcntl")
	a.emit(0x83, 0xfe, 6) // cmp esi, F_SETLK
	a.je("lock")
	a.emit(0x44, 0x8d, 0x5e, 0xff) // lea r11d, [rsi-1]: F_GETFD is 1, F_SETFL 4
	a.emit(0x41, 0x83, 0xfb, 3)    // cmp r11d, 3
	a.ja("slow")

	a.jmp("go")
	a.label("lock")
	a.cell(cellClass, []byte{0xc6, 0x05}, classLock) // mov byte [class], classLock
	a.jmp("go")
}

// guardOpen is open: of a file that can be opened at once, that is one that is not
// there, a folder, a regular file on a device that is known to have just such.
func (a *callsAsm) guardOpen() {
	const (
		oCreat, oNoFollow = 0x40, 0x20000 // asm-generic/fcntl.h
		// O_ACCMODE, O_EXCL, O_NOCTTY, O_APPEND, O_NONBLOCK, O_LARGEFILE,
		// O_DIRECTORY, O_CLOEXEC; O_TRUNC may change what is mapped.
		oKnown = oCreat | oNoFollow | 0x3 | 0x80 | 0x100 | 0x400 | 0x800 | 0x8000 | 0x10000 | 0x80000
	)
	a.label("open")
	a.emit(0xf7, 0xc2) // test edx, ^oKnown
	a.imm32(^uint32(oKnown))
	a.jne("slow")
	a.atEnd()
	a.ja("slow")
	a.cell(cellRet, []byte{0x48, 0x89, 0x0d}) // mov [ret], rcx
	a.cell(cellNr, []byte{0x48, 0x89, 0x05})  // mov [nr], rax
	a.cell(cellDX, []byte{0x48, 0x89, 0x15})  // mov [dx], rdx
	a.cell(cell10, []byte{0x4c, 0x89, 0x15})  // mov [r10], r10
	a.emit(0x41, 0x89, 0xd2)                  // mov r10d, edx
	a.emit(0x41, 0xc1, 0xea, 9)               // shr r10d, 9
	a.emit(0x41, 0x81, 0xe2)                  // and r10d, AT_SYMLINK_NOFOLLOW
	a.imm32(0x100)
	a.emit(0x49, 0x8d, 0x93) // lea rdx, [r11+callHead]
	a.imm32(callHead)
	a.emit(0xb8) // mov eax, newfstatat
	a.imm32(sysNewfstatat)
	a.syscall()
	a.cell(cellPos, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [pos]
	a.cell(cellDX, []byte{0x48, 0x8b, 0x15})  // mov rdx, [dx]
	a.cell(cell10, []byte{0x4c, 0x8b, 0x15})  // mov r10, [r10]
	a.cell(cellKind, []byte{0xc6, 0x05}, 0)   // mov byte [kind], 0
	a.emit(0x48, 0x85, 0xc0)                  // test rax, rax
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
	a.emit(0x49, 0x8b, 0x83) // mov rax, [r11+callHead+statDev]
	a.imm32(callHead + statDev)
	a.emit(0x49, 0x8b, 0x8b) // mov rcx, [r11+callHead+statI]
	a.imm32(callHead + statI)
	for i := range uint32(2) {
		other := []string{"other0", "other1"}[i]
		a.cell(cellOuts+16*i, []byte{0x48, 0x3b, 0x05}) // cmp rax, [outs.dev]
		a.jne(other)
		a.cell(cellOuts+16*i+8, []byte{0x48, 0x3b, 0x0d}) // cmp rcx, [outs.ino]
		a.je("unopened")
		a.label(other)
	}
	a.emit(0x81, 0xe1) // and ecx, 8*HeldBytes-1
	a.imm32(8*HeldBytes - 1)
	a.cell(cellHeld, []byte{0x0f, 0xa3, 0x0d}) // bt [held], ecx
	a.jump("unopened", 0x0f, 0x82)             // jb
	a.jumpIfDev(rax, "known")
	a.label("unopened")
	a.cell(cellNr, []byte{0x48, 0x8b, 0x05})  // mov rax, [nr]
	a.cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	a.jmp("slow")
	a.label("known")
	a.cell(cellKind, []byte{0xc6, 0x05}, FDRead|FDWrite) // mov byte [kind], …
	a.label("opened")
	a.cell(cellNr, []byte{0x48, 0x8b, 0x05})  // mov rax, [nr]
	a.cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	a.jmp("go")
}

// guardExec is execve of a program that is not there, as execvp(3) tries the folders
// of the PATH.
func (a *callsAsm) guardExec() {
	a.label("exec")
	a.atEnd()
	a.ja("slow")
	a.cell(cellRet, []byte{0x48, 0x89, 0x0d}) // mov [ret], rcx
	a.cell(cellNr, []byte{0x48, 0x89, 0x3d})  // mov [nr], rdi
	a.cell(cellSI, []byte{0x48, 0x89, 0x35})  // mov [si], rsi
	a.cell(cellDX, []byte{0x48, 0x89, 0x15})  // mov [dx], rdx
	a.cell(cell10, []byte{0x4c, 0x89, 0x15})  // mov [r10], r10
	a.emit(0x49, 0x8d, 0x93)                  // lea rdx, [r11+callHead]
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
	a.cell(cellNr, []byte{0x48, 0x8b, 0x3d})  // mov rdi, [nr]
	a.cell(cellSI, []byte{0x48, 0x8b, 0x35})  // mov rsi, [si]
	a.cell(cellDX, []byte{0x48, 0x8b, 0x15})  // mov rdx, [dx]
	a.cell(cell10, []byte{0x4c, 0x8b, 0x15})  // mov r10, [r10]
	a.cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	a.emit(0x49, 0x83, 0xfb, 0xfe)            // cmp r11, -ENOENT
	a.jne("slow")
	a.jmp("go")
}

// guardSockets are recvfrom and sendto: the file must be one that never waits, whoever
// set that. No address, and no flags that make it wait for more or for less.
func (a *callsAsm) guardSockets() {
	const msgKnown = 0x4000 | 0x40 // MSG_NOSIGNAL, MSG_DONTWAIT
	a.label("recv")
	a.slowAbove(rdx, maxCallOut)
	a.cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	a.emit(0x49, 0x01, 0xd3)                    // add r11, rdx
	a.cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	a.ja("slow")
	a.label("send")
	a.emit(0x4d, 0x85, 0xc0) // test r8, r8
	a.jne("slow")
	a.emit(0x41, 0xf7, 0xc2) // test r10d, ^msgKnown
	a.imm32(^uint32(msgKnown))
	a.jne("slow")
	a.cell(cellRet, []byte{0x48, 0x89, 0x0d}) // mov [ret], rcx
	a.cell(cellNr, []byte{0x48, 0x89, 0x05})  // mov [nr], rax
	a.cell(cellSI, []byte{0x48, 0x89, 0x35})  // mov [si], rsi
	a.emit(0xb8)                              // mov eax, fcntl
	a.imm32(sysFcntl)
	a.emit(0xbe) // mov esi, F_GETFL
	a.imm32(3)
	a.syscall()
	a.emit(0x49, 0x89, 0xc3)                  // mov r11, rax
	a.cell(cellNr, []byte{0x48, 0x8b, 0x05})  // mov rax, [nr]
	a.cell(cellSI, []byte{0x48, 0x8b, 0x35})  // mov rsi, [si]
	a.cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	a.emit(0x4d, 0x85, 0xdb)                  // test r11, r11
	a.js("slow")
	a.emit(0x41, 0xf7, 0xc3) // test r11d, O_NONBLOCK
	a.imm32(0x800)
	a.je("slow")
	a.jmp("go")
}

// guardMemory is memory where malloc gets a large block, changes it and gives it back. A
// replay has these calls made with a stop.
func (a *callsAsm) guardMemory() {
	const anonymous, readWrite, mayMove = 0x22, 3, 1 // MAP_PRIVATE, MAP_ANONYMOUS; asm-generic/mman-common.h
	a.label("mmap")
	a.emit(0x48, 0x85, 0xff) // test rdi, rdi
	a.jne("slow")
	a.emit(0x83, 0xfa, readWrite) // cmp edx, readWrite
	a.jne("slow")
	a.emit(0x41, 0x83, 0xfa, anonymous) // cmp r10d, anonymous
	a.jne("slow")
	a.jmp("go")

	a.label("mremap")
	a.emit(0x41, 0x83, 0xfa, mayMove) // cmp r10d, mayMove
	a.jne("slow")
	a.cell(cellLast, []byte{0x48, 0x3b, 0x3d}) // cmp rdi, [last]
	a.jne("slow")
	a.emit(0x4c, 0x8d, 0x9e) // lea r11, [rsi+0xfff]
	a.imm32(0xfff)
	a.emit(0x49, 0x81, 0xe3) // and r11, -0x1000
	a.imm32(0xfffff000)
	a.cell(cellLast+8, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [last.len]
	a.jne("slow")
	a.jmp("go")

	a.label("munmap")
	a.cell(cellLast, []byte{0x48, 0xc7, 0x05}, 0, 0, 0, 0) // mov qword [last], 0
	a.jmp("go")

	a.label("mprotect")
	a.emit(0xf7, 0xc2) // test edx, ^readWrite
	a.imm32(^uint32(readWrite))
	a.jne("slow")
	a.jmp("go")
}

// guardPolls are epoll_wait and poll, of as much as has room in a record.
func (a *callsAsm) guardPolls() {
	a.label("epoll")
	a.emit(0x81, 0xfa) // cmp edx, maxReady
	a.imm32(maxReady)
	a.ja("slow")
	a.jmp("go")

	a.label("poll")
	a.emit(0x48, 0x83, 0xfe, maxPolled) // cmp rsi, maxPolled
	a.ja("slow")
}

// mayOn leads calls on a descriptor that is not known to be good for it, reading or
// writing, to where they stop. It uses r11.
func (a *callsAsm) mayOn(bit byte) {
	a.emit(0x48, 0x81, 0xff) // cmp rdi, CallFDs
	a.imm32(CallFDs)
	a.jae("slow")
	a.cell(cellFDs, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [fds]
	a.emit(0x41, 0xf6, 0x04, 0x3b, bit)       // test byte [r11+rdi], bit
	a.je("slow")
}

// slowIfShared leads calls that point into shared memory to where they stop: another
// process may hold it, and then the kernel would find nothing there, or only a part.
// It uses r11.
func (a *callsAsm) slowIfShared() {
	for i, from := range [][]byte{{0x49, 0x89, 0xfb}, {0x49, 0x89, 0xf3}, {0x49, 0x89, 0xd3}} {
		private := []string{"rdi", "rsi", "rdx"}[i]
		a.emit(from...)                                // mov r11, rdi, rsi or rdx
		a.cell(cellShared, []byte{0x4c, 0x2b, 0x1d})   // sub r11, [shared]
		a.cell(cellShared+8, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [shared.len]
		a.jump(private, 0x0f, 0x83)                    // jae
		a.jump("slow", 0xe9)                           // jmp
		a.label(private)
	}
}

// jumpIfDev jumps where a register below r8 is one of the devices whose files need no
// stop.
func (a *callsAsm) jumpIfDev(reg byte, to string) {
	for i := range uint32(MaxDevs) {
		a.cell(cellDevs+8*i, []byte{0x48, 0x3b, reg<<3 | 5}) // cmp reg, [devs]
		a.jump(to, 0x0f, 0x84)                               // je
	}
}
