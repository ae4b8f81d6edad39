// Package inject makes the machine code and data that pyrr puts into a process:
// the engine area, the functions in the place of the vDSO's clocks, the stubs that
// count pauses, the code that makes system calls without a stop, and the traps in the
// place of instructions whose results differ. It finds the places by disassembly.
//
// It never touches a process: the recorder writes what it made there. Begin with
// Area (area.go), then calls.go for calls and sites.go for instructions.
package inject
