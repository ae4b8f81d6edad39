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

// What bounds an evaluation: its operations, its stack, and how many calls deep
// it asks for what was passed.
const (
	maxSteps            = 1 << 16
	maxStack            = 256
	maxEntryValueNested = 16
)

// place is a frame in which expressions are evaluated.
type place struct {
	space  *Modules
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
	return p.compute(expr)
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

// compute evaluates an expression that is a value: an argument at a call site, say, or
// what a frame's variables are counted from.
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
		if !e.constant(op) && !e.numbered(op) && !e.stackOp(op) && e.err == nil {
			e.err = fmt.Errorf("expression operation %#x", op)
		}
	}
	return loc, false
}

// constant executes an operation that pushes what follows it, if op is one.
func (e *eval) constant(op byte) bool {
	switch op {
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
	default:
		return false
	}
	return true
}

// numbered executes the operations whose operand is the number of an address.
func (e *eval) numbered(op byte) bool {
	if op != opAddrx && op != opConstx {
		return false
	}
	v, ok := e.p.d.addrAt(e.p.fn.u, e.uleb())
	if !ok {
		e.err = errors.New("an expression names an address that is not there")
	}
	if op == opAddrx {
		v += e.p.bias()
	}
	e.push(v)
	return true
}
