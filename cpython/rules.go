package cpython

import "fmt"

// breakpoints are the opcodes that breakpoints have to know.
type breakpoints struct {
	// resume is RESUME, and INSTRUMENTED_RESUME; GEN_START of 3.10 stands for it. back
	// are the jumps that may go backwards: from 3.11 on always.
	extendedArg           byte
	returns, resume, back []byte
	// ahead are the other jumps to an absolute place, and jumpUnit the bytes that one
	// of their argument stands for, of a frame's last instruction and of a block's
	// handler; both up to 3.10.
	ahead    []byte
	jumpUnit int
	// returnConst are RETURN_CONST and its instrumented form.
	returnConst []byte
	// fusable are LOAD_CONST, LOAD_FAST and STORE_FAST of the versions that fuse
	// such an instruction with the next one when the code is quickened, even
	// across lines: the second is then not dispatched by itself.
	fusable []byte
	// resumeAt masks the place out of RESUME's argument: 0 at the start, 4 at
	// that of a generator expression, 2 and 3 in yield from and await.
	resumeAt byte
}

// Rules are what pyrr knows of the bytecode and the state of one minor version of
// CPython: each has a file, rules_3NN.go, and its offsets of struct members
// are a column of layoutRows, or what layout changes in that of another version.
type Rules struct {
	Minor int
	// Qualified: code objects have the name with that of the class
	// (co_qualname). From this version on instructions are a code object's tail,
	// stand before one RESUME for each entry, and a frame's instruction
	// pointer is not moved by a dispatch.
	Qualified bool
	// FirstInFrame: a new frame holds its first instruction already, not the
	// place before it.
	FirstInFrame bool

	// unassigned lists the opcode numbers that are not used. Their entries of
	// opcode_targets all lead to _unknown_opcode and no other entry does: that is
	// how the table is recognised.
	unassigned string
	// uncounted lists the opcodes that dis never shows. Some only tell a tracer
	// of the instruction, and dispatch it through the same table then:
	// DO_TRACING of 3.11, INSTRUMENTED_INSTRUCTION and INSTRUMENTED_LINE later,
	// TRACE_RECORD of 3.15. INTERPRETER_EXIT is where the eval loop ends that C
	// code has called, and lies outside any Python function.
	uncounted []int
	// executor is ENTER_EXECUTOR (from 3.13 on), 0 for none: it leads to what the JIT, or the
	// interpreter of tier two, has made of a loop, which dispatches nothing.
	executor int
	// instrumented is MIN_INSTRUMENTED_OPCODE (opcode.h), 0 for none: from it on
	// opcodes stand for others while something is traced or monitored, and
	// dispatch those.
	instrumented int
	// redispatches: a specialised instruction whose guess fails is dispatched
	// again as its base.
	redispatches bool
	// base gives the opcode that a specialised one stands for
	// (_PyOpcode_Deopt), caches the code units that follow an instruction
	// (_PyOpcode_Caches); both in pycore_opcode.h or pycore_opcode_metadata.h.
	base, caches [opcodes]uint8

	breakpoints

	frameFacts
	objectFacts

	// freeThreaded: instructions are counted in a build with --disable-gil, too,
	// whose threads all execute the bytecode that lies in the code object.
	freeThreaded bool

	// debug lists the groups of _Py_DebugOffsets, nil for a version without.
	debug func(l *layout, gilBase *int) []debugGroup
	// column is the index into columns of its offsets: of the build with the GIL, and of
	// the free-threaded one, no where there is none.
	column [2]int
	// like is the version whose offsets layout then changes, nil for none; 0: there is
	// a column.
	like   int
	layout func(l *layout)
}

// rules by minor version, as the files rules_3NN.go enter them. What is not here can't
// be counted, and its stacks can't be read.
var rules []*Rules

// minMinor is the oldest minor version that is known.
const minMinor = 8

// known enters the rules of a version: a file of its own is all that it needs.
func known(r Rules) *Rules {
	for len(rules) <= r.Minor {
		rules = append(rules, nil)
	}
	rules[r.Minor] = &r
	return &r
}

// maxMinor is the newest minor version that is known.
func maxMinor() int { return len(rules) - 1 }

// rulesOf returns the rules of a version, nil for one that is not known.
func rulesOf(minor int) *Rules {
	if minor < 0 || minor >= len(rules) {
		return nil
	}
	return rules[minor]
}

// Rules returns what is known of a version; of one that is not known, the
// rules of the newest.
func (v Version) Rules() *Rules {
	if r := rulesOf(v.Minor); r != nil && v.Major == 3 {
		return r
	}
	return rules[maxMinor()]
}

// debugOffsets says that a version has _Py_DebugOffsets, as what is newer than the known
// versions has.
func (v Version) debugOffsets() bool {
	r := rulesOf(v.Minor)
	return r != nil && r.debug != nil || v.Minor > maxMinor()
}

// Supported names the versions that are known.
func Supported() string { return fmt.Sprintf("CPython 3.%d to 3.%d", minMinor, maxMinor()) }

// InSwitch says that the eval loop has a second table, that of its switch
// statement, by which functions are entered: up to 3.10.
func (r *Rules) InSwitch() bool { return !r.Qualified }

// NextInstrBias is what must be added to next_instr at a dispatch to get the
// address of the instruction: up to 3.10 NEXTOPARG (ceval.c) has moved it on.
func (r *Rules) NextInstrBias() int {
	if r.InSwitch() {
		return -2
	}
	return 0
}

// baseOf returns the opcode that one in memory stands for.
func (r *Rules) baseOf(op byte) byte {
	if b := r.base[op]; b != 0 {
		return b
	}
	return op
}

// dispatchable says whether an instruction with the opcode have in memory can
// be dispatched through the table's entry for op.
func (r *Rules) dispatchable(have, op int) bool {
	switch {
	case have == op:
		return true
	case r.redispatches:
		return r.base[have] != 0 && int(r.base[have]) == op
	}
	return r.instrumented != 0 && have >= r.instrumented
}

// variants lists the opcodes that stand for one, and it.
func (r *Rules) variants(base byte) []int {
	var list []int
	for op := range opcodes {
		if r.baseOf(byte(op)) == base || r.instrumented != 0 && op >= r.instrumented {
			list = append(list, op)
		}
	}
	return list
}

// EntryOpcodes lists the opcodes with which functions are entered and
// generators resumed, nil up to 3.10, where the table of the switch tells.
func (r *Rules) EntryOpcodes() []int {
	if r.InSwitch() {
		return nil
	}
	var list []int
	for _, op := range r.resume {
		list = append(list, r.variants(op)...)
	}
	return list
}

// Delegates says whether RESUME with this argument goes on in a yield from or an
// await.
func (r *Rules) delegates(arg byte) bool {
	at := arg & r.resumeAt
	return at == 2 || at == 3
}

// enters says whether RESUME with this argument is where a call of the
// function begins.
func (r *Rules) enters(arg int) bool {
	at := byte(arg) & r.resumeAt
	return at == 0 || at == 4
}
