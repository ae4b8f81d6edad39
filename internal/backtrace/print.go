package backtrace

import (
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"pyrr/internal/printable"
	"pyrr/internal/stack"
	"pyrr/internal/unwind"
)

// FunctionText is a function's name, in C with its arguments.
func FunctionText(fr *Frame) string {
	name := fr.Func
	switch {
	case fr.Signal:
		return "<signal handler called>"
	case name == "":
		name = "??"
	}
	if fr.Debug {
		name += " (" + unwind.ArgText(fr.Args) + ")"
	}
	return name
}

// PlaceText says where a frame is: file and line, or module and offset.
func PlaceText(fr *Frame) string {
	switch {
	case fr.File != "":
		return fr.File + ":" + strconv.Itoa(fr.Line)
	case fr.Kind == stack.Python:
		return "?"
	case fr.Module == "":
		return fmt.Sprintf("%#x", fr.Offset)
	case fr.Func == "":
		return fmt.Sprintf("%s+%#x", path.Base(fr.Module), fr.Offset)
	}
	return path.Base(fr.Module)
}

// PrintPython prints the form of python_bt: the C function, then for each
// Python frame its place and its name.
func PrintPython(w io.Writer, frames []Frame) {
	for i := range frames {
		if fr := &frames[i]; fr.Kind == stack.C && fr.Func != "" {
			fmt.Fprintf(w, "C:%s\n", printable.Line(fr.Func))
			break
		}
	}
	for i := range frames {
		if fr := &frames[i]; fr.Kind == stack.Python {
			name := fr.Func[strings.LastIndexByte(fr.Func, '.')+1:]
			fmt.Fprintf(w, "@%s:%d\n%s\n", printable.Line(fr.File), fr.Line, printable.Line(name))
		}
	}
}

// PrintGDB prints the form of gdb's bt. Python frames, which gdb does not
// have, say that they are.
func PrintGDB(w io.Writer, frames []Frame) {
	for i := range frames {
		PrintFrame(w, i, &frames[i])
	}
}

// PrintFrame prints a frame as PrintGDB does, with its number.
func PrintFrame(w io.Writer, i int, fr *Frame) {
	var b strings.Builder
	fmt.Fprintf(&b, "#%-3d", i)
	switch {
	case fr.Signal:
		b.WriteString("<signal handler called>")
	case fr.Kind == stack.Python:
		fmt.Fprintf(&b, "<python> %s () at %s:%d", fr.Func, fr.File, fr.Line)
	default:
		if !fr.SharesPhysical {
			fmt.Fprintf(&b, "0x%016x in ", fr.PC)
		}
		name := fr.Func
		if name == "" {
			name = "??"
		}
		fmt.Fprintf(&b, "%s (%s)", name, unwind.ArgText(fr.Args))
		switch {
		case fr.File != "":
			fmt.Fprintf(&b, " at %s:%d", fr.File, fr.Line)
		case fr.Module != "":
			b.WriteString(" from " + fr.Module)
		}
	}
	fmt.Fprintln(w, printable.Line(b.String()))
	if fr.Err != "" {
		fmt.Fprintf(w, "Backtrace stopped: %s\n", printable.Line(fr.Err))
	}
}
