package linux

import "fmt"

// Regs is struct user_regs_struct of x86-64 (sys/user.h): what
// PTRACE_GETREGS fills and PTRACE_SETREGS takes, field by field. What is not
// of x86-64 goes by its methods.
type Regs struct {
	R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8 uint64
	Rax, Rcx, Rdx, Rsi, Rdi, OrigRax, Rip          uint64
	Cs, Eflags, Rsp, Ss, FsBase, GsBase            uint64
	Ds, Es, Fs, Gs                                 uint64
}

// NumRegs is how many words Regs are in a recording.
const NumRegs = 27

// Selectors of the segments of a 64-bit program (__USER_CS and __USER_DS of
// asm/segment.h).
const (
	userCS = 0x33
	userDS = 0x2b
)

// Flags of EFLAGS.
const (
	arithmeticFlags = 0x8d5  // CF, PF, AF, ZF, SF, OF
	trapFlag        = 1 << 8 // TF
	resumeFlag      = 1 << 16
)

const (
	noCall   = ^uint64(0) // in OrigRax: the thread is in no call
	callSize = 2          // of the syscall instruction
)

// Breakpoint is the machine code of a breakpoint: int3. A thread that it stops is
// BehindBreakpoint bytes behind its beginning.
var Breakpoint = []byte{0xcc}

// BehindBreakpoint is how far.
const BehindBreakpoint = 1

// RedZone is how much memory below the stack pointer is in use (System V ABI
// x86-64, 3.2.2).
const RedZone = 128

// PC is the address of the next machine instruction.
func (r *Regs) PC() uint64 { return r.Rip }

// SetPC changes it.
func (r *Regs) SetPC(pc uint64) { r.Rip = pc }

// SP is the stack pointer.
func (r *Regs) SP() uint64 { return r.Rsp }

// SetSP changes it.
func (r *Regs) SetSP(sp uint64) { r.Rsp = sp }

// TLS is the thread pointer: where the C library keeps what it knows of a thread,
// which pthread_self(3) returns.
func (r *Regs) TLS() uint64 { return r.FsBase }

// SetTLS changes it.
func (r *Regs) SetTLS(at uint64) { r.FsBase = at }

// Args returns the six syscall arguments at a syscall stop, in order.
func (r *Regs) Args() [6]uint64 {
	return [6]uint64{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9}
}

// SetArgs changes them.
func (r *Regs) SetArgs(a [6]uint64) {
	r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
}

// FuncArgs returns the first arguments of a C function that a thread stands at
// the beginning of.
func (r *Regs) FuncArgs() [4]uint64 { return [4]uint64{r.Rdi, r.Rsi, r.Rdx, r.Rcx} }

// InCall says whether the thread is at a stop of a system call, or in one.
func (r *Regs) InCall() bool { return int64(r.OrigRax) >= 0 }

// Number is that of the system call that a thread is in.
func (r *Regs) Number() int { return int(int32(r.OrigRax)) }

// SetNumber changes it.
func (r *Regs) SetNumber(nr int) { r.OrigRax = uint64(nr) }

// NoCall has the thread be in no call: the kernel would make it again, as one that
// a signal had interrupted.
func (r *Regs) NoCall() { r.OrigRax = noCall }

// Result is what a system call returned, -errno on failure.
func (r *Regs) Result() int64 { return int64(r.Rax) }

// SetResult changes it.
func (r *Regs) SetResult(v int64) { r.Rax = uint64(v) }

// SetCall prepares the registers for the instruction that makes a system call.
func (r *Regs) SetCall(nr uint64, args [6]uint64) {
	r.Rax, r.OrigRax = nr, noCall
	r.SetArgs(args)
}

// BeforeCall leads a thread that stands behind the instruction of a system call
// back to it, to make call nr.
func (r *Regs) BeforeCall(nr uint64) { r.Rip, r.Rax, r.OrigRax = r.Rip-callSize, nr, noCall }

// CallAgain leads a thread back to the call that it is in.
func (r *Regs) CallAgain() { r.BeforeCall(r.OrigRax) }

// BehindCall is the address behind the instruction of a system call at pc.
func BehindCall(pc uint64) uint64 { return pc + callSize }

// BeforeCallAt is the address of the instruction of a system call that ends at pc.
func BeforeCallAt(pc uint64) uint64 { return pc - callSize }

// LeftBy says whether registers are as a system call leaves those that it was entered
// with, with a result.
func (r *Regs) LeftBy(entry *Regs, result int64) bool {
	return r.Rip == entry.Rip && r.Rax == uint64(result) && r.Rsp == entry.Rsp &&
		r.Rbx == entry.Rbx && r.Rbp == entry.Rbp && r.R12 == entry.R12 && r.R13 == entry.R13 && r.R14 == entry.R14 && r.R15 == entry.R15 &&
		r.Rdi == entry.Rdi && r.Rsi == entry.Rsi && r.Rdx == entry.Rdx && r.R8 == entry.R8 && r.R9 == entry.R9 && r.R10 == entry.R10 &&
		r.Rcx == entry.Rip
}

// Is64 says whether a thread runs 64-bit code, the only kind that is recorded.
func (r *Regs) Is64() bool { return r.Cs == userCS }

// Mode is the code segment, which tells the mode of a thread.
func (r *Regs) Mode() uint64 { return r.Cs }

// SetMode gives registers the mode in which machine code of pyrr's is what it looks like:
// 64-bit code, no single steps.
func (r *Regs) SetMode() { r.Cs, r.Ss, r.Eflags = userCS, userDS, r.Eflags&^trapFlag }

// Bases are the addresses in registers that the kernel refuses beyond a program's memory.
func (r *Regs) Bases() [2]uint64 { return [2]uint64{r.FsBase, r.GsBase} }

// ClearArithmetic clears the flags that computing changes. They are dead where
// instructions are dispatched.
func (r *Regs) ClearArithmetic() { r.Eflags &^= arithmeticFlags }

// Seen is what a program can see of its registers: not what comes of single steps,
// nor the call that the kernel takes it to be in.
func (r *Regs) Seen() Regs {
	s := *r
	s.OrigRax = 0
	s.Eflags &^= trapFlag | resumeFlag
	return s
}

// WithoutSegments is Seen without the selectors of segments, which a replay may have
// others of.
func (r *Regs) WithoutSegments() Regs {
	s := r.Seen()
	s.Cs, s.Ss, s.Ds, s.Es, s.Fs, s.Gs = 0, 0, 0, 0, 0, 0
	return s
}

// General are the registers that hold what a program computes with, but for the
// stack pointer.
func (r *Regs) General() [15]*uint64 {
	return [15]*uint64{&r.Rax, &r.Rbx, &r.Rcx, &r.Rdx, &r.Rsi, &r.Rdi, &r.Rbp,
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15}
}

// Encoded are the general registers in the order of their numbers in machine code.
func (r *Regs) Encoded() [16]uint64 {
	return [16]uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi,
		r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15}
}

// DWARF are the registers in the order of DWARF's numbers for them (System V ABI,
// figure 3.36), and the program counter behind them.
func (r *Regs) DWARF() [17]uint64 {
	return [17]uint64{r.Rax, r.Rdx, r.Rcx, r.Rbx, r.Rsi, r.Rdi, r.Rbp, r.Rsp,
		r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.Rip}
}

// Words are the registers in the order in which recordings hold them, which is that of
// struct user_regs_struct.
func (r *Regs) Words() [NumRegs]uint64 {
	return [NumRegs]uint64{r.R15, r.R14, r.R13, r.R12, r.Rbp, r.Rbx, r.R11, r.R10, r.R9, r.R8,
		r.Rax, r.Rcx, r.Rdx, r.Rsi, r.Rdi, r.OrigRax, r.Rip,
		r.Cs, r.Eflags, r.Rsp, r.Ss, r.FsBase, r.GsBase,
		r.Ds, r.Es, r.Fs, r.Gs}
}

// RegsOf makes registers of such words.
func RegsOf(a *[NumRegs]uint64) *Regs {
	return &Regs{R15: a[0], R14: a[1], R13: a[2], R12: a[3], Rbp: a[4], Rbx: a[5], R11: a[6], R10: a[7], R9: a[8], R8: a[9],
		Rax: a[10], Rcx: a[11], Rdx: a[12], Rsi: a[13], Rdi: a[14], OrigRax: a[15], Rip: a[16],
		Cs: a[17], Eflags: a[18], Rsp: a[19], Ss: a[20], FsBase: a[21], GsBase: a[22],
		Ds: a[23], Es: a[24], Fs: a[25], Gs: a[26]}
}

// WaitingRegs are those of a thread in a system call that does not stop, as far as
// /proc/PID/task/TID/syscall says them (proc(5)): no more than its mode where the
// text says no call.
func WaitingRegs(text []byte) Regs {
	const noSys = -38
	r := Regs{Cs: userCS, Ss: userDS, OrigRax: noCall}
	var nr int64
	if n, _ := fmt.Sscanf(string(text), "%d %v %v %v %v %v %v %v %v", &nr, &r.Rdi, &r.Rsi, &r.Rdx, &r.R10, &r.R8, &r.R9, &r.Rsp, &r.Rip); n == 9 {
		r.OrigRax = uint64(nr)
		r.SetResult(noSys)
	}
	return r
}
