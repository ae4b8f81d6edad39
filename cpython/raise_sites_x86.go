package cpython

import (
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"pyrr/internal/mem"
)

// raiseReach bounds the code from where an exception is fetched to where the class of
// tracebacks is referred to, both of PyTraceBack_Here.
const raiseReach = 512

// InlinedRaises finds where PyTraceBack_Here (Python/traceback.c) is part of code, of the
// evaluation loop, say, as Clang with link-time optimisation has it: nothing enters the
// function there. It begins by taking the exception out of the thread's state, and refers
// to PyTraceBack_Type a little later. The addresses are those of the first of these
// instructions. start is the address of code, typ that of PyTraceBack_Type.
func (r *Runtime) InlinedRaises(m mem.Reader, start uint64, code []byte, typ uint64) []uint64 {
	fields := []int64{int64(r.l.thread.curExc)}
	if first := int64(r.l.thread.curExcType); r.l.thread.curExcType != no {
		fields = []int64{first, first + 8, first + 16}
	}
	var out []uint64
	for i := 0; i+8 < len(code); i++ {
		// mov disp(%base), %reg
		if code[i]&0xf8 != 0x48 || code[i+1] != 0x8b {
			continue
		}
		first, ok := loads(code[i:])
		if !ok || first.disp != fields[0] {
			continue
		}
		end := min(len(code), i+raiseReach)
		if fetches(m, start+uint64(i), code[i:end], first.base, fields, typ) {
			out = append(out, start+uint64(i))
			i = end - 1
		}
	}
	return out
}

// load is an instruction that reads eight bytes at a distance from a register.
type load struct {
	base x86asm.Reg
	disp int64
}

func loads(code []byte) (load, bool) {
	in, err := x86asm.Decode(code, 64)
	if err != nil || in.Op != x86asm.MOV || in.MemBytes != 8 {
		return load{}, false
	}
	from, ok := in.Args[1].(x86asm.Mem)
	if !ok || from.Index != 0 || from.Base == 0 || from.Base == x86asm.RIP || from.Base == x86asm.RSP {
		return load{}, false
	}
	return load{from.Base, displacement(from)}, true
}

// fetches says whether code reads all fields behind a register, empties the first of them
// and then refers to a type, without a call in between.
func fetches(m mem.Reader, at uint64, code []byte, base x86asm.Reg, fields []int64, typ uint64) bool {
	var read []int64
	emptied := false
	for len(code) > 0 {
		in, err := x86asm.Decode(code, 64)
		if err != nil || in.Op == x86asm.CALL || in.Op == x86asm.RET {
			return false
		}
		at += uint64(in.Len)
		code = code[in.Len:]
		for i, arg := range in.Args {
			o, ok := arg.(x86asm.Mem)
			switch {
			case !ok:
			case o.Base == x86asm.RIP && emptied:
				target := at + uint64(displacement(o))
				if target == typ {
					return true
				}
				if in.MemBytes == 8 { // perhaps the global offset table has it
					if p, err := mem.U64(m, target); err == nil && p == typ {
						return true
					}
				}
			case o.Base != base || o.Index != 0 || !slices.Contains(fields, displacement(o)):
			case i == 1 && in.Op == x86asm.MOV && !slices.Contains(read, displacement(o)):
				read = append(read, displacement(o))
			case i == 0 && displacement(o) == fields[0]:
				if len(read) < len(fields) || !zero(in.Args[1]) {
					return false // another one is put there
				}
				emptied = true
			}
		}
	}
	return false
}

// zero says that what is stored may be zero: the number, or a vector register, which
// compilers have for nothing else here.
func zero(arg x86asm.Arg) bool {
	switch a := arg.(type) {
	case x86asm.Imm:
		return a == 0
	case x86asm.Reg:
		return a >= x86asm.X0 && a <= x86asm.X15
	}
	return false
}
