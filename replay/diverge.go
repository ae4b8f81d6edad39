package replay

import (
	"fmt"
	"strings"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// The counting stubs as package cpython lays them out: 32 bytes each, the
// trap at the end of the code, the jump that goes on before it.
const (
	stubSize  = 32
	stubTrap  = 16
	stubJump  = 9
	clockCode = 2 * 256 * stubSize
)

// Divergence is the first difference between a recording and its replay.
type Divergence struct {
	Process int
	PID     int
	Pos     recording.Pos
	// Want is the recorded event, Got what came instead.
	Want recording.Event
	Got  string
	// Before holds the process's last events before it.
	Before []recording.Event
}

// Error is one line; Format with %+v adds the events before.
func (d *Divergence) Error() string {
	return fmt.Sprintf("process %d (pid %d) diverged at event %d, instruction %d: recorded %s, but %s",
		d.Process, d.PID, d.Pos.Event, d.Pos.Instr, Describe(&d.Want), d.Got)
}

// Format implements fmt.Formatter.
func (d *Divergence) Format(f fmt.State, verb rune) {
	fmt.Fprint(f, d.Error())
	if verb == 'v' && f.Flag('+') {
		for i := range d.Before {
			n := d.Pos.Event - uint64(len(d.Before)-i)
			fmt.Fprintf(f, "\n  event %d: %s", n, Describe(&d.Before[i]))
		}
	}
}

// Describe renders an event for messages.
func Describe(ev *recording.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", ev.Kind)
	switch ev.Kind {
	case recording.KindSyscall, recording.KindEnter, recording.KindExit:
		fmt.Fprintf(&b, " %s", name(ev.Nr))
		if ev.Kind != recording.KindExit {
			args, _ := linux.Decode(int(ev.Nr), ev.Args, ev.Ret, ev.In, nil)
			fmt.Fprintf(&b, "(%s)", strings.Join(args, ", "))
		}
		if ev.Kind != recording.KindEnter {
			fmt.Fprintf(&b, " = %d", ev.Ret)
		}
	case recording.KindSignal:
		fmt.Fprintf(&b, " %s", linux.Signal(int(ev.Nr)))
	}
	fmt.Fprintf(&b, " by thread %d after %d instructions", ev.TID, ev.Instr)
	return b.String()
}

func (p *Process) diverged(ev *recording.Event, format string, args ...any) error {
	return &Divergence{
		Process: p.Info.ID, PID: p.Info.PID, Pos: recording.Pos{Instr: ev.Instr, Event: p.Number},
		Want: *ev, Got: fmt.Sprintf(format, args...), Before: append([]recording.Event(nil), p.recent...),
	}
}

// describe renders the system call that a thread is about to make.
func (p *Process) describe(t *Thread) string {
	nr := t.regs.Number()
	args, _ := linux.Decode(nr, t.regs.Args(), 0, nil, nil)
	return fmt.Sprintf("%s(%s) at %#x", name(int32(nr)), strings.Join(args, ", "), t.regs.PC())
}
