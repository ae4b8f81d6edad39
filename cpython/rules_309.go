package cpython

// Opcodes of 3.9: opcode.h.
var _ = known(Rules{
	Minor:      9,
	unassigned: "0,7-8,13-14,18,21,30-47,53,58,80-81,88,99,119-120,123,127-129,134,139-140,149-153,158-159,166-255",
	breakpoints: breakpoints{
		extendedArg: 144,
		returns:     []byte{83},
		back:        []byte{113, 114, 115, 111, 112},
		ahead:       []byte{121}, // JUMP_IF_NOT_EXC_MATCH
		jumpUnit:    1,
	},
	frameFacts: frameFacts{
		excTriples: true,
		lines:      decodeLnotab,
	},
	column: [2]int{1, no},
})
