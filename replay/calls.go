package replay

import (
	"fmt"

	"pyrr/internal/inject"
	"pyrr/internal/recording"
)

// Buffered calls were made without a stop while recording, and where nobody
// asks for their events they are replayed without one: the process gets what
// they did in a buffer, and notes what it made them with. That is held against
// the log at the next stop.

// callFeed collects the buffered calls before an event that stops.
type callFeed struct {
	feed   *inject.CallFeed
	thread *Thread
	want   []recording.Event // without their data
	clocks []byte            // readings of the clock that are consumed on the way
	counts []int             // how many of them before each call
}

func newCallFeed(data uint64) *callFeed { return &callFeed{feed: inject.NewCallFeed(data)} }

func (f *callFeed) empty() bool { return f == nil || len(f.want) == 0 }

func (f *callFeed) reset() {
	f.feed.Reset()
	f.want, f.clocks, f.counts, f.thread = f.want[:0], f.clocks[:0], f.counts[:0], nil
}

// canFeed says whether a buffered call needs no stop.
func (p *Process) canFeed(ev *recording.Event) bool {
	if p.calls == nil || p.area == nil {
		return false
	}
	return p.s.unseen || p.s.o.Pass != nil && p.s.cut == nil && p.s.o.Pass(p.Info.ID, p.Number, ev)
}

// feedCall puts a buffered call aside until the thread runs.
func (p *Process) feedCall(t *Thread, ev *recording.Event) error {
	f := p.calls
	if f.thread != nil && f.thread != t {
		return p.damaged("calls of two threads in one buffer")
	}
	if len(ev.Mem) > 1 {
		return p.damaged("%s can't be in a buffer", name(ev.Nr))
	}
	var addr uint64
	var out []byte
	if len(ev.Mem) == 1 {
		addr, out = ev.Mem[0].Addr, ev.Mem[0].Data
	}
	if !f.feed.Add(ev.Ret, addr, out) || len(f.clocks)+len(ev.Clocks) > p.area.Cap*inject.ClockSlot {
		return p.damaged("more calls than the buffer holds")
	}
	f.thread = t
	f.clocks = append(f.clocks, ev.Clocks...)
	f.counts = append(f.counts, len(f.clocks)/inject.ClockSlot)
	brief := *ev
	brief.Mem, brief.Clocks = nil, nil
	brief.In = append([]byte(nil), ev.In...)
	f.want = append(f.want, brief)
	return nil
}

// onWayTo returns the number of the event that a thread is on its way to: of
// a call in the buffer, where it has not made all of them.
func (p *Process) onWayTo() (uint64, error) {
	if p.calls.empty() {
		return p.Number, nil
	}
	made, err := p.calls.feed.Count(p.Mem())
	if err != nil {
		return 0, fmt.Errorf("read the buffer of calls of process %d: %w", p.Info.ID, err)
	}
	return p.Number - uint64(len(p.calls.want)-min(made, len(p.calls.want))), nil
}

// checkFed holds the calls that a thread made on its way to a stop against
// the log.
func (p *Process) checkFed(t *Thread, stop string) error {
	f := p.calls
	made, err := f.feed.Made(p.Mem())
	if err != nil {
		return fmt.Errorf("read the buffer of calls of process %d: %w", p.Info.ID, err)
	}
	number := p.Number
	for i := range f.want {
		ev := &f.want[i]
		p.Number = number - uint64(len(f.want)-i)
		if i >= len(made) {
			return p.diverged(ev, "the thread %s", stop)
		}
		m := &made[i]
		switch {
		case m.Nr != uint64(ev.Nr):
			return p.diverged(ev, "system call %s", name(int32(m.Nr)))
		case m.Args != ev.Args:
			return p.diverged(ev, "its arguments are %#x instead of %#x", m.Args, ev.Args)
		case m.Instr != ev.Instr:
			return p.diverged(ev, "it comes after %d instructions", m.Instr)
		case m.Clocks-p.unread != uint64(f.counts[i]):
			return p.diverged(ev, "the clock was read %d times before it, not %d", m.Clocks-p.unread, f.counts[i])
		case m.Regs.Rip != ev.PC:
			return p.diverged(ev, "program counter %#x instead of %#x", m.Regs.Rip, ev.PC)
		case recording.RegSum(&m.Regs) != ev.RegSum:
			return p.diverged(ev, "other values in the callee-saved registers")
		}
	}
	p.Number = number
	f.reset()
	return nil
}
