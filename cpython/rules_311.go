package cpython

// Opcodes of 3.11: opcode.h, pycore_opcode.h.
var _ = known(Rules{
	Minor:      11,
	unassigned: "181-254",
	uncounted:  []int{255},
	breakpoints: breakpoints{
		extendedArg: 144,
		returns:     []byte{83},
		resume:      []byte{151},
		back:        []byte{140, 173, 174, 175, 176},
		fusable:     []byte{100, 124, 125},
		resumeAt:    3,
	},
	Qualified:    true,
	redispatches: true,
	frameFacts:   frames11,
	objectFacts: objectFacts{
		excNotes:   true,
		dictValues: valuesOrderBefore,
		attributes: dictOrValuesWords,
	},
	column: [2]int{3, no},
	base: [opcodes]uint8{
		3: 122, 4: 122, 5: 122, 6: 122, 7: 122, 8: 122, 13: 122, 14: 122, 16: 122, 17: 25, 18: 25, 19: 25, 20: 25, 21: 25,
		22: 171, 23: 171, 24: 171, 26: 107, 27: 107, 28: 107, 29: 107, 34: 144, 38: 140, 39: 106, 40: 106, 41: 106,
		42: 106, 43: 106, 44: 100, 45: 124, 46: 124, 47: 116, 48: 116, 55: 116, 56: 160, 57: 160, 58: 160, 59: 160,
		62: 160, 63: 160, 64: 166, 65: 166, 66: 166, 67: 166, 72: 166, 73: 166, 76: 166, 77: 166, 78: 166, 79: 166,
		80: 166, 81: 166, 113: 166, 121: 166, 127: 166, 141: 166, 143: 166, 150: 151, 153: 95, 154: 95, 158: 95, 159: 95,
		161: 125, 167: 125, 168: 60, 169: 60, 170: 60, 177: 92, 178: 92, 179: 92, 180: 92,
	},
	caches: [opcodes]uint8{
		3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 13: 1, 14: 1, 16: 1, 17: 4, 18: 4, 19: 4, 20: 4, 21: 4, 22: 4, 23: 4, 24: 4,
		25: 4, 26: 2, 27: 2, 28: 2, 29: 2, 39: 4, 40: 4, 41: 4, 42: 4, 43: 4, 47: 5, 48: 5, 55: 5, 56: 10, 57: 10, 58: 10,
		59: 10, 60: 1, 62: 10, 63: 10, 64: 1, 65: 1, 66: 1, 67: 1, 72: 1, 73: 1, 76: 1, 77: 1, 78: 1, 79: 1, 80: 1, 81: 1,
		92: 1, 95: 4, 106: 4, 107: 2, 113: 1, 116: 5, 121: 1, 122: 1, 127: 1, 141: 1, 143: 1, 153: 4, 154: 4, 158: 4,
		159: 4, 160: 10, 166: 1, 168: 1, 169: 1, 170: 1, 171: 4, 177: 1, 178: 1, 179: 1, 180: 1,
	},
})

// frames11 are the facts of frames of 3.11 and 3.12.
var frames11 = frameFacts{
	interpreterFrames: true,
	exceptionTable:    true,
	lines:             decodeLocations,
	genStates:         genStates11,
}
