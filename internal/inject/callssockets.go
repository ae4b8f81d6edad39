package inject

import unix "pyrr/internal/sys"

// guardSockets are recvfrom and sendto. A message is gone after an attempt to receive it
// that failed, and a low-water mark counts only where it waits: so only what comes as bytes
// is received. Where the file is one that may wait they are
// tried: what is sent, only where nothing else waits to be sent, so that the kernel takes
// all or nothing of it. No address, and no flags that make it wait for more or for less.
func (a *callsAsm) guardSockets() {
	const msgKnown = 0x4000 | 0x40 // MSG_NOSIGNAL, MSG_DONTWAIT
	a.label("recv")
	a.mayOn(FDStream)
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
	a.testNonBlock()
	a.jne("go")
	a.cell(cellClass, []byte{0x83, 0x3d}, classRecv) // cmp dword [class], classRecv
	a.jne("sends")
	a.setClass(classRecvTried)
	a.jmp("go")
	a.label("sends")
	a.setClass(classSendTried)

	a.label("queued")
	a.slowAbove(rdx, maxCallData)
	a.save(saved{cellRet, rcx}, saved{cellNr, rax}, saved{cellSI, rsi}, saved{cellDX, rdx})
	a.emit(0xb8) // mov eax, ioctl
	a.imm32(sysIoctl)
	a.emit(0xbe) // mov esi, SIOCOUTQ
	a.imm32(0x5411)
	a.cell(cellKind, []byte{0x48, 0x8d, 0x15}) // lea rdx, [kind]
	a.syscall()
	a.cell(cellKind, []byte{0x44, 0x8b, 0x1d}) // mov r11d, [kind]
	a.emit(0x41, 0x09, 0xc3)                   // or r11d, eax
	a.restore(saved{cellNr, rax}, saved{cellSI, rsi}, saved{cellDX, rdx}, saved{cellRet, rcx})
	a.emit(0x45, 0x85, 0xdb) // test r11d, r11d
	a.jne("slow")
	a.emit(0x48, 0x81, 0xfa) // cmp rdx, maxSent
	a.imm32(maxSent)
	a.jump("go", 0x0f, 0x86) // jbe
	a.hasRoom()
}

// hasRoom has more than maxSent bytes sent without a stop where the socket, in which nothing
// waits to be sent, has room for three times as many: what the kernel needs beside each segment
// counts there too (SO_SNDBUF in socket(7)).
func (a *callsAsm) hasRoom() {
	const solSocket, soSndbuf, sysGetsockopt = 1, 7, 55
	a.emit(0x83, 0xf8, unix.SYS_SENDTO) // cmp eax, sendto: then r8 is 0
	a.jne("slow")
	a.save(saved{cellRet, rcx}, saved{cellSI, rsi}, saved{cellDX, rdx}, saved{cell10, r10})
	a.cell(cellNr, []byte{0x48, 0xc7, 0x05}, 4, 0, 0, 0) // mov qword [nr], 4: the length
	a.emit(0xb8)                                         // mov eax, getsockopt
	a.imm32(sysGetsockopt)
	a.emit(0xbe) // mov esi, SOL_SOCKET
	a.imm32(solSocket)
	a.emit(0xba) // mov edx, SO_SNDBUF
	a.imm32(soSndbuf)
	a.cell(cellKind, []byte{0x4c, 0x8d, 0x15}) // lea r10, [kind]
	a.cell(cellNr, []byte{0x4c, 0x8d, 0x05})   // lea r8, [nr]
	a.syscall()
	a.emit(0x85, 0xc0) // test eax, eax, whose flags what follows leaves
	a.emit(0xb8)       // mov eax, sendto
	a.imm32(unix.SYS_SENDTO)
	a.emit(0x41, 0xb8) // mov r8d, 0
	a.imm32(0)
	a.restore(saved{cellSI, rsi}, saved{cellDX, rdx}, saved{cell10, r10}, saved{cellRet, rcx})
	a.jne("slow")
	a.emit(0x4c, 0x8d, 0x1c, 0x52)             // lea r11, [rdx+2*rdx]
	a.cell(cellKind, []byte{0x44, 0x3b, 0x1d}) // cmp r11d, [kind]
	a.ja("slow")
	a.jmp("go")
}

// testNonBlock tests whether the descriptor in rdi has O_NONBLOCK. Where that is not known
// the call stops.
func (a *callsAsm) testNonBlock() {
	a.save(saved{cellRet, rcx}, saved{cellNr, rax}, saved{cellSI, rsi})
	a.emit(0xb8) // mov eax, fcntl
	a.imm32(sysFcntl)
	a.emit(0xbe) // mov esi, F_GETFL
	a.imm32(3)
	a.syscall()
	a.emit(0x49, 0x89, 0xc3) // mov r11, rax
	a.restore(saved{cellNr, rax}, saved{cellSI, rsi}, saved{cellRet, rcx})
	a.emit(0x4d, 0x85, 0xdb) // test r11, r11
	a.js("slow")
	a.emit(0x41, 0xf7, 0xc3) // test r11d, O_NONBLOCK
	a.imm32(0x800)
}

// guardOptions are those of sockets that change nothing for who sends or receives
// (socket(7), tcp(7)), and a look at children that does not wait.
func (a *callsAsm) guardOptions() {
	const (
		solSocket, ipTCP = 1, 6
		// SO_REUSEADDR, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_REUSEPORT
		ofSocket = 1<<2 | 1<<6 | 1<<7 | 1<<8 | 1<<9 | 1<<15
		// TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT
		ofTCP = 1<<1 | 1<<4 | 1<<5 | 1<<6
	)
	a.label("sockopt")
	a.emit(0x49, 0x83, 0xf8, 4) // cmp r8, 4
	a.jne("slow")
	a.emit(0x83, 0xfa, 31) // cmp edx, 31
	a.ja("slow")
	a.emit(0x41, 0xbb) // mov r11d, ofSocket
	a.imm32(ofSocket)
	a.emit(0x83, 0xfe, solSocket) // cmp esi, solSocket
	a.je("option")
	a.emit(0x41, 0xbb) // mov r11d, ofTCP
	a.imm32(ofTCP)
	a.emit(0x83, 0xfe, ipTCP) // cmp esi, ipTCP
	a.jne("slow")
	a.label("option")
	a.emit(0x41, 0x0f, 0xa3, 0xd3) // bt r11d, edx
	a.jump("go", 0x0f, 0x82)       // jb
	a.jmp("slow")

	a.label("wait")
	a.emit(0x83, 0xfa, 1) // cmp edx, WNOHANG
	a.jne("slow")
	a.emit(0x4d, 0x85, 0xd2) // test r10, r10: what it used is not asked for
	a.jne("slow")
	a.emit(0x48, 0x85, 0xf6) // test rsi, rsi
	a.je("slow")
	a.jmp("go")
}
