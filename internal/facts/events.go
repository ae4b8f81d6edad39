package facts

import (
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"pyrr/assert"
	"pyrr/internal/linux"
	"pyrr/internal/listing"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// eventReader turns the log into the events that specs speak of. A call that
// let other threads run is one event, at the place where it was entered.
type eventReader struct {
	rec    *recording.Recording
	info   assert.Info
	events []assert.Event
	at     map[eventKey][]int
	// standing says what the log knows before each event, by process.
	standing map[int]stands
	// counts holds how many events the log has of each process, alive the
	// threads that were there when it stopped short of the process's end.
	counts map[int]uint64
	alive  []lastSeen
	// left is how many bytes of memory the events may still take.
	left int64
}

// eventCost is what an event takes in memory beside its texts, about: itself, as a list
// that grows has it, its place among those of the log and what that knew before it; and
// argCost what each argument of a call takes.
const (
	eventCost = 2*int64(unsafe.Sizeof(assert.Event{})) + 192
	argCost   = int64(unsafe.Sizeof(assert.Arg{}))
)

// spend takes memory for an event whose texts have so many bytes.
func (r *eventReader) spend(args, texts int) error {
	if r.left -= eventCost + int64(args)*argCost + int64(texts); r.left < 0 {
		return recording.ErrManyEvents
	}
	return nil
}

func newEventReader(rec *recording.Recording) *eventReader {
	h := rec.Header()
	return &eventReader{rec: rec, left: rec.EventMemory(), at: map[eventKey][]int{}, standing: map[int]stands{}, counts: map[int]uint64{}, info: assert.Info{
		Command: h.Command, Root: h.Cwd, Arch: "amd64", Pythons: map[int]string{}, Uncounted: map[int]bool{}, NoClock: true,
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
	proc *recording.Process
}

func (r *eventReader) readProcess(p *recording.Process) error {
	pr := &processReader{eventReader: r, proc: p}
	if p.Python != "" {
		r.info.Pythons[p.ID], r.info.NoClock = p.Python, false
	}
	err := logview.Each(r.rec, p, func(f *logview.Follower, n uint64, ev *recording.Event, step logview.Step) error {
		before := len(pr.events)
		pr.event(f, n, ev, &step)
		args, texts := 0, 0
		for i := before; i < len(pr.events); i++ {
			for _, a := range pr.events[i].Args {
				args, texts = args+1, texts+len(a.Text)
			}
		}
		return pr.spend(args, texts)
	})
	if r.info.Pythons[p.ID] == "" && namedPython(p.Exe) {
		r.info.Uncounted[p.ID] = true
	}
	return err
}

// namedPython says whether a program is a Python by its file's name, the one
// thing that tells it where no clock was found.
func namedPython(exe string) bool {
	name := filepath.Base(exe)
	return strings.HasPrefix(name, "python") || strings.HasPrefix(name, "pypy")
}

// add appends an event and returns its index.
func (r *processReader) add(n uint64, ev *recording.Event, t *logview.Thread, kind, name string) int {
	if t == nil { // the process ends after its last thread
		t = &logview.Thread{}
	}
	e := assert.Event{
		Proc: r.proc.ID, PID: r.proc.PID, TID: int(ev.TID), Thread: t.Num, ThreadInstr: t.Instr,
		Pos: recording.Pos{Instr: ev.Instr, Event: n}, Kind: kind, Name: name,
		Start: since(ev.Time), End: since(max(ev.Time, ev.EndTime)), Call: assert.Call{FD: -1},
	}
	i := len(r.events)
	r.events = append(r.events, e)
	key := eventKey{r.proc.ID, n}
	r.at[key] = append(r.at[key], i)
	r.info.Wall = max(r.info.Wall, e.End)
	return i
}

func (r *processReader) event(f *logview.Follower, n uint64, ev *recording.Event, step *logview.Step) {
	t := step.Thread
	r.stand(f, step)
	r.counts[r.proc.ID] = n + 1
	if step.New {
		r.add(n, ev, t, assert.KindThreadStart, "")
	}
	switch ev.Kind {
	case recording.KindWrite:
		if python, ok := ev.ClockStarts(); ok {
			r.info.Pythons[r.proc.ID], r.info.NoClock = python, false
		}
	case recording.KindSyscall:
		r.finish(r.add(n, ev, t, assert.KindSyscall, linux.Name(int(ev.Nr))), ev, ev)
	case recording.KindEnter:
		r.finish(r.add(n, ev, t, assert.KindSyscall, linux.Name(int(ev.Nr))), ev, nil)
	case recording.KindExit:
		if i, ok := r.call(step.EnterEvent); ok && step.Enter != nil {
			r.events[i].End = since(max(ev.Time, ev.EndTime))
			r.finish(i, step.Enter, ev)
		}
	case recording.KindSignal:
		if step.Cut != nil {
			// The handler runs instead of a result; a restarted call is a new
			// event.
			if i, ok := r.call(step.Cut.Event); ok {
				e := &r.events[i]
				e.End, e.Ret, e.Errno, e.Unfinished = since(ev.Time), -int64(unix.EINTR), "EINTR", false
			}
		}
		r.add(n, ev, t, assert.KindSignal, linux.Signal(int(ev.Nr)))
	case recording.KindDeath:
		r.add(n, ev, t, assert.KindThreadExit, "")
	case recording.KindNote:
		r.mark(n, ev, t)
	case recording.KindTimeout:
		r.add(n, ev, t, assert.KindTimeout, "")
	case recording.KindEnd:
		r.end(f, n, ev, t)
	}
}

// stand notes what the log knows before an event.
func (r *processReader) stand(f *logview.Follower, step *logview.Step) {
	s := stand{instr: step.Instr, time: step.Time}
	if t := step.Thread; t != nil {
		s.tid, s.thread, s.threadInstr = t.TID, int32(t.Num), t.Instr
		if f.Events > 1 {
			s.threadInstr -= f.Instr - step.Instr // what it executes up to the event
		}
	}
	r.standing[r.proc.ID] = append(r.standing[r.proc.ID], s)
}

// call returns the index of the call that was entered at an event of the log.
func (r *processReader) call(entered uint64) (int, bool) {
	for _, i := range r.at[eventKey{r.proc.ID, entered}] {
		if r.events[i].Kind == assert.KindSyscall {
			return i, true
		}
	}
	return 0, false
}

// mark notes what the test runner said.
func (r *processReader) mark(n uint64, ev *recording.Event, t *logview.Thread) {
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
func (r *processReader) end(f *logview.Follower, n uint64, ev *recording.Event, t *logview.Thread) {
	for _, t := range f.Threads {
		if t.Open == nil {
			continue
		}
		if i, ok := r.call(t.Open.Event); ok {
			r.events[i].End = max(r.events[i].Start, since(ev.Time))
		}
	}
	switch ev.Why {
	case recording.EndExited:
		i := r.add(n, ev, t, assert.KindExit, "")
		r.events[i].Ret = int64(listing.ShellStatus(int(ev.Ret)))
	case recording.EndExec:
		r.add(n, ev, t, assert.KindExec, "")
	case recording.EndTruncated, recording.EndDetached:
		r.info.Truncated = true
		if r.info.Why == "" {
			r.info.Why = listing.End(ev)
		}
	}
	r.add(n, ev, t, assert.KindEnd, "")
	if ev.Why != recording.EndExited && ev.Why != recording.EndExec {
		for _, other := range f.Ordered() {
			r.alive = append(r.alive, lastSeen{r.proc.ID, other.TID, other.Last})
		}
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
	values := linux.DecodeArgs(int(enter.Nr), enter.Args, e.Ret, enter.In, from.Written)
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
			// Where the kernel puts one it stands only behind the call.
			told := row.Args[k].Kind == linux.InSockAddr || exit != nil
			if told && e.Addr == "" && values[k].Num != 0 {
				e.Addr = unquoted(values[k].Value)
			}
		case linux.Path:
			if e.Path == "" {
				e.Path = unquoted(values[k].Value)
			}
		}
	}
	if u, ok := linux.Uses(row.Nr, linux.DoOpen); ok && e.FD < 0 && exit != nil && exit.Ret >= 0 && u.FromResult() {
		e.FD = int(exit.Ret)
	}
}

// unquoted takes the quotes off a decoded string.
func unquoted(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}
