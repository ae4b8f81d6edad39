package replay

import (
	"fmt"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// Buffered calls were made without a stop while recording, and where nobody
// asks for their events they are replayed without one: the process gets what
// they did in a buffer, and notes what it made them with. That is held against
// the log at the next stop.

// callFeed collects the buffered calls before an event that stops.
type callFeed struct {
	feed     *inject.CallFeed
	thread   *Thread
	want     []recording.Event // without their data
	readings []byte            // readings of the clock that are consumed on the way
	counts   []int             // how many of them before each call
	unmaps   []addrs           // what they gave back, and is still there
}

type addrs struct{ lo, hi uint64 }

// lookahead says how the next event is reached that no buffered call is.
type lookahead struct {
	it *recording.Iter
	ev recording.Event
}

func newCallFeed(data uint64) *callFeed { return &callFeed{feed: inject.NewCallFeed(data)} }

func (f *callFeed) empty() bool { return f == nil || len(f.want) == 0 }

func (f *callFeed) reset() {
	f.feed.Reset()
	f.want, f.readings, f.counts, f.thread = f.want[:0], f.readings[:0], f.counts[:0], nil
}

// canFeed says whether a buffered call needs no stop.
func (p *Process) canFeed(ev *recording.Event) bool {
	if p.calls == nil || p.area == nil || ev.Why != "" {
		return false // what it writes to the program's output is read where it does so
	}
	return p.s.unseen || p.s.o.Pass != nil && p.s.cut == nil && p.s.o.Pass(p.Info.ID, p.Number, ev)
}

// fed feeds the process an event that is a buffered call which needs no stop.
func (p *Process) fed(t *Thread, ev *recording.Event) (bool, error) {
	if ev.Stop != recording.StopBuffered || !p.canFeed(ev) {
		return false, nil
	}
	lo, hi, ok, err := p.feeds(ev)
	if !ok || err != nil {
		return false, err
	}
	if err := p.feedCall(t, ev); err != nil {
		return true, err
	}
	if lo < hi {
		p.calls.unmaps = append(p.calls.unmaps, addrs{lo, hi})
	}
	if p.s.unseen {
		return true, nil
	}
	return true, p.s.o.OnEvent(p, nil, ev)
}

// feeds says whether a buffered call can be fed to the process, and what memory it
// gives back. That is unmapped at the next stop, which is as good as long as that is a
// system call: nothing tells a program that memory is gone but a fault.
func (p *Process) feeds(ev *recording.Event) (lo, hi uint64, ok bool, err error) {
	if class, _ := linux.ClassOf(int(ev.Nr), ev.Args); class == linux.Plain {
		return 0, 0, true, nil
	}
	a := ev.Args
	switch {
	case p.guard != nil || p.s.cut != nil || p.adapting():
		return 0, 0, false, nil
	case ev.Nr == unix.SYS_MUNMAP && ev.Ret == 0:
		lo, hi = a[0], pageUp(a[0]+a[1])
	case ev.Nr == unix.SYS_MREMAP && uint64(ev.Ret) == a[0] && a[2] > 0 && a[3]&^unix.MREMAP_MAYMOVE == 0:
		lo, hi = pageUp(a[0]+a[2]), pageUp(a[0]+a[1])
	}
	if lo%pageSize != 0 || lo >= hi || hi > userTop || ownPage(lo, hi-lo) {
		return 0, 0, false, nil
	}
	ok, err = p.comesToCall()
	return lo, hi, ok, err
}

// remaps reports whether a buffered call changes the address space by more than that it
// gives memory back: such a one is made with a stop.
func remaps(ev *recording.Event) bool {
	class, _ := linux.ClassOf(int(ev.Nr), ev.Args)
	return class == linux.AddressSpace && ev.Nr != unix.SYS_MUNMAP && ev.Nr != unix.SYS_MREMAP
}

// comesToCall says whether the next event that stops is a system call.
func (p *Process) comesToCall() (bool, error) {
	a := &p.ahead
	if a.it == nil {
		it, err := p.s.rec.Events(p.Info.ID)
		if err != nil {
			return false, err
		}
		a.it = it
		if err := it.Seek(p.Number + 1); err != nil {
			return false, nil // there is none; what is wrong, the reader itself comes to
		}
	}
	for a.it.Number() <= p.Number+1 || a.ev.Stop == recording.StopBuffered && !remaps(&a.ev) {
		if a.it.Next(&a.ev) != nil {
			return false, nil
		}
	}
	return a.ev.Stop == recording.StopSyscall || a.ev.Stop == recording.StopBuffered, nil
}

// unmapFed unmaps what fed calls of a thread that stands at ev gave back, as far as
// ev does not put something else in its place.
func (p *Process) unmapFed(t *Thread, ev *recording.Event) error {
	if p.calls == nil || len(p.calls.unmaps) == 0 {
		return nil
	}
	defer p.spaceChanged()
	for _, u := range p.calls.unmaps {
		p.unmapped(u.lo, u.hi)
		if ev.Nr == unix.SYS_MMAP && ev.Kind == recording.KindSyscall && slices.ContainsFunc(ev.Maps, func(m recording.Mapping) bool {
			return m.Start <= u.lo && u.hi <= m.End
		}) {
			continue
		}
		if err := p.readyForCall(t); err != nil {
			return err
		}
		ret, err := p.call(t, unix.SYS_MUNMAP, u.lo, u.hi-u.lo)
		if err == nil && ret != 0 {
			err = p.diverged(ev, "memory at %#x, which was unmapped before, can't be unmapped: %v", u.lo, unix.Errno(-ret))
		}
		if err != nil {
			return err
		}
	}
	p.calls.unmaps = p.calls.unmaps[:0]
	return nil
}

// feedCall puts a buffered call aside until the thread runs.
func (p *Process) feedCall(t *Thread, ev *recording.Event) error {
	f := p.calls
	if f.thread != nil && f.thread != t {
		return p.damaged("calls of two threads in one buffer")
	}
	var buf [3]inject.Write
	wrote := buf[:0]
	for _, w := range ev.Mem {
		wrote = append(wrote, inject.Write{Addr: w.Addr, Data: w.Data})
	}
	if !f.feed.Add(ev.Ret, wrote...) || len(f.readings)+len(ev.Readings) > p.area.Cap*inject.ReadingSize {
		return p.damaged("more calls than the buffer holds")
	}
	f.thread = t
	f.readings = append(f.readings, ev.Readings...)
	f.counts = append(f.counts, len(f.readings)/inject.ReadingSize)
	brief := *ev
	brief.Mem, brief.Readings = nil, nil
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
		if i >= made {
			return p.diverged(ev, "the thread %s", stop)
		}
		m := f.feed.Call(i)
		switch {
		case m.Nr != uint64(ev.Nr):
			return p.diverged(ev, "system call %s", name(int32(m.Nr)))
		case m.Args != ev.Args:
			return p.diverged(ev, "its arguments are %#x instead of %#x", m.Args, ev.Args)
		case m.Instr != ev.Instr:
			return p.diverged(ev, "it comes after %d instructions", m.Instr)
		case m.Readings-p.unread != uint64(f.counts[i]):
			return p.diverged(ev, "the clock was read %d times before it, not %d", m.Readings-p.unread, f.counts[i])
		case m.Regs.PC() != ev.PC:
			return p.diverged(ev, "program counter %#x instead of %#x", m.Regs.PC(), ev.PC)
		case recording.RegSum(&m.Regs) != ev.RegSum:
			return p.diverged(ev, "other values in the callee-saved registers")
		}
	}
	p.Number = number
	p.s.tell(p)
	f.reset()
	return nil
}
