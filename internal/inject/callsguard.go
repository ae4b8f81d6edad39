package inject

import unix "pyrr/internal/sys"

// dispatch leads a call to what decides whether it needs a stop, by its class.
func (a *callsAsm) dispatch() {
	a.cell(cellMode, []byte{0x83, 0x3d}, callsOn) // cmp dword [mode], callsOn
	a.jump("slow", 0x0f, 0x82)                    // jb
	a.ja("feed")
	a.emit(0x48, 0x3d) // cmp rax, lastCall
	a.imm32(lastCall)
	a.jae("slow")
	a.cell(cellTable, []byte{0x4c, 0x8d, 0x1d}) // lea r11, [table]
	a.emit(0x3d)                                // cmp eax, firstUnused
	a.imm32(firstUnused)
	a.jump("early", 0x0f, 0x82) // jb
	a.emit(0x3d)                // cmp eax, firstLate
	a.imm32(firstLate)
	a.jump("slow", 0x0f, 0x82)           // jb
	a.emit(0x4d, 0x8d, 0x5b)             // lea r11, [r11-lateBy]
	a.emit(256 - lateBy)                 //
	a.label("early")                     //
	a.emit(0x45, 0x0f, 0xb6, 0x1c, 0x03) // movzx r11d, byte [r11+rax]
	a.emit(0x45, 0x85, 0xdb)             // test r11d, r11d
	a.je("slow")
	a.cell(cellClass, []byte{0x4c, 0x89, 0x1d}) // mov [class], r11
	a.is(classFutex, "futex")                   // what is shared it may name: it reads nothing there
	a.slowIfShared()
	a.cell(cellClass, []byte{0x4c, 0x8b, 0x1d}) // mov r11, [class]
	a.emit(0x41, 0x83, 0xfb, classRead)         // cmp r11d, classRead
	a.jump("goes", 0x0f, 0x82)                  // jb
	a.cell(cellReady, []byte{0x80, 0x3d}, 0)    // cmp byte [ready], 0
	a.je("goes")
	a.cell(cellReady, []byte{0xfe, 0x0d}) // dec byte [ready]
	a.jne("goes")
	a.cell(cellReady, []byte{0xc6, 0x05}, 1) // mov byte [ready], 1: so does the next
	a.jmp("slow")
	a.label("goes")
	a.is(classRead, "read")
	a.is(classWrite, "write")
	a.is(classIoctl, "ioctl")
	a.is(classClose, "close")
	a.is(classDup2, "dup2")
	a.is(classDupTold, "dup2")
	a.is(classFcntl, "fcntl")
	a.is(classOpen, "open")
	a.is(classKnown, "known.file")
	a.is(classSockopt, "sockopt")
	a.is(classWait, "wait")
	a.is(classRecv, "recv")
	a.is(classMmap, "mmap")
	a.is(classMremap, "mremap")
	a.is(classMunmap, "munmap")
	a.is(classMprotect, "mprotect")
	a.is(classSigaction, "sigaction")
	a.is(classMask, "mask")
	a.is(classAdvise, "advise")
	a.is(classFill, "random")
	a.is(classEpollCtl, "epollctl")
	a.is(classExec, "exec")
	a.is(classReadlink, "readlink")
	a.is(classSocket, "socket")
	a.is(classPair, "pair")
	a.is(className, "name")
	a.is(classConnect, "connect")
	a.is(classEpoll, "epoll")
	a.is(classPoll, "poll")
	a.is(classSelect, "select")
	a.is(classKill, "kill")
	a.is(classLimits, "limits")
	a.is(classList, "list")
	a.is(classAttr, "attr")
	a.is(classCopy, "sendfile")
	a.jmp("go")
}

// guardOthers are the calls of which one argument decides.
func (a *callsAsm) guardOthers() {
	a.guardSignals()

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
}

// guardData are those that read and write files, and what they may take of the record.
func (a *callsAsm) guardData() {
	a.label("read")
	a.emit(0x3d) // cmp eax, getdents64
	a.imm32(unix.SYS_GETDENTS64)
	a.je("bounded")
	a.mayOn(FDRead)
	a.emit(0x41, 0xf6, 0x04, 0x3b, FDTry) // test byte [r11+rdi], FDTry
	a.je("bounds")
	a.emit(0x85, 0xc0) // test eax, eax: read
	a.jne("slow")
	a.emit(0x41, 0xf6, 0x04, 0x3b, FDPipe) // test byte [r11+rdi], FDPipe
	a.jne("terminal")
	a.setClass(classReadTried)
	a.emit(0x45, 0x0f, 0xb6, 0x1c, 0x3b)                 // movzx r11d, byte [r11+rdi]
	a.emit(0x41, 0x81, 0xe3, FDSocket|FDStream, 0, 0, 0) // and r11d, FDSocket|FDStream
	a.emit(0x41, 0x83, 0xfb, FDSocket)                   // cmp r11d, FDSocket
	a.je("slow")
	a.label("bounds")
	a.emit(0x48, 0x81, 0xfa) // cmp rdx, maxCallData
	a.imm32(maxCallData)
	a.jump("go", 0x0f, 0x86) // jbe
	a.slowAbove(rdx, maxCallOut)
	a.cell(cellPos, []byte{0x4c, 0x8b, 0x1d})   // mov r11, [pos]
	a.emit(0x49, 0x01, 0xd3)                    // add r11, rdx
	a.cell(cellLimit, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [limit]
	a.ja("slow")
	a.jmp("go")

	a.label("known.file")
	a.mayOn(FDWrite)
	a.jmp("go")

	a.label("write")
	a.emit(0x83, 0xf8, unix.SYS_SENDTO) // cmp eax, sendto
	a.je("send")
	a.mayOn(FDWrite)
	a.slowAbove(rdx, maxCallOut)
	a.emit(0x45, 0x0f, 0xb6, 0x1c, 0x3b)              // movzx r11d, byte [r11+rdi]
	a.emit(0x41, 0xf6, 0xc3, FDStdout|FDStderr|FDTry) // test r11b, FDStdout|FDStderr|FDTry
	a.je("go")
	a.slowAbove(rdx, maxPrinted)
	a.emit(0x83, 0xf8, unix.SYS_WRITE) // cmp eax, write
	a.jne("slow")
	a.emit(0x41, 0xf6, 0xc3, FDTry) // test r11b, FDTry
	a.jne("try")
	a.cell(cellKind, []byte{0x44, 0x88, 0x1d}) // mov [kind], r11b
	a.setClass(classPrint)
	a.jmp("go")
	a.label("try")
	a.setClass(classWriteTried)
	a.emit(0x41, 0xf6, 0xc3, FDSocket) // test r11b, FDSocket
	a.je("go")
	a.emit(0x48, 0x85, 0xd2) // test rdx, rdx: an empty message is one, but not to pwritev2
	a.je("slow")
	a.jmp("queued")
	a.label("bounded")
	a.slowAbove(rdx, maxCallData)
	a.jmp("go")
}

// guardWords are ioctl and futex, by the word that says what they do.
func (a *callsAsm) guardWords() {
	const tcgets, fioNBIO, fioNCLEX, fioCLEX = 0x5401, 0x5421, 0x5450, 0x5451 // asm-generic/ioctls.h
	a.label("ioctl")
	a.emit(0x81, 0xfe) // cmp esi, TCGETS
	a.imm32(tcgets)
	a.je("go")
	a.setClass(classPlain)
	for _, request := range []uint32{fioNBIO, fioNCLEX, fioCLEX} {
		a.emit(0x81, 0xfe) // cmp esi, request
		a.imm32(request)
		a.je("go")
	}
	a.jmp("slow")

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
	const dupCloexec = 1030 // fcntl(2)
	a.forget("close", rdi)
	a.forget("dup2", rsi)

	a.label("fcntl")
	a.emit(0x83, 0xfe, 6) // cmp esi, F_SETLK
	a.je("lock")
	a.emit(0x85, 0xf6) // test esi, esi: F_DUPFD
	a.je("dupfd")
	a.emit(0x81, 0xfe) // cmp esi, F_DUPFD_CLOEXEC
	a.imm32(dupCloexec)
	a.je("dupfd")
	a.emit(0x44, 0x8d, 0x5e, 0xff) // lea r11d, [rsi-1]: F_GETFD is 1, F_SETFL 4
	a.emit(0x41, 0x83, 0xfb, 3)    // cmp r11d, 3
	a.ja("slow")

	a.jmp("go")
	a.label("dupfd")
	a.setClass(classDupTold)
	a.emit(0x48, 0x81, 0xff) // cmp rdi, CallFDs
	a.imm32(CallFDs)
	a.jae("slow")
	a.cell(cellReady, []byte{0x80, 0x3d}, 0) // cmp byte [ready], 0: CPython lets go of the GIL around it
	a.jne("slow")
	a.jmp("go")
	a.label("lock")
	a.cell(cellClass, []byte{0xc6, 0x05}, classLock) // mov byte [class], classLock
	a.jmp("go")
}

// setClass changes the class of the call at hand.
func (a *callsAsm) setClass(class byte) {
	a.cell(cellClass, []byte{0xc6, 0x05}, class) // mov byte [class], class
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
	for part := range uint32(SharedParts) {
		cell := cellShared + 16*part
		for _, from := range [][]byte{{0x49, 0x89, 0xfb}, {0x49, 0x89, 0xf3}, {0x49, 0x89, 0xd3}} {
			a.emit(from...)                          // mov r11, rdi, rsi or rdx
			a.cell(cell, []byte{0x4c, 0x2b, 0x1d})   // sub r11, [shared]
			a.cell(cell+8, []byte{0x4c, 0x3b, 0x1d}) // cmp r11, [shared.len]
			a.jump("slow", 0x0f, 0x82)               // jb
		}
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
