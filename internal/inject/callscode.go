package inject

import "encoding/binary"

// assembleCalls makes the common code of a calls area whose cells lie dataOff
// behind its start.
//
// It is entered by a jump from a trampoline, with the registers as at the
// system call but for rcx, which points behind the trampoline's own syscall
// instruction: the way to go on after the call, and two bytes before that the
// way to have it made there.
//
// Fed on replay, it keeps in the record what it was called with, as it does
// while recording, and takes the result and what the call wrote from there.
func assembleCalls(dataOff uint32) (code []byte, negate, total int) {
	a := &asm{labels: map[string]int{}}
	cell := func(off uint32, op []byte, imm ...byte) { a.data(dataOff+off, op, imm...) }
	imm32 := func(v uint32) { a.b = binary.LittleEndian.AppendUint32(a.b, v) }
	// load and store move between a register and the record that r11 points to.
	move := func(op byte, reg, off int) {
		rex := byte(0x49) // REX.W, REX.B for r11
		if reg >= 8 {
			rex |= 4
		}
		a.emit(rex, op, byte(0x80|reg&7<<3|3))
		imm32(uint32(off))
	}
	store := func(reg, off int) { move(0x89, reg, off) }
	load := func(reg, off int) { move(0x8b, reg, off) }
	const rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r12 = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12
	jmp := func(l string) { a.jump(l, 0xe9) }
	ja := func(l string) { a.jump(l, 0x0f, 0x87) }
	jae := func(l string) { a.jump(l, 0x0f, 0x83) }
	je := func(l string) { a.jump(l, 0x0f, 0x84) }
	jne := func(l string) { a.jump(l, 0x0f, 0x85) }
	jle := func(l string) { a.jump(l, 0x0f, 0x8e) }
	js := func(l string) { a.jump(l, 0x0f, 0x88) }
	syscall := func() { a.emit(0x0f, 0x05) }

	const stMode, sIfmt, sIfreg = 24, 0xf000, 0x8000 // asm/stat.h

	cell(cellMode, []byte{0x83, 0x3d}, callsOn) // cmp dword [mode], callsOn
	a.jump("slow", 0x0f, 0x82)                  // jb
	ja("feed")
	a.emit(0x48, 0x3d) // cmp rax, callTable
	imm32(callTable)
	jae("slow")
	cell(cellTable, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [table]
	a.emit(0x45, 0x0f, 0xb6, 0x1c, 0x03)      // movzx r11d, byte [r11+rax]
	a.emit(0x45, 0x85, 0xdb)                  // test r11d, r11d
	je("slow")
	cell(cellClass, []byte{0x4c, 0x89, 0x1d}) // mov [class], r11
	a.slowIfShared(dataOff)
	cell(cellClass, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [class]
	is := func(class byte, l string) {
		a.emit(0x41, 0x83, 0xfb, class) // cmp r11d, class
		je(l)
	}
	is(classRead, "read")
	is(classWrite, "write")
	is(classIoctl, "ioctl")
	is(classFutex, "futex")
	is(classClose, "close")
	is(classDup2, "dup2")
	is(classFcntl, "fcntl")
	is(classGetdents, "bounded")
	is(classOpen, "open")
	is(classTruncate, "truncate")
	is(classRecv, "recv")
	is(classSend, "send")
	is(classMmap, "mmap")
	is(classMremap, "mremap")
	is(classMunmap, "munmap")
	is(classMprotect, "mprotect")
	is(classSigaction, "sigaction")
	is(classRandom, "random")
	is(classSync, "sync")
	is(classEpollCtl, "epollctl")
	is(classExec, "exec")
	is(classReadlink, "readlink")
	is(classEpoll, "epoll")
	is(classPoll, "poll")
	jmp("go")

	a.label("sigaction")
	a.emit(0x48, 0x85, 0xf6) // test rsi, rsi
	jne("slow")
	a.emit(0x48, 0x85, 0xd2) // test rdx, rdx
	je("slow")
	jmp("go")

	a.label("readlink")
	a.emit(0x48, 0x85, 0xd2) // test rdx, rdx
	je("slow")
	jmp("bounded")

	a.label("random")
	a.emit(0x48, 0x81, 0xfe) // cmp rsi, maxCallData
	imm32(maxCallData)
	ja("slow")
	jmp("go")

	a.label("epollctl")
	a.emit(0x83, 0xfe, 2) // cmp esi, EPOLL_CTL_DEL, whose pointer leads nowhere
	je("slow")
	jmp("go")

	a.label("sync")
	a.emit(0x48, 0x81, 0xff) // cmp rdi, CallFDs
	imm32(CallFDs)
	jae("slow")
	cell(cellFDs, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [fds]
	a.emit(0x41, 0xf6, 0x04, 0x3b, FDWrite) // test byte [r11+rdi], FDWrite
	je("slow")
	jmp("go")

	a.label("read")
	a.emit(0x48, 0x81, 0xff) // cmp rdi, CallFDs
	imm32(CallFDs)
	jae("slow")
	cell(cellFDs, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [fds]
	a.emit(0x41, 0xf6, 0x04, 0x3b, FDRead)  // test byte [r11+rdi], FDRead
	je("slow")
	a.emit(0x48, 0x81, 0xfa) // cmp rdx, maxCallData
	imm32(maxCallData)
	a.jump("go", 0x0f, 0x86) // jbe
	a.emit(0x48, 0x81, 0xfa) // cmp rdx, maxCallOut
	imm32(maxCallOut)
	ja("slow")
	cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	a.emit(0x49, 0x01, 0xd3)                  // add r11, rdx
	cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	ja("slow")
	jmp("go")

	a.label("truncate")
	a.emit(0x48, 0x81, 0xff) // cmp rdi, CallFDs
	imm32(CallFDs)
	jae("slow")
	cell(cellFDs, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [fds]
	a.emit(0x41, 0xf6, 0x04, 0x3b, FDWrite) // test byte [r11+rdi], FDWrite
	je("slow")
	jmp("go")

	a.label("write")
	a.emit(0x48, 0x81, 0xff) // cmp rdi, CallFDs
	imm32(CallFDs)
	jae("slow")
	cell(cellFDs, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [fds]
	a.emit(0x41, 0xf6, 0x04, 0x3b, FDWrite) // test byte [r11+rdi], FDWrite
	je("slow")
	a.emit(0x48, 0x81, 0xfa) // cmp rdx, maxCallOut
	imm32(maxCallOut)
	ja("slow")
	jmp("go")
	a.label("bounded")
	a.emit(0x48, 0x81, 0xfa) // cmp rdx, maxCallData
	imm32(maxCallData)
	ja("slow")
	jmp("go")

	const tcgets = 0x5401 // asm-generic/ioctls.h
	a.label("ioctl")
	a.emit(0x81, 0xfe) // cmp esi, TCGETS
	imm32(tcgets)
	jne("slow")
	jmp("go")

	const futexWake, futexCmd = 1, 0x7f // linux/futex.h
	a.label("futex")
	a.emit(0x41, 0x89, 0xf3)            // mov r11d, esi
	a.emit(0x41, 0x83, 0xe3, futexCmd)  // and r11d, futexCmd
	a.emit(0x41, 0x83, 0xfb, futexWake) // cmp r11d, FUTEX_WAKE
	jne("slow")
	jmp("go")

	a.label("close")
	a.emit(0x48, 0x81, 0xff) // cmp rdi, CallFDs
	imm32(CallFDs)
	jae("slow")
	cell(cellFDs, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [fds]
	a.emit(0x41, 0xc6, 0x04, 0x3b, 0)       // mov byte [r11+rdi], 0
	jmp("go")

	a.label("dup2")
	a.emit(0x48, 0x81, 0xfe) // cmp rsi, CallFDs
	imm32(CallFDs)
	jae("slow")
	cell(cellFDs, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [fds]
	a.emit(0x41, 0xc6, 0x04, 0x33, 0)       // mov byte [r11+rsi], 0
	jmp("go")

	a.label("fcntl")
	a.emit(0x83, 0xfe, 6) // cmp esi, F_SETLK
	je("lock")
	a.emit(0x44, 0x8d, 0x5e, 0xff) // lea r11d, [rsi-1]: F_GETFD is 1, F_SETFL 4
	a.emit(0x41, 0x83, 0xfb, 3)    // cmp r11d, 3
	ja("slow")

	jmp("go")
	a.label("lock")
	cell(cellClass, []byte{0xc6, 0x05}, classLock) // mov byte [class], classLock
	jmp("go")

	// A file that can be opened at once: one that is not there, a folder, a
	// regular file on a device that is known to have just such.
	const (
		oCreat, oNoFollow = 0x40, 0x20000 // asm-generic/fcntl.h
		// O_ACCMODE, O_EXCL, O_NOCTTY, O_APPEND, O_NONBLOCK, O_LARGEFILE,
		// O_DIRECTORY, O_CLOEXEC; O_TRUNC may change what is mapped.
		oKnown         = oCreat | oNoFollow | 0x3 | 0x80 | 0x100 | 0x400 | 0x800 | 0x8000 | 0x10000 | 0x80000
		sysNewfstatat  = 262
		sysFcntl       = 72
		sysExecve      = 59
		statDev, statI = 0, 8 // in struct stat
		ifDir          = 0x4000
		created        = 0xff // in cellKind: it was not there before
	)
	a.label("open")
	a.emit(0xf7, 0xc2) // test edx, ^oKnown
	imm32(^uint32(oKnown))
	jne("slow")
	cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	ja("slow")
	cell(cellRet, []byte{0x48, 0x89, 0x0d}) // mov [ret], rcx
	cell(cellNr, []byte{0x48, 0x89, 0x05})  // mov [nr], rax
	cell(cellDX, []byte{0x48, 0x89, 0x15})  // mov [dx], rdx
	cell(cell10, []byte{0x4c, 0x89, 0x15})  // mov [r10], r10
	a.emit(0x41, 0x89, 0xd2)                // mov r10d, edx
	a.emit(0x41, 0xc1, 0xea, 9)             // shr r10d, 9
	a.emit(0x41, 0x81, 0xe2)                // and r10d, AT_SYMLINK_NOFOLLOW
	imm32(0x100)
	a.emit(0x49, 0x8d, 0x93) // lea rdx, [r11+callHead]
	imm32(callHead)
	a.emit(0xb8) // mov eax, newfstatat
	imm32(sysNewfstatat)
	syscall()
	cell(cellPos, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [pos]
	cell(cellDX, []byte{0x48, 0x8b, 0x15})  // mov rdx, [dx]
	cell(cell10, []byte{0x4c, 0x8b, 0x15})  // mov r10, [r10]
	cell(cellKind, []byte{0xc6, 0x05}, 0)   // mov byte [kind], 0
	a.emit(0x48, 0x85, 0xc0)                // test rax, rax
	je("exists")
	a.emit(0x48, 0x83, 0xf8, 0xfe) // cmp rax, -ENOENT
	jne("unopened")
	a.emit(0xf6, 0xc2, oCreat) // test dl, O_CREAT
	je("opened")
	cell(cellKind, []byte{0xc6, 0x05}, created) // mov byte [kind], created
	jmp("opened")
	a.label("exists")
	a.emit(0x41, 0x8b, 0x83) // mov eax, [r11+callHead+stMode]
	imm32(callHead + stMode)
	a.emit(0x25) // and eax, S_IFMT
	imm32(sIfmt)
	a.emit(0x3d) // cmp eax, S_IFDIR
	imm32(ifDir)
	je("opened")
	a.emit(0x3d) // cmp eax, S_IFREG
	imm32(sIfreg)
	jne("unopened")
	a.emit(0x49, 0x8b, 0x83) // mov rax, [r11+callHead+statDev]
	imm32(callHead + statDev)
	a.emit(0x49, 0x8b, 0x8b) // mov rcx, [r11+callHead+statI]
	imm32(callHead + statI)
	for i := range uint32(2) {
		other := []string{"other0", "other1"}[i]
		cell(cellOuts+16*i, []byte{0x48, 0x3b, 0x05}) // cmp rax, [outs.dev]
		jne(other)
		cell(cellOuts+16*i+8, []byte{0x48, 0x3b, 0x0d}) // cmp rcx, [outs.ino]
		je("unopened")
		a.label(other)
	}
	a.emit(0x81, 0xe1) // and ecx, 8*HeldBytes-1
	imm32(8*HeldBytes - 1)
	cell(cellHeld, []byte{0x0f, 0xa3, 0x0d}) // bt [held], ecx
	a.jump("unopened", 0x0f, 0x82)           // jb
	a.jumpIfDev(dataOff, rax, "known")
	a.label("unopened")
	cell(cellNr, []byte{0x48, 0x8b, 0x05})  // mov rax, [nr]
	cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	jmp("slow")
	a.label("known")
	cell(cellKind, []byte{0xc6, 0x05}, FDRead|FDWrite) // mov byte [kind], …
	a.label("opened")
	cell(cellNr, []byte{0x48, 0x8b, 0x05})  // mov rax, [nr]
	cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	jmp("go")

	// A program that is not there, as execvp(3) tries the folders of the PATH.
	a.label("exec")
	cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	ja("slow")
	cell(cellRet, []byte{0x48, 0x89, 0x0d}) // mov [ret], rcx
	cell(cellNr, []byte{0x48, 0x89, 0x3d})  // mov [nr], rdi
	cell(cellSI, []byte{0x48, 0x89, 0x35})  // mov [si], rsi
	cell(cellDX, []byte{0x48, 0x89, 0x15})  // mov [dx], rdx
	cell(cell10, []byte{0x4c, 0x89, 0x15})  // mov [r10], r10
	a.emit(0x49, 0x8d, 0x93)                // lea rdx, [r11+callHead]
	imm32(callHead)
	a.emit(0x48, 0x89, 0xfe) // mov rsi, rdi
	a.emit(0x48, 0xc7, 0xc7) // mov rdi, AT_FDCWD
	imm32(^uint32(99))       // -100
	a.emit(0x45, 0x31, 0xd2) // xor r10d, r10d
	a.emit(0xb8)             // mov eax, newfstatat
	imm32(sysNewfstatat)
	syscall()
	a.emit(0x49, 0x89, 0xc3) // mov r11, rax
	a.emit(0xb8)             // mov eax, execve
	imm32(sysExecve)
	cell(cellNr, []byte{0x48, 0x8b, 0x3d})  // mov rdi, [nr]
	cell(cellSI, []byte{0x48, 0x8b, 0x35})  // mov rsi, [si]
	cell(cellDX, []byte{0x48, 0x8b, 0x15})  // mov rdx, [dx]
	cell(cell10, []byte{0x4c, 0x8b, 0x15})  // mov r10, [r10]
	cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	a.emit(0x49, 0x83, 0xfb, 0xfe)          // cmp r11, -ENOENT
	jne("slow")
	jmp("go")

	// A socket: the file must be one that never waits, whoever set that. No
	// address, and no flags that make it wait for more or for less.
	const msgKnown = 0x4000 | 0x40 // MSG_NOSIGNAL, MSG_DONTWAIT
	a.label("recv")
	a.emit(0x48, 0x81, 0xfa) // cmp rdx, maxCallOut
	imm32(maxCallOut)
	ja("slow")
	cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	a.emit(0x49, 0x01, 0xd3)                  // add r11, rdx
	cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	ja("slow")
	a.label("send")
	a.emit(0x4d, 0x85, 0xc0) // test r8, r8
	jne("slow")
	a.emit(0x41, 0xf7, 0xc2) // test r10d, ^msgKnown
	imm32(^uint32(msgKnown))
	jne("slow")
	cell(cellRet, []byte{0x48, 0x89, 0x0d}) // mov [ret], rcx
	cell(cellNr, []byte{0x48, 0x89, 0x05})  // mov [nr], rax
	cell(cellSI, []byte{0x48, 0x89, 0x35})  // mov [si], rsi
	a.emit(0xb8)                            // mov eax, fcntl
	imm32(sysFcntl)
	a.emit(0xbe) // mov esi, F_GETFL
	imm32(3)
	syscall()
	a.emit(0x49, 0x89, 0xc3)                // mov r11, rax
	cell(cellNr, []byte{0x48, 0x8b, 0x05})  // mov rax, [nr]
	cell(cellSI, []byte{0x48, 0x8b, 0x35})  // mov rsi, [si]
	cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	a.emit(0x4d, 0x85, 0xdb)                // test r11, r11
	js("slow")
	a.emit(0x41, 0xf7, 0xc3) // test r11d, O_NONBLOCK
	imm32(0x800)
	je("slow")
	jmp("go")

	// Memory: where malloc gets a large block, changes it and gives it back.
	// A replay has these calls made with a stop.
	const anonymous, readWrite, mayMove = 0x22, 3, 1 // MAP_PRIVATE, MAP_ANONYMOUS; asm-generic/mman-common.h
	a.label("mmap")
	a.emit(0x48, 0x85, 0xff) // test rdi, rdi
	jne("slow")
	a.emit(0x83, 0xfa, readWrite) // cmp edx, readWrite
	jne("slow")
	a.emit(0x41, 0x83, 0xfa, anonymous) // cmp r10d, anonymous
	jne("slow")
	jmp("go")

	a.label("mremap")
	a.emit(0x41, 0x83, 0xfa, mayMove) // cmp r10d, mayMove
	jne("slow")
	cell(cellLast, []byte{0x48, 0x3b, 0x3d}) // cmp rdi, [last]
	jne("slow")
	a.emit(0x4c, 0x8d, 0x9e) // lea r11, [rsi+0xfff]
	imm32(0xfff)
	a.emit(0x49, 0x81, 0xe3) // and r11, -0x1000
	imm32(0xfffff000)
	cell(cellLast+8, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [last.len]
	jne("slow")
	jmp("go")

	a.label("munmap")
	cell(cellLast, []byte{0x48, 0xc7, 0x05}, 0, 0, 0, 0) // mov qword [last], 0
	jmp("go")

	a.label("mprotect")
	a.emit(0xf7, 0xc2) // test edx, ^readWrite
	imm32(^uint32(readWrite))
	jne("slow")
	jmp("go")

	a.label("epoll")
	a.emit(0x81, 0xfa) // cmp edx, maxReady
	imm32(maxReady)
	ja("slow")
	jmp("go")

	a.label("poll")
	a.emit(0x48, 0x83, 0xfe, maxPolled) // cmp rsi, maxPolled
	ja("slow")

	a.label("go")
	cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	ja("slow")
	a.label("begin")
	cell(cellRet, []byte{0x48, 0x89, 0x0d}) // mov [ret], rcx
	store(rcx, recPC)
	store(rax, recNr)
	for i, reg := range []int{rdi, rsi, rdx, r10, r8, r9} {
		store(reg, recArgs+8*i)
	}
	for i, reg := range []int{rbx, rbp, rsp, r12, r12 + 1, r12 + 2, r12 + 3} {
		store(reg, recRegs+8*i)
	}
	cell(cellBudget, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [budget]
	a.emit(0x48, 0x85, 0xc9)                   // test rcx, rcx
	je("counted")
	a.emit(0x48, 0x8b, 0x09)                 // mov rcx, [rcx]
	a.emit(0x48, 0xf7, 0xd9)                 // neg rcx
	cell(cellBase, []byte{0x48, 0x03, 0x0d}) // add rcx, [base]
	a.label("counted")
	store(rcx, recInstr)
	cell(cellClocks, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [clocks]
	a.emit(0x48, 0x8b, 0x09)                   // mov rcx, [rcx]
	store(rcx, recClocks)
	cell(cellCur, []byte{0x4c, 0x89, 0x1d}) // mov [cur], r11
	// Not "unless callsOn": a recording may end here, with callsOff, and then the
	// record does not say what the call does.
	cell(cellMode, []byte{0x83, 0x3d}, callsFed) // cmp dword [mode], callsFed
	je("fed")
	stamp := func(off int) {
		a.emit(0x0f, 0x31)             // rdtsc
		a.emit(0x48, 0xc1, 0xe2, 0x20) // shl rdx, 32
		a.emit(0x48, 0x09, 0xd0)       // or rax, rdx
		store(rax, off)
	}
	stamp(recBegan)
	load(rax, recNr)
	load(rdx, argDX)
	cell(cellClass, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [class]
	a.emit(0x83, 0xf9, classExec)             // cmp ecx, classExec
	a.jump("call", 0x0f, 0x82)                // jb
	jne("tried")
	a.emit(0x48, 0xc7, 0xc0, 0xfe, 0xff, 0xff, 0xff) // mov rax, -ENOENT: that was found out
	jmp("is")
	a.label("tried")
	a.emit(0x83, 0xf9, classEpoll) // cmp ecx, classEpoll
	a.jump("call", 0x0f, 0x82)     // jb
	jne("polls")
	a.emit(0x45, 0x31, 0xd2) // xor r10d, r10d
	jmp("call")
	a.label("polls")
	a.emit(0x31, 0xd2) // xor edx, edx
	a.label("call")
	syscall()
	cell(cellCur, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [cur]
	cell(cellClass, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [class]
	a.emit(0x48, 0x83, 0xf8, 0xf2)            // cmp rax, -EFAULT: a stop tells whether that is so
	je("undo")
	a.emit(0x83, 0xf9, classAccess) // cmp ecx, classAccess
	a.jump("is", 0x0f, 0x82)        // jb
	a.emit(0x83, 0xf9, classEpoll)  // cmp ecx, classEpoll
	a.jump("waits", 0x0f, 0x83)     // jae
	a.emit(0x48, 0x83, 0xf8, 0xec)  // cmp rax, -ENOTDIR
	je("undo")
	jmp("is")
	a.label("waits")
	// It was tried: nothing ready is its result only if it was not to wait.
	load(r10, arg10)
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	js("undo")
	jne("is")
	a.emit(0x83, 0xf9, classEpoll) // cmp ecx, classEpoll
	load(rcx, arg10)
	je("timeout")
	load(rcx, argDX)
	a.label("timeout")
	a.emit(0x85, 0xc9) // test ecx, ecx
	je("is")
	a.label("undo")
	load(rax, recNr)
	load(rdx, argDX)
	load(r10, arg10)
	cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	jmp("slow")
	a.label("is")
	store(rax, recRet)
	stamp(recEnded)
	load(rax, recRet)

	// What it wrote.
	a.emit(0x31, 0xc9) // xor ecx, ecx
	store(rcx, recOutLen)
	store(rcx, recInLen)
	a.emit(0x49, 0x8d, 0xbb) // lea rdi, [r11+callHead]
	imm32(callHead)
	cell(cellClasses, []byte{0x48, 0x8d, 0x15}) // lea rdx, [classes]
	cell(cellClass, []byte{0x48, 0x8b, 0x0d})   // mov rcx, [class]
	a.emit(0x48, 0x8d, 0x14, 0xca)              // lea rdx, [rdx+rcx*8]
	a.emit(0x0f, 0xb6, 0x32)                    // movzx esi, byte [rdx+out]
	a.emit(0x85, 0xf6)                          // test esi, esi
	je("path")
	a.emit(0x49, 0x8b, 0x34, 0x33)   // mov rsi, [r11+rsi]
	a.emit(0x80, 0x7a, 1, sizeFixed) // cmp byte [rdx+kind], sizeFixed
	jne("varies")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	jne("path")
	a.emit(0x0f, 0xb7, 0x4a, 2) // movzx ecx, word [rdx+size]
	jmp("copy")
	a.label("varies")
	a.emit(0x80, 0x7a, 1, sizePolled) // cmp byte [rdx+kind], sizePolled
	jne("returned")
	load(rcx, argSI)
	a.emit(0x48, 0xc1, 0xe1, 3) // shl rcx, 3: of struct pollfd
	jmp("copy")
	a.label("returned")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	jle("path")
	a.emit(0x48, 0x89, 0xc1)         // mov rcx, rax
	a.emit(0x80, 0x7a, 1, sizeReady) // cmp byte [rdx+kind], sizeReady
	jne("copy")
	a.emit(0x48, 0x8d, 0x0c, 0x49) // lea rcx, [rcx+rcx*2]
	a.emit(0x48, 0xc1, 0xe1, 2)    // shl rcx, 2: struct epoll_event has 12 bytes
	a.label("copy")
	store(rsi, recOut)
	store(rcx, recOutLen)
	a.emit(0xf3, 0xa4) // rep movsb

	// The path that it read.
	a.label("path")
	a.emit(0x0f, 0xb6, 0x72, 4) // movzx esi, byte [rdx+path]
	a.emit(0x85, 0xf6)          // test esi, esi
	je("in")
	// After other errors it may be that nothing was read, and that the
	// pointer leads nowhere.
	a.emit(0x48, 0x85, 0xc0)       // test rax, rax
	a.jump("named", 0x0f, 0x89)    // jns
	a.emit(0x48, 0x83, 0xf8, 0xfe) // cmp rax, -ENOENT
	je("named")
	a.emit(0x48, 0x83, 0xf8, 0xec) // cmp rax, -ENOTDIR
	je("named")
	a.emit(0x48, 0x83, 0xf8, 0xef) // cmp rax, -EEXIST
	je("named")
	cell(cellClass, []byte{0x83, 0x3d}, classReadlink) // cmp dword [class], classReadlink
	jne("kind")
	a.emit(0x48, 0x83, 0xf8, 0xea) // cmp rax, -EINVAL: of what is no link
	jne("kind")
	a.label("named")
	a.emit(0x49, 0x8b, 0x34, 0x33) // mov rsi, [r11+rsi]
	a.emit(0x48, 0x85, 0xf6)       // test rsi, rsi
	je("kind")
	a.emit(0x31, 0xc9) // xor ecx, ecx
	a.label("byte")
	a.emit(0x81, 0xf9) // cmp ecx, maxCallPath
	imm32(maxCallPath)
	jae("end")
	a.emit(0x8a, 0x04, 0x0e) // mov al, [rsi+rcx]
	a.emit(0x84, 0xc0)       // test al, al
	je("end")
	a.emit(0x88, 0x04, 0x0f) // mov [rdi+rcx], al
	a.emit(0xff, 0xc1)       // inc ecx
	jmp("byte")
	a.label("end")
	store(rcx, recInLen)
	a.emit(0x48, 0x01, 0xcf) // add rdi, rcx

	jmp("kind")

	// The beginning of what it gave, of which the kernel has read as much as
	// it returned.
	a.label("in")
	a.emit(0x0f, 0xb6, 0x72, 6) // movzx esi, byte [rdx+in]
	a.emit(0x85, 0xf6)          // test esi, esi
	je("kind")
	a.emit(0x0f, 0xb6, 0x4a, 7) // movzx ecx, byte [rdx+fixed]
	a.emit(0x85, 0xc9)          // test ecx, ecx
	je("varying")
	a.emit(0x48, 0x83, 0xf8, 0xf5) // cmp rax, -EAGAIN
	je("given")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	jne("kind")
	jmp("given")
	a.label("varying")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	jle("kind")
	a.emit(0xb9) // mov ecx, maxCallIn
	imm32(maxCallIn)
	a.emit(0x48, 0x39, 0xc8)       // cmp rax, rcx
	a.emit(0x48, 0x0f, 0x42, 0xc8) // cmovb rcx, rax
	a.label("given")
	a.emit(0x49, 0x8b, 0x34, 0x33) // mov rsi, [r11+rsi]
	store(rcx, recInLen)
	a.emit(0xf3, 0xa4) // rep movsb

	// What kind of file a descriptor is, which it told.
	a.label("kind")
	cell(cellClass, []byte{0x83, 0x3d}, classOpen) // cmp dword [class], classOpen
	jne("told")
	load(rcx, recRet)
	a.emit(0x48, 0x81, 0xf9) // cmp rcx, CallFDs
	imm32(CallFDs)
	jae("done")
	cell(cellKind, []byte{0x8a, 0x05}) // mov al, [kind]
	a.emit(0x3c, created)              // cmp al, created
	jne("kinded")
	// It is new: what it is on, it tells itself. There is room behind what
	// the record has.
	cell(cellSI, []byte{0x48, 0x89, 0x3d}) // mov [si], rdi
	a.emit(0x48, 0x8d, 0x77, 8)            // lea rsi, [rdi+8]
	a.emit(0x89, 0xcf)                     // mov edi, ecx
	a.emit(0xb8)                           // mov eax, fstat
	imm32(5)
	syscall()
	cell(cellCur, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [cur]
	a.emit(0x48, 0x8b, 0x56, statDev)       // mov rdx, [rsi+statDev]
	a.emit(0x8b, 0x4e, stMode)              // mov ecx, [rsi+stMode]
	cell(cellSI, []byte{0x48, 0x8b, 0x3d})  // mov rdi, [si]
	a.emit(0x85, 0xc0)                      // test eax, eax
	a.emit(0xb8)                            // mov eax, 0
	imm32(0)
	jne("new")
	a.emit(0x81, 0xe1) // and ecx, S_IFMT
	imm32(sIfmt)
	a.emit(0x81, 0xf9) // cmp ecx, S_IFREG
	imm32(sIfreg)
	jne("new")
	a.jumpIfDev(dataOff, rdx, "local")
	jmp("new")
	a.label("local")
	a.emit(0xb0, FDRead|FDWrite) // mov al, …
	a.label("new")
	load(rcx, recRet)
	a.label("kinded")
	cell(cellFDs, []byte{0x48, 0x8d, 0x35}) // lea rsi, [fds]
	a.emit(0x88, 0x04, 0x0e)                // mov [rsi+rcx], al
	jmp("done")
	a.label("told")
	cell(cellClass, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [class]
	a.emit(0x83, 0xf9, classMmap)             // cmp ecx, classMmap
	load(rsi, argSI)
	je("mapped")
	a.emit(0x83, 0xf9, classMremap) // cmp ecx, classMremap
	load(rsi, argDX)
	jne("unmapped")
	a.label("mapped")
	load(rax, recRet)
	a.emit(0x48, 0x3d) // cmp rax, -4095: an error
	imm32(0xfffff001)
	jae("done")
	cell(cellLast, []byte{0x48, 0x89, 0x05}) // mov [last], rax
	a.emit(0x48, 0x81, 0xc6)                 // add rsi, 0xfff
	imm32(0xfff)
	a.emit(0x48, 0x81, 0xe6) // and rsi, -0x1000
	imm32(0xfffff000)
	cell(cellLast+8, []byte{0x48, 0x89, 0x35}) // mov [last.len], rsi
	jmp("done")
	a.label("unmapped")
	a.emit(0x80, 0x7a, 5, 0) // cmp byte [rdx+fstat], 0
	je("done")
	a.emit(0x49, 0x83, 0xbb) // cmp qword [r11+recRet], 0
	imm32(recRet)
	a.emit(0)
	jne("done")
	a.emit(0x49, 0x83, 0xbb) // cmp qword [r11+recInLen], 0
	imm32(recInLen)
	a.emit(0)
	jne("done")
	load(rcx, argDI)
	a.emit(0x48, 0x81, 0xf9) // cmp rcx, CallFDs
	imm32(CallFDs)
	jae("done")
	a.emit(0x41, 0x8b, 0xb3) // mov esi, [r11+callHead+stMode]
	imm32(callHead + stMode)
	a.emit(0x81, 0xe6) // and esi, S_IFMT
	imm32(sIfmt)
	a.emit(0x81, 0xfe) // cmp esi, S_IFREG
	imm32(sIfreg)
	cell(cellFDs, []byte{0x48, 0x8d, 0x35}) // lea rsi, [fds]
	je("regular")
	a.emit(0xc6, 0x04, 0x0e, 0) // mov byte [rsi+rcx], 0
	jmp("done")
	a.label("regular")
	a.emit(0x49, 0x8b, 0x83) // mov rax, [r11+callHead+statDev]
	imm32(callHead + statDev)
	a.jumpIfDev(dataOff, rax, "readable")
	jmp("done")
	a.label("readable")
	a.emit(0x80, 0x0c, 0x0e, FDRead) // or byte [rsi+rcx], FDRead

	a.label("done")
	a.emit(0x48, 0x83, 0xc7, 7)    // add rdi, 7
	a.emit(0x48, 0x83, 0xe7, 0xf8) // and rdi, -8
	a.label("finish")
	cell(cellPos, []byte{0x48, 0x89, 0x3d}) // mov [pos], rdi
	load(rax, recRet)
	load(rdi, argDI)
	load(rsi, argSI)
	load(rdx, argDX)
	cell(cellRet, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [ret]
	a.emit(0xff, 0xe1)                      // jmp rcx

	// On replay, the next record holds what the call did.
	a.label("feed")
	cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	jae("slow")
	jmp("begin")
	a.label("fed")
	load(rdi, recOut)
	load(rcx, recOutLen)
	a.emit(0x49, 0x8d, 0xb3) // lea rsi, [r11+callHead]
	imm32(callHead)
	a.emit(0xf3, 0xa4) // rep movsb
	load(rdi, recNext)
	jmp("finish")

	a.label("slow")
	a.emit(0x48, 0x83, 0xe9, 2) // sub rcx, 2
	a.emit(0xff, 0xe1)          // jmp rcx
	a.link()
	// The last two instructions before it: of 3 and 7 bytes.
	return a.b, a.labels["counted"] - 10, a.labels["counted"] - 7
}

// slowIfShared leads calls that point into shared memory to where they stop: another
// process may hold it, and then the kernel would find nothing there, or only a part.
// It uses r11.
func (a *asm) slowIfShared(dataOff uint32) {
	for i, from := range [][]byte{{0x49, 0x89, 0xfb}, {0x49, 0x89, 0xf3}, {0x49, 0x89, 0xd3}} {
		private := []string{"rdi", "rsi", "rdx"}[i]
		a.emit(from...)                                        // mov r11, rdi, rsi or rdx
		a.data(dataOff+cellShared, []byte{0x4c, 0x2b, 0x1d})   // sub r11, [shared]
		a.data(dataOff+cellShared+8, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [shared.len]
		a.jump(private, 0x0f, 0x83)                            // jae
		a.jump("slow", 0xe9)                                   // jmp
		a.label(private)
	}
}

// jumpIfDev jumps where a register below r8 is one of the devices whose files need no
// stop.
func (a *asm) jumpIfDev(dataOff uint32, reg byte, to string) {
	for i := range uint32(MaxDevs) {
		a.data(dataOff+cellDevs+8*i, []byte{0x48, 0x3b, reg<<3 | 5}) // cmp reg, [devs]
		a.jump(to, 0x0f, 0x84)                                       // je
	}
}
