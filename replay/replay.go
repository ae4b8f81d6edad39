// Package replay executes a recording again: the program's own machine code,
// from the recording alone. Every system call is stopped before it happens
// and answered from the log; only changes of the address space are really
// made. At every event the execution is held against the log, and the first
// difference ends the replay as a Divergence.
//
// It never opens a file of the machine, knows no specs and prints nothing. Begin
// with Batch, then Process.step and Process.effect (apply.go); Open (session.go) is
// for whoever travels.
package replay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	unix "pyrr/internal/sys"

	"pyrr/cpython"
	"pyrr/internal/headroom"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// gadgetBase is where the stub keeps its syscall gadget; recorded programs
// have nothing there, their own engine area lies above it.
const gadgetBase = 0x6f0000000000

// Options say what a replay does besides verifying.
type Options struct {
	// Stdout and Stderr take what the program wrote there; nil drops it.
	Stdout, Stderr io.Writer
	// OnOutput, when not nil, takes it in their place, with the process and
	// what it wrote at its event p.Number; it may be called again for one that
	// is replayed again, and must not keep the text.
	OnOutput func(p *Process, stderr bool, text []byte)
	// OnEvent is called when a thread stands at an event, before the event
	// takes effect: at a system call its registers and memory are those of
	// the call. An error from it ends the replay and is returned.
	OnEvent func(*Process, *Thread, *recording.Event) error
	// Pass, if set, says of events that OnEvent need not see where they happen:
	// it may then be called without a thread, while the process is on its way to a
	// later event, and must not look at its memory.
	Pass func(proc int, number uint64, ev *recording.Event) bool
	// OnLast, when not nil, is called at each of the last LastSteps bytecode
	// instructions of a thread that was preempted after it had executed more than
	// LastAfter without an event: at has been executed in all, from was before, end is
	// the count at which it was preempted.
	OnLast func(p *Process, t *Thread, from, at, end uint64)
	// Adapt, if set, is called for every event that comes a little otherwise
	// than recorded, and is taken as it came: see adapt.go.
	Adapt func(proc int, number uint64, ev *recording.Event)
	// Breaks are breakpoints, and OnHit is called where a thread stands at
	// some of them. It may read, but not keep, what it is given.
	Breaks []*Break
	OnHit  func(*Hit) error
	// OnCounts, if set, takes how often the instructions of a code object were
	// executed since it was called last, nil for code that is not known: once or
	// more for each process, in no order.
	OnCounts func(p *Process, c *cpython.Code, edges []cpython.Edge) error
	// Progress, if set, is told how far a process has come: its number, and the
	// instruction count of an event.
	Progress func(proc int, instr uint64)
	// Returns says that a session goes to places to look for something before them:
	// checkpoints are then made on the way there, too.
	Returns bool
}

// Process is a process of the recording while it is replayed.
type Process struct {
	Info recording.Process
	// Number is the number of the event at hand.
	Number uint64
	// Instr is the instruction count at the event at hand.
	Instr   uint64
	s       *session
	it      *recording.Iter
	next    recording.Event
	have    bool
	pid     int // of the stub
	threads map[int32]*Thread
	calls   *callFeed // nil where there is no buffer of calls
	ahead   lookahead
	recent  []recording.Event // a ring of the last events, for reports
	done    bool
	parked  []*Thread
	guard   *guard // while what is touched is noted

	counting
	pausing
	way
	laidOut
	breakState
}

// counting is the clock of a replayed process.
type counting struct {
	area  *inject.TimeFunc // the buffer of clock readings
	cell  uint64           // address of the budget, 0 before the clock runs
	stubs uint64           // address of the counting stubs
	// ClockBias is the load bias of the module that holds the interpreter.
	ClockBias uint64
	counted   uint64            // instructions executed so far
	armed     uint64            // the count at which the budget is used up
	unread    uint64            // the first slots of the clock buffer, which the thread does not read on that way
	shift     int64             // by how much the count is ahead of the recorded one, when adapting
	nextInstr cpython.NextInstr // where next_instr is at a dispatch
	nextKnown bool
}

// pausing counts the pauses of a process.
type pausing struct {
	// pauseCell is the address of the count of pauses, 0 without. pauseNow is
	// what it said at the last stop, pauseMark at the last event that counts,
	// as if not set since.
	pauseCell, pauseNow, pauseMark uint64
	spin                           uint64 // where a breakpoint waits for a loop, 0 for none
}

// way is how far a process is on the way to its next event.
type way struct {
	time    int64 // of the last event
	primed  bool  // the thread of the next event is under way to it
	arrived bool  // and has reached it
}

// laidOut is what was laid out for a process, and what is to be written.
type laidOut struct {
	brk       uint64
	pending   []ptrace.Span
	held      int                 // bytes in pending, of the recording
	startArea recording.Area      // of the image
	laid      []recording.Mapping // all that was mapped, for the names
}

// breakState is what breakpoints need.
type breakState struct {
	modules   []Module
	engine    []recording.Mapping
	python    python
	patches   patches
	hooks     hookSet
	sites     map[uint64][]*site
	native    map[uint64][]*Break
	begun     map[begun]bool
	lastCall  lastCall
	lastVisit visit
	hit       *Hit // where haltPython stopped
	gen       int  // of the breakpoints that are in place
	edges     edgeCounts
	unsynced  bool // what they apply to has changed
	unsure    bool // where exceptions are raised is not yet known: see raiseSites
	stale     bool // the table of known functions is not that of the memory
	looked    bool
}

// Thread is a thread of a process while it is replayed.
type Thread struct {
	TID  int32 // as the program saw it
	tid  int   // of the stub's thread
	regs linux.Regs
	// enter is the call that the thread waits in.
	enter recording.Event
	// given is what that call is to write to the command's own output.
	given []byte
	dirty bool // regs are to be set before it runs
	gone  bool
	told  bool // the breakpoint where it stands was told
	// moves are the buffers of its call that are elsewhere, when adapting.
	moves []relocation

	watches int // the session's watchGen that its debug registers have
}

// Regs returns the registers of a thread at the event at hand.
func (t *Thread) Regs() linux.Regs { return t.regs }

// Call returns the system call that a thread is in at the event at hand, with
// the arguments that the program gave; ok is false for none.
func (t *Thread) Call() (nr int32, args [6]uint64, ok bool) {
	return t.enter.Nr, t.enter.Args, t.enter.Kind != 0
}

// Threads returns the threads that exist, by the id that the program saw.
func (p *Process) Threads() map[int32]*Thread { return p.threads }

// session is one replay of a whole recording.
type session struct {
	o     Options
	rec   *recording.Recording
	procs []recording.Process
	live  []*Process
	forks map[forkKey]*stubChild
	opened
	res     Result
	xstate  []byte
	layouts layouts
	watch   *watchdog
	// unseen: nobody looks at the events on the way.
	unseen bool

	cut      *cut
	breaks   breakpoints
	watches  []Watch // at most four
	watchGen int
	looked
}

// opened are the files of a recording, in memory.
type opened struct {
	files map[recording.FileID]int
	keep  int // descriptors from here on are the files
	// loaded is the memory that they take, loadMost what they may take.
	loaded   atomic.Int64
	loadMost int64
}

// looked is what was found in them.
type looked struct {
	modfiles map[recording.FileID]modFile
	runtimes map[recording.FileID]foundRuntime
	symbols  map[symbolKey]uint64 // 0: it has none
	raises   map[uint64][]uint64  // by the eval loop's address: see raiseSites
}

type forkKey struct {
	proc  int
	event uint64
}

// stubChild is a forked stub that waits for its stream to begin.
type stubChild struct {
	of   Process // what it has of its parent
	pid  int
	regs linux.Regs
}

// Batch replays all processes of a recording to their ends.
func Batch(rec *recording.Recording, o Options) (*Result, error) { return batch(rec, o, nil) }

func batch(rec *recording.Recording, o Options, c *cut) (*Result, error) {
	type result struct {
		res *Result
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread goes with its tracees
		pinHere()
		if err := headroom.ReplayThreads(); err != nil {
			done <- result{nil, err}
			return
		}
		unattend, err := ptrace.Attend(100 * time.Millisecond)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer unattend()
		s := &session{o: o, rec: rec, forks: map[forkKey]*stubChild{}, opened: opened{files: map[recording.FileID]int{}}, xstate: make([]byte, 1<<14)}
		s.unseen = o.OnEvent == nil && c == nil
		s.cut = c
		s.breaks = breakpoints{list: o.Breaks, gen: len(o.Breaks)}
		if s.counting() {
			s.breaks.gen++
		}
		res, err := s.run()
		done <- result{res, err}
	}()
	r := <-done
	return r.res, r.err
}

// tell says how far a process has come.
func (s *session) tell(p *Process) {
	if s.o.Progress != nil {
		s.o.Progress(p.Info.ID, p.Instr)
	}
}

func (s *session) run() (*Result, error) {
	defer s.close()
	var err error
	if s.procs, err = s.rec.Procs(); err != nil {
		return nil, fmt.Errorf("read the list of processes: %w", err)
	}
	if len(s.procs) == 0 {
		return nil, errNothing
	}
	if err := s.loadFiles(); err != nil {
		return nil, err
	}
	s.watch = newWatchdog(memoryLimit(s.rec))
	defer s.watch.stop()
	for i := range s.procs {
		p := &Process{Info: s.procs[i], s: s, threads: map[int32]*Thread{}}
		if p.it, err = s.rec.Events(p.Info.ID); err != nil {
			return nil, err
		}
		if err := p.fetch(); err != nil {
			return nil, err
		}
		s.live = append(s.live, p)
	}
	s.res.Procs = len(s.live)
	// Processes share no memory, so only the order of what they print
	// matters: the next event in time is taken first.
	for {
		var first *Process
		for _, p := range s.live {
			if !p.done && p.have && (first == nil || p.next.Time < first.next.Time) {
				first = p
			}
		}
		if first == nil {
			break
		}
		// Stay with a process while it is the earliest.
		var limit int64 = 1<<63 - 1
		for _, p := range s.live {
			if p != first && !p.done && p.have {
				limit = min(limit, p.next.Time)
			}
		}
		for !first.done && first.have && first.next.Time <= limit {
			if err := first.step(); err != nil {
				return nil, err
			}
		}
	}
	return &s.res, nil
}

// close ends every stub.
func (s *session) close() {
	for _, p := range s.live {
		p.kill()
		if p.it != nil {
			p.it.Close()
		}
		if p.ahead.it != nil {
			p.ahead.it.Close()
		}
	}
	for _, c := range s.forks {
		killStub(c.pid)
	}
	for _, fd := range s.files {
		unix.Close(fd)
	}
}

// killStub ends a stub. The first thread is not gone before all others are,
// whether they are known here or not.
func killStub(pid int) {
	ptrace.Kill(pid)
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // what can't be read is of one thread, or gone
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil && tid != pid {
			awaitEnd(tid)
		}
	}
	awaitEnd(pid)
}

func awaitEnd(tid int) {
	for {
		if _, st, err := ptrace.WaitFor(tid); err != nil || !st.Stopped() {
			return
		}
	}
}

func (p *Process) kill() {
	if p.pid == 0 {
		return
	}
	killStub(p.pid)
	p.pid = 0
	p.threads = map[int32]*Thread{}
}

// fetch reads the next event of the stream.
func (p *Process) fetch() error {
	err := p.it.Next(&p.next)
	switch {
	case err == nil:
		p.have = true
		return nil
	case errors.Is(err, io.EOF):
		p.have = false
		return nil
	}
	return err
}

// step takes the next event.
func (p *Process) step() error {
	ev := p.next
	was := ev
	if p.adapting() {
		p.shifted(&ev)
	}
	if c := p.s.cut; c != nil && c.begin == nil && c.proc == p.Info.ID && c.event == p.Number && p.pid != 0 {
		if err := c.here(p, &ev); err != nil {
			return err
		}
	}
	err := p.apply(&ev)
	if err != nil {
		return err
	}
	if p.adapting() {
		p.adapted(&ev, &was)
	}
	if p.held > maxHeld && p.pid != 0 {
		if err := p.flush(nil); err != nil {
			return err
		}
	}
	p.time = was.Time
	p.s.res.Events++
	p.Number++
	p.s.tell(p)
	p.primed, p.arrived = false, false
	const keep = 16
	if len(p.recent) >= 2*keep {
		p.recent = append(p.recent[:0], p.recent[keep:]...)
	}
	brief := ev
	brief.Mem, brief.XState, brief.Readings, brief.Maps = nil, nil, nil, nil
	p.recent = append(p.recent, brief)
	if p.done {
		return nil
	}
	return p.fetch()
}
