package page

import (
	"cmp"
	"errors"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
)

// row is a line of the page: an event, for a call that gave way to others its
// entry together with its return.
type row struct {
	lane     int32
	kind     kind
	failed   bool   // the call returned an error
	n, end   uint64 // numbers of the event, and of the one that returned; 0 for none
	time     int64
	took     int64 // ns, -1 where it never returned
	instr    uint64
	endInstr uint64
	text     string
	node     uint32 // of the stack index
	ended    uint32 // of the page's stacks, where the index has none
}

// lane is a thread.
type lane struct {
	Proc int    `json:"proc"` // index of the process
	TID  int32  `json:"tid"`
	Num  int    `json:"num"`
	Name string `json:"name"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
	// Waits says how it stood at the end.
	Waits string `json:"waits,omitempty"`
	last  uint64
}

// process is a process, in the order of the recording.
type process struct {
	ID     int    `json:"id"`
	PID    int    `json:"pid"`
	Parent int    `json:"parent,omitempty"`
	Name   string `json:"name"`            // the command
	Given  string `json:"given,omitempty"` // the name that the program gave it
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Instr  uint64 `json:"instr"`
	ended  uint64 // number of its last event
}

// line is something that the program printed.
type line struct {
	Proc   int    `json:"proc"` // index
	Event  uint64 `json:"event"`
	Stderr bool   `json:"stderr,omitempty"`
	Caught bool   `json:"caught,omitempty"` // by a test runner, into a file
	Text   string `json:"text"`
	More   uint64 `json:"more,omitempty"` // bytes that the recording does not have at hand
}

// walk reads a recording.
type walk struct {
	in    *Input
	most  int
	rows  []row
	lanes []lane
	procs []process
	lines []line
	// lost counts the bytes of output before those that are held.
	printed, lost int
	marks         []mark
	wakes         []wake
	left          int
	count         uint64 // of events that were read
	index         *recording.StackIndex
	makers        map[int32]event // who made a thread that has not begun, by its id
	reaps         []reap
	memory        sharedMemory
	raises        []Raise
	moments       []moment
	without       string
	tasks         []TaskEnd
}

// mark is a moment that stands out: where a test begins, the time-out expires.
type mark struct {
	Proc  int    `json:"proc"` // index
	Event uint64 `json:"event"`
	Time  int64  `json:"time"`
	Instr uint64 `json:"instr"`
	Kind  string `json:"kind"`
	Text  string `json:"text"`
	// Begins says that a test does.
	Begins bool `json:"begins,omitempty"`
}

// maxMarks bounds the marks: a run of a large suite has more tests than a line has room.
const maxMarks = 5000

// read reads the events of all processes.
func (w *walk) read() error {
	procs, err := w.in.Rec.Procs()
	w.makers, w.memory.words = map[int32]event{}, map[logview.Word]*sharedWord{}
	w.index, _ = w.in.Rec.StackIndex() // the page goes without
	sum, _ := w.in.Rec.Summary()
	for i := range procs {
		err = errors.Join(err, w.process(&procs[i], sum.Streams[procs[i].ID]))
	}
	slices.SortStableFunc(w.rows, func(a, b row) int {
		switch {
		case a.time != b.time:
			return sign(a.time < b.time)
		case a.lane != b.lane && w.lanes[a.lane].Proc != w.lanes[b.lane].Proc:
			return sign(w.lanes[a.lane].Proc < w.lanes[b.lane].Proc)
		}
		return sign(a.n < b.n)
	})
	for i := range w.in.Ends {
		e := &w.in.Ends[i]
		for k := range w.lanes {
			if l := &w.lanes[k]; w.procs[l.Proc].ID == e.Proc && l.TID == e.TID {
				l.Waits = clean(e.Waits)
			}
		}
	}
	w.joinReaps()
	w.cut(w.most)
	w.joinWords()
	w.joinChannels()
	return err
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// cut leaves the last rows.
func (w *walk) cut(most int) {
	if n := len(w.rows) - most; n > 0 {
		w.rows, w.left = w.rows[n:], w.left+n
	}
}

// reader follows one process.
type reader struct {
	*walk
	proc  int
	from  int // its first row
	lanes map[int32]int32
	// text says from which event on rows are described: those before it are too many.
	text   uint64
	futex  map[uint64]wakeup
	shares *logview.Memory
	caught caught
}

// given is the name that the program gave a process, "" for none.
func (w *walk) given(info *recording.Process) string {
	var own *hang.Facts
	for _, f := range w.in.Processes {
		if f != nil && f.Proc == info.ID {
			own = f
		}
	}
	return clean(shorten(hang.Given(info.PID, own, w.in.Processes), 80))
}

func (w *walk) process(info *recording.Process, events uint64) error {
	r := &reader{walk: w, proc: len(w.procs), from: len(w.rows), lanes: map[int32]int32{}, futex: map[uint64]wakeup{}, caught: caught{}}
	if most := uint64(w.most); events > most {
		r.text = events - most
	}
	p := process{ID: info.ID, PID: info.PID, Parent: info.Parent, Name: clean(shorten(commandOf(info.Argv), 120)), Given: w.given(info), From: -1}
	w.procs = append(w.procs, p)
	r.shares = w.memoryOf(info)
	if info.Fork {
		for i := range w.procs[:r.proc] {
			if w.procs[i].ID == info.Parent {
				w.makers[int32(info.PID)] = event{i, info.ParentEvent}
			}
		}
	}
	err := logview.Each(w.in.Rec, info, func(f *logview.Follower, n uint64, ev *recording.Event, s logview.Step) error {
		if w.count++; w.count%8192 == 0 && w.in.Progress != nil {
			w.in.Progress(w.count)
		}
		r.take(f, n, ev, &s)
		return nil
	})
	for tid, l := range r.lanes {
		if w.index != nil {
			w.lanes[l].Name = name(w.index.Name(info.ID, tid, w.lanes[l].last))
		}
	}
	return err
}

func (r *reader) take(f *logview.Follower, n uint64, ev *recording.Event, s *logview.Step) {
	p := &r.procs[r.proc]
	if p.From < 0 {
		p.From = ev.Time
	}
	p.To, p.Instr = max(p.To, ev.Time, ev.EndTime), max(p.Instr, ev.Instr)
	p.ended = n
	l := r.lane(f, n, ev, s)
	r.walk.lanes[l].last = n
	r.shares.Take(n, ev, s)
	if ev.Kind == recording.KindExit {
		r.returned(l, n, ev, s)
		return
	}
	if ev.Kind == recording.KindSyscall {
		r.caught.call(ev, ev)
		r.output(n, ev, ev)
		r.woken(l, n, ev, ev)
		r.made(n, ev)
	}
	k, ok := kindOf(ev)
	if !ok {
		return
	}
	if _, ok := r.caught.by(ev); ok {
		k = kindOutput
	}
	out := row{lane: l, kind: k, n: n, time: ev.Time, instr: ev.Instr, endInstr: ev.Instr}
	switch ev.Kind {
	case recording.KindSyscall:
		out.took, out.failed = max(0, ev.EndTime-ev.Time), failed(ev.Ret)
	case recording.KindEnter, recording.KindThread:
		if ev.Nr != unix.SYS_EXIT && ev.Nr != unix.SYS_EXIT_GROUP { // which never return
			out.took = -1
		}
	}
	if n >= r.text {
		out.text = clean(shorten(r.in.Describe(ev, s.Enter, f), maxText))
	}
	if r.index != nil {
		out.node, _ = r.index.Node(p.ID, n)
	}
	r.mark(n, ev, out.text)
	r.rows = append(r.rows, out)
	r.bound()
}

// maxText bounds the text of a row, in bytes.
const maxText = 300

// failed tells a result that is an error, as Linux returns it.
func failed(ret int64) bool { return ret < 0 && ret >= -4095 }

// lane returns the number of the lane of an event's thread.
func (r *reader) lane(f *logview.Follower, n uint64, ev *recording.Event, s *logview.Step) int32 {
	at, ok := r.lanes[ev.TID]
	if !ok {
		num := len(r.lanes) + 1
		if s.Thread != nil {
			num = s.Thread.Num
		}
		at = int32(len(r.walk.lanes))
		r.lanes[ev.TID] = at
		r.walk.lanes = append(r.walk.lanes, lane{Proc: r.proc, TID: ev.TID, Num: num, From: ev.Time})
		r.begun(n, ev)
	}
	l := &r.walk.lanes[at]
	l.To = max(l.To, ev.Time, ev.EndTime)
	return at
}

// returned completes the row of a call.
func (r *reader) returned(l int32, n uint64, ev *recording.Event, s *logview.Step) {
	if s.Enter == nil {
		return
	}
	r.caught.call(s.Enter, ev)
	r.output(s.EnterEvent, s.Enter, ev)
	r.woken(l, s.EnterEvent, s.Enter, ev)
	r.made(s.EnterEvent, ev)
	at, ok := slices.BinarySearchFunc(r.rows[r.from:], s.EnterEvent, func(row row, n uint64) int { return cmp.Compare(row.n, n) })
	if !ok {
		return // it was left out
	}
	out := &r.rows[r.from+at]
	out.end, out.endInstr, out.failed = n, ev.Instr, failed(ev.Ret)
	out.took = max(0, ev.Time-out.time)
	if out.n >= r.text && s.Enter.Nr == ev.Nr {
		text := r.in.Describe(ev, s.Enter, nil)
		out.text = clean(shorten(trimEllipsis(text), maxText))
	}
}

// bound drops the first half of a process's rows where they are too many.
func (r *reader) bound() {
	if len(r.rows)-r.from < 2*r.most {
		return
	}
	rest := slices.Clone(r.rows[len(r.rows)-r.most:])
	gone := len(r.rows) - r.from - len(rest)
	r.rows = append(r.rows[:r.from], rest...)
	r.left += gone
}

// mark notes what stands out.
func (r *reader) mark(n uint64, ev *recording.Event, text string) {
	kind, begins := "", false
	switch {
	case ev.Kind == recording.KindTimeout:
		kind = "timeout"
	case ev.Kind == recording.KindSignal && len(ev.Mem) == 0:
		kind = "crash"
	case ev.Kind == recording.KindSignal:
		kind, text = "signal", linux.Signal(int(ev.Nr))
	case ev.Kind == recording.KindNote && (ev.Why == recording.MarkTestStart || ev.Why == recording.MarkTestEnd):
		kind, text, begins = "test", clean(shorten(ev.Text, 200)), ev.Why == recording.MarkTestStart
	default:
		return
	}
	if len(r.marks) < maxMarks {
		r.marks = append(r.marks, mark{Proc: r.proc, Event: n, Time: ev.Time, Instr: ev.Instr, Kind: kind, Text: text, Begins: begins})
	}
}
