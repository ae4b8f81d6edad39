// Package stack holds the frames that the readers of Python and C stacks
// return. It imports nothing of pyrr, so that specs and reports can use it
// without an engine.
// It reads no memory. Begin with Frame and Stack in this file.
package stack

// Kind says what a frame runs.
type Kind uint8

// The kinds of frames.
const (
	Python Kind = iota + 1
	C
)

// Frame is one function activation.
type Frame struct {
	Kind Kind
	// Func is the qualified name (co_qualname where the version has it,
	// else co_name) or the C symbol; "" when unknown.
	Func string
	// File is co_filename as Python holds it, or the C source file.
	File string
	// Line is the current line, 0 when unknown.
	Line int
	// EndLine, Col and EndCol are the position's range from CPython 3.11
	// on; columns count from 1 in UTF-8 bytes; 0 when unknown.
	EndLine, Col, EndCol int
	// Text is the source text of Line, "" when it is not at hand. Stack
	// readers leave it empty; Paths.Normal fills it in.
	Text string
	// Module and Offset place a C frame: file name of the mapping and
	// offset of the program counter in it.
	Module string
	Offset uint64
	// Eval marks a C frame of the interpreter's evaluation loop that runs
	// the Python frames before it.
	Eval bool
	// Err is set on the last frame when the walk could not go on.
	Err string
}

// Stack is a thread's frames, innermost first.
type Stack struct {
	// Thread is the kernel's thread id as the program saw it.
	Thread int
	// Name is the thread's Python name, "" when it has none.
	Name   string
	Frames []Frame
}

// Err says why the walk of the stack could not go on, "" for a whole stack.
func (s Stack) Err() string {
	if n := len(s.Frames); n > 0 {
		return s.Frames[n-1].Err
	}
	return ""
}
