package main

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/internal/unwind"
)

// shown are the frames of a stack that the flags ask for.
func (f *btFlags) shown(s *btStack) []btFrame {
	var out []btFrame
	for i := range s.frames {
		fr := &s.frames[i]
		switch {
		case f.python && fr.Kind != stack.Python:
		case f.c && fr.Kind != stack.C:
		case !f.c && fr.Eval: // the Python frames before it say what it does
		default:
			out = append(out, *fr)
		}
	}
	return out
}

func showStacks(u *ui, rec *recording.Recording, f *btFlags, stacks []btStack) error {
	if f.asJSON {
		return u.printJSON(jsonStacks(f, stacks))
	}
	sources := recordedLines(rec)
	procs := map[int]bool{}
	for i := range stacks {
		procs[stacks[i].at.proc.ID] = true
	}
	for i := range stacks {
		s := &stacks[i]
		if i > 0 {
			fmt.Fprintln(u.out)
		}
		if f.format != "openresty" || len(stacks) > 1 {
			fmt.Fprintln(u.out, u.paintOut(bold, cleanLine(stackHeading(s, len(procs) > 1))))
		}
		switch f.format {
		case "openresty":
			printOpenResty(u, f, s)
		case "gdb":
			printGDB(u, f, s)
		default:
			printText(u, f, s, sources)
		}
	}
	return nil
}

// stackHeading says whose stack it is, and where.
func stackHeading(s *btStack, manyProcs bool) string {
	var b strings.Builder
	if s.task != nil {
		b.WriteString(s.task.heading())
	} else {
		fmt.Fprintf(&b, "thread %d", s.thread)
	}
	if s.name != "" {
		fmt.Fprintf(&b, " %q", s.name)
	}
	if s.gil {
		b.WriteString(", with the GIL,")
	}
	if manyProcs {
		fmt.Fprintf(&b, " of process %d (pid %d)", s.at.proc.ID, s.at.proc.PID)
	}
	fmt.Fprintf(&b, " at %s, e%d", grouped(s.at.instr), s.at.event)
	if doing := s.at.doing(s.thread); doing != "" && s.task == nil {
		b.WriteString(": " + doing)
	}
	return b.String()
}

// recordedLines gives the text of lines of the Python files that the recording
// holds.
func recordedLines(rec *recording.Recording) stack.SourceText {
	files, err := rec.Sources()
	if err != nil || len(files) == 0 {
		return nil
	}
	split := map[string][]string{}
	return func(file string, line int) (string, bool) {
		lines, ok := split[file]
		if !ok {
			if text, have := files[file]; have {
				lines = strings.Split(string(text), "\n")
			}
			split[file] = lines
		}
		if line < 1 || line > len(lines) {
			return "", false
		}
		return strings.TrimSpace(lines[line-1]), true
	}
}

// Widths that the columns of the text form are padded to; longer cells push
// the next one on.
const (
	btFuncWidth  = 34
	btPlaceWidth = 36
)

func printText(u *ui, f *btFlags, s *btStack, sources stack.SourceText) {
	frames := f.shown(s)
	if s.raising != "" {
		fmt.Fprintln(u.out, cleanLine("  raises "+s.raising))
	}
	if s.handling != "" {
		fmt.Fprintln(u.out, cleanLine("  handles "+s.handling))
	}
	if len(frames) == 0 {
		fmt.Fprintln(u.out, "  no frames")
	}
	for i := range frames {
		fr := &frames[i]
		kind, text := "Py", ""
		if fr.Kind == stack.C {
			kind = "C "
		} else if sources != nil {
			text, _ = sources(fr.File, fr.Line)
		}
		line := fmt.Sprintf("  %s  %-*s  %-*s  %s", kind, btFuncWidth, functionText(fr), btPlaceWidth, placeText(fr), text)
		fmt.Fprintln(u.out, strings.TrimRight(cleanLine(line), " "))
		for _, v := range fr.locals {
			fmt.Fprintf(u.out, "        %s = %s\n", cleanLine(v.Name), cleanLine(v.Value))
		}
		if fr.localsErr != "" {
			fmt.Fprintf(u.out, "        … %s\n", cleanLine(fr.localsErr))
		}
		if fr.Err != "" {
			fmt.Fprintf(u.out, "  … %s\n", cleanLine(fr.Err))
		}
	}
	if s.task != nil && s.task.Err != "" {
		fmt.Fprintf(u.out, "  … %s\n", cleanLine(s.task.Err))
	}
}

// functionText is a function's name, in C with its arguments.
func functionText(fr *btFrame) string {
	name := fr.Func
	switch {
	case fr.signal:
		return "<signal handler called>"
	case name == "":
		name = "??"
	}
	if fr.debug {
		name += " (" + unwind.ArgText(fr.args) + ")"
	}
	return name
}

// placeText says where a frame is: file and line, or module and offset.
func placeText(fr *btFrame) string {
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

// printOpenResty prints the form of python_bt: the C function, then for each
// Python frame its place and its name.
func printOpenResty(u *ui, f *btFlags, s *btStack) {
	for i := range s.frames {
		if fr := &s.frames[i]; fr.Kind == stack.C && fr.Func != "" {
			fmt.Fprintf(u.out, "C:%s\n", cleanLine(fr.Func))
			break
		}
	}
	for i := range s.frames {
		if fr := &s.frames[i]; fr.Kind == stack.Python {
			name := fr.Func[strings.LastIndexByte(fr.Func, '.')+1:]
			fmt.Fprintf(u.out, "@%s:%d\n%s\n", cleanLine(fr.File), fr.Line, cleanLine(name))
		}
	}
}

// printGDB prints the form of gdb's bt. Python frames, which gdb does not
// have, say that they are.
func printGDB(u *ui, f *btFlags, s *btStack) {
	for i, fr := range f.shown(s) {
		var b strings.Builder
		fmt.Fprintf(&b, "#%-3d", i)
		switch {
		case fr.signal:
			b.WriteString("<signal handler called>")
		case fr.Kind == stack.Python:
			fmt.Fprintf(&b, "<python> %s () at %s:%d", fr.Func, fr.File, fr.Line)
		default:
			if !fr.sharesPhysical {
				fmt.Fprintf(&b, "0x%016x in ", fr.pc)
			}
			name := fr.Func
			if name == "" {
				name = "??"
			}
			fmt.Fprintf(&b, "%s (%s)", name, unwind.ArgText(fr.args))
			switch {
			case fr.File != "":
				fmt.Fprintf(&b, " at %s:%d", fr.File, fr.Line)
			case fr.Module != "":
				b.WriteString(" from " + fr.Module)
			}
		}
		fmt.Fprintln(u.out, cleanLine(b.String()))
		if fr.Err != "" {
			fmt.Fprintf(u.out, "Backtrace stopped: %s\n", cleanLine(fr.Err))
		}
	}
}

// btJSONStack is a stack as --json prints it.
type btJSONStack struct {
	Process     int           `json:"process"`
	PID         int           `json:"pid"`
	Thread      int32         `json:"thread"`
	Name        string        `json:"name,omitempty"`
	Instruction uint64        `json:"instruction"`
	Event       uint64        `json:"event"`
	Text        string        `json:"text,omitempty"`
	GIL         bool          `json:"gil,omitempty"`
	Raising     string        `json:"raising,omitempty"`
	Handling    string        `json:"handling,omitempty"`
	Task        *btTask       `json:"task,omitempty"`
	Frames      []btJSONFrame `json:"frames"`
}

type btJSONFrame struct {
	Kind    string      `json:"kind"`
	Func    string      `json:"function"`
	File    string      `json:"file,omitempty"`
	Line    int         `json:"line,omitempty"`
	EndLine int         `json:"endLine,omitempty"`
	Col     int         `json:"column,omitempty"`
	EndCol  int         `json:"endColumn,omitempty"`
	Module  string      `json:"module,omitempty"`
	Offset  uint64      `json:"offset,omitempty"`
	PC      string      `json:"pc,omitempty"`
	Args    []jsonNamed `json:"args,omitempty"`
	Locals  []jsonNamed `json:"locals,omitempty"`
	Inlined bool        `json:"inlined,omitempty"`
	Tail    bool        `json:"tailCall,omitempty"`
	Signal  bool        `json:"signal,omitempty"`
	Eval    bool        `json:"evaluationLoop,omitempty"`
	Err     string      `json:"error,omitempty"`
}

type jsonNamed struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Arg   bool   `json:"argument,omitempty"`
}

func jsonStacks(f *btFlags, stacks []btStack) []btJSONStack {
	out := make([]btJSONStack, 0, len(stacks))
	for i := range stacks {
		s := &stacks[i]
		j := btJSONStack{Process: s.at.proc.ID, PID: s.at.proc.PID, Thread: s.thread, Name: s.name,
			Instruction: s.at.instr, Event: s.at.event, GIL: s.gil, Raising: s.raising, Handling: s.handling, Frames: []btJSONFrame{}}
		if j.Task = s.task; s.task == nil {
			j.Text = s.at.doing(s.thread)
		}
		for k := range s.frames {
			fr := &s.frames[k]
			if f.python && fr.Kind != stack.Python || f.c && fr.Kind != stack.C {
				continue
			}
			jf := btJSONFrame{Kind: "python", Func: fr.Func, File: fr.File, Line: fr.Line, EndLine: fr.EndLine,
				Col: fr.Col, EndCol: fr.EndCol, Module: fr.Module, Offset: fr.Offset,
				Inlined: fr.inlined, Tail: fr.tail, Signal: fr.signal, Eval: fr.Eval, Err: fr.Err}
			if fr.Kind == stack.C {
				jf.Kind = "c"
				if fr.pc != 0 {
					jf.PC = fmt.Sprintf("%#x", fr.pc)
				}
			}
			for _, a := range fr.args {
				jf.Args = append(jf.Args, jsonNamed{Name: a.Name, Value: a.Value})
			}
			for _, v := range fr.locals {
				jf.Locals = append(jf.Locals, jsonNamed{Name: v.Name, Value: v.Value, Arg: v.Arg})
			}
			j.Frames = append(j.Frames, jf)
		}
		out = append(out, j)
	}
	return out
}
