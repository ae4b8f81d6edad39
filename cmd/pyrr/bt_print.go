package main

import (
	"fmt"
	"strings"

	"pyrr/internal/backtrace"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
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
			backtrace.PrintPython(u.out, s.frames)
		case "gdb":
			backtrace.PrintGDB(u.out, f.shown(s))
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
		line := fmt.Sprintf("  %s  %-*s  %-*s  %s", kind, btFuncWidth, backtrace.FunctionText(fr), btPlaceWidth, backtrace.PlaceText(fr), text)
		fmt.Fprintln(u.out, strings.TrimRight(cleanLine(line), " "))
		for _, v := range fr.Locals {
			fmt.Fprintf(u.out, "        %s = %s\n", cleanLine(v.Name), cleanLine(v.Value))
		}
		if fr.LocalsErr != "" {
			fmt.Fprintf(u.out, "        … %s\n", cleanLine(fr.LocalsErr))
		}
		if fr.Err != "" {
			fmt.Fprintf(u.out, "  … %s\n", cleanLine(fr.Err))
		}
	}
	if s.task != nil && s.task.Err != "" {
		fmt.Fprintf(u.out, "  … %s\n", cleanLine(s.task.Err))
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
				Inlined: fr.Inlined, Tail: fr.Tail, Signal: fr.Signal, Eval: fr.Eval, Err: fr.Err}
			if fr.Kind == stack.C {
				jf.Kind = "c"
				if fr.PC != 0 {
					jf.PC = fmt.Sprintf("%#x", fr.PC)
				}
			}
			for _, a := range fr.Args {
				jf.Args = append(jf.Args, jsonNamed{Name: a.Name, Value: a.Value})
			}
			for _, v := range fr.Locals {
				jf.Locals = append(jf.Locals, jsonNamed{Name: v.Name, Value: v.Value, Arg: v.Arg})
			}
			j.Frames = append(j.Frames, jf)
		}
		out = append(out, j)
	}
	return out
}
