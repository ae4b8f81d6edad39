// Package unwind reads the C stack of a stopped thread: the call frame
// information of the modules mapped (.eh_frame, .debug_frame) gives the
// callers, without frame pointers; symbol tables and DWARF give them names,
// source lines and arguments.
//
// A File is what is known of an ELF file, made once for each content and
// shared by all processes that map it. Modules says where files are mapped in
// one address space. Walk goes up a stack and only finds addresses, which
// costs tens of microseconds once the code on it was seen; Describe finds out
// what lies there.
//
// Files and memory may be forged. What goes wrong ends the walk with a frame
// that says so; every loop is bounded, and panics of the DWARF libraries are
// caught where they are called.
//
// Sources: System V ABI for x86-64 (register numbers, figure 3.36), DWARF 5
// (6.4 call frame information), Linux Standard Base (10.6 .eh_frame).
//
// It knows no Python. Begin with Modules.Walk (walk.go).
package unwind
