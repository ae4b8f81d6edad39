package replay

import (
	"encoding/binary"
	"slices"
	"strings"

	"pyrr/cpython"
)

// Most functions that a program enters are none that a breakpoint could be
// in, and a stop to learn that of each costs more than the rest of a
// breakpoint. So once the lookup of a function has failed, a hook compares the
// ends of its file name and of its name with what the breakpoints name. Where
// none fits, it puts the function into the table of known ones by itself. Where
// one fits, or anything is not as expected, it traps: the ends of the names
// are compared by up to filterTail bytes, the replay compares the rest.

// filterPattern is what breakpoints want of a function: the ends of the name
// of its file and of its name, "" for any.
type filterPattern struct{ file, name string }

const (
	maxPatterns = 64
	filterTail  = 16
	// filterSteps bounds how many instructions may lie before the one that
	// enters a function: one for each cell variable, and a few.
	filterSteps = 32
	// maxPassed bounds the functions that hooks put into the table.
	maxPassed = tableEntries / 4
)

// More cells of the hooks, beside those of the lookup.
const (
	cellRsi    = hookCells + 24
	cellRdi    = hookCells + 32
	cellR8     = hookCells + 40
	cellCode   = hookCells + 48
	cellPassed = hookCells + 56 // how many functions hooks have put into the table
)

// patternsFor lists what the Python breakpoints want; ok is false where hooks
// can't tell.
func patternsFor(list []*Break, qualified bool) (ps []filterPattern, ok bool) {
	for _, b := range list {
		if b.Off || b.Kind > BreakReturn {
			continue
		}
		p := filterPattern{file: b.File}
		if b.Kind != BreakLine {
			p.name = b.Func
			if i := strings.LastIndexByte(p.name, '.'); i >= 0 && !qualified {
				p.name = p.name[i+1:]
			}
		}
		if p.file == "" && p.name == "" {
			return nil, false
		}
		ascii := func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return c >= 0x80 }) < 0 }
		if !ascii(p.file) || !ascii(p.name) {
			continue // what it fits has a name for which hooks trap
		}
		if !slices.Contains(ps, p) {
			ps = append(ps, p)
		}
	}
	return ps, len(ps) <= maxPatterns
}

// setFilter readies the filter for the breakpoints there are. Where these
// differ from those before, what the hooks let pass is looked at again.
func (p *Process) setFilter() {
	h := &p.hooks
	ps, ok := patternsFor(p.s.breaks.list, p.rules().Qualified)
	if !ok {
		ps = nil
	}
	if h.mapped && !slices.Equal(ps, h.patterns) {
		p.stale, p.looked = true, false
	}
	h.patterns, h.canPass = ps, ok
	if h.entry != nil {
		return
	}
	rt, err := p.Runtime()
	if err != nil {
		return
	}
	for _, c := range p.python.codes {
		if e, err := rt.Entry(p.Mem(), c); err == nil && rt.Holds(p.Mem(), c) {
			h.entry = e
			return
		}
	}
}

// x86 registers by number.
const (
	rax = 0
	rcx = 1
	rdx = 2
	rsi = 6
	rdi = 7
)

// load emits mov dst, [base+off].
func (a *asm) load(dst, base byte, off int) { a.based(0x8b, dst, base, off) }

// based emits a 64-bit instruction on a register below r8 and [base+off].
func (a *asm) based(op, reg, base byte, off int) {
	a.emit(0x48, op, 0x80|reg<<3|base)
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(int32(off)))
}

// const64 emits mov reg, v.
func (a *asm) const64(reg byte, v uint64) {
	a.emit(0x48, 0xb8|reg)
	a.b = binary.LittleEndian.AppendUint64(a.b, v)
}

// pass emits the filter: with the next instruction in rax and the function's
// place in the table in rcx it goes on to ok, where it has put the function
// there, or to trap. It uses rdx, rsi, rdi and r8, and leaves the last three
// as they were. It returns where the code lies in which they may not be.
func (a *asm) pass(e *cpython.Entry, patterns []filterPattern, ok, trap *int) (from, to uint64) {
	yes, out := new(int), new(int)
	a.mem(cellRsi, 0x48, 0x89, 0x35) // mov [cell], rsi
	a.mem(cellRdi, 0x48, 0x89, 0x3d) // mov [cell], rdi
	a.mem(cellR8, 0x4c, 0x89, 0x05)  // mov [cell], r8
	from = a.here()
	jae := func(l *int) { a.to(l, 0x0f, 0x83) }

	a.codeToRsi(e, out)
	a.mem(cellCode, 0x48, 0x89, 0x35) // mov [cell], rsi

	a.endTo(rdi, e.Filename, e, out)
	a.endTo(rsi, e.Name, e, out)
	for _, p := range patterns {
		next := new(int)
		a.tail(rdi, p.file, next)
		a.tail(rsi, p.name, next)
		a.to(out, 0xe9)
		*next = len(a.b)
	}

	// None fits. The last slot stays empty, so that searches end.
	a.mem(hookTable+(tableEntries+tableSlack-1)*tableEntry, 0x48, 0x8d, 0x15) // lea rdx, [last]
	a.emit(0x48, 0x39, 0xd1)                                                  // cmp rcx, rdx
	jae(out)
	a.mem(cellPassed, 0x48, 0x8b, 0x15) // mov rdx, [passed]
	a.emit(0x48, 0x81, 0xfa)            // cmp rdx, imm32
	a.b = binary.LittleEndian.AppendUint32(a.b, maxPassed)
	jae(out)
	a.emit(0x48, 0xff, 0xc2)            // inc rdx
	a.mem(cellPassed, 0x48, 0x89, 0x15) // mov [passed], rdx
	a.mem(cellCode, 0x48, 0x8b, 0x35)   // mov rsi, [code]
	a.emit(0x48, 0x89, 0x01)            // mov [rcx], rax
	a.emit(0x48, 0x8d, 0x57, 0xf8)      // lea rdx, [rdi-8]
	a.emit(0x48, 0x89, 0x51, 40)        // mov [rcx+40], rdx
	a.load(rdx, rdx, 0)
	a.emit(0x48, 0x89, 0x51, 48) // mov [rcx+48], rdx
	for i, off := range []int{e.FirstLine, e.Filename} {
		a.based(0x8d, rdx, rsi, off)            // lea rdx, [rsi+off]
		a.emit(0x48, 0x89, 0x51, byte(8+16*i))  // mov [rcx+8+16i], rdx
		a.load(rdx, rdx, 0)                     //
		a.emit(0x48, 0x89, 0x51, byte(16+16*i)) // mov [rcx+16+16i], rdx
	}
	a.to(yes, 0xe9)
	restore := func(to *int) {
		a.mem(cellR8, 0x4c, 0x8b, 0x05)
		a.mem(cellRdi, 0x48, 0x8b, 0x3d)
		a.mem(cellRsi, 0x48, 0x8b, 0x35)
		a.to(to, 0xe9)
	}
	to = a.here()
	*yes = len(a.b)
	restore(ok)
	*out = len(a.b)
	restore(trap)
	return from, to
}

// codeToRsi leads the code object of a frame to rsi, or jumps out.
func (a *asm) codeToRsi(e *cpython.Entry, out *int) {
	je := func(l *int) { a.to(l, 0x0f, 0x84) }
	jne := func(l *int) { a.to(l, 0x0f, 0x85) }
	if e.TState != 0 {
		a.codeOf(rsi, rdx, e, out)
		a.load(rdx, rsi, e.Bytes)
		a.emit(0x48, 0x89, 0xc7) // mov rdi, rax
		a.emit(0x48, 0x29, 0xd7) // sub rdi, rdx
		a.emit(0x48, 0x81, 0xef) // sub rdi, imm32: next_instr points behind the instruction
		a.b = binary.LittleEndian.AppendUint32(a.b, uint32(e.Value+2))
		a.based(0x3b, rdi, rdx, e.Size) // cmp rdi, [rdx+size]
		a.to(out, 0x0f, 0x83)           // jae
	} else {
		again, got := new(int), new(int)
		a.based(0x8d, rsi, rax, -e.Bytecode) // lea rsi, [rax-bytecode]
		a.const64(rdx, e.CodeType)
		a.emit(0xbf, filterSteps, 0, 0, 0) // mov edi, steps
		*again = len(a.b)
		a.based(0x39, rdx, rsi, e.Type) // cmp [rsi+type], rdx
		je(got)
		a.emit(0x48, 0x83, 0xee, 2) // sub rsi, 2
		a.emit(0xff, 0xcf)          // dec edi
		jne(again)
		a.to(out, 0xe9)
		*got = len(a.b)
	}
}

// endTo leads to a register where a string of the code object in rsi ends, or jumps
// out where it is not ASCII.
func (a *asm) endTo(reg byte, off int, e *cpython.Entry, out *int) {
	a.load(rdx, rsi, off)
	a.emit(0x41, 0xb8) // mov r8d, mask
	a.b = binary.LittleEndian.AppendUint32(a.b, e.StateMask)
	a.emit(0x44, 0x23, 0x82) // and r8d, [rdx+state]
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(e.State))
	a.emit(0x41, 0x81, 0xf8) // cmp r8d, imm32
	a.b = binary.LittleEndian.AppendUint32(a.b, e.StateASCII)
	a.to(out, 0x0f, 0x85) // jne
	a.load(reg, rdx, e.Length)
	a.emit(0x48, 0x8d, 0x84|reg<<3, reg<<3|rdx) // lea reg, [rdx+reg+disp32]
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(e.ASCII))
}

// codeOf emits the loading of the code object of the running thread's frame
// to dst, by way of another register; or the jump to none.
func (a *asm) codeOf(dst, by byte, e *cpython.Entry, none *int) {
	a.const64(by, e.TState)
	for _, off := range []int{0, e.Frame} {
		a.load(by, by, off)
		a.emit(0x48, 0x85, 0xc0|by<<3|by) // test by, by
		a.to(none, 0x0f, 0x84)            // je
	}
	a.load(dst, by, e.Code)
}

// tail emits a comparison of the end of a string, which ends at the address
// in a register, and goes on to differs or behind it.
func (a *asm) tail(end byte, s string, differs *int) {
	for back := 8; len(s) > 0 && back <= filterTail; back += 8 {
		k := min(len(s), 8)
		var w [8]byte
		copy(w[:], s[len(s)-k:])
		s = s[:len(s)-k]
		a.load(rdx, end, -back)
		if k < 8 {
			a.emit(0x48, 0xc1, 0xea, byte(64-8*k)) // shr rdx, imm8
		}
		a.emit(0x49, 0xb8) // mov r8, imm64
		a.b = append(a.b, w[:]...)
		a.emit(0x4c, 0x39, 0xc2) // cmp rdx, r8
		a.to(differs, 0x0f, 0x85)
	}
}
