package unwind

import "bytes"

// perfReturn is the code behind the call in the trampolines that CPython makes
// for perf (Python/asm_trampoline.S), which have no call frame information: up
// to 3.13 the stack pointer was moved by 8, later rbp was pushed.
var (
	perfReturn   = []byte{0x48, 0x83, 0xc4, 0x08, 0xc3} // add rsp, 8; ret
	perfReturnBP = []byte{0x5d, 0xc3}                   // pop rbp; ret
	perfCallBP   = []byte{0x55, 0x48, 0x89, 0xe5, 0xff, 0xd1}
	perfCall     = []byte{0x48, 0x83, 0xec, 0x08, 0xff, 0xd1}
)

// perfTrampoline goes on from a frame of such a trampoline.
func (s *Modules) perfTrampoline(st *stackMemory, f *Frame) (next Frame, ok bool) {
	if f.Module != nil || !f.Return || f.PC < 6 {
		return next, false
	}
	var code [11]byte
	if st.m.ReadAt(code[:], f.PC-6) != nil {
		return next, false
	}
	before, after := code[:6], code[6:]
	withBP := bytes.Equal(before, perfCallBP) && bytes.HasPrefix(after, perfReturnBP)
	if !withBP && !(bytes.Equal(before, perfCall) && bytes.Equal(after, perfReturn)) {
		return next, false
	}
	sp := f.SP()
	ret, err := st.u64(sp + 8)
	if err != nil || ret == 0 {
		return next, false
	}
	f.CFA = sp + 16
	next.Regs = Regs{R: f.Regs.R, Known: f.Regs.Known & preserved}
	if withBP {
		bp, err := st.u64(sp)
		if err != nil {
			return next, false
		}
		next.Regs.set(RBP, bp)
	}
	next.Regs.set(RSP, f.CFA)
	next.Regs.set(RIP, ret)
	next.PC, next.Return = ret, true
	return next, true
}
