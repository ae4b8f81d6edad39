package show

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"

	"pyrr/internal/listing"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/stack"
)

// Text prints the list for people.
type Text struct {
	UI   *screen.UI
	W    *bufio.Writer
	Many bool
	rows int
	// stacks is set where they are to be shown.
	Stacks *recording.StackIndex
}

func (l *Text) begin(p *recording.Process) error {
	if l.Many {
		if l.rows > 0 {
			fmt.Fprintln(l.W)
		}
		title := fmt.Sprintf("process %d, pid %d: %s", p.ID, p.PID, printable.Shorten(printable.ShellJoin(p.Argv), 120))
		fmt.Fprintln(l.W, l.UI.Paint(screen.Bold, printable.Line(title)))
	}
	l.rows++
	_, err := fmt.Fprintln(l.W, l.UI.Paint(screen.Dim, "             at     event   thread        time        took  event"))
	return err
}

func (l *Text) event(p *recording.Process, n uint64, ev *recording.Event, v *listing.View) error {
	took := ""
	if v.Took >= 0 {
		took = printable.Seconds(v.Took)
	}
	lines := strings.Split(v.Text, "\n")
	_, err := fmt.Fprintf(l.W, "%15s %9s %8d %11.6f %11s  %s\n", printable.Grouped(ev.Instr), printable.Grouped(n), ev.TID, float64(ev.Time)/1e9, took, printable.Line(lines[0]))
	for _, more := range lines[1:] {
		_, err = fmt.Fprintf(l.W, "%60s%s\n", "", printable.Line(more))
	}
	if l.Stacks == nil || err != nil {
		return err
	}
	st, _, err := l.Stacks.Stack(p.ID, ev.TID, n)
	if err != nil {
		return err
	}
	for i := range st.Frames {
		if f := &st.Frames[i]; f.Kind == stack.Python {
			_, err = fmt.Fprintf(l.W, "%60s%s\n", "", printable.Line(stack.LineOf(*f).String()))
		}
	}
	return err
}

func (l *Text) end() error { return nil }

// JsonEvent is an event in the JSON form of pyrr events.
type JsonEvent struct {
	Process     int           `json:"process"`
	Event       uint64        `json:"event"`
	Instruction uint64        `json:"instruction"`
	Thread      int32         `json:"thread"`
	Kind        string        `json:"kind"`
	Name        string        `json:"name,omitempty"`
	Text        string        `json:"text"`
	Args        []listing.Arg `json:"args,omitempty"`
	Result      *int64        `json:"result,omitempty"`
	Errno       string        `json:"errno,omitempty"`
	Time        float64       `json:"time"`
	Took        *float64      `json:"took,omitempty"`
	ThreadName  string        `json:"threadName,omitempty"`

	Stack []Frame `json:"stack,omitempty"`
}

// JSON prints the JSON form; x is nil where the recording has no index.
type JSON struct {
	enc    *json.Encoder
	x      *recording.StackIndex
	stacks bool
}

// NewJSONList lists events as JSON, with their stacks of an index where those are wanted.
func NewJSONList(enc *json.Encoder, x *recording.StackIndex, stacks bool) List {
	return JSON{enc, x, stacks}
}

func (l JSON) begin(*recording.Process) error { return nil }
func (l JSON) end() error                     { return nil }

func (l JSON) event(p *recording.Process, n uint64, ev *recording.Event, v *listing.View) error {
	e := JsonEvent{Process: p.ID, Event: n, Instruction: ev.Instr, Thread: ev.TID, Kind: ev.Kind.String(), Name: v.Name,
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
			e.Stack = append(e.Stack, NewFrame(&st.Frames[i]))
		}
	}
	return l.enc.Encode(e)
}
