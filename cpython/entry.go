package cpython

import (
	"fmt"

	"pyrr/internal/mem"
)

// Entry says where code that runs inside the process finds the name of the
// function that a thread enters: byte offsets into CPython's structs, and
// addresses. Up to 3.10 the code object is that of the thread state's frame;
// from 3.11 on the instructions lie in it.
type Entry struct {
	// TState is the address of a pointer to the running thread's state. That
	// has at Frame a pointer to its frame, the frame at Code one to the code
	// object, and the code object at Bytes one to a bytes object, whose length
	// is at Size and whose bytes begin at Value.
	TState                          uint64
	Frame, Code, Bytes, Size, Value int
	// CodeType is what code objects have at Type, and the instructions begin
	// at Bytecode.
	CodeType       uint64
	Type, Bytecode int
	// Of a code object: pointers to str objects, and the line. Name is
	// co_qualname, or co_name before 3.11.
	Filename, Name, FirstLine int
	// Of a str object: the number of its characters, and the word of which
	// the bits StateMask are StateASCII where the characters are bytes that
	// begin at ASCII.
	Length, State         int
	StateMask, StateASCII uint32
	ASCII                 int
}

// Entry describes the interpreter; c is any code object of it.
func (r *Runtime) Entry(m mem.Reader, c *Code) (*Entry, error) {
	l := r.l
	e := &Entry{
		Type: l.object.typ, Bytecode: l.code.bytecode,
		Filename: l.code.filename, Name: l.code.name, FirstLine: l.code.firstLine,
		Length: l.str.length, State: l.str.state, ASCII: l.str.ascii,
		// See rawString: kind 1, compact, ascii.
		StateMask: 7<<2 | 1<<5 | 1<<6, StateASCII: 1<<2 | 1<<5 | 1<<6,
	}
	if l.freeThreaded && l.rules.wideInterned {
		e.StateMask, e.StateASCII = e.StateMask<<6, e.StateASCII<<6
	}
	if l.code.qualname != no {
		e.Name = l.code.qualname
	}
	if l.rules.InSwitch() {
		e.TState = r.Addr + uint64(l.runtime.tstateCurrent)
		e.Frame, e.Code, e.Bytes, e.Size, e.Value = l.thread.frame, l.frame.code, coCode310, l.object.size, l.bytes.value
		return e, nil
	}
	var err error
	if e.CodeType, err = mem.U64(m, c.Addr+uint64(l.object.typ)); err != nil {
		return nil, fmt.Errorf("type of the code object at %#x: %w", c.Addr, err)
	}
	return e, nil
}
