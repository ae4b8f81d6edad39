package cpython

import (
	"bytes"
	"maps"

	"golang.org/x/arch/x86/x86asm"
)

// valueKind says what a tracer knows of a register.
type valueKind uint8

const (
	valSymbol  valueKind = iota // an unknown value, id, plus off
	valConst                    // the address off
	valLoad                     // 2 to 8 bytes of memory at symbol id + off
	valOpcode                   // the byte of memory at symbol id + off, extended; plus delta
	valStacked                  // what the stack slot off holds (id: 0 from rsp, 1 from rbp)
	valEntry                    // the entry of a 64-bit table for an opcode
	valOffset                   // the entry of a 32-bit table for an opcode
	valTarget                   // the latter plus the table's address
)

// value is what a tracer knows of a register. For the last three kinds, off
// is an index into tracer.lookups.
type value struct {
	kind  valueKind
	id    int32
	off   int64
	delta int64
}

// isCode says whether the value is an instruction, or its opcode.
func (v value) isCode() bool { return v.kind == valLoad || v.kind == valOpcode }

// opcodeLookup is a table access with an opcode as index.
type opcodeLookup struct {
	base   value // the table's address
	opcode value
}

// site is an indirect jump through a table, with an opcode as index.
type site struct {
	pc uint64
	opcodeLookup
	rel32 bool
	bound int // highest index that the code lets through, -1 if it doesn't check
	// next lists the places that hold the address of the opcode, less a small
	// constant.
	next []NextInstr
}

// tracer executes straight-line code symbolically: it follows from one
// instruction to the next and forgets what it knew behind a jump, where the
// code is entered from elsewhere. What it says of a path is true of the path
// that falls through all conditional jumps.
type tracer struct {
	regs    [numRegs]value
	lastID  int32
	lookups []opcodeLookup
	// compared is the opcode last compared with a constant, limit; bounded and
	// bound are the same once a ja followed.
	compared, bounded value
	limit, bound      int64

	sites []site
	// shared are indirect jumps to which many ways lead; each way is traced by itself.
	shared []uint64
	code   []byte // what is run, which begins at start
	start  uint64
	// slots are the constants that the code stores in stack slots.
	consts map[stackConst]int
	// stack is what slots of the stack hold of what registers did, or were loaded from
	// them; by the slot's address, a symbol.
	stack map[value]value
}

type stackConst struct {
	place value
	addr  uint64
}

func newTracer() *tracer {
	t := &tracer{consts: map[stackConst]int{}, stack: map[value]value{}}
	t.forget()
	return t
}

func (t *tracer) fresh() value {
	t.lastID++
	return value{kind: valSymbol, id: t.lastID}
}

func (t *tracer) forget() {
	for r := range t.regs {
		t.regs[r] = t.fresh()
	}
	t.compared, t.bounded = value{}, value{}
	t.lookups = t.lookups[:0]
	clear(t.stack)
}

var endbr64 = []byte{0xf3, 0x0f, 0x1e, 0xfa}

// run executes a function's code. It stops where the bytes are no
// instruction that the decoder knows.
func (t *tracer) run(code []byte, pc uint64) {
	t.forget()
	t.code, t.start = code, pc
	for end := pc + uint64(len(code)); pc < end; {
		n, _ := t.one(pc)
		if n == 0 {
			return
		}
		pc += n
	}
}

// one executes the instruction at pc and returns its length, 0 if there is none.
func (t *tracer) one(pc uint64) (uint64, x86asm.Op) {
	code := t.code[pc-t.start:]
	if bytes.HasPrefix(code, endbr64) { // the decoder doesn't know it
		return uint64(len(endbr64)), x86asm.NOP
	}
	in, err := x86asm.Decode(code, 64)
	if err != nil {
		return 0, 0
	}
	t.step(&in, pc)
	return uint64(in.Len), in.Op
}

// maxShared is how many bytes before a shared jump a way to it may come in.
const maxShared = 64

// follow executes what lies between the target of a direct jump and a shared jump behind
// it, with what is known at the direct one.
func (t *tracer) follow(target uint64) {
	for _, at := range t.shared {
		if target < t.start || target > at || at-target > maxShared || at-t.start >= uint64(len(t.code)) {
			continue
		}
		before := *t
		t.shared, t.stack = nil, maps.Clone(t.stack) // one way at a time
		for pc := target; pc <= at; {
			n, op := t.one(pc)
			if n == 0 || op == x86asm.JMP || op == x86asm.RET || op == x86asm.UD2 {
				break
			}
			pc += n
		}
		before.sites, before.lastID = t.sites, t.lastID
		*t = before
	}
}

// general returns the general register behind an operand and its width in
// bytes; 0 for none, 1 for the low byte (of AH to BH nothing is known).
func general(a x86asm.Arg) (Reg, int) {
	r, ok := a.(x86asm.Reg)
	if !ok {
		return 0, 0
	}
	switch {
	case r >= x86asm.AL && r <= x86asm.BL:
		return Reg(r - x86asm.AL), 1
	case r >= x86asm.AH && r <= x86asm.BH:
		return Reg(r - x86asm.AH), -1
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return Reg(r - x86asm.SPB + 4), 1
	case r >= x86asm.AX && r <= x86asm.R15W:
		return Reg(r - x86asm.AX), 2
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return Reg(r - x86asm.EAX), 4
	case r >= x86asm.RAX && r <= x86asm.R15:
		return Reg(r - x86asm.RAX), 8
	}
	return 0, 0
}

// displacement is that of a memory operand: of 32 bits, it is signed, which the decoder
// does not see.
func displacement(m x86asm.Mem) int64 {
	if uint64(m.Disp)>>32 == 0 {
		return int64(int32(uint32(m.Disp)))
	}
	return m.Disp
}

// base returns the address of a memory operand without its index.
func (t *tracer) base(m x86asm.Mem, next uint64) value {
	switch m.Base {
	case 0:
		return value{kind: valConst, off: displacement(m)}
	case x86asm.RIP:
		return value{kind: valConst, off: int64(next) + displacement(m)}
	}
	r, n := general(m.Base)
	if n != 8 {
		return t.fresh()
	}
	if t.regs[r].kind == valLoad { // an address that was loaded, and no instruction
		t.regs[r] = t.fresh()
	}
	if m.Index == 0 {
		t.point(r)
	}
	return t.plus(t.regs[r], displacement(m))
}

// plus adds a constant to a value.
func (t *tracer) plus(v value, n int64) value {
	switch v.kind {
	case valSymbol, valConst:
		v.off += n
		return v
	case valOpcode:
		v.delta += n
		return v
	}
	if n == 0 {
		return v
	}
	return t.fresh()
}

// point makes of a register that was loaded from a stack slot one whose value is known to be
// in that slot.
func (t *tracer) point(r Reg) {
	v := t.regs[r]
	if v.kind != valStacked {
		return
	}
	s := t.fresh()
	for i := range t.regs {
		if t.regs[i] == v {
			t.regs[i] = s
		}
	}
	if at := t.slotAt(v); at.kind == valSymbol {
		t.stack[at] = s
	}
}

// slotAt is the address of a stack slot, as far as it is known where it is.
func (t *tracer) slotAt(slot value) value {
	at := t.regs[stackBases[slot.id]]
	at.off += slot.off
	return at
}

// stackBases are the registers that stack slots are addressed by.
var stackBases = [...]Reg{4, 5} // rsp, rbp

// stackPlace returns the stack slot that a memory operand is, if it is one.
func stackPlace(m x86asm.Mem) (value, bool) {
	if m.Index != 0 || m.Segment != 0 {
		return value{}, false
	}
	switch m.Base {
	case x86asm.RSP:
		return value{kind: valStacked, id: 0, off: displacement(m)}, true
	case x86asm.RBP:
		return value{kind: valStacked, id: 1, off: displacement(m)}, true
	}
	return value{}, false
}

// load returns what a read of n bytes gives.
func (t *tracer) load(m x86asm.Mem, next uint64, n int) value {
	if m.Segment == x86asm.FS || m.Segment == x86asm.GS {
		return t.fresh()
	}
	base := t.base(m, next)
	if m.Index != 0 {
		r, w := general(m.Index)
		if w != 8 || t.regs[r].kind != valOpcode || int(m.Scale) != n || n < 4 {
			return t.fresh()
		}
		t.lookups = append(t.lookups, opcodeLookup{base: base, opcode: t.regs[r]})
		kind := valEntry
		if n == 4 {
			kind = valOffset
		}
		return value{kind: kind, off: int64(len(t.lookups) - 1)}
	}
	// Slots of rbp only when it isn't next_instr or the like: a load of 8
	// bytes can't be an instruction.
	if s, ok := stackPlace(m); ok && n == 8 {
		if v, ok := t.stack[t.slotAt(s)]; ok {
			return v
		}
		return s
	}
	if base.kind == valSymbol && n <= 8 {
		return value{kind: valLoad, id: base.id, off: base.off}
	}
	return t.fresh()
}

// jump records an indirect jump.
func (t *tracer) jump(pc uint64, v value) {
	if v.kind != valEntry && v.kind != valTarget {
		return
	}
	l := t.lookups[v.off]
	s := site{pc: pc, opcodeLookup: l, rel32: v.kind == valTarget, bound: -1}
	if b := t.bounded; b.kind == valOpcode && b.id == l.opcode.id && b.off == l.opcode.off && b.delta == l.opcode.delta {
		s.bound = int(t.bound)
	}
	holds := func(v value, n NextInstr) {
		if d := l.opcode.off - v.off; v.kind == valSymbol && v.id == l.opcode.id && d >= -8 && d <= 8 {
			n.Bias = int(d)
			s.next = append(s.next, n)
		}
	}
	for r, v := range t.regs {
		holds(v, NextInstr{Reg: Reg(r)})
	}
	for at, v := range t.stack {
		for _, r := range stackBases {
			if b := t.regs[r]; b.kind == valSymbol && b.id == at.id && at.off-b.off == int64(int32(at.off-b.off)) {
				holds(v, NextInstr{Reg: r, InStack: true, Off: int32(at.off - b.off)})
			}
		}
	}
	t.sites = append(t.sites, s)
}
