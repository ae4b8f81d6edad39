package inject

import "encoding/binary"

// callsAsm assembles the common code of a calls area whose cells lie dataOff behind
// its start.
type callsAsm struct {
	*asm
	dataOff uint32
}

// cell emits an instruction with an operand that is a cell.
func (a *callsAsm) cell(off uint32, op []byte, imm ...byte) { a.data(a.dataOff+off, op, imm...) }

func (a *callsAsm) imm32(v uint32) { a.b = binary.LittleEndian.AppendUint32(a.b, v) }

// move moves between a register and the record that r11 points to.
func (a *callsAsm) move(op byte, reg, off int) {
	rex := byte(0x49) // REX.W, REX.B for r11
	if reg >= 8 {
		rex |= 4
	}
	a.emit(rex, op, byte(0x80|reg&7<<3|3))
	a.imm32(uint32(off))
}

// saved is a register and the cell that holds it while another call is made.
type saved struct {
	cell uint32
	reg  int
}

// save puts registers into their cells.
func (a *callsAsm) save(list ...saved) { a.each(0x89, list) }

// restore takes registers out of their cells.
func (a *callsAsm) restore(list ...saved) { a.each(0x8b, list) }

func (a *callsAsm) each(op byte, list []saved) {
	for _, s := range list {
		rex := byte(0x48) // REX.W
		if s.reg >= 8 {
			rex |= 4
		}
		a.cell(s.cell, []byte{rex, op, byte(s.reg&7<<3 | 5)})
	}
}

func (a *callsAsm) store(reg, off int) { a.move(0x89, reg, off) }
func (a *callsAsm) load(reg, off int)  { a.move(0x8b, reg, off) }

func (a *callsAsm) jmp(l string) { a.jump(l, 0xe9) }
func (a *callsAsm) ja(l string)  { a.jump(l, 0x0f, 0x87) }
func (a *callsAsm) jae(l string) { a.jump(l, 0x0f, 0x83) }
func (a *callsAsm) je(l string)  { a.jump(l, 0x0f, 0x84) }
func (a *callsAsm) jne(l string) { a.jump(l, 0x0f, 0x85) }
func (a *callsAsm) jle(l string) { a.jump(l, 0x0f, 0x8e) }
func (a *callsAsm) js(l string)  { a.jump(l, 0x0f, 0x88) }

func (a *callsAsm) syscall() { a.emit(0x0f, 0x05) }

// is jumps where the class in r11 is the one.
func (a *callsAsm) is(class byte, l string) {
	a.emit(0x41, 0x83, 0xfb, class) // cmp r11d, class
	a.je(l)
}

// stamp stores the time-stamp counter in the record.
func (a *callsAsm) stamp(off int) {
	a.emit(0x0f, 0x31)             // rdtsc
	a.emit(0x48, 0xc1, 0xe2, 0x20) // shl rdx, 32
	a.emit(0x48, 0x09, 0xd0)       // or rax, rdx
	a.store(rax, off)
}

const (
	// asm/stat.h; offsets in struct stat
	stMode, sIfmt, sIfreg = 24, 0xf000, 0x8000
	stRdev                = 40
	sIfchr, sIfblk        = 0x2000, 0x6000
	devNull               = 0x103 // null(4): 1, 3
	stSize                = 48
	statDev, statI        = 0, 8
	ifDir                 = 0x4000

	sysNewfstatat, sysFcntl, sysExecve, sysIoctl = 262, 72, 59, 16

	created = 0xff // in cellKind: it was not there before
)

// Numbers of registers in machine code.
const rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r12 = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12
