package replay

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/recording"
)

// BreakKind is what a breakpoint waits for.
type BreakKind uint8

// The kinds of breakpoints.
const (
	BreakCall   BreakKind = iota + 1 // a Python function is entered
	BreakLine                        // a line of Python is about to run
	BreakReturn                      // a Python function is left with a value
	BreakRaise                       // an exception is raised: it gets its first traceback entry
	BreakSymbol                      // a C function is entered
	BreakCode                        // an instruction of a file is about to run, wherever it is mapped
	BreakAddr                        // an instruction of the program is about to run
)

// Break is a breakpoint. What it names need not exist yet: it takes effect
// in each code object and each module that appears and has it.
type Break struct {
	Kind BreakKind
	// File restricts Python breakpoints to files that end in these path
	// components; Line and Func say where.
	File string
	Line int
	// Func is a function's qualified name or the end of it; before Python
	// 3.11, which has only plain names, its last part counts.
	Func string
	// Name is the symbol, or the class of the exception; "" for any.
	Name string
	Addr uint64
	// Code is where BreakCode stops; Name, or File and Line, say what that is. BreakCall
	// stops there too.
	Code *[]CodeAt
	// Thread, when not 0, is the only thread that it stops.
	Thread int32
	// Proc, when not 0, is the only process.
	Proc int
	// Cond, when not nil, decides about each stop.
	Cond Condition
	// Off leaves it out.
	Off bool

	frames *frameStops
}

// CodeAt is an instruction of a file of the recording, by its link address.
type CodeAt struct {
	File recording.FileID
	Addr uint64
}

// Condition decides whether a breakpoint stops.
type Condition interface{ Holds(*Hit) bool }

// Hit is a stop at breakpoints.
type Hit struct {
	Process *Process
	Thread  *Thread
	Breaks  []*Break
	// Pos is the instruction count, and the number of the event that the
	// thread is on its way to.
	Pos recording.Pos
	// Code, Offset and Line are those of the Python instruction about to run,
	// where the breakpoint is one of Python's. NextInstr is its address, for
	// cpython.Options.
	Code         *cpython.Code
	Offset, Line int
	NextInstr    uint64
	// Exception is the one that is being raised.
	Exception *cpython.Exception
}

// Leave leaves a breakpoint out from here on.
func (h *Hit) Leave(b *Break) {
	b.Off = true
	h.Process.s.breaks.gen++
}

// site is a bytecode instruction with breakpoints.
type site struct {
	code   *cpython.Code
	off    int
	breaks []*Break
	// loop and prev are cpython.LineStart's; behind is set for the
	// instruction behind a fused one.
	loop, behind bool
	prev         int
	switched     bool   // only through the switch's table, up to 3.10
	after        uint64 // the frame that goes on here behind a call, 0 for no such
	anywhere     bool   // not only where a line begins
}

// breakpoints are those of a session; gen changes with them.
type breakpoints struct {
	list []*Break
	gen  int
	// quiet leaves all out, while going somewhere; temp are addresses to stop
	// at all the same.
	quiet bool
	temp  []uint64
}

func (b *breakpoints) python() bool {
	return slices.ContainsFunc(b.list, func(b *Break) bool { return !b.Off && (b.Kind <= BreakReturn || b.frames != nil) })
}

// matchFile says whether a file's path ends in the components of a pattern.
func matchFile(pattern, file string) bool {
	return pattern == "" || file == pattern || strings.HasSuffix(file, "/"+strings.TrimPrefix(pattern, "/")) && !strings.HasPrefix(pattern, "/")
}

// matchFunc says whether a function's name ends in the parts of a pattern.
func matchFunc(pattern, name string, qualified bool) bool {
	if pattern == "" {
		return true
	}
	if !qualified {
		if i := strings.LastIndexByte(pattern, '.'); i >= 0 {
			pattern = pattern[i+1:]
		}
	}
	return name == pattern || strings.HasSuffix(name, "."+pattern)
}

func (b *Break) matches(p *Process, c *cpython.Code) bool {
	if b.Off || b.Proc != 0 && b.Proc != p.Info.ID || !matchFile(b.File, c.File) {
		return false
	}
	switch b.Kind {
	case BreakCall, BreakReturn:
		return matchFunc(b.Func, c.Func, p.rules().Qualified)
	case BreakLine:
		return b.Line >= c.FirstLine
	case breakFrames:
		return b.frames.codes[c.Addr]
	}
	return false
}

func (p *Process) matchesAny(c *cpython.Code) bool {
	return slices.ContainsFunc(p.s.breaks.list, func(b *Break) bool { return b.matches(p, c) })
}

// String says what a breakpoint waits for.
func (b *Break) String() string {
	place := b.Func
	switch {
	case b.File != "" && b.Func != "":
		place = b.File + "::" + b.Func
	case b.File != "" && b.Line != 0:
		place = fmt.Sprintf("%s:%d", b.File, b.Line)
	case b.File != "":
		place = b.File
	}
	switch b.Kind {
	case BreakCall:
		return "call " + place
	case BreakLine:
		return "line " + place
	case BreakReturn:
		return "return " + place
	case BreakRaise:
		return strings.TrimSpace("raise " + b.Name)
	case BreakCode:
		if b.Name == "" {
			return "line " + place
		}
		return "enter " + b.Name
	case BreakSymbol:
		return "enter " + b.Name
	case BreakAddr:
		return fmt.Sprintf("address %#x", b.Addr)
	}
	return "breakpoint"
}
