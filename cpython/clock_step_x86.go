package cpython

import "golang.org/x/arch/x86/x86asm"

// step executes one instruction.
func (t *tracer) step(in *x86asm.Inst, pc uint64) {
	next := pc + uint64(in.Len)
	dst, src := in.Args[0], in.Args[1]
	if to, ok := dst.(x86asm.Rel); ok && in.Op != x86asm.CALL {
		t.follow(next + uint64(int64(to)))
	}
	switch in.Op {
	case x86asm.JMP:
		switch a := dst.(type) {
		case x86asm.Reg:
			if r, n := general(a); n == 8 {
				t.jump(pc, t.regs[r])
			}
		case x86asm.Mem:
			t.jump(pc, t.load(a, next, 8))
		}
		t.forget()
	case x86asm.RET, x86asm.UD2, x86asm.HLT:
		t.forget()
	case x86asm.CALL:
		if m, ok := dst.(x86asm.Mem); ok && m.Index != 0 {
			t.jump(pc, t.load(m, next, 8))
		}
		// Caller-saved registers (psABI 3.2.1).
		for _, r := range [...]Reg{0, 1, 2, 6, 7, 8, 9, 10, 11} {
			t.regs[r] = t.fresh()
		}
	case x86asm.JA:
		t.bounded, t.bound = t.compared, t.limit
	case x86asm.CMP:
		t.compared = value{}
		if r, n := general(dst); n != 0 {
			if imm, ok := src.(x86asm.Imm); ok && t.regs[r].kind == valOpcode && n > 0 {
				t.compared, t.limit = t.regs[r], int64(imm)
				if n == 1 {
					t.limit &= 0xff
				}
			}
		}
	case x86asm.TEST, x86asm.NOP, x86asm.PUSH, x86asm.BT, x86asm.UCOMISD, x86asm.COMISD, x86asm.UCOMISS, x86asm.COMISS:
	case x86asm.MOV:
		t.move(dst, src, next)
	case x86asm.MOVZX:
		t.extend(in, next)
	case x86asm.MOVSXD:
		r, n := general(dst)
		if m, ok := src.(x86asm.Mem); ok && n == 8 {
			t.regs[r] = t.load(m, next, 4)
		} else if s, w := general(src); w == 4 && n == 8 && t.regs[s].kind == valOpcode {
			t.regs[r] = t.regs[s]
		} else {
			t.clobber(in)
		}
	case x86asm.LEA:
		t.address(dst, src, next)
	case x86asm.ADD, x86asm.SUB, x86asm.INC, x86asm.DEC:
		t.add(in)
	case x86asm.OR:
		// 3.11 ors the tracing flag into the opcode, before or after it is
		// cut out of the word (DISPATCH in ceval.c).
		if r, n := general(dst); n > 0 && t.regs[r].isCode() {
			break
		} else if s, w := general(src); n >= 4 && w >= 4 && t.regs[s].isCode() {
			t.regs[r] = t.regs[s]
			break
		}
		t.clobber(in)
	case x86asm.AND:
		if r, n := general(dst); n >= 4 && t.regs[r].kind == valLoad && src == x86asm.Imm(0xff) {
			t.regs[r].kind = valOpcode
			break
		}
		t.clobber(in)
	default:
		t.clobber(in)
	}
}

// move executes MOV.
func (t *tracer) move(dst, src x86asm.Arg, next uint64) {
	r, n := general(dst)
	if n == 0 {
		// A store: note constants put into stack slots.
		if m, ok := dst.(x86asm.Mem); ok {
			if at, ok := stackPlace(m); ok {
				s, w := general(src)
				t.store(at, s, w)
				if w == 8 && t.regs[s].kind == valConst {
					t.consts[stackConst{at, uint64(t.regs[s].off)}]++
				} else if imm, ok := src.(x86asm.Imm); ok && imm > 0 {
					t.consts[stackConst{at, uint64(imm)}]++
				}
			}
		}
		return
	}
	v := t.fresh()
	switch a := src.(type) {
	case x86asm.Reg:
		s, w := general(a)
		if w == n && (n == 8 || n == 4 && t.regs[s].isCode()) {
			v = t.regs[s]
		}
	case x86asm.Mem:
		if n >= 4 {
			v = t.load(a, next, n)
			if n == 4 && v.kind == valOffset {
				v = t.fresh() // not sign-extended
			}
		}
	case x86asm.Imm:
		if n >= 4 {
			v = value{kind: valConst, off: int64(a)}
		}
	}
	t.regs[r] = v
}

// store notes what a stack slot gets of a register, of w bytes: a symbol, or nothing known.
func (t *tracer) store(slot value, r Reg, w int) {
	at := t.slotAt(slot)
	if at.kind != valSymbol {
		return
	}
	if w == 8 {
		t.point(r)
		if t.regs[r].kind == valSymbol {
			t.stack[at] = t.regs[r]
			return
		}
	}
	delete(t.stack, at)
}

// extend executes MOVZX: an opcode is the low byte of an instruction.
func (t *tracer) extend(in *x86asm.Inst, next uint64) {
	r, n := general(in.Args[0])
	if n == 0 {
		return
	}
	v := t.fresh()
	switch a := in.Args[1].(type) {
	case x86asm.Reg:
		s, w := general(a)
		if t.regs[s].isCode() && w >= 1 {
			v = t.regs[s]
			if w == 1 {
				v.kind = valOpcode
			}
		}
	case x86asm.Mem:
		v = t.load(a, next, 2)
		if v.kind != valLoad {
			v = t.fresh()
		} else if in.MemBytes == 1 {
			v.kind = valOpcode
		}
	}
	if n < 4 {
		v = t.fresh()
	}
	t.regs[r] = v
}

// address executes LEA.
func (t *tracer) address(dst, src x86asm.Arg, next uint64) {
	r, n := general(dst)
	m, ok := src.(x86asm.Mem)
	if n == 0 || !ok {
		return
	}
	v := t.fresh()
	if m.Index == 0 && n >= 4 {
		v = t.base(m, next)
		if n == 4 && v.kind != valOpcode {
			v = t.fresh()
		}
	}
	t.regs[r] = v
}

// add executes ADD, SUB, INC and DEC.
func (t *tracer) add(in *x86asm.Inst) {
	r, n := general(in.Args[0])
	m, inMemory := in.Args[0].(x86asm.Mem)
	if n == 0 && !inMemory {
		return
	}
	v := t.fresh()
	delta, known := int64(0), true
	switch in.Op {
	case x86asm.INC:
		delta = 1
	case x86asm.DEC:
		delta = -1
	default:
		imm, ok := in.Args[1].(x86asm.Imm)
		known = ok
		delta = int64(imm)
		if in.Op == x86asm.SUB {
			delta = -delta
		}
	}
	if inMemory { // of next_instr itself, where it lies on the stack
		if slot, ok := stackPlace(m); ok {
			at := t.slotAt(slot)
			if s, ok := t.stack[at]; ok && known && in.MemBytes == 8 {
				t.stack[at] = t.plus(s, delta)
			} else {
				delete(t.stack, at)
			}
		}
		return
	}
	if known && n == 8 {
		t.point(r)
	}
	if known && (n == 8 || n == 4 && t.regs[r].kind == valOpcode) {
		v = t.plus(t.regs[r], delta)
	} else if s, w := general(in.Args[1]); in.Op == x86asm.ADD && n == 8 && w == 8 {
		// A 32-bit table's entry and the table's address, either way round.
		for _, p := range [2][2]value{{t.regs[r], t.regs[s]}, {t.regs[s], t.regs[r]}} {
			if p[0].kind == valOffset && t.lookups[p[0].off].base == p[1] {
				v = value{kind: valTarget, off: p[0].off}
			}
		}
	}
	t.regs[r] = v
}

// clobber forgets every register that an instruction may write.
func (t *tracer) clobber(in *x86asm.Inst) {
	for _, a := range in.Args {
		if r, n := general(a); n != 0 {
			t.regs[r] = t.fresh()
		}
	}
	switch in.Op {
	case x86asm.MUL, x86asm.IMUL, x86asm.DIV, x86asm.IDIV, x86asm.CDQ, x86asm.CQO, x86asm.CWD, x86asm.CWDE,
		x86asm.CDQE, x86asm.CBW, x86asm.CMPXCHG, x86asm.CMPXCHG8B, x86asm.CMPXCHG16B, x86asm.RDTSC, x86asm.SYSCALL,
		x86asm.MOVSB, x86asm.MOVSD, x86asm.MOVSQ, x86asm.MOVSW, x86asm.STOSB, x86asm.STOSD, x86asm.STOSQ, x86asm.STOSW,
		x86asm.LODSB, x86asm.LODSD, x86asm.LODSQ, x86asm.LODSW, x86asm.CMPSB, x86asm.SCASB, x86asm.CPUID:
		for _, r := range [...]Reg{0, 1, 2, 3, 6, 7} {
			t.regs[r] = t.fresh()
		}
	}
}
