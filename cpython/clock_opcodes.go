package cpython

// deopt311 gives the base opcode of each specialised one of 3.11
// (_PyOpcode_Deopt, pycore_opcode.h): a specialised instruction whose guess
// fails is dispatched again as its base.
var deopt311 = [opcodes]uint8{
	3: 122, 4: 122, 5: 122, 6: 122, 7: 122, 8: 122, 13: 122, 14: 122, 16: 122,
	17: 25, 18: 25, 19: 25, 20: 25, 21: 25, 22: 171, 23: 171, 24: 171,
	26: 107, 27: 107, 28: 107, 29: 107, 34: 144, 38: 140,
	39: 106, 40: 106, 41: 106, 42: 106, 43: 106, 44: 100, 45: 124, 46: 124,
	47: 116, 48: 116, 55: 116, 56: 160, 57: 160, 58: 160, 59: 160, 62: 160, 63: 160,
	64: 166, 65: 166, 66: 166, 67: 166, 72: 166, 73: 166, 76: 166, 77: 166, 78: 166,
	79: 166, 80: 166, 81: 166, 113: 166, 121: 166, 127: 166, 141: 166, 143: 166,
	150: 151, 153: 95, 154: 95, 158: 95, 159: 95, 161: 125, 167: 125,
	168: 60, 169: 60, 170: 60, 177: 92, 178: 92, 179: 92, 180: 92,
}

// uncounted lists the opcodes that dis never shows. Some only tell a tracer
// of the instruction, and dispatch it through the same table then: DO_TRACING
// of 3.11, INSTRUMENTED_INSTRUCTION and INSTRUMENTED_LINE later.
// INTERPRETER_EXIT is where the eval loop ends that C code has called, and
// lies outside any Python function.
var uncounted = map[int][]int{
	11: {255},
	12: {3, 253, 254},
	13: {22, 247, 254},
	14: {20, 238, 254},
}

// firstInstrumented is MIN_INSTRUMENTED_OPCODE (opcode.h): from it on the
// opcodes of 3.12 and later stand for others while something is traced or
// monitored, and dispatch those.
var firstInstrumented = map[int]int{12: 237, 13: 236, 14: 234}

// dispatchable says whether an instruction with the opcode have in memory can
// be dispatched through the table's entry for op.
func dispatchable(minor, have, op int) bool {
	if have == op {
		return true
	}
	switch {
	case minor == 11:
		return deopt311[have] != 0 && int(deopt311[have]) == op
	case minor >= 12:
		return have >= firstInstrumented[minor]
	}
	return false
}
