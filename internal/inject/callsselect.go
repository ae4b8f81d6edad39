package inject

import (
	"encoding/binary"
	"fmt"

	"pyrr/internal/mem"
	unix "pyrr/internal/sys"
)

const (
	// pieces in place of an address says of what a call wrote that it lies in several
	// places: what the record has is, for each, a length, the address and the bytes, in
	// words of 8 bytes, and a length of 0 behind the last.
	pieces = 1
	// maxSelected is how many descriptors a select is about (FD_SETSIZE), which an fd_set
	// of setSize bytes has.
	maxSelected, setSize = 1024, 128
	// formerSets is where in a record the sets lie that a select was called with.
	formerSets = callHead + 0x400
	// nearStack is how far above the stack pointer what it points to may lie: memory that
	// is there.
	nearStack = 0x20000
)

var setArgs = []int{argSI, argDX, arg10}

// guardSelect is pselect6 without a mask, of sets and a time-out on the thread's own stack.
func (a *callsAsm) guardSelect() {
	a.label("select")
	a.emit(0x4d, 0x85, 0xc9) // test r9, r9
	a.jne("slow")
	a.emit(0x81, 0xff) // cmp edi, maxSelected
	a.imm32(maxSelected)
	a.ja("slow")
	a.emit(0x85, 0xff) // test edi, edi: that is a sleep
	a.je("slow")
	a.emit(0x48, 0x85, 0xf6) // test rsi, rsi: what it reads is shown
	a.je("slow")
	for i, reg := range [][2]byte{{0x48, 0xf6}, {0x48, 0xd2}, {0x4d, 0xd2}, {0x4d, 0xc0}} {
		none := []string{"no input", "no output", "no exception", "no time-out"}[i]
		a.emit(reg[0], 0x85, reg[1]) // test rsi, rdx, r10, r8
		a.je(none)
		rex := byte(0x49)
		if reg[0] == 0x4d {
			rex = 0x4d
		}
		a.emit(rex, 0x89, 0xc3|reg[1]&7<<3) // mov r11, the same
		a.emit(0x49, 0x29, 0xe3)            // sub r11, rsp
		a.emit(0x49, 0x81, 0xfb)            // cmp r11, nearStack
		a.imm32(nearStack)
		a.ja("slow")
		if none == "no time-out" {
			a.emit(0x49, 0x83, 0x38, 0) // cmp qword [r8], 0
			a.jump("slow", 0x0f, 0x8c)  // jl
			a.emit(0x49, 0x81, 0x78, 8) // cmp qword [r8+8], 999999999
			a.imm32(999_999_999)
			a.ja("slow")
		}
		a.label(none)
	}
	a.jmp("go")
}

// guardTerminal is a read of the master of a terminal, which is made if a poll says that
// it does not wait: only if somebody else reads what there was meanwhile, it does.
func (a *callsAsm) guardTerminal() {
	a.label("terminal")
	a.slowAbove(rdx, maxCallData)
	a.pollsIn(unix.SYS_READ)
	a.setClass(classTermRead)
	a.jmp("go")
}

// pollsIn leads the call nr to where it stops, unless the descriptor in rdi has something
// for it.
func (a *callsAsm) pollsIn(nr uint32) {
	const sysPoll, pollIn = 7, 1
	a.atEnd()
	a.ja("slow")
	a.save(saved{cellRet, rcx}, saved{cellNr, rdi}, saved{cellSI, rsi}, saved{cellDX, rdx})
	a.emit(0x41, 0x89, 0xbb) // mov [r11+callHead], edi: a struct pollfd
	a.imm32(callHead)
	a.emit(0x41, 0xc7, 0x83) // mov dword [r11+callHead+4], POLLIN
	a.imm32(callHead + 4)
	a.imm32(pollIn)
	a.emit(0x49, 0x8d, 0xbb) // lea rdi, [r11+callHead]
	a.imm32(callHead)
	a.emit(0xbe) // mov esi, 1
	a.imm32(1)
	a.emit(0x31, 0xd2) // xor edx, edx
	a.emit(0xb8)       // mov eax, poll
	a.imm32(sysPoll)
	a.syscall()
	a.emit(0x49, 0x89, 0xc3) // mov r11, rax
	a.restore(saved{cellRet, rcx}, saved{cellNr, rdi}, saved{cellSI, rsi}, saved{cellDX, rdx})
	a.emit(0xb8) // mov eax, nr
	a.imm32(nr)
	a.emit(0x49, 0x83, 0xfb, 1) // cmp r11, 1
	a.jne("slow")
}

// setBytes has r9 at how many bytes of each set there are.
func (a *callsAsm) setBytes() {
	a.load(r9, argDI)
	a.emit(0x41, 0x83, 0xc1, 63) // add r9d, 63
	a.emit(0x41, 0xc1, 0xe9, 6)  // shr r9d, 6
	a.emit(0x41, 0xc1, 0xe1, 3)  // shl r9d, 3
}

// noMask has r9 at what it was.
func (a *callsAsm) noMask() { a.emit(0x45, 0x31, 0xc9) } // xor r9d, r9d

// selects has a select made with a time-out of 0, and keeps what its sets were.
func (a *callsAsm) selects() {
	a.label("selects")
	a.setBytes()
	for i, arg := range setArgs {
		none := []string{"set 0", "set 1", "set 2"}[i]
		a.load(rsi, arg)
		a.emit(0x48, 0x85, 0xf6) // test rsi, rsi
		a.je(none)
		a.emit(0x49, 0x8d, 0xbb) // lea rdi, [r11+formerSets…]
		a.imm32(formerSets + uint32(i)*setSize)
		a.emit(0x44, 0x89, 0xc9) // mov ecx, r9d
		a.emit(0xf3, 0xa4)       // rep movsb
		a.label(none)
	}
	a.noMask()
	a.cell(cellSI, []byte{0x48, 0xc7, 0x05}, 0, 0, 0, 0) // mov qword [si], 0: a struct timespec
	a.cell(cellDX, []byte{0x48, 0xc7, 0x05}, 0, 0, 0, 0) // mov qword [dx], 0
	a.cell(cellSI, []byte{0x4c, 0x8d, 0x05})             // lea r8, [si]
	a.load(rdi, argDI)
	a.load(rsi, argSI)
	a.load(rdx, argDX)
	a.load(r10, arg10)
	a.jmp("call")

	// Nothing is ready.
	a.label("selected none")
	a.emit(0x4d, 0x85, 0xc0) // test r8, r8
	a.je("deselect")
	a.emit(0x49, 0x8b, 0x08)    // mov rcx, [r8]
	a.emit(0x49, 0x0b, 0x48, 8) // or rcx, [r8+8]
	a.je("is")
	a.label("deselect")
	a.setBytes()
	for i, arg := range setArgs {
		none := []string{"former 0", "former 1", "former 2"}[i]
		a.load(rdi, arg)
		a.emit(0x48, 0x85, 0xff) // test rdi, rdi
		a.je(none)
		a.emit(0x49, 0x8d, 0xb3) // lea rsi, [r11+formerSets…]
		a.imm32(formerSets + uint32(i)*setSize)
		a.emit(0x44, 0x89, 0xc9) // mov ecx, r9d
		a.emit(0xf3, 0xa4)       // rep movsb
		a.label(none)
	}
	a.noMask()
	a.load(rdi, argDI)
	a.load(rsi, argSI)
	a.jmp("undo")
}

// sets copies what a select made of its sets, and what the first one was.
func (a *callsAsm) sets() {
	a.label("sets")
	a.emit(0x48, 0x85, 0xc0) // test rax, rax
	a.js("path")
	a.setBytes()
	for i, arg := range setArgs {
		none := []string{"piece 0", "piece 1", "piece 2"}[i]
		a.load(rsi, arg)
		a.emit(0x48, 0x85, 0xf6) // test rsi, rsi
		a.je(none)
		a.emit(0x4c, 0x89, 0x0f)       // mov [rdi], r9
		a.emit(0x48, 0x89, 0x77, 8)    // mov [rdi+8], rsi
		a.emit(0x48, 0x83, 0xc7, 0x10) // add rdi, 16
		a.emit(0x44, 0x89, 0xc9)       // mov ecx, r9d
		a.emit(0xf3, 0xa4)             // rep movsb
		a.label(none)
	}
	a.emit(0x48, 0xc7, 0x07, 0, 0, 0, 0) // mov qword [rdi], 0
	a.emit(0x48, 0x83, 0xc7, 8)          // add rdi, 8
	a.emit(0x48, 0x89, 0xf9)             // mov rcx, rdi
	a.emit(0x4c, 0x29, 0xd9)             // sub rcx, r11
	a.emit(0x48, 0x81, 0xe9)             // sub rcx, callHead
	a.imm32(callHead)
	a.store(rcx, recOutLen)
	a.emit(0xb9) // mov ecx, pieces
	a.imm32(pieces)
	a.store(rcx, recOut)
	a.store(r9, recInLen)
	a.emit(0x49, 0x8d, 0xb3) // lea rsi, [r11+formerSets]
	a.imm32(formerSets)
	a.emit(0x44, 0x89, 0xc9) // mov ecx, r9d
	a.emit(0xf3, 0xa4)       // rep movsb
	a.noMask()
	a.jmp("kind")
}

// feedPieces writes, on replay, what a record says that its call wrote in several places.
func (a *callsAsm) feedPieces() {
	a.label("pieces")
	a.emit(0x48, 0x8b, 0x0e) // mov rcx, [rsi]
	a.emit(0x48, 0x85, 0xc9) // test rcx, rcx
	a.je("in pieces")
	a.emit(0x48, 0x8b, 0x7e, 8)    // mov rdi, [rsi+8]
	a.emit(0x48, 0x83, 0xc6, 0x10) // add rsi, 16
	a.emit(0xf3, 0xa4)             // rep movsb
	a.emit(0x48, 0x83, 0xc6, 7)    // add rsi, 7
	a.emit(0x48, 0x83, 0xe6, 0xf8) // and rsi, -8
	a.jmp("pieces")
}

// inPieces is what a record holds of a call that wrote in several places.
func inPieces(out []Write) (b []byte) {
	for _, w := range out {
		b = append(append(b, le(uint64(len(w.Data)), w.Addr)...), w.Data...)
		b = append(b, make([]byte, -len(w.Data)&7)...)
	}
	return append(b, le(uint64(0))...)
}

// InPieces says whether a call wrote in several places, which Pieces has.
func (c *BufferedCall) InPieces() bool { return c.Addr == pieces && len(c.Out) > 0 }

// Pieces is what a call wrote in several places. The bytes are those of its record.
func (c *BufferedCall) Pieces() ([]Write, error) {
	var all []Write
	for b := c.Out; len(b) >= 16; {
		n, addr := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		b = b[16:]
		padded := (n + 7) &^ 7
		if n > maxCallData || padded > uint64(len(b)) {
			break
		}
		all = append(all, Write{addr, b[:n]})
		if b = b[padded:]; len(b) == 8 {
			return all, nil
		}
	}
	return nil, fmt.Errorf("a record of call %d whose pieces don't fit", c.Nr)
}

// BackOut returns the result with which a call that a signal or an interrupt cut short goes
// to where it stops. That is one which was sure not to wait, and did: somebody else was
// faster. For all else ok is false; the kernel makes such calls again.
func (img *CallsArea) BackOut(m mem.Reader, pc, result uint64) (again uint64, ok bool) {
	if pc != img.Base+uint64(img.common.labels["called"]) {
		return 0, false
	}
	switch -int64(result) {
	case 512, 513, 514, 516: // linux/errno.h: ERESTARTSYS, …NOINTR, …NOHAND, …_RESTARTBLOCK
	default:
		return 0, false
	}
	class, err := mem.U64(m, img.Data+cellClass)
	const eAgain = 11
	return ^uint64(eAgain - 1), err == nil && class >= classTermRead && class < classEpoll
}
