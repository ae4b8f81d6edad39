package logview

import (
	"errors"
	"io"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// Bounds on what one process is followed with: a recording may be forged.
const (
	maxThreads = 1 << 17 // that exist at one time
	maxIn      = 4096    // bytes kept of what a call was given
)

// Call is a system call that a thread has entered.
type Call struct {
	// Enter is the event that entered it, without Mem, Maps, Regs, XState and
	// Clocks. For a call in which the thread was when the recording began its
	// kind is KindThread.
	Enter recording.Event
	// Event is the number of that event.
	Event uint64
	// Attached says that the thread waited in this call before the recorder attached
	// to its process.
	Attached bool
}

// Name is the kernel's name of the call.
func (c *Call) Name() string { return linux.Name(int(c.Enter.Nr)) }

// Thread is a thread of a process.
type Thread struct {
	TID int32 // as the program saw it
	PID int   // that of its process; its own for a vfork child, which shares only the memory
	// Num counts the process's threads from 1 in the order in which they
	// appeared.
	Num int
	// Maker is the thread that made it, 0 where that is not known.
	Maker int32
	// First and Last are the numbers of its first event and its last so far,
	// LastTime and LastInstr when and where that was.
	First, Last uint64
	LastTime    int64
	LastInstr   uint64
	// Instr counts the bytecode instructions that it executed itself.
	Instr uint64
	// Open is the call that it is in, nil for none.
	Open *Call
	// Comm is the name that the program gave it in the kernel, "" for none.
	Comm string
	// Ended is set for a thread of Proc.Gone: when it ended.
	Ended int64
	// attached: the recorder came while it waited in a call, which it makes again.
	attached bool
}

// Step is what an event means for the process that it belongs to.
type Step struct {
	// Thread makes the event; nil for the end of the process after its last
	// thread. It is already as the event leaves it.
	Thread *Thread
	New    bool // this is its first event
	Gone   bool // this is its last event
	// Enter is the event that entered the call which the event is about: of a
	// KindSyscall and a KindEnter itself; of a KindExit the KindEnter before, or
	// the KindThread of a thread that was in the call when the recording began;
	// nil where that is missing, and for other events. EnterEvent is its number.
	Enter      *recording.Event
	EnterEvent uint64
	// Cut is the call that the handler of a signal broke off. If it is
	// restarted, that is a new call.
	Cut *Call
	// Instr and Time are those of the process before the event.
	Instr uint64
	Time  int64
}

// Done is the system call that returns at the event, nil where none does or
// its entry is missing: what linux.Effects needs to know.
func (s *Step) Done(ev *recording.Event) *linux.Done {
	if s.Enter == nil || ev.Kind == recording.KindEnter {
		return nil
	}
	return &linux.Done{Nr: int(s.Enter.Nr), Args: s.Enter.Args, Ret: ev.Ret, In: s.Enter.In, Read: ev.Written}
}

// Follower follows the events of one process: it is given each in order.
type Follower struct {
	Info recording.Process
	// Instr and Time are the greatest that were seen.
	Instr uint64
	Time  int64
	// Events counts the events that were taken.
	Events uint64
	// Threads are those that exist, by id.
	Threads map[int32]*Thread

	count int
	made  map[int32]maker // by thread id; of those that have made no event yet
	last  *Thread
}

// maker says who made a thread, and whether it is one of the same process.
type maker struct {
	tid int32
	pid int
}

// NewFollower begins to follow a process of a recording.
func NewFollower(info *recording.Process) *Follower {
	return &Follower{Info: *info, Threads: map[int32]*Thread{}, made: map[int32]maker{}}
}

// Ordered returns the threads that exist in the order of their appearance.
func (p *Follower) Ordered() []*Thread {
	return sortedThreads(p.Threads)
}

// Take follows the event with the number n. It does not keep the event, and
// what Step says of it is valid until the next.
func (p *Follower) Take(n uint64, ev *recording.Event) Step {
	s := Step{Instr: p.Instr, Time: p.Time}
	t := p.thread(n, ev, &s)
	if ev.Instr > p.Instr {
		if n > 0 && t != nil {
			// What was executed since the event before, this thread executed.
			t.Instr += ev.Instr - p.Instr
		}
		p.Instr = ev.Instr
	}
	p.Time = max(p.Time, ev.Time, ev.EndTime)
	p.Events = n + 1
	if t == nil {
		return s
	}
	s.Thread = t
	t.Last, t.LastTime, t.LastInstr = n, max(ev.Time, ev.EndTime), ev.Instr
	switch ev.Kind {
	case recording.KindSyscall:
		s.Enter, s.EnterEvent = ev, n
		t.Open, t.attached = nil, false
		p.made1(t, ev, ev)
	case recording.KindEnter:
		s.Enter, s.EnterEvent = ev, n
		t.Open = newCall(n, ev)
		t.Open.Attached, t.attached = t.attached, false
		p.made1(t, ev, ev)
	case recording.KindExit:
		if c := t.Open; c != nil {
			s.Enter, s.EnterEvent = &c.Enter, c.Event
			p.made1(t, &c.Enter, ev)
		}
		t.Open = nil
	case recording.KindThread:
		if ev.Why == recording.InCall {
			t.Open = newCall(n, ev)
		}
	case recording.KindNote:
		if ev.Why == recording.NoteAttached {
			if t.attached = t.Open == nil; t.Open != nil {
				t.Open.Attached = true
			}
		}
	case recording.KindSignal:
		s.Cut, t.Open, t.attached = t.Open, nil, false
	case recording.KindDeath:
		s.Gone = true
		delete(p.Threads, ev.TID)
		p.last = nil
	}
	return s
}

// thread finds the thread of an event, or begins a new one.
func (p *Follower) thread(n uint64, ev *recording.Event, s *Step) *Thread {
	if p.last != nil && p.last.TID == ev.TID {
		return p.last
	}
	t := p.Threads[ev.TID]
	if t == nil && ev.TID != 0 && ev.Kind != recording.KindEnd {
		p.count++
		s.New = true
		t = &Thread{TID: ev.TID, PID: p.Info.PID, Num: p.count, First: n}
		if m, ok := p.made[ev.TID]; ok {
			t.Maker = m.tid
			if m.pid != 0 {
				t.PID = m.pid
			}
			delete(p.made, ev.TID)
		}
		if len(p.Threads) < maxThreads {
			p.Threads[ev.TID] = t
		}
	}
	p.last = t
	return t
}

// made1 notes what a call says of threads.
func (p *Follower) made1(t *Thread, enter, ev *recording.Event) {
	if ev.Child != 0 && len(p.made) < maxThreads {
		m := maker{tid: t.TID}
		if !linux.SharesProcess(int(enter.Nr), enter.Args) {
			m.pid = int(ev.Child)
		}
		p.made[ev.Child] = m
	}
	if name, ok := linux.ThreadName(int(enter.Nr), enter.Args, enter.In); ok && ev.Ret == 0 {
		t.Comm = name
	}
}

func newCall(n uint64, ev *recording.Event) *Call {
	c := &Call{Enter: *ev, Event: n}
	c.Enter.Mem, c.Enter.Maps, c.Enter.Regs, c.Enter.XState, c.Enter.Readings = nil, nil, nil, nil, nil
	// A copy, since the event's own is a part of a large buffer.
	c.Enter.In = append([]byte(nil), ev.In[:min(len(ev.In), maxIn)]...)
	return c
}

// Each follows all events of a process and calls f with each, without most of what is
// large in it (recording.Iter.Brief); an error of f ends it.
func Each(rec *recording.Recording, info *recording.Process, f func(p *Follower, n uint64, ev *recording.Event, s Step) error) error {
	return each(rec, info, true, f)
}

// EachWhole is Each with all bytes of the events.
func EachWhole(rec *recording.Recording, info *recording.Process, f func(p *Follower, n uint64, ev *recording.Event, s Step) error) error {
	return each(rec, info, false, f)
}

func each(rec *recording.Recording, info *recording.Process, brief bool, f func(p *Follower, n uint64, ev *recording.Event, s Step) error) error {
	it, err := rec.Events(info.ID)
	if err != nil {
		return err
	}
	defer it.Close()
	if brief {
		it.Brief()
	}
	p := NewFollower(info)
	var ev recording.Event
	for {
		n := it.Number()
		if err := it.Next(&ev); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := f(p, n, &ev, p.Take(n, &ev)); err != nil {
			return err
		}
	}
}
