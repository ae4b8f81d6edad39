package cpython

// Opcodes of 3.14: opcode.h, pycore_opcode_metadata.h.
var _ = known(Rules{
	Minor:        14,
	unassigned:   "121-127,212-233",
	uncounted:    []int{20, 238, 254},
	executor:     255,
	instrumented: 234,
	breakpoints: breakpoints{
		extendedArg: 69,
		returns:     []byte{35, 246},
		resume:      []byte{128, 245},
		back:        []byte{75, 253},
		resumeAt:    3,
	},
	frameFacts:   frames14,
	objectFacts:  objects14,
	column:       [2]int{7, 8},
	Qualified:    true,
	FirstInFrame: true,
	debug:        debugGroups14,
	base: [opcodes]uint8{
		3: 44, 129: 44, 130: 44, 131: 44, 132: 44, 133: 44, 134: 44, 135: 44, 136: 44, 137: 44, 138: 44, 139: 44, 140: 44,
		141: 44, 142: 44, 143: 52, 144: 52, 145: 52, 146: 52, 147: 52, 148: 52, 149: 52, 150: 52, 151: 55, 152: 55,
		153: 55, 154: 52, 155: 52, 156: 52, 157: 52, 158: 52, 159: 52, 160: 52, 161: 52, 162: 52, 163: 52, 164: 52,
		165: 52, 166: 56, 167: 56, 168: 56, 169: 57, 170: 57, 171: 70, 172: 70, 173: 70, 174: 70, 175: 75, 176: 75,
		177: 80, 178: 80, 179: 80, 180: 80, 181: 80, 182: 80, 183: 80, 184: 80, 185: 80, 186: 80, 187: 80, 188: 80,
		189: 80, 190: 82, 191: 82, 192: 92, 193: 92, 194: 96, 195: 96, 196: 128, 197: 106, 198: 110, 199: 110, 200: 110,
		201: 38, 202: 38, 203: 39, 204: 39, 205: 39, 206: 39, 207: 39, 208: 39, 209: 119, 210: 119, 211: 119,
	},
	caches: [opcodes]uint8{
		3: 5, 38: 1, 39: 3, 44: 5, 52: 3, 55: 3, 56: 1, 57: 1, 70: 1, 75: 1, 80: 9, 92: 4, 96: 1, 100: 1, 101: 1, 102: 1,
		103: 1, 106: 1, 110: 4, 119: 1, 129: 5, 130: 5, 131: 5, 132: 5, 133: 5, 134: 5, 135: 5, 136: 5, 137: 5, 138: 5,
		139: 5, 140: 5, 141: 5, 142: 5, 143: 3, 144: 3, 145: 3, 146: 3, 147: 3, 148: 3, 149: 3, 150: 3, 151: 3, 152: 3,
		153: 3, 154: 3, 155: 3, 156: 3, 157: 3, 158: 3, 159: 3, 160: 3, 161: 3, 162: 3, 163: 3, 164: 3, 165: 3, 166: 1,
		167: 1, 168: 1, 169: 1, 170: 1, 171: 1, 172: 1, 173: 1, 174: 1, 175: 1, 176: 1, 177: 9, 178: 9, 179: 9, 180: 9,
		181: 9, 182: 9, 183: 9, 184: 9, 185: 9, 186: 9, 187: 9, 188: 9, 189: 9, 192: 4, 193: 4, 194: 1, 195: 1, 197: 1,
		198: 4, 199: 4, 200: 4, 201: 1, 202: 1, 203: 3, 204: 3, 205: 3, 206: 3, 207: 3, 208: 3, 209: 1, 210: 1, 211: 1,
		237: 1, 241: 1, 242: 1, 243: 1, 244: 1, 249: 1, 250: 3, 251: 3, 253: 1,
	},
})

// frames14 are the facts of frames of 3.14.
var frames14 = frameFacts{
	remoteScript:      true,
	interpreterFrames: true,
	exceptionTable:    true,
	unboundExit:       true,
	tailCalls:         true,
	stackrefs:         true,
	lines:             decodeLocations,
	genStates:         genStates13,
}

// objects14 are the facts of objects of 3.14 and 3.15.
var objects14 = objectFacts{
	wideInterned: true,
	excNotes:     true,
	queueRing:    true,
	parkingLot:   true,
	locks:        lockMutex,
	dictValues:   valuesOrderBehind,
	attributes:   dictOrInline,
}
