package unwind

import (
	"bytes"
	"debug/dwarf"
	"errors"
)

// Operations of DWARF expressions (DWARF 5, 7.7.1) that the switch below
// names.
const (
	opAddr            = 0x03
	opDeref           = 0x06
	opConst1u         = 0x08
	opConst1s         = 0x09
	opConst2u         = 0x0a
	opConst2s         = 0x0b
	opConst4u         = 0x0c
	opConst4s         = 0x0d
	opConst8u         = 0x0e
	opConst8s         = 0x0f
	opConstu          = 0x10
	opConsts          = 0x11
	opDup             = 0x12
	opDrop            = 0x13
	opOver            = 0x14
	opPick            = 0x15
	opSwap            = 0x16
	opRot             = 0x17
	opAbs             = 0x19
	opAnd             = 0x1a
	opDiv             = 0x1b
	opMinus           = 0x1c
	opMod             = 0x1d
	opMul             = 0x1e
	opNeg             = 0x1f
	opNot             = 0x20
	opOr              = 0x21
	opPlus            = 0x22
	opPlusUconst      = 0x23
	opShl             = 0x24
	opShr             = 0x25
	opShra            = 0x26
	opXor             = 0x27
	opBra             = 0x28
	opEq              = 0x29
	opGe              = 0x2a
	opGt              = 0x2b
	opLe              = 0x2c
	opLt              = 0x2d
	opNe              = 0x2e
	opSkip            = 0x2f
	opLit0            = 0x30
	opReg0            = 0x50
	opBreg0           = 0x70
	opRegx            = 0x90
	opFbreg           = 0x91
	opBregx           = 0x92
	opPiece           = 0x93
	opDerefSize       = 0x94
	opNop             = 0x96
	opCallFrameCFA    = 0x9c
	opImplicitValue   = 0x9e
	opStackValue      = 0x9f
	opImplicitPointer = 0xa0
	opAddrx           = 0xa1
	opConstx          = 0xa2
	opEntryValue      = 0xa3
	opConstType       = 0xa4
	opRegvalType      = 0xa5
	opDerefType       = 0xa6
	opConvert         = 0xa8
	opReinterpret     = 0xa9
	opGNUImplicitPtr  = 0xf2
	opGNUEntryValue   = 0xf3
	opGNUConstType    = 0xf4
	opGNURegvalType   = 0xf5
	opGNUDerefType    = 0xf6
	opGNUConvert      = 0xf7
	opGNUReinterpret  = 0xf9
	opGNUParameterRef = 0xfa
)

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
