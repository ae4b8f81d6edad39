package cpython

// Opcodes of 3.10: opcode.h.
var _ = known(Rules{
	Minor:      10,
	unassigned: "0,7-8,13-14,18,21,35-48,53,58,80-81,88,120,123,127-128,134,139-140,149-151,153,158-159,166-255",
	breakpoints: breakpoints{
		extendedArg: 144,
		returns:     []byte{83},
		resume:      []byte{129},
		back:        []byte{113, 114, 115, 111, 112},
		ahead:       []byte{121}, // JUMP_IF_NOT_EXC_MATCH
		jumpUnit:    2,
	},
	frameFacts: frameFacts{
		excTriples: true,
		lines:      decodeLineTable310,
	},
	column: [2]int{2, no},
})
