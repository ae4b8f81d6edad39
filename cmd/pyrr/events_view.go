package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// view is an event prepared for printing.
type view struct {
	name   string // of the call, the signal or the instruction
	text   string
	args   []jsonArg
	result *int64
	errno  string
	took   time.Duration // negative: not known
}

// newView describes an event. enter is the entry of a call for its exit; p tells
// of the calls that have not returned, and may be nil.
func newView(ev, enter *recording.Event, p *logview.Process) *view {
	v := &view{took: -1}
	switch ev.Kind {
	case recording.KindSyscall:
		v.call(ev, ev, true)
		v.took = time.Duration(max(0, ev.EndTime-ev.Time))
	case recording.KindEnter:
		v.call(ev, ev, false)
		v.text += " …"
	case recording.KindExit:
		from := ev
		if enter != nil {
			from = enter
			v.took = time.Duration(max(0, ev.Time-enter.Time))
		}
		v.call(from, ev, true)
		v.text = "… " + v.text
	case recording.KindSignal:
		v.name = linux.Signal(int(ev.Nr))
		v.text = "signal " + v.name + ", its handler runs"
		if len(ev.Mem) == 0 { // no frame of a handler
			v.text = fmt.Sprintf("signal %s at address %#x, which ends the process", v.name, ev.SigInfo().Addr())
		}
	case recording.KindInsn:
		v.name = inject.Insn(ev.Nr).String()
		v.text = v.name
	case recording.KindStart:
		v.text = "start"
		if ev.Proc != nil {
			v.text = describeStart(ev.Proc)
		}
	case recording.KindEnd:
		v.text = "end: " + describeEnd(ev)
		if ev.Why != recording.EndExited { // there it would be exit_group
			v.text += unfinished(ev, p)
		}
	case recording.KindDeath:
		v.text = "the thread ends"
	case recording.KindSwitch:
		v.text = "switch: the thread is preempted"
	case recording.KindTimeout:
		v.text = "the time-out expires" + unfinished(ev, p)
	case recording.KindClocks:
		v.text = fmt.Sprintf("clocks: %d readings", len(ev.Clocks)/16)
	case recording.KindWrite:
		if python, ok := ev.ClockStarts(); ok {
			v.text = "instructions are counted from here on: CPython " + python
			return v
		}
		v.text = fmt.Sprintf("write: pyrr prepares the process, %s", describeWrites(ev))
	case recording.KindFault:
		v.text = fmt.Sprintf("fault: a shared page is brought up to date, %s", describeWrites(ev))
	case recording.KindChecksum:
		v.text = "checksum of the writable memory"
	case recording.KindNote:
		v.text = "note: " + ev.Text
	default:
		v.text = ev.Kind.String()
	}
	switch ev.Kind {
	case recording.KindEnd, recording.KindNote, recording.KindStart:
	default:
		if ev.Text != "" {
			v.text += ": " + ev.Text
		}
	}
	return v
}

// call describes a system call: entered by enter, with the effects of exit.
func (v *view) call(enter, exit *recording.Event, returned bool) {
	v.name = linux.Name(int(enter.Nr))
	v.args = callArgs(enter, exit)
	v.text = callText(enter, exit, returned)
	if !returned {
		return
	}
	ret := exit.Ret
	v.result = &ret
	if ret < 0 && ret >= -4095 {
		v.errno = linux.Errno(int(-ret))
	}
}

func describeStart(p *recording.Proc) string {
	how := "start"
	switch {
	case p.Fork:
		how = fmt.Sprintf("start: fork of process %d", p.Parent)
	case p.Parent != 0:
		how = fmt.Sprintf("start: from process %d", p.Parent)
	}
	return how + ", " + shorten(shellJoin(p.Argv), 200)
}

func describeWrites(ev *recording.Event) string {
	bytes := int(ev.LeftOut)
	for _, w := range ev.Mem {
		bytes += len(w.Data)
	}
	return fmt.Sprintf("%s, %s in %s", plural(uint64(len(ev.Maps)), "mapping", "mappings"),
		byteSize(int64(bytes)), plural(uint64(len(ev.Mem)), "place", "places"))
}

// unfinished names the calls in which threads still are.
func unfinished(ev *recording.Event, p *logview.Process) string {
	if p == nil {
		return ""
	}
	var parts []string
	for _, tid := range slices.Sorted(maps.Keys(p.Threads)) {
		call := p.Threads[tid].Open
		if call == nil {
			continue
		}
		enter := &call.Enter
		s := fmt.Sprintf("%d in %s", tid, callText(enter, enter, false))
		if ev.Time > enter.Time {
			s += fmt.Sprintf(" since %s, for %s", atTime(enter.Time), seconds(time.Duration(ev.Time-enter.Time)))
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return ""
	}
	return "\n" + strings.Join(parts, "\n")
}

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
	if v.took >= 0 {
		took = seconds(v.took)
	}
	lines := strings.Split(v.text, "\n")
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

// jsonArg is one argument of a system call: its name, how it is shown, and
// the raw number.
type jsonArg struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Num   uint64 `json:"num"`
}

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
	e := jsonEvent{Process: p.ID, Event: n, Instruction: ev.Instr, Thread: ev.TID, Kind: ev.Kind.String(), Name: v.name,
		Text: v.text, Args: v.args, Result: v.result, Errno: v.errno, Time: float64(ev.Time) / 1e9}
	if v.took >= 0 {
		s := v.took.Seconds()
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
