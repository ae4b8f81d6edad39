package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// textList prints the list for people.
type textList struct {
	u    *ui
	w    *bufio.Writer
	many bool
	rows int
	// stacks is set where they are to be shown.
	stacks *recording.StackIndex
}

func (l *textList) begin(p *recording.Proc) error {
	if l.many {
		if l.rows > 0 {
			fmt.Fprintln(l.w)
		}
		title := fmt.Sprintf("process %d, pid %d: %s", p.ID, p.PID, shorten(shellJoin(p.Argv), 120))
		fmt.Fprintln(l.w, l.u.paintOut(bold, cleanLine(title)))
	}
	l.rows++
	_, err := fmt.Fprintln(l.w, l.u.paintOut(dim, "             at     event   thread        time        took  event"))
	return err
}

func (l *textList) event(p *recording.Proc, n uint64, ev *recording.Event, v *view) error {
	took := ""
	if v.Took >= 0 {
		took = seconds(v.Took)
	}
	lines := strings.Split(v.Text, "\n")
	_, err := fmt.Fprintf(l.w, "%15s %9s %8d %11.6f %11s  %s\n", grouped(ev.Instr), grouped(n), ev.TID, float64(ev.Time)/1e9, took, cleanLine(lines[0]))
	for _, more := range lines[1:] {
		_, err = fmt.Fprintf(l.w, "%60s%s\n", "", cleanLine(more))
	}
	if l.stacks == nil || err != nil {
		return err
	}
	st, _, err := l.stacks.Stack(p.ID, ev.TID, n)
	if err != nil {
		return err
	}
	for i := range st.Frames {
		if f := &st.Frames[i]; f.Kind == stack.Python {
			_, err = fmt.Fprintf(l.w, "%60s%s\n", "", cleanLine(stack.LineOf(*f).String()))
		}
	}
	return err
}

func (l *textList) end() error { return nil }

// jsonEvent is an event in the JSON form of pyrr events.
type jsonEvent struct {
	Process     int       `json:"process"`
	Event       uint64    `json:"event"`
	Instruction uint64    `json:"instruction"`
	Thread      int32     `json:"thread"`
	Kind        string    `json:"kind"`
	Name        string    `json:"name,omitempty"`
	Text        string    `json:"text"`
	Args        []jsonArg `json:"args,omitempty"`
	Result      *int64    `json:"result,omitempty"`
	Errno       string    `json:"errno,omitempty"`
	Time        float64   `json:"time"`
	Took        *float64  `json:"took,omitempty"`
	ThreadName  string    `json:"threadName,omitempty"`

	Stack []jsonFrame `json:"stack,omitempty"`
}

// jsonFrame is a frame in the JSON form of pyrr events.
type jsonFrame struct {
	Kind    string `json:"kind"`
	Func    string `json:"func,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	EndLine int    `json:"endLine,omitempty"`
	Col     int    `json:"col,omitempty"`
	EndCol  int    `json:"endCol,omitempty"`
	Module  string `json:"module,omitempty"`
	Offset  uint64 `json:"offset,omitempty"`
	Error   string `json:"error,omitempty"`
}

func newJSONFrame(f *stack.Frame) jsonFrame {
	kind := "python"
	if f.Kind == stack.C {
		kind = "c"
	}
	return jsonFrame{kind, f.Func, f.File, f.Line, f.EndLine, f.Col, f.EndCol, f.Module, f.Offset, f.Err}
}

// jsonList prints the JSON form; x is nil where the recording has no index.
type jsonList struct {
	enc    *json.Encoder
	x      *recording.StackIndex
	stacks bool
}

func (l jsonList) begin(*recording.Proc) error { return nil }
func (l jsonList) end() error                  { return nil }

func (l jsonList) event(p *recording.Proc, n uint64, ev *recording.Event, v *view) error {
	e := jsonEvent{Process: p.ID, Event: n, Instruction: ev.Instr, Thread: ev.TID, Kind: ev.Kind.String(), Name: v.Name,
		Text: v.Text, Args: v.Args, Result: v.Result, Errno: v.Errno, Time: float64(ev.Time) / 1e9}
	if v.Took >= 0 {
		s := v.Took.Seconds()
		e.Took = &s
	}
	if l.x != nil {
		e.ThreadName = l.x.Name(p.ID, ev.TID, n)
	}
	if l.stacks {
		st, _, err := l.x.Stack(p.ID, ev.TID, n)
		if err != nil {
			return err
		}
		for i := range st.Frames {
			e.Stack = append(e.Stack, newJSONFrame(&st.Frames[i]))
		}
	}
	return l.enc.Encode(e)
}
