// Package cpython is everything that knows CPython on x86-64 Linux, each version
// that has a file rules_3NN.go: where an interpreter dispatches its instructions, and how its
// threads, frames, code and objects lie in memory. It runs no code of the
// program and calls nothing in it.
//
// The clock. FindClock finds the table through which the interpreter dispatches
// bytecode (opcode_targets of the computed gotos, or the handlers of the
// tail-calling interpreter): 256 code pointers, of which those of the version's
// unassigned opcode numbers are equal, and no others. It is believed when the
// code that it leads to dispatches through it in many places, all with
// next_instr in the same register. Clock.Install redirects it to stubs, which
// count down and go on to the original code. The count is of instructions as
// dis shows them, with these exceptions, which are the same in all builds of a
// version: an instruction that 3.11 or 3.12 has fused with the next one counts
// once with it, one of 3.11 whose specialisation fails counts twice, and the
// code around an __init__ that 3.12 and later call without a C call counts as
// well. The interpreters up to 3.10 use a second table, of a switch, for the
// first instruction of a frame, after an interruption and while tracing.
//
// The stack. A Runtime reads threads and their frames from the memory of a
// stopped process, recording or replay. At a system call memory is exact; at
// a dispatch the current instruction comes from Installed.NextInstr.
//
// Begin with FindClock (clock.go) for counting, with OpenRuntime for stacks.
package cpython
