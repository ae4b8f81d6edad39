package logview

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// Bounds of what a State holds.
const (
	maxOps     = 2 << 20 // operations on descriptors, of all processes
	maxGone    = 1024    // threads that ended, of a process
	maxSignals = 64      // signals, of a process each way
	maxTests   = 1 << 16
	maxKids    = 1 << 16 // children of a process
)

// AtEnd reads a recording and returns its state at the end. At an error it
// returns what was read before.
func AtEnd(rec *recording.Recording) (*State, error) {
	return read(rec, limit{time: 1<<63 - 1})
}

// At returns the state in which a replay stands at an event of a process: before
// it takes effect. The other processes are where they were at its time.
func At(rec *recording.Recording, proc int, event uint64) (*State, error) {
	it, err := rec.Events(proc)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	it.Brief()
	var ev recording.Event
	if err = it.Seek(event); err == nil {
		err = it.Next(&ev)
	}
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("process %d has no event %d", proc, event)
	}
	if err != nil {
		return nil, err
	}
	at := Moment{proc, recording.Pos{Instr: ev.Instr, Event: event}, ev.TID, ev.Time}
	return read(rec, limit{at: at, time: ev.Time})
}

// limit is where reading stops: before the event at, in other processes
// behind the time.
type limit struct {
	at   Moment
	time int64
}

func (l *limit) passed(proc int, n uint64, ev *recording.Event) bool {
	if l.at.Proc == proc {
		return n >= l.at.Pos.Event
	}
	return ev.Time > l.time
}

// reader reads a recording into a State: first each process by itself, then
// the operations on descriptors of all together, in time.
type reader struct {
	s     *State
	l     limit
	scans []*scan
	nops  int
	done  linux.Done
	effs  []linux.Effect
	// channels, where not nil, gets each transfer.
	channels *channels
	// entered and began are where and when the call was entered that is looked at.
	entered uint64
	began   int64
}

// scan is the reading of one process.
type scan struct {
	*reader
	p   *Process
	f   *Follower
	ops []op
	// sums are the indexes in ops of transfers that further ones of the same
	// descriptor are added to.
	sums map[sumKey]int
	// sentTo are the addresses of the last datagrams.
	sentTo map[sumKey]string
	// begun are the operations of calls that have not returned, by thread.
	begun map[int32][]int
	open  []recording.OpenFD
	next  int   // of merge
	pair  *File // the first of two that one call makes
}

func read(rec *recording.Recording, l limit) (*State, error) { return readWith(rec, l, nil) }

func readWith(rec *recording.Recording, l limit, c *channels) (*State, error) {
	s := &State{At: l.at, byID: map[int]*Process{}}
	r := &reader{s: s, l: l, channels: c}
	procs, err := rec.Procs()
	for i := range procs {
		if e := r.scan(rec, &procs[i]); e != nil {
			err = errors.Join(err, e)
		}
	}
	s.Time = r.l.time
	if l.at.Proc == 0 {
		s.Time = 0
		for _, p := range s.Procs {
			s.Time = max(s.Time, p.Time)
		}
	}
	r.merge()
	return s, err
}

// scan reads one process.
func (r *reader) scan(rec *recording.Recording, info *recording.Process) error {
	p := &Process{Process: *info, FDs: map[int]*FD{}}
	sc := &scan{reader: r, p: p, sums: map[sumKey]int{}, begun: map[int32][]int{}, sentTo: map[sumKey]string{}}
	errPast := errors.New("past")
	err := Each(rec, info, func(f *Follower, n uint64, ev *recording.Event, step Step) error {
		if r.l.passed(info.ID, n, ev) {
			return errPast
		}
		if sc.f == nil {
			sc.f = f
			r.s.Procs = append(r.s.Procs, p)
			r.s.byID[p.ID] = p
			r.scans = append(r.scans, sc)
			sc.op(n, ev, op{do: opStart})
			sc.open = ev.Open
		}
		sc.event(n, ev, &step)
		return nil
	})
	if errors.Is(err, errPast) {
		err = nil
	}
	if sc.f != nil {
		p.Threads = sc.f.Ordered()
		if p.Ended != nil && p.Ended.Exited() {
			for _, t := range p.Threads {
				t.Ended = p.Ended.At.Time
			}
			p.Gone, p.Threads = append(p.Gone, p.Threads...), nil
		}
		p.Events, p.Instr, p.Time = sc.f.Events, sc.f.Instr, sc.f.Time
	}
	return err
}

func (sc *scan) moment(n uint64, ev *recording.Event) Moment {
	return Moment{sc.p.ID, recording.Pos{Instr: ev.Instr, Event: n}, ev.TID, ev.Time}
}

func (sc *scan) event(n uint64, ev *recording.Event, step *Step) {
	sc.entered, sc.began = n, ev.Time
	if ev.Kind == recording.KindExit && step.Enter != nil {
		sc.entered, sc.began = step.EnterEvent, step.Enter.Time
	}
	switch ev.Kind {
	case recording.KindSyscall:
		if sc.l.at.Proc != 0 && sc.l.at.Proc != sc.p.ID && ev.EndTime > sc.l.time {
			// It lasts until after the moment that is asked for.
			step.Thread.Open = newCall(n, ev)
			step.Thread.Open.Enter.Kind = recording.KindEnter
			sc.calls(n, ev, ev, false)
			return
		}
		sc.calls(n, ev, ev, true)
		sc.call(n, ev, ev)
	case recording.KindEnter:
		sc.calls(n, ev, ev, false)
		if ev.Child != 0 {
			sc.child(n, ev, ev) // of a vfork: it begins before the call returns
		}
	case recording.KindExit:
		if step.Enter != nil {
			sc.returned(n, step.Enter, ev)
			sc.call(n, step.Enter, ev)
		}
	case recording.KindSignal:
		delete(sc.begun, ev.TID)
		sc.p.TotalReceived++
		sc.p.Received = lastFew(sc.p.Received, Signal{Nr: int(ev.Nr), PID: linux.Sender(ev.Args), At: sc.moment(n, ev)}, maxSignals)
	case recording.KindWrite:
		if ev.Text != "" {
			sc.p.Python = ev.Text
		}
	case recording.KindNote:
		sc.mark(n, ev)
	case recording.KindTimeout:
		if sc.s.Timeout == nil {
			m := sc.moment(n, ev)
			sc.s.Timeout = &m
		}
	case recording.KindDeath:
		delete(sc.begun, ev.TID)
		if ev.Why != recording.EndExec {
			sc.op(n, ev, op{do: opGone})
		} else {
			sc.op(n, ev, op{do: opExec, more: &opMore{text: ev.Text}})
		}
		if step.Thread != nil {
			t := *step.Thread
			t.Ended = ev.Time
			sc.p.Gone = lastFew(sc.p.Gone, &t, maxGone)
		}
	case recording.KindEnd:
		sc.p.Ended = &End{Why: ev.Why, Text: ev.Text, Status: uint32(ev.Ret), At: sc.moment(n, ev)}
		if ev.Why == recording.EndExec {
			sc.op(n, ev, op{do: opExec, shared: true, more: &opMore{text: ev.Text}})
		} else {
			sc.op(n, ev, op{do: opEnd})
		}
	}
}

// lastFew appends to a list that keeps only its last ones.
func lastFew[T any](list []T, x T, most int) []T {
	if len(list) >= 2*most {
		list = slices.Delete(list, 0, len(list)-most+1)
	}
	return append(list, x)
}

// call notes what a call that returned says of processes and signals.
func (sc *scan) call(n uint64, enter, ev *recording.Event) {
	if ev.Child != 0 {
		sc.child(n, enter, ev)
	}
	if ev.Ret < 0 {
		return
	}
	nr := int(enter.Nr)
	if pid, tid, sig, pidfd, ok := linux.Sends(nr, enter.Args); ok && sig != 0 {
		if pidfd {
			pid = 0
		}
		sc.p.TotalSent++
		sc.p.Sent = lastFew(sc.p.Sent, Signal{Nr: sig, PID: pid, TID: tid, At: sc.moment(n, ev)}, maxSignals)
	}
	if pid, status, ok := linux.Reaped(sc.result(enter, ev)); ok {
		sc.op(n, ev, op{do: opReap, fd: int32(pid), arg: status})
	}
}

// child notes a process that a call made.
func (sc *scan) child(n uint64, enter, ev *recording.Event) {
	nr := int(enter.Nr)
	if linux.SharesProcess(nr, enter.Args) || len(sc.p.Children) >= maxKids || ev.Child == 0 {
		return
	}
	if k := len(sc.p.Children); k > 0 && sc.p.Children[k-1].PID == int(ev.Child) && sc.p.Children[k-1].Reaped == nil {
		return // named by both events of a vfork
	}
	c := &Child{PID: int(ev.Child), Made: sc.moment(n, ev)}
	sc.p.Children = append(sc.p.Children, c)
	sc.op(n, ev, op{do: opChild, fd: ev.Child, shared: linux.SharesFiles(nr, enter.Args), borrows: linux.SharesMemory(nr, enter.Args), more: &opMore{child: c}})
}

// mark notes what a test runner said.
func (sc *scan) mark(n uint64, ev *recording.Event) {
	s := sc.s
	last := func(id string) *Test {
		for i := len(s.Tests) - 1; i >= 0; i-- {
			if t := &s.Tests[i]; t.Begin.Proc == sc.p.ID && t.End == nil && (id == "" || t.ID == id) {
				return t
			}
		}
		return nil
	}
	switch ev.Why {
	case recording.MarkTestStart:
		if len(s.Tests) < maxTests {
			s.Tests = append(s.Tests, Test{ID: ev.Text, Begin: sc.moment(n, ev)})
		}
	case recording.MarkTestPhase:
		if t := last(""); t != nil {
			t.Phase = ev.Text
		}
	case recording.MarkTestEnd:
		outcome, id, _ := strings.Cut(ev.Text, " ")
		if t := last(id); t != nil {
			m := sc.moment(n, ev)
			t.End, t.Outcome = &m, outcome
		}
	}
}

func (sc *scan) result(enter, ev *recording.Event) *linux.Done {
	sc.done = linux.Done{Nr: int(enter.Nr), Args: enter.Args, Ret: ev.Ret, In: enter.In, Read: ev.Written}
	return &sc.done
}
