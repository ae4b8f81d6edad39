package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"pyrr/internal/backtrace"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// answer is what a command came to, as --json prints it: one line for each.
type answer struct {
	Command string `json:"command"`
	Output  string `json:"output"`
	// Error is the mistake that the command was.
	Error string `json:"error,omitempty"`
	// Data is the answer for programs, of commands that have one.
	Data any `json:"data,omitempty"`
	// Where the session stands behind it.
	Process     int    `json:"process"`
	Thread      int32  `json:"thread"`
	Instruction uint64 `json:"instruction"`
	Event       uint64 `json:"event"`
	End         bool   `json:"end,omitempty"`
}

// doJSON runs a command and prints its answer as one line of JSON.
func (c *Console) doJSON(line string) error {
	out := c.out
	var b bytes.Buffer
	c.out, c.data, c.failed = &b, nil, ""
	err := c.Do(line)
	c.out = out
	if err != nil {
		return err
	}
	if c.block != nil || strings.TrimSpace(line) == "" {
		return nil
	}
	at := c.x.Point()
	a := answer{Command: strings.TrimSpace(line), Output: b.String(), Error: c.failed, Data: c.data,
		Process: c.x.Proc().ID, Thread: c.tid, Instruction: at.Instr, Event: at.Event, End: c.x.AtEnd()}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(a)
}

// frame is one of a stack, as --json prints it.
type frame struct {
	Level    int    `json:"level"`
	Language string `json:"language"`
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Module   string `json:"module,omitempty"`
	PC       string `json:"pc,omitempty"`
	// Arguments are those of C.
	Arguments []variable `json:"arguments,omitempty"`
}

func frameData(frames []backtrace.Frame, from, to int) []frame {
	out := []frame{}
	for i := from; i < to; i++ {
		f := &frames[i]
		d := frame{Level: i, Language: "python", Function: f.Func, File: f.File, Line: f.Line, Module: f.Module}
		if f.Kind == stack.C {
			d.Language, d.PC = "c", fmt.Sprintf("%#x", f.PC)
		}
		for _, a := range f.Args {
			d.Arguments = append(d.Arguments, variable{a.Name, a.Value, "c"})
		}
		out = append(out, d)
	}
	return out
}

// stopData is why a move ended.
func stopData(st *replay.Stop) any {
	kinds := map[replay.StopKind]string{
		replay.StopBreak: "breakpoint", replay.StopEvent: "event", replay.StopWatch: "watchpoint", replay.StopEnd: "end",
		replay.StopStart: "start", replay.StopInterrupted: "interrupted", replay.StopStep: "step",
	}
	return map[string]any{"stopped": kinds[st.Kind]}
}
