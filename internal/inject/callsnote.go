package inject

// wrote copies what the call wrote.
func (a *callsAsm) wrote() {
	a.emit(0x31, 0xc9) // xor ecx, ecx
	a.store(rcx, recOutLen)
	a.store(rcx, recInLen)
	a.store(rcx, recOut)
	a.emit(0x49, 0x8d, 0xbb) // lea rdi, [r11+callHead]
	a.imm32(callHead)
	a.jump("classes", 0x48, 0x8d, 0x15)         // lea rdx, [classes]
	a.cell(cellClass, []byte{0x48, 0x8b, 0x0d}) // mov rcx, [class]
	a.emit(0x48, 0x8d, 0x14, 0xca)              // lea rdx, [rdx+rcx*8]
	a.emit(0x0f, 0xb6, 0x32)                    // movzx esi, byte [rdx+out]
	a.emit(0x85, 0xf6)                          // test esi, esi
	a.je("path")
	a.emit(0x49, 0x8b, 0x34, 0x33) // mov rsi, [r11+rsi]
	a.emit(0x48, 0x85, 0xf6)       // test rsi, rsi: some may be called without
	a.je("path")
	a.emit(0x80, 0x7a, 1, sizeFixed) // cmp byte [rdx+kind], sizeFixed
	a.jne("varies")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.jne("path")
	a.label("sized")
	a.emit(0x0f, 0xb7, 0x4a, 2) // movzx ecx, word [rdx+size]
	a.jmp("copy")
	a.label("varies")
	a.emit(0x80, 0x7a, 1, sizeAlways) // cmp byte [rdx+kind], sizeAlways
	a.jne("polled")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.js("path")
	a.jmp("sized")
	a.label("polled")
	a.emit(0x80, 0x7a, 1, sizePolled) // cmp byte [rdx+kind], sizePolled
	a.jne("returned")
	a.load(rcx, argSI)
	a.emit(0x48, 0xc1, 0xe1, 3) // shl rcx, 3: of struct pollfd
	a.jmp("copy")
	a.label("returned")
	a.emit(0x80, 0x7a, 1, sizeSets) // cmp byte [rdx+kind], sizeSets
	a.je("sets")
	a.emit(0x80, 0x7a, 1, sizeNamed) // cmp byte [rdx+kind], sizeNamed
	a.je("name's")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.jle("path")
	a.emit(0xb9) // mov ecx, 4
	a.imm32(4)
	a.emit(0x80, 0x7a, 1, sizeReaped) // cmp byte [rdx+kind], sizeReaped
	a.je("copy")
	a.emit(0x48, 0x89, 0xc1)         // mov rcx, rax
	a.emit(0x80, 0x7a, 1, sizeReady) // cmp byte [rdx+kind], sizeReady
	a.jne("copy")
	a.emit(0x48, 0x8d, 0x0c, 0x49) // lea rcx, [rcx+rcx*2]
	a.emit(0x48, 0xc1, 0xe1, 2)    // shl rcx, 2: struct epoll_event has 12 bytes
	a.label("copy")
	a.store(rsi, recOut)
	a.store(rcx, recOutLen)
	a.emit(0xf3, 0xa4) // rep movsb
}

// path copies the path that it read.
func (a *callsAsm) path() {
	a.label("path")
	a.emit(0x0f, 0xb6, 0x72, 4) // movzx esi, byte [rdx+path]
	a.emit(0x85, 0xf6)          // test esi, esi
	a.je("in")
	// After other errors it may be that nothing was read, and that the
	// pointer leads nowhere.
	a.emit(0x48, 0x85, 0xc0)    // test rax, rax
	a.jump("named", 0x0f, 0x89) // jns
	// -ENOENT, -ENOTDIR, -EEXIST, -ENODATA, -EOPNOTSUPP
	for _, read := range []byte{0xfe, 0xec, 0xef, 0xc3, 0xa1} {
		a.emit(0x48, 0x83, 0xf8, read) // cmp rax, read
		a.je("named")
	}
	a.cell(cellClass, []byte{0x83, 0x3d}, classReadlink) // cmp dword [class], classReadlink
	a.jne("kind")
	a.emit(0x48, 0x83, 0xf8, 0xea) // cmp rax, -EINVAL: of what is not a link
	a.jne("kind")
	a.label("named")
	a.emit(0x49, 0x8b, 0x34, 0x33) // mov rsi, [r11+rsi]
	a.emit(0x48, 0x85, 0xf6)       // test rsi, rsi
	a.je("kind")
	a.emit(0x31, 0xc9) // xor ecx, ecx
	a.label("byte")
	a.emit(0x81, 0xf9) // cmp ecx, maxCallPath
	a.imm32(maxCallPath)
	a.jae("end")
	a.emit(0x8a, 0x04, 0x0e) // mov al, [rsi+rcx]
	a.emit(0x84, 0xc0)       // test al, al
	a.je("end")
	a.emit(0x88, 0x04, 0x0f) // mov [rdi+rcx], al
	a.emit(0xff, 0xc1)       // inc ecx
	a.jmp("byte")
	a.label("end")
	a.store(rcx, recInLen)
	a.emit(0x48, 0x01, 0xcf) // add rdi, rcx

	a.jmp("kind")
}

// given copies the beginning of what it was given, of which the kernel has read as much
// as it returned.
func (a *callsAsm) given() {
	a.label("in")
	a.emit(0x0f, 0xb6, 0x72, 6) // movzx esi, byte [rdx+in]
	a.emit(0x85, 0xf6)          // test esi, esi
	a.je("kind")
	a.emit(0x0f, 0xb6, 0x4a, 7) // movzx ecx, byte [rdx+fixed]
	a.emit(0x85, 0xc9)          // test ecx, ecx
	a.je("varying")
	a.emit(0x48, 0x83, 0xf8, 0xf5) // cmp rax, -EAGAIN
	a.je("given")
	a.cell(cellClass, []byte{0x83, 0x3d}, classConnect) // cmp dword [class], classConnect: it has read the address, whatever came of it
	a.je("given")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.jne("kind")
	a.jmp("given")
	a.label("varying")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.jle("kind")
	a.emit(0xb9) // mov ecx, maxCallIn
	a.imm32(maxCallIn)
	a.cell(cellClass, []byte{0x83, 0x3d}, classPrint) // cmp dword [class], classPrint
	a.jne("some")
	a.cell(cellKind, []byte{0x0f, 0xb6, 0x0d}) // movzx ecx, byte [kind]
	a.store(rcx, recOut)
	a.emit(0xb9) // mov ecx, maxPrinted
	a.imm32(maxPrinted)
	a.label("some")
	a.emit(0x48, 0x39, 0xc8)       // cmp rax, rcx
	a.emit(0x48, 0x0f, 0x42, 0xc8) // cmovb rcx, rax
	a.label("given")
	a.emit(0x49, 0x8b, 0x34, 0x33) // mov rsi, [r11+rsi]
	a.emit(0x48, 0x85, 0xf6)       // test rsi, rsi
	a.je("kind")
	a.store(rcx, recInLen)
	a.emit(0xf3, 0xa4) // rep movsb
}
