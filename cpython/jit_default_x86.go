package cpython

import (
	"bytes"
	"encoding/binary"
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

// A JITAnswer is what makes an interpreter find "0" where it asks the environment for
// PYTHON_JIT: code in place of the call of getenv. Nothing else of the program sees it.
type JITAnswer struct {
	Addr uint64 // link-time address
	Code []byte
}

const (
	maxAnswers    = 4  // of one file: BOLT leaves the code of before in it
	maxAnswerSize = 16 // bytes of one
	maxAskSteps   = 64 // instructions that are followed from a call of getenv
)

var (
	askedName = []byte("PYTHON_JIT\x00")
	loadName  = [][]byte{{0x48, 0x8d, 0x3d}, {0xbf}} // lea rdi, [rip+x]; mov edi, x
)

// jitAnswers is of an interpreter that turns its JIT, or its tier two, on where the
// environment does not say anything; nil where that is off by itself, where there is none,
// or where the code does not show it beyond doubt.
func (im *elfFile) jitAnswers() []JITAnswer {
	name, zero := im.findText(askedName), im.findText([]byte("0\x00"))
	if name == 0 || zero == 0 {
		return nil
	}
	var answers []JITAnswer
	for i := range im.segs {
		s := &im.segs[i]
		if !s.exec || im.load(s) != nil {
			continue
		}
		for _, load := range loadName {
			for from := 0; ; {
				at := bytes.Index(s.data[from:], load)
				if at < 0 {
					break
				}
				at += from
				from = at + 1
				size := len(load) + 4
				if at+size > len(s.data) || askedOf(s.data[at+len(load):], s.vaddr+uint64(at+size), size) != name {
					continue
				}
				a, on := im.answerAt(s.vaddr+uint64(at), size, zero)
				if !on || len(answers) == maxAnswers {
					return nil // not of one mind
				}
				answers = append(answers, a)
			}
		}
	}
	return answers
}

// askedOf is the address that an instruction of size bytes loads, whose last four are b.
func askedOf(b []byte, next uint64, size int) uint64 {
	x := binary.LittleEndian.Uint32(b)
	if size == 5 { // an absolute one
		return uint64(x)
	}
	return next + uint64(int64(int32(x)))
}

// findText returns the address of bytes that lie in memory which nobody writes, 0 for none.
func (im *elfFile) findText(text []byte) uint64 {
	for i := range im.segs {
		s := &im.segs[i]
		if s.write || im.load(s) != nil {
			continue
		}
		if at := bytes.Index(s.data, text); at >= 0 {
			return s.vaddr + uint64(at)
		}
	}
	return 0
}

// answerAt looks at the code that loads the name at addr, by an instruction of size bytes, calls
// getenv, and decides by its answer. It says whether nothing has the effect of "1".
func (im *elfFile) answerAt(addr uint64, size int, zero uint64) (JITAnswer, bool) {
	in, ok := im.decode(addr + uint64(size))
	if !ok || in.Op != x86asm.CALL {
		return JITAnswer{}, false
	}
	after := addr + uint64(size+in.Len)
	unset, off, on := im.effects(after, 0, 0), im.effects(after, 1, '0'), im.effects(after, 1, '1')
	if unset == nil || !slices.Equal(unset, on) || slices.Equal(unset, off) {
		return JITAnswer{}, false
	}
	var code []byte
	if size == 5 {
		if uint64(uint32(zero)) != zero {
			return JITAnswer{}, false
		}
		code = binary.LittleEndian.AppendUint32([]byte{0xb8}, uint32(zero)) // mov eax, zero
	} else {
		by := int64(zero - (addr + uint64(size)))
		if by != int64(int32(by)) {
			return JITAnswer{}, false
		}
		code = binary.LittleEndian.AppendUint32([]byte{0x48, 0x8d, 0x05}, uint32(int32(by))) // lea rax, [rip+by]
	}
	for range in.Len {
		code = append(code, 0x90)
	}
	return JITAnswer{addr, code}, true
}

func (im *elfFile) decode(addr uint64) (x86asm.Inst, bool) {
	s := im.segmentAt(addr, 1)
	if s == nil || !s.exec || im.load(s) != nil {
		return x86asm.Inst{}, false
	}
	in, err := x86asm.Decode(s.data[addr-s.vaddr:], 64)
	return in, err == nil
}

// effect is an instruction at which something is done that is more than to decide, and what is
// known of the value that it does it with.
type effect struct {
	pc    uint64
	value int64
}

// An asker follows the code behind a call of getenv. It knows of some registers what number
// they have; what getenv returned is 0, or any other number for a text that begins with first.
type asker struct {
	known map[Reg]int64
	text  map[Reg]bool // it is what getenv returned
	first int64
	equal int // 1 after a comparison of equal ones, 0 of others, -1: not known
}

// effects follows the code from pc to the next call, return, or jump that depends on anything
// else, nil where it leaves what is understood. answer is what getenv returned.
func (im *elfFile) effects(pc uint64, answer, first int64) []effect {
	const rax = Reg(0)
	a := &asker{known: map[Reg]int64{rax: answer}, text: map[Reg]bool{rax: answer != 0}, first: first, equal: -1}
	var done []effect
	for range maxAskSteps {
		in, ok := im.decode(pc)
		if !ok {
			return nil
		}
		next := pc + uint64(in.Len)
		switch in.Op {
		case x86asm.JMP, x86asm.JE, x86asm.JNE:
			to, direct := in.Args[0].(x86asm.Rel)
			if !direct || in.Op != x86asm.JMP && a.equal < 0 {
				return append(done, effect{pc, -1})
			}
			if in.Op == x86asm.JMP || (in.Op == x86asm.JE) == (a.equal == 1) {
				next += uint64(int64(to))
			}
		case x86asm.CALL, x86asm.RET, x86asm.UD2:
			return append(done, effect{pc, -1})
		default:
			if in.Op != x86asm.NOP && conditional(in.Op) {
				return append(done, effect{pc, -1})
			}
			if value, some := a.step(&in); some {
				done = append(done, effect{pc, value})
			}
		}
		pc = next
	}
	return nil
}

// conditional says of jumps other than those for equality that they are some.
func conditional(op x86asm.Op) bool {
	s := op.String()
	return s[0] == 'J' || op == x86asm.LOOP || op == x86asm.LOOPE || op == x86asm.LOOPNE
}

// step executes an instruction that goes on to the next. some says that it does more than to
// move numbers about; value is then the number that it does it with, -1 for one not known.
func (a *asker) step(in *x86asm.Inst) (value int64, some bool) {
	dst, src := in.Args[0], in.Args[1]
	to, width := general(dst)
	switch in.Op {
	case x86asm.NOP:
		return 0, false
	case x86asm.TEST, x86asm.CMP:
		x, known := a.value(dst, in.MemBytes)
		y, too := a.value(src, in.MemBytes)
		if a.equal = -1; !known || !too {
			return 0, false
		}
		if in.Op == x86asm.TEST {
			x, y = x&y, 0
		}
		a.equal = 0
		if x == y {
			a.equal = 1
		}
		return 0, false
	case x86asm.SETE, x86asm.SETNE:
		if width > 0 && a.equal >= 0 {
			a.set(to, int64(a.equal), false)
			if in.Op == x86asm.SETNE {
				a.known[to] ^= 1
			}
			return 0, false
		}
	case x86asm.XOR:
		if dst == src && width >= 4 {
			a.set(to, 0, false)
			a.equal = 1
			return 0, false
		}
		a.equal = -1
	case x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.LEA:
		x, known := a.value(src, in.MemBytes)
		if width > 0 && known && in.Op != x86asm.LEA {
			from, _ := general(src)
			_, isReg := src.(x86asm.Reg)
			a.set(to, x, isReg && a.text[from])
			return 0, false
		}
		if _, stores := dst.(x86asm.Mem); stores && known {
			return x, true
		}
	default:
		a.equal = -1
	}
	if width != 0 {
		a.forget(to)
	}
	if _, stores := dst.(x86asm.Mem); stores || width == 0 {
		return -1, true
	}
	return 0, false
}

func (a *asker) set(r Reg, x int64, text bool) { a.known[r], a.text[r] = x, text }

func (a *asker) forget(r Reg) { delete(a.known, r); delete(a.text, r) }

// value is what is known of an operand of n bytes where it is memory.
func (a *asker) value(arg x86asm.Arg, n int) (int64, bool) {
	switch x := arg.(type) {
	case x86asm.Imm:
		return int64(x), true
	case x86asm.Reg:
		if r, width := general(x); width > 0 {
			v, known := a.known[r]
			return v, known
		}
	case x86asm.Mem:
		base, width := general(x.Base)
		if width == 8 && x.Index == 0 && x.Disp == 0 && n == 1 && a.text[base] {
			return a.first, true
		}
	}
	return 0, false
}
