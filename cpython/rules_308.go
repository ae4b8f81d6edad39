package cpython

// Opcodes of 3.8: opcode.h.
var _ = known(Rules{
	Minor:      8,
	unassigned: "0,7-8,13-14,18,21,30-49,58,74,80,99,117-121,123,127-129,134,139-140,159,164-255",
	breakpoints: breakpoints{
		extendedArg: 144,
		returns:     []byte{83},
		back:        []byte{113, 114, 115, 111, 112},
		jumpUnit:    1,
	},
	frameFacts: frameFacts{
		excTriples: true,
		lines:      decodeLnotab,
	},
	objectFacts: objectFacts{
		gcInRuntime: true,
	},
	column: [2]int{0, no},
})
