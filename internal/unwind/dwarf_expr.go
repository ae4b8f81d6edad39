package unwind

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-delve/delve/pkg/dwarf/leb128"

	"pyrr/internal/mem"
)

// location is where a variable is: in memory, in a register, or nowhere but
// known.
type location struct {
	kind  locationKind
	addr  uint64 // in memory
	value uint64 // its bytes, little-endian
	bytes []byte // of an implicit value longer than 8 bytes
}

type locationKind uint8

const (
	inMemory locationKind = iota + 1
	inRegister
	isValue
	isSynthetic // a pointer to what no longer exists
)

// Why a variable has no value. Both print as <optimized out>.
var (
	errOptimizedOut = errors.New("optimized out")
	errNoEntryValue = errors.New("no entry value")
)

// errPieces says that a variable is put together from several places.
var errPieces = errors.New("a variable in pieces")

// errUnread says that a value is in a vector register, which walks leave out.
var errUnread = errors.New("in a vector register")

// Operations of DWARF expressions (DWARF 5, 7.7.1) that the switch below
// names.
const (
	opAddr              = 0x03
	opDeref             = 0x06
	opConst1u           = 0x08
	opConst1s           = 0x09
	opConst2u           = 0x0a
	opConst2s           = 0x0b
	opConst4u           = 0x0c
	opConst4s           = 0x0d
	opConst8u           = 0x0e
	opConst8s           = 0x0f
	opConstu            = 0x10
	opConsts            = 0x11
	opDup               = 0x12
	opDrop              = 0x13
	opOver              = 0x14
	opPick              = 0x15
	opSwap              = 0x16
	opRot               = 0x17
	opAbs               = 0x19
	opAnd               = 0x1a
	opDiv               = 0x1b
	opMinus             = 0x1c
	opMod               = 0x1d
	opMul               = 0x1e
	opNeg               = 0x1f
	opNot               = 0x20
	opOr                = 0x21
	opPlus              = 0x22
	opPlusUconst        = 0x23
	opShl               = 0x24
	opShr               = 0x25
	opShra              = 0x26
	opXor               = 0x27
	opBra               = 0x28
	opEq                = 0x29
	opGe                = 0x2a
	opGt                = 0x2b
	opLe                = 0x2c
	opLt                = 0x2d
	opNe                = 0x2e
	opSkip              = 0x2f
	opLit0              = 0x30
	opReg0              = 0x50
	opBreg0             = 0x70
	opRegx              = 0x90
	opFbreg             = 0x91
	opBregx             = 0x92
	opPiece             = 0x93
	opDerefSize         = 0x94
	opNop               = 0x96
	opCallFrameCFA      = 0x9c
	opImplicitValue     = 0x9e
	opStackValue        = 0x9f
	opImplicitPointer   = 0xa0
	opEntryValue        = 0xa3
	opConstType         = 0xa4
	opRegvalType        = 0xa5
	opDerefType         = 0xa6
	opConvert           = 0xa8
	opReinterpret       = 0xa9
	opGNUImplicitPtr    = 0xf2
	opGNUEntryValue     = 0xf3
	opGNUConstType      = 0xf4
	opGNURegvalType     = 0xf5
	opGNUDerefType      = 0xf6
	opGNUConvert        = 0xf7
	opGNUReinterpret    = 0xf9
	opGNUParameterRef   = 0xfa
	maxSteps            = 1 << 16
	maxStack            = 256
	maxEntryValueNested = 16
)

// place is a frame in which expressions are evaluated.
type place struct {
	space  *Space
	m      mem.Reader
	frames []Frame // from this frame outwards
	d      *dwarfData
	fn     *function
	nested int
	// passedOn is set when an expression took what the caller passed.
	passedOn bool
	// steps counts operations; places reached from one another share it, since
	// an expression may ask for others again and again.
	steps *int
}

func (p *place) frame() *Frame { return &p.frames[0] }

func (p *place) bias() uint64 { return p.frame().Module.Bias }

// frameBase is what DW_OP_fbreg counts from.
func (p *place) frameBase() (uint64, error) {
	expr, ok := p.fn.entry.Val(dwarf.AttrFrameBase).([]byte)
	if !ok {
		return 0, errOptimizedOut
	}
	loc, err := p.locate(expr)
	if err != nil {
		return 0, err
	}
	if loc.kind == inMemory {
		return loc.addr, nil
	}
	return loc.value, nil
}

// eval is one evaluation.
type eval struct {
	p     *place
	in    *bytes.Buffer
	expr  []byte
	stack []uint64
	err   error
}

// locate evaluates an expression that describes where a variable is.
func (p *place) locate(expr []byte) (location, error) {
	if len(expr) == 0 {
		return location{}, errOptimizedOut
	}
	if p.nested > maxEntryValueNested {
		return location{}, errNoEntryValue
	}
	var loc location
	err := guard(func() error {
		e := &eval{p: p, in: bytes.NewBuffer(expr), expr: expr}
		var err error
		loc, err = e.run()
		return err
	})
	return loc, err
}

// compute evaluates an expression that is a value, such as an argument at a
// call site.
func (p *place) compute(expr []byte) (uint64, error) {
	loc, err := p.locate(expr)
	if err != nil {
		return 0, err
	}
	if loc.kind == inMemory {
		return loc.addr, nil
	}
	return loc.value, nil
}

func (e *eval) push(v uint64) {
	if len(e.stack) >= maxStack {
		e.err = errors.New("an expression needs too much stack")
		return
	}
	e.stack = append(e.stack, v)
}

func (e *eval) pop() uint64 {
	n := len(e.stack)
	if n == 0 {
		e.err = errors.New("an expression pops from an empty stack")
		return 0
	}
	v := e.stack[n-1]
	e.stack = e.stack[:n-1]
	return v
}

func (e *eval) uleb() uint64 { v, _ := leb128.DecodeUnsigned(e.in); return v }
func (e *eval) sleb() int64  { v, _ := leb128.DecodeSigned(e.in); return v }

func (e *eval) fixed(n int) uint64 {
	b := e.in.Next(n)
	if len(b) < n {
		e.err = errors.New("an expression is cut off")
		return 0
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:])
}

func (e *eval) reg(n uint64) uint64 {
	v, ok := e.p.frame().Regs.Get(n)
	switch {
	case ok || e.err != nil:
	case n >= numRegs && !e.p.frame().Return:
		e.err = errUnread
	default:
		e.err = errOptimizedOut
	}
	return v
}

func (e *eval) deref(addr uint64, size int) uint64 {
	var b [8]byte
	if size > 8 || size < 0 {
		e.err = errors.New("an expression reads too much")
		return 0
	}
	if err := e.p.m.ReadAt(b[:size], addr); err != nil && e.err == nil {
		e.err = err
	}
	return binary.LittleEndian.Uint64(b[:])
}

func (e *eval) run() (location, error) {
	for e.in.Len() > 0 {
		if *e.p.steps++; *e.p.steps > maxSteps {
			return location{}, errors.New("an expression does not end")
		}
		op, _ := e.in.ReadByte()
		loc, done := e.step(op)
		if e.err != nil {
			return location{}, e.err
		}
		if done {
			if e.in.Len() > 0 { // put together from pieces
				return location{}, errPieces
			}
			return loc, nil
		}
	}
	v := e.pop()
	return location{kind: inMemory, addr: v}, e.err
}

// step executes one operation; done is set where it ends the expression.
func (e *eval) step(op byte) (loc location, done bool) {
	switch {
	case op >= opLit0 && op < opReg0:
		e.push(uint64(op - opLit0))
		return loc, false
	case op >= opReg0 && op < opBreg0:
		return location{kind: inRegister, value: e.reg(uint64(op - opReg0))}, true
	case op >= opBreg0 && op < opRegx:
		off := e.sleb()
		e.push(e.reg(uint64(op-opBreg0)) + uint64(off))
		return loc, false
	}
	switch op {
	case opNop:
	case opAddr:
		e.push(e.fixed(8) + e.p.bias())
	case opConst1u:
		e.push(e.fixed(1))
	case opConst1s:
		e.push(uint64(int8(e.fixed(1))))
	case opConst2u:
		e.push(e.fixed(2))
	case opConst2s:
		e.push(uint64(int16(e.fixed(2))))
	case opConst4u:
		e.push(e.fixed(4))
	case opConst4s:
		e.push(uint64(int32(e.fixed(4))))
	case opConst8u, opConst8s:
		e.push(e.fixed(8))
	case opConstu:
		e.push(e.uleb())
	case opConsts:
		e.push(uint64(e.sleb()))
	case opRegx:
		return location{kind: inRegister, value: e.reg(e.uleb())}, true
	case opBregx:
		n := e.uleb()
		off := e.sleb()
		e.push(e.reg(n) + uint64(off))
	case opFbreg:
		off := e.sleb()
		base, err := e.p.frameBase()
		if err != nil {
			e.err = err
			return loc, false
		}
		e.push(base + uint64(off))
	case opCallFrameCFA:
		if e.p.frame().CFA == 0 {
			e.err = errOptimizedOut
		}
		e.push(e.p.frame().CFA)
	case opStackValue:
		return location{kind: isValue, value: e.pop()}, true
	case opImplicitValue:
		n := e.uleb()
		if n > 64 || int(n) > e.in.Len() {
			e.err = errors.New("a long constant")
			return loc, false
		}
		b := bytes.Clone(e.in.Next(int(n)))
		var full [8]byte
		copy(full[:], b)
		return location{kind: isValue, value: binary.LittleEndian.Uint64(full[:]), bytes: b}, true
	case opImplicitPointer, opGNUImplicitPtr:
		e.fixed(4)
		e.sleb()
		return location{kind: isSynthetic}, true
	case opEntryValue, opGNUEntryValue:
		n := e.uleb()
		if n > uint64(e.in.Len()) {
			e.err = errors.New("an expression is cut off")
			return loc, false
		}
		v, err := e.p.entryValue(bytes.Clone(e.in.Next(int(n))))
		if err != nil {
			e.err = err
		}
		e.push(v)
	case opGNUParameterRef:
		v, err := e.p.parameter(e.p.fn.u.offset(dwarf.Offset(e.fixed(4))))
		if err != nil {
			e.err = err
		}
		e.push(v)
	case opPiece:
		e.err = errPieces
	default:
		if !e.stackOp(op) && e.err == nil {
			e.err = fmt.Errorf("expression operation %#x", op)
		}
	}
	return loc, false
}

// stackOp executes the operations on the stack alone.
func (e *eval) stackOp(op byte) bool {
	switch op {
	case opDup:
		v := e.pop()
		e.push(v)
		e.push(v)
	case opDrop:
		e.pop()
	case opOver, opPick:
		n := uint64(1)
		if op == opPick {
			n = e.fixed(1)
		}
		if n >= uint64(len(e.stack)) {
			e.err = errors.New("an expression picks too deep")
			return true
		}
		e.push(e.stack[uint64(len(e.stack))-1-n])
	case opSwap:
		b, a := e.pop(), e.pop()
		e.push(b)
		e.push(a)
	case opRot:
		c, b, a := e.pop(), e.pop(), e.pop()
		e.push(c)
		e.push(a)
		e.push(b)
	case opDeref:
		e.push(e.deref(e.pop(), 8))
	case opDerefSize:
		n := int(e.fixed(1))
		e.push(e.deref(e.pop(), n))
	case opDerefType, opGNUDerefType:
		n := int(e.fixed(1))
		t := e.baseType(true)
		e.push(t.narrow(e.deref(e.pop(), n)))
	case opRegvalType, opGNURegvalType:
		v := e.reg(e.uleb())
		e.push(e.baseType(true).narrow(v))
	case opConstType, opGNUConstType:
		t := e.baseType(true)
		n := int(e.fixed(1))
		if n > 8 {
			e.err = errors.New("a long constant")
			return true
		}
		e.push(t.narrow(e.fixed(n)))
	case opConvert, opGNUConvert, opReinterpret, opGNUReinterpret:
		t := e.baseType(false)
		e.push(t.narrow(e.pop()))
	case opPlusUconst:
		n := e.uleb()
		e.push(e.pop() + n)
	case opAbs:
		if v := int64(e.pop()); v < 0 {
			e.push(uint64(-v))
		} else {
			e.push(uint64(v))
		}
	case opNeg:
		e.push(-e.pop())
	case opNot:
		e.push(^e.pop())
	case opBra, opSkip:
		off := int(int16(e.fixed(2)))
		if op == opBra && e.pop() == 0 {
			return true
		}
		at := len(e.expr) - e.in.Len() + off
		if at < 0 || at > len(e.expr) {
			e.err = errors.New("an expression jumps out of itself")
			return true
		}
		e.in = bytes.NewBuffer(e.expr[at:])
	default:
		return e.binaryOp(op)
	}
	return true
}

func (e *eval) binaryOp(op byte) bool {
	switch op {
	case opAnd, opDiv, opMinus, opMod, opMul, opOr, opPlus, opShl, opShr, opShra, opXor, opEq, opGe, opGt, opLe, opLt, opNe:
	default:
		return false
	}
	b, a := e.pop(), e.pop()
	truth := func(t bool) {
		if t {
			e.push(1)
		} else {
			e.push(0)
		}
	}
	switch op {
	case opAnd:
		e.push(a & b)
	case opOr:
		e.push(a | b)
	case opXor:
		e.push(a ^ b)
	case opPlus:
		e.push(a + b)
	case opMinus:
		e.push(a - b)
	case opMul:
		e.push(a * b)
	case opDiv, opMod:
		switch {
		case b == 0:
			e.err = errors.New("an expression divides by 0")
		case op == opMod:
			e.push(a % b)
		default:
			e.push(uint64(int64(a) / int64(b)))
		}
	case opShl:
		e.push(a << b)
	case opShr:
		e.push(a >> b)
	case opShra:
		e.push(uint64(int64(a) >> b))
	case opEq:
		truth(a == b)
	case opNe:
		truth(a != b)
	case opGe:
		truth(int64(a) >= int64(b))
	case opGt:
		truth(int64(a) > int64(b))
	case opLe:
		truth(int64(a) <= int64(b))
	case opLt:
		truth(int64(a) < int64(b))
	}
	return true
}

// baseType reads the operand of a typed operation: the unit's own offset of a
// base type, 0 for a machine word. Floating-point numbers are taken only as the
// bits that they are.
func (e *eval) baseType(bits bool) *ctype {
	off := e.uleb()
	if off == 0 {
		return &ctype{kind: kindInt, size: 8}
	}
	t := e.p.d.typeAt(e.p.fn.u.offset(dwarf.Offset(off)), 0)
	if t.kind == kindFloat && bits {
		return t
	}
	if t.kind != kindInt && t.kind != kindChar && t.kind != kindBool && t.kind != kindPointer && e.err == nil {
		e.err = errors.New("arithmetic on floating-point numbers")
	}
	return t
}
