package traces

import (
	"fmt"
	"strings"

	"pyrr/internal/backtrace"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/stack"
)

// shown are the frames of a stack that the flags ask for.
func (f *Flags) shown(s *btStack) []Frame {
	var out []Frame
	for i := range s.frames {
		fr := &s.frames[i]
		switch {
		case f.Python && fr.Kind != stack.Python:
		case f.C && fr.Kind != stack.C:
		case !f.C && fr.Eval: // the Python frames before it say what it does
		default:
			out = append(out, *fr)
		}
	}
	return out
}

func Show(u *screen.UI, rec *recording.Recording, f *Flags, stacks []btStack) error {
	if f.AsJSON {
		return u.PrintJSON(jsonStacks(f, stacks))
	}
	sources := RecordedLines(rec)
	procs := map[int]bool{}
	for i := range stacks {
		procs[stacks[i].at.proc.ID] = true
	}
	for i := range stacks {
		s := &stacks[i]
		if i > 0 {
			fmt.Fprintln(u.Out)
		}
		if f.Format != "openresty" || len(stacks) > 1 {
			fmt.Fprintln(u.Out, u.Paint(screen.Bold, printable.Line(stackHeading(s, len(procs) > 1))))
		}
		switch f.Format {
		case "openresty":
			backtrace.PrintPython(u.Out, s.frames)
		case "gdb":
			backtrace.PrintGDB(u.Out, f.shown(s))
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
	fmt.Fprintf(&b, " at %s, e%d", printable.Grouped(s.at.instr), s.at.event)
	if doing := s.at.doing(s.thread); doing != "" && s.task == nil {
		b.WriteString(": " + doing)
	}
	return b.String()
}

// RecordedLines gives the text of lines of the Python files that the recording
// holds.
func RecordedLines(rec *recording.Recording) stack.SourceText {
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

func printText(u *screen.UI, f *Flags, s *btStack, sources stack.SourceText) {
	frames := f.shown(s)
	if s.raising != "" {
		fmt.Fprintln(u.Out, printable.Line("  raises "+s.raising))
	}
	if s.handling != "" {
		fmt.Fprintln(u.Out, printable.Line("  handles "+s.handling))
	}
	if len(frames) == 0 {
		fmt.Fprintln(u.Out, "  no frames")
	}
	for i := range frames {
		fr := &frames[i]
		kind, text := "Py", ""
		if fr.Kind == stack.C {
			kind = "C "
		} else if sources != nil {
			text, _ = sources(fr.File, fr.Line)
		}
		line := fmt.Sprintf("  %s  %-*s  %-*s  %s", kind, btFuncWidth, backtrace.FunctionText(fr), btPlaceWidth, backtrace.PlaceText(fr), text)
		fmt.Fprintln(u.Out, strings.TrimRight(printable.Line(line), " "))
		for _, v := range fr.Locals {
			fmt.Fprintf(u.Out, "        %s = %s\n", printable.Line(v.Name), printable.Line(v.Value))
		}
		if fr.LocalsErr != "" {
			fmt.Fprintf(u.Out, "        … %s\n", printable.Line(fr.LocalsErr))
		}
		if fr.Err != "" {
			fmt.Fprintf(u.Out, "  … %s\n", printable.Line(fr.Err))
		}
	}
	if s.task != nil && s.task.Err != "" {
		fmt.Fprintf(u.Out, "  … %s\n", printable.Line(s.task.Err))
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
	Args    []JsonNamed `json:"args,omitempty"`
	Locals  []JsonNamed `json:"locals,omitempty"`
	Inlined bool        `json:"inlined,omitempty"`
	Tail    bool        `json:"tailCall,omitempty"`
	Signal  bool        `json:"signal,omitempty"`
	Eval    bool        `json:"evaluationLoop,omitempty"`
	Err     string      `json:"error,omitempty"`
}

type JsonNamed struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Arg   bool   `json:"argument,omitempty"`
}

func jsonStacks(f *Flags, stacks []btStack) []btJSONStack {
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
			if f.Python && fr.Kind != stack.Python || f.C && fr.Kind != stack.C {
				continue
			}
			jf := btJSONFrame{Kind: "python", Func: fr.Func, File: fr.File, Line: fr.Line, EndLine: fr.EndLine,
				Col: fr.Col, EndCol: fr.EndCol, Module: fr.Module, Offset: fr.Offset,
				Inlined: fr.Inlined, Tail: fr.Tail, Signal: fr.Signal, Eval: fr.Eval, Err: fr.Err}
			if fr.Kind == stack.C {
				jf.Kind = "c"
				if fr.PC != 0 {
					jf.PC = fmt.Sprintf("%#x", fr.PC)
				}
			}
			for _, a := range fr.Args {
				jf.Args = append(jf.Args, JsonNamed{Name: a.Name, Value: a.Value})
			}
			for _, v := range fr.Locals {
				jf.Locals = append(jf.Locals, JsonNamed{Name: v.Name, Value: v.Value, Arg: v.Arg})
			}
			j.Frames = append(j.Frames, jf)
		}
		out = append(out, j)
	}
	return out
}
