package inject

import unix "pyrr/internal/sys"

// guardNewSockets are the calls that make sockets, ask for their names, or shut one side.
// Where a name goes and its length have to lie together above the stack pointer, as they
// do for who asks by variables of its own: what one record holds is one piece of memory.
// A connection is taken only where that does not wait, or a poll says that there is one.
func (a *callsAsm) guardNewSockets() {
	const (
		afUnix, afInet, afInet6 = 1, 2, 10
		sockType                = 0xf // SOCK_TYPE_MASK of linux/net.h
		sockDgram               = 2   // SOCK_STREAM is 1
	)
	a.label("socket")
	a.emit(0x83, 0xff, afInet) // cmp edi, afInet
	a.je("family")
	a.emit(0x83, 0xff, afInet6) // cmp edi, afInet6
	a.je("family")
	a.label("pair")
	a.emit(0x83, 0xff, afUnix) // cmp edi, afUnix
	a.jne("slow")
	a.label("family")
	a.emit(0x41, 0x89, 0xf3)           // mov r11d, esi
	a.emit(0x41, 0x83, 0xe3, sockType) // and r11d, sockType
	a.emit(0x41, 0xff, 0xcb)           // dec r11d
	a.emit(0x41, 0x83, 0xfb, sockDgram-1)
	a.ja("slow")
	a.jmp("go")

	a.label("name")
	a.emit(0x3d) // cmp eax, accept4
	a.imm32(unix.SYS_ACCEPT4)
	a.jne("own name")
	a.mayOn(FDStream)
	a.testNonBlock()
	a.jne("together")
	a.pollsIn(unix.SYS_ACCEPT4)
	a.setClass(classTaken)
	a.jmp("together")

	// On this machine it is settled within the call, where who listens has room for it.
	a.label("connect")
	a.mayOn(FDStream)
	a.emit(0x83, 0xfa, addressSize) // cmp edx, addressSize
	a.jne("slow")
	a.emit(0x49, 0x89, 0xf3) // mov r11, rsi
	a.emit(0x49, 0x29, 0xe3) // sub r11, rsp
	a.emit(0x49, 0x81, 0xfb) // cmp r11, nearStack
	a.imm32(nearStack)
	a.ja("slow")
	a.emit(0x66, 0x83, 0x3e, afInet) // cmp word [rsi], afInet
	a.jne("slow")
	a.emit(0x80, 0x7e, 4, 127) // cmp byte [rsi+4], 127
	a.jne("slow")
	a.jmp("go")

	a.label("own name")
	a.mayOn(FDSocket)
	a.label("together")
	for _, from := range [][]byte{{0x49, 0x89, 0xf3}, {0x49, 0x89, 0xd3}} {
		a.emit(from...)          // mov r11, rsi or rdx
		a.emit(0x49, 0x29, 0xe3) // sub r11, rsp
		a.emit(0x49, 0x81, 0xfb) // cmp r11, 0x1000
		a.imm32(0x1000)
		a.ja("slow")
	}
	a.emit(0x49, 0x89, 0xf3) // mov r11, rsi
	a.emit(0x49, 0x29, 0xd3) // sub r11, rdx
	a.emit(0x49, 0x81, 0xc3) // add r11, farthestName
	a.imm32(farthestName)
	a.emit(0x49, 0x81, 0xfb) // cmp r11, 2*farthestName
	a.imm32(2 * farthestName)
	a.ja("slow")
	a.jmp("go")
}

const (
	// addressSize is the size of struct sockaddr_in.
	addressSize = 16
	// farthestName is how far apart a name and its length may lie.
	farthestName = 0x100
	// longestName is the size of struct sockaddr_storage, which no name exceeds.
	longestName = 0x80
)

// named has rsi and rcx at the memory that a name, at rsi, and its length lie in, and at
// how much that is.
func (a *callsAsm) named() {
	a.label("name's")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.js("path")
	a.load(rcx, argDX)
	a.emit(0x8b, 0x01) // mov eax, [rcx]
	a.emit(0x3d)       // cmp eax, longestName
	a.imm32(longestName)
	a.jump("whole", 0x0f, 0x86) // jbe
	a.emit(0xb8)                // mov eax, longestName
	a.imm32(longestName)
	a.label("whole")
	a.emit(0x48, 0x01, 0xf0)       // add rax, rsi
	a.emit(0x48, 0x83, 0xc1, 4)    // add rcx, 4
	a.emit(0x48, 0x39, 0xc1)       // cmp rcx, rax
	a.emit(0x48, 0x0f, 0x47, 0xc1) // cmova rax, rcx
	a.emit(0x48, 0x83, 0xe9, 4)    // sub rcx, 4
	a.emit(0x48, 0x39, 0xf1)       // cmp rcx, rsi
	a.emit(0x48, 0x0f, 0x42, 0xf1) // cmovb rsi, rcx
	a.emit(0x48, 0x29, 0xf0)       // sub rax, rsi
	a.emit(0x48, 0x89, 0xc1)       // mov rcx, rax
	a.jmp("copy")
}

// toldOfSockets keeps what new sockets are. Connections are what the socket was that they
// came to.
func (a *callsAsm) toldOfSockets() {
	const ofSocket = FDRead | FDWrite | FDTry | FDSocket
	a.label("connected")
	a.load(rax, recNr)
	a.emit(0x3d) // cmp eax, accept4
	a.imm32(unix.SYS_ACCEPT4)
	a.jne("done")
	a.load(rax, recRet)
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.js("done")
	a.load(rcx, argDI)
	a.cell(cellFDs, []byte{0x48, 0x8d, 0x35}) // lea rsi, [fds]
	a.emit(0x8a, 0x14, 0x0e)                  // mov dl, [rsi+rcx]
	a.jmp("socket's")

	a.label("made")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.js("done")
	a.emit(0xba) // mov edx, ofSocket
	a.imm32(ofSocket)
	a.load(rcx, argSI)
	a.emit(0x83, 0xe1, 0xf) // and ecx, SOCK_TYPE_MASK
	a.emit(0x83, 0xf9, 1)   // cmp ecx, SOCK_STREAM
	a.jne("kept kind")
	a.load(rcx, argDI)
	a.emit(0x83, 0xf9, 1) // cmp ecx, AF_UNIX
	a.je("bytes")
	a.load(rcx, argDX)
	a.emit(0x85, 0xc9) // test ecx, ecx
	a.je("bytes")
	a.emit(0x83, 0xf9, 6) // cmp ecx, IPPROTO_TCP
	a.jne("kept kind")
	a.label("bytes")
	a.emit(0x80, 0xca, FDStream) // or dl, FDStream
	a.label("kept kind")
	a.cell(cellFDs, []byte{0x48, 0x8d, 0x35})        // lea rsi, [fds]
	a.cell(cellClass, []byte{0x83, 0x3d}, classPair) // cmp dword [class], classPair
	a.je("both")
	a.label("socket's")
	a.emit(0x48, 0x3d) // cmp rax, CallFDs
	a.imm32(CallFDs)
	a.jae("done")
	a.emit(0x88, 0x14, 0x06) // mov [rsi+rax], dl
	a.jmp("done")

	a.label("both")
	for _, off := range []uint32{0, 4} {
		end := []string{"one end", "other end"}[off/4]
		a.emit(0x41, 0x8b, 0x8b) // mov ecx, [r11+callHead+off]
		a.imm32(callHead + off)
		a.emit(0x81, 0xf9) // cmp ecx, CallFDs
		a.imm32(CallFDs)
		a.jae(end)
		a.emit(0x88, 0x14, 0x0e) // mov [rsi+rcx], dl
		a.label(end)
	}
	a.jmp("done")
}
