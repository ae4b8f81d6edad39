package inject

import (
	"crypto/rand"
	"encoding/binary"

	"pyrr/internal/linux"
)

// Arithmetic flags of EFLAGS.
const (
	flagCF = 1 << 0
	flagPF = 1 << 2
	flagAF = 1 << 4
	flagZF = 1 << 6
	flagSF = 1 << 7
	flagOF = 1 << 11
)

// Emulate executes the instruction of a site for a thread that stands at it
// (stopped by the trap's SIGILL, or by a syscall before it): it sets the
// result registers and flags and moves the instruction pointer behind the
// site. Results come from the machine, from what cpu shows or where area has its functions; the caller logs
// the registers, and replay sets them without calling Emulate.
//
// The kernel resets the action of a SIGILL that the program has blocked or
// ignored, and unblocks it. Whoever lets it trap puts both back.
func Emulate(s Site, cpu *CPU, area *Area, regs *linux.Regs) {
	switch s.Insn {
	case Rdtsc, Rdtscp:
		t := cpu.timestamp()
		regs.Rax, regs.Rdx = t&0xffffffff, t>>32
		if s.Insn == Rdtscp {
			regs.Rcx = 0 // IA32_TSC_AUX: the number of the processor
		}
	case Cpuid:
		a, b, c, d := cpu.Cpuid(uint32(regs.Rax), uint32(regs.Rcx))
		regs.Rax, regs.Rbx, regs.Rcx, regs.Rdx = uint64(a), uint64(b), uint64(c), uint64(d)
	case Xgetbv:
		// ECX=1 asks for the state in use, which varies: all of it is in use.
		// The processor refuses higher numbers; here they are 0.
		x := cpu.XCR0
		if uint32(regs.Rcx) > 1 {
			x = 0
		}
		regs.Rax, regs.Rdx = x&0xffffffff, x>>32
	case Rdrand, Rdseed:
		// Hidden from the program, but a site can be reached without asking.
		var b [8]byte
		rand.Read(b[:])
		setReg(regs, s.Reg, s.Size, binary.LittleEndian.Uint64(b[:]))
		regs.Eflags &^= flagOF | flagSF | flagZF | flagAF | flagPF
		regs.Eflags |= flagCF // a number was ready
	case Rdpid:
		setReg(regs, s.Reg, s.Size, 0)
	case Lsl:
		s.segmentLimit(regs)
	case Vsyscall:
		setReg(regs, s.Reg, 8, area.vsyscall[s.Size])
	}
	regs.Rip += uint64(s.Len)
}

// segmentLimit is lsl: the limit of the segment that a register selects, and ZF whether there
// is one. A program has the kernel's three of its own (4 to 6 of the table, of 4 GiB), and
// that in whose limit Linux keeps the numbers of the processor and its node (15), which are
// 0 here. It has no others: set_thread_area and modify_ldt are not shown.
func (s Site) segmentLimit(regs *linux.Regs) {
	in, _ := decode(s.Orig[:s.Len])
	selector := uint16(*generalRegs(regs)[in.modrm&7|in.rex<<3&8])
	limit := uint64(0xffffffff)
	regs.Eflags |= flagZF
	switch selector >> 2 { // the lowest two bits are a level, which this one may have
	case 4 << 1, 5 << 1, 6 << 1:
	case 15 << 1:
		limit = 0
	default:
		regs.Eflags &^= flagZF
		return
	}
	setReg(regs, s.Reg, s.Size, limit)
}

// timestamp reads the time-stamp counter. It never goes back, whichever
// thread asks and wherever pyrr runs meanwhile.
func (c *CPU) timestamp() uint64 {
	for {
		last := c.tsc.Load()
		now := max(rdtsc(), last+1)
		if c.tsc.CompareAndSwap(last, now) {
			return now
		}
	}
}

// generalRegs are the general registers by their numbers in an encoding.
func generalRegs(r *linux.Regs) [16]*uint64 {
	return [16]*uint64{&r.Rax, &r.Rcx, &r.Rdx, &r.Rbx, &r.Rsp, &r.Rbp, &r.Rsi, &r.Rdi,
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15}
}

// setReg writes the low size bytes of a general register by its number in
// an encoding. Writing 4 bytes clears the upper half, writing 2 keeps the
// rest (Intel SDM volume 1, 3.4.1.1).
func setReg(r *linux.Regs, n, size int, v uint64) {
	p := generalRegs(r)[n&15]
	switch size {
	case 2:
		*p = *p&^0xffff | v&0xffff
	case 4:
		*p = v & 0xffffffff
	default:
		*p = v
	}
}

// Merged is the registers after an instruction that was executed for the
// program: what it changes, in the thread as it is. area is that of the process, nil
// without one.
func Merged(now, after *linux.Regs, which Insn, area *TimeFunc) *linux.Regs {
	out := *now
	if which == Vsyscall {
		// No other value leads into the area.
		to, from := generalRegs(&out), generalRegs(after)
		for i := range from {
			if area != nil && *from[i]-(area.Count-countOff) < AreaSize {
				*to[i] = *from[i]
			}
		}
		out.Rip = after.Rip
		return &out
	}
	out.Rax, out.Rbx, out.Rcx, out.Rdx, out.Rip, out.Eflags, out.OrigRax = after.Rax, after.Rbx, after.Rcx, after.Rdx, after.Rip, after.Eflags, after.OrigRax
	return &out
}
