// Package listing says in words what the events of a recording are: a call with its
// arguments and result, a signal, an end.
//
// It reads no recording by itself. Begin with NewView.
package listing

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/printable"
	"pyrr/internal/recording"

	unix "pyrr/internal/sys"
)

// Call prints a system call with its arguments and, once it returned,
// its result. enter and exit are the same event for a call that gave way to
// nobody.
func Call(enter, exit *recording.Event, returned bool) string {
	args, result := linux.Decode(int(enter.Nr), enter.Args, exit.Ret, enter.In, exit.Written)
	s := linux.Name(int(enter.Nr)) + "(" + strings.Join(args, ", ") + ")"
	if returned {
		s += " = " + result
	}
	return s
}

// callArgs returns all arguments of a call for programs.
func callArgs(enter, exit *recording.Event) []Arg {
	var out []Arg
	for _, a := range linux.DecodeArgs(int(enter.Nr), enter.Args, exit.Ret, enter.In, exit.Written) {
		out = append(out, Arg{a.Name, a.Value, a.Num})
	}
	return out
}

// View is an event prepared for printing.
type View struct {
	Name   string // of the call, the signal or the instruction
	Text   string
	Args   []Arg
	Result *int64
	Errno  string
	Took   time.Duration // negative: not known
}

// NewView describes an event. enter is the entry of a call for its exit; p tells
// of the calls that have not returned, and may be nil.
func NewView(ev, enter *recording.Event, p *logview.Follower) *View {
	v := &View{Took: -1}
	switch ev.Kind {
	case recording.KindSyscall:
		v.call(ev, ev, true)
		v.Took = time.Duration(max(0, ev.EndTime-ev.Time))
	case recording.KindEnter:
		v.call(ev, ev, false)
		v.Text += " …"
	case recording.KindExit:
		from := ev
		if enter != nil {
			from = enter
			v.Took = time.Duration(max(0, ev.Time-enter.Time))
		}
		v.call(from, ev, true)
		v.Text = "… " + v.Text
	case recording.KindSignal:
		v.Name = linux.Signal(int(ev.Nr))
		v.Text = "signal " + v.Name + ", its handler runs"
		if len(ev.Mem) == 0 { // no frame of a handler
			v.Text = fmt.Sprintf("signal %s at address %#x, which ends the process", v.Name, ev.SigInfo().Addr())
		}
	case recording.KindInsn:
		v.Name = inject.Insn(ev.Nr).String()
		v.Text = v.Name
	case recording.KindStart:
		v.Text = "start"
		if ev.Proc != nil {
			v.Text = describeStart(ev.Proc)
		}
	case recording.KindEnd:
		v.Text = "end: " + End(ev)
		if ev.Why != recording.EndExited { // there it would be exit_group
			v.Text += unfinished(ev, p)
		}
	case recording.KindDeath:
		v.Text = "the thread ends"
	case recording.KindSwitch:
		v.Text = "switch: the thread is preempted"
	case recording.KindTimeout:
		v.Text = "the time-out expires" + unfinished(ev, p)
	case recording.KindReadings:
		v.Text = fmt.Sprintf("readings: %d of the time", len(ev.Readings)/16)
	case recording.KindWrite:
		if python, ok := ev.ClockStarts(); ok {
			v.Text = "instructions are counted from here on: CPython " + python
			return v
		}
		v.Text = fmt.Sprintf("write: pyrr prepares the process, %s", describeWrites(ev))
	case recording.KindFault:
		v.Text = fmt.Sprintf("fault: a shared page is brought up to date, %s", describeWrites(ev))
	case recording.KindChecksum:
		v.Text = "checksum of the writable memory"
	case recording.KindNote:
		v.Text = "note: " + ev.Text
	default:
		v.Text = ev.Kind.String()
	}
	switch ev.Kind {
	case recording.KindEnd, recording.KindNote, recording.KindStart:
	default:
		if ev.Text != "" {
			v.Text += ": " + ev.Text
		}
	}
	return v
}

// call describes a system call: entered by enter, with the effects of exit.
func (v *View) call(enter, exit *recording.Event, returned bool) {
	v.Name = linux.Name(int(enter.Nr))
	v.Args = callArgs(enter, exit)
	v.Text = Call(enter, exit, returned)
	if !returned {
		return
	}
	ret := exit.Ret
	v.Result = &ret
	if ret < 0 && ret >= -4095 {
		v.Errno = linux.Errno(int(-ret))
	}
}

func describeStart(p *recording.Process) string {
	how := "start"
	switch {
	case p.Fork:
		how = fmt.Sprintf("start: fork of process %d", p.Parent)
	case p.Parent != 0:
		how = fmt.Sprintf("start: from process %d", p.Parent)
	}
	return how + ", " + printable.Shorten(printable.ShellJoin(p.Argv), 200)
}

func describeWrites(ev *recording.Event) string {
	bytes := int(ev.LeftOut)
	for _, w := range ev.Mem {
		bytes += len(w.Data)
	}
	return fmt.Sprintf("%s, %s in %s", printable.Plural(uint64(len(ev.Maps)), "mapping", "mappings"),
		printable.ByteSize(int64(bytes)), printable.Plural(uint64(len(ev.Mem)), "place", "places"))
}

// unfinished names the calls in which threads still are.
func unfinished(ev *recording.Event, p *logview.Follower) string {
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
		s := fmt.Sprintf("%d in %s", tid, Call(enter, enter, false))
		if ev.Time > enter.Time {
			s += fmt.Sprintf(" since %s, for %s", printable.AtTime(enter.Time), printable.Seconds(time.Duration(ev.Time-enter.Time)))
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return ""
	}
	return "\n" + strings.Join(parts, "\n")
}

// Arg is one argument of a system call: its name, how it is shown, and
// the raw number.
type Arg struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Num   uint64 `json:"num"`
}

// Event is one line about an event, with its thread and position.
func Event(ev *recording.Event) string {
	return fmt.Sprintf("%s, by thread %d at instruction %s", NewView(ev, nil, nil).Text, ev.TID, printable.Grouped(ev.Instr))
}

// ShellStatus turns a wait status into what a shell shows: the exit status,
// or 128+n for signal n.
func ShellStatus(wait int) int {
	ws := unix.WaitStatus(uint32(wait))
	switch {
	case ws.Exited():
		return ws.ExitStatus()
	case ws.Signaled():
		return 128 + int(ws.Signal())
	}
	return wait & 0xff
}

// Status says a shell's status in words.
func Status(status int) string {
	if status > 128 && status < 128+65 {
		if name := unix.SignalName(unix.Signal(status - 128)); name != "" {
			return fmt.Sprintf("exit status %d, killed by %s", status, name)
		}
	}
	return fmt.Sprintf("exit status %d", status)
}

// End says how a process's stream ends.
func End(ev *recording.Event) string {
	var s string
	switch ev.Why {
	case recording.EndExited:
		s = Status(ShellStatus(int(ev.Ret)))
	case recording.EndExec:
		s = "became another program"
	case recording.EndDetached:
		s = "recording stopped, the program went on"
	case recording.EndTimeout:
		s = "stopped by the time-out"
	case recording.EndTruncated:
		s = fmt.Sprintf("truncated at instruction %s", printable.Grouped(ev.Instr))
	default:
		s = ev.Why
	}
	if ev.Text != "" {
		s += ": " + ev.Text
	}
	return strings.TrimSpace(s)
}
