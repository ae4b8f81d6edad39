package main

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/assert"
	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// eventReader turns the log into the events that specs speak of. A call that
// let other threads run is one event, at the place where it was entered.
type eventReader struct {
	rec    *recording.Recording
	info   assert.Info
	events []assert.Event
	at     map[eventKey][]int
	// hits are to be put among the events; hitStacks are their stacks.
	hits      map[int][]hit
	hitStacks map[int]assert.Stacks
	// counts holds how many events the log has of each process, alive the
	// threads that were there when it stopped short of the process's end.
	counts map[int]uint64
	alive  []lastSeen
}

func newEventReader(rec *recording.Recording) *eventReader {
	h := rec.Header()
	return &eventReader{rec: rec, at: map[eventKey][]int{}, hitStacks: map[int]assert.Stacks{}, counts: map[int]uint64{}, info: assert.Info{
		Command: h.Command, Root: h.Cwd, Arch: "amd64", Pythons: map[int]string{}, NoClock: true,
	}}
}

func (r *eventReader) readAll() error {
	if sum, ok := r.rec.Summary(); !ok {
		r.info.Truncated, r.info.Why = true, "the recorder was killed"
	} else if sum.Truncated {
		r.info.Truncated, r.info.Why = true, sum.Why
	}
	procs, err := r.rec.Procs()
	if err != nil {
		return err
	}
	for i := range procs {
		if err := r.readProcess(&procs[i]); err != nil {
			return err
		}
	}
	return nil
}

// processReader is the state of reading one process.
type processReader struct {
	*eventReader
	proc    *recording.Proc
	threads map[int32]*threadState
	count   int    // of threads so far
	instr   uint64 // of the event before
	time    int64  // of the event before
	nextHit int    // index into the process's hits
}

// threadState is what is known of a thread while its process is read.
type threadState struct {
	number int
	last   uint64 // its last event so far
	instr  uint64 // instructions that it executed itself
	// open is the index of the call that it is in, -1 for none; enter is the
	// call's event in the log.
	open  int
	enter recording.Event
}

func (r *eventReader) readProcess(p *recording.Proc) error {
	it, err := r.rec.Events(p.ID)
	if err != nil {
		return err
	}
	defer it.Close()
	pr := &processReader{eventReader: r, proc: p, threads: map[int32]*threadState{}}
	if p.Python != "" {
		r.info.Pythons[p.ID], r.info.NoClock = p.Python, false
	}
	var ev recording.Event
	for {
		n := it.Number()
		err := it.Next(&ev)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		pr.event(n, &ev)
	}
}

// add appends an event and returns its index.
func (r *processReader) add(n uint64, ev *recording.Event, t *threadState, kind, name string) int {
	e := assert.Event{
		Proc: r.proc.ID, PID: r.proc.PID, TID: int(ev.TID), Thread: t.number, ThreadInstr: t.instr,
		Pos: recording.Pos{Instr: ev.Instr, Event: n}, Kind: kind, Name: name,
		Start: since(ev.Time), End: since(max(ev.Time, ev.EndTime)), FD: -1,
	}
	i := len(r.events)
	r.events = append(r.events, e)
	key := eventKey{r.proc.ID, n}
	r.at[key] = append(r.at[key], i)
	r.info.Wall = max(r.info.Wall, e.End)
	return i
}

func (r *processReader) event(n uint64, ev *recording.Event) {
	t := r.threads[ev.TID]
	isNew := t == nil && ev.TID != 0 && ev.Kind != recording.KindEnd
	switch {
	case isNew:
		r.count++
		t = &threadState{number: r.count, open: -1}
		r.threads[ev.TID] = t
	case t == nil: // the process ends after its last thread
		t = &threadState{open: -1}
	}
	r.addHits(n, ev)
	// What was executed since the event before, this thread executed.
	if ev.Instr > r.instr && n > 0 {
		t.instr += ev.Instr - r.instr
	}
	r.instr = max(r.instr, ev.Instr)
	r.time = max(r.time, ev.Time, ev.EndTime)
	r.counts[r.proc.ID], t.last = n+1, n
	if isNew {
		r.add(n, ev, t, assert.KindThreadStart, "")
	}
	switch ev.Kind {
	case recording.KindWrite:
		if ev.Args[0] != 0 && ev.Text != "" {
			r.info.Pythons[r.proc.ID], r.info.NoClock = ev.Text, false
		}
	case recording.KindSyscall:
		r.finish(r.add(n, ev, t, assert.KindSyscall, linux.Name(int(ev.Nr))), ev, ev)
	case recording.KindEnter:
		t.open = r.add(n, ev, t, assert.KindSyscall, linux.Name(int(ev.Nr)))
		t.enter = *ev
		r.finish(t.open, ev, nil)
	case recording.KindExit:
		if t.open >= 0 {
			r.events[t.open].End = since(max(ev.Time, ev.EndTime))
			r.finish(t.open, &t.enter, ev)
			t.open = -1
		}
	case recording.KindSignal:
		if t.open >= 0 {
			// The handler runs instead of a result; a restarted call is a new
			// event.
			e := &r.events[t.open]
			e.End, e.Ret, e.Errno, e.Unfinished = since(ev.Time), -int64(unix.EINTR), "EINTR", false
			t.open = -1
		}
		r.add(n, ev, t, assert.KindSignal, linux.Signal(int(ev.Nr)))
	case recording.KindDeath:
		r.add(n, ev, t, assert.KindThreadExit, "")
		delete(r.threads, ev.TID)
	case recording.KindNote:
		r.mark(n, ev, t)
	case recording.KindTimeout:
		r.add(n, ev, t, assert.KindTimeout, "")
	case recording.KindEnd:
		r.end(n, ev, t)
	}
}

// mark notes what the test runner said.
func (r *processReader) mark(n uint64, ev *recording.Event, t *threadState) {
	switch ev.Why {
	case recording.MarkSession:
		r.info.TestMarks = true
	case recording.MarkTestStart:
		r.info.TestMarks = true
		r.info.Tests = append(r.info.Tests, ev.Text)
		r.add(n, ev, t, assert.KindTestStart, ev.Text)
	case recording.MarkTestEnd:
		r.info.TestMarks = true
		_, id, _ := strings.Cut(ev.Text, " ")
		r.add(n, ev, t, assert.KindTestEnd, id)
	}
}

// end closes the process.
func (r *processReader) end(n uint64, ev *recording.Event, t *threadState) {
	for _, other := range r.threads {
		if other.open >= 0 {
			r.events[other.open].End = max(r.events[other.open].Start, since(ev.Time))
		}
	}
	switch ev.Why {
	case recording.EndExited:
		i := r.add(n, ev, t, assert.KindExit, "")
		r.events[i].Ret = int64(shellStatus(int(ev.Ret)))
	case recording.EndExec:
		r.add(n, ev, t, assert.KindExec, "")
	case recording.EndTruncated, recording.EndDetached:
		r.info.Truncated = true
		if r.info.Why == "" {
			r.info.Why = describeEnd(ev)
		}
	}
	r.add(n, ev, t, assert.KindEnd, "")
	if ev.Why != recording.EndExited && ev.Why != recording.EndExec {
		from := len(r.alive)
		for tid, other := range r.threads {
			r.alive = append(r.alive, lastSeen{r.proc.ID, tid, other.last})
		}
		slices.SortFunc(r.alive[from:], func(a, b lastSeen) int { return r.threads[a.tid].number - r.threads[b.tid].number })
	}
}

// finish fills in a call: its arguments, and with exit its result.
func (r *processReader) finish(i int, enter, exit *recording.Event) {
	e := &r.events[i]
	from := enter
	if exit != nil {
		from = exit
		e.Ret = exit.Ret
		if exit.Ret < 0 && exit.Ret >= -4095 {
			e.Errno = linux.Errno(int(-exit.Ret))
		}
	}
	e.Unfinished = exit == nil
	values := linux.DecodeArgs(int(enter.Nr), enter.Args, e.Ret, enter.In, written(from))
	e.Args = make([]assert.Arg, len(values))
	for k, v := range values {
		e.Args[k] = assert.Arg{Name: v.Name, Text: v.Value, Num: v.Num}
	}
	row, ok := linux.Lookup(int(enter.Nr))
	if !ok {
		return
	}
	for k := range row.Args {
		if k >= len(values) {
			break
		}
		switch row.Args[k].Kind {
		case linux.FD:
			if e.FD < 0 {
				e.FD = int(int32(values[k].Num))
			}
		case linux.InSockAddr, linux.OutSockAddr:
			if e.Addr == "" && values[k].Num != 0 {
				e.Addr = unquoted(values[k].Value)
			}
		case linux.Path:
			if e.Path == "" {
				e.Path = unquoted(values[k].Value)
			}
		}
	}
	if e.FD < 0 && exit != nil && exit.Ret >= 0 && slices.Contains(makesFD, e.Name) {
		e.FD = int(exit.Ret)
	}
}

// makesFD are the calls whose result is the descriptor that they are about.
var makesFD = []string{"open", "openat", "openat2", "creat", "socket", "epoll_create", "epoll_create1", "eventfd", "eventfd2",
	"memfd_create", "timerfd_create", "signalfd", "signalfd4", "inotify_init", "inotify_init1", "pidfd_open"}

// unquoted takes the quotes off a decoded string.
func unquoted(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}
