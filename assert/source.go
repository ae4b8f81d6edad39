package assert

import (
	"fmt"
	"time"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// The kinds of events that a Source gives.
const (
	KindSyscall     = "syscall"
	KindSignal      = "signal" // a handler's frame was built
	KindThreadStart = "thread start"
	KindThreadExit  = "thread exit"
	KindExec        = "exec"
	KindExit        = "exit"
	KindTestStart   = "test start"
	KindTestEnd     = "test end"
	KindTimeout     = "timeout"
	KindEnd         = "end" // of what is recorded of the process

	// The kinds that only an execution shows.
	KindCall   = "call"   // a Python function is about to run
	KindReturn = "return" // a Python function ends, by a result or an exception
	KindLine   = "line"   // a line is about to run
	KindRaise  = "raise"  // an exception is raised
	KindEnter  = "enter"  // a C function is entered

	// The kinds that are not events but say how things stood at the end.
	KindTaskWaits     = "task waits"     // a task of an event loop waits
	KindThreadWaits   = "thread waits"   // a thread waits
	KindGreenletWaits = "greenlet waits" // a greenlet waits
	KindDeadlock      = "deadlock"       // some wait for each other in a circle
	KindLock          = "lock"           // somebody holds a lock
)

// Arg is one decoded argument.
type Arg struct {
	Name string
	Text string
	Num  uint64
}

// Call is what a system call was given, what it returned and what it is about.
type Call struct {
	Args  []Arg
	Ret   int64  // raw: -errno on failure
	Errno string // name, "" for success
	// Unfinished is set for a call that had not returned when the recording
	// ended; End of the Event is then the recording's end.
	Unfinished bool
	FD         int    // the descriptor that it is about, -1 for none
	Addr       string // 127.0.0.1:8888, [::1]:80, /run/socket
	Path       string
}

// Event is one decoded event of one process.
type Event struct {
	Proc       int // number of the process, from 1
	PID, TID   int // as the program saw them
	Thread     int // number of the thread in its process, from 1 in order of appearance
	ThreadName string
	Pos        recording.Pos
	// ThreadInstr counts the bytecode instructions that the thread itself
	// had executed.
	ThreadInstr uint64
	Kind        string
	// Name is the kernel's name of the system call, or of the signal; the
	// class of the exception, the symbol of the C function.
	Name string
	// Frame is the Python frame that a call, return, line or raise is about.
	Frame *stack.Frame
	Call
	// Start and End are wall-clock times since the recording began.
	Start, End time.Duration
	// Value is what a function returns, much like its repr, or the message of an
	// exception; "" where it could not be read.
	Value string
	// Where has, of each condition that the patterns of Execute have for such an
	// event, whether it holds there.
	Where map[string]Condition
	// Waits says what a task, thread or greenlet waits in, as a sentence has it:
	// Queue.join, Lock.acquire; "" where that is not known. Name is its name.
	Waits string
	// Members are those of a deadlock, Locks what they wait for; of a lock Locks
	// are its names, Holder is who holds it.
	Members, Locks []string
	Holder         string
}

// Condition is what the condition of a where clause came to.
type Condition struct {
	Holds bool
	// Got is the value that was compared, Err why there is none.
	Got, Err string
}

// State is how things stood when a recording ended, as Python's objects said.
type State struct {
	// Events are of the kinds for that, Stacks their stacks.
	Events []Event
	Stacks []Stacks
	// Tasks are the stacks of all tasks, each with its name.
	Tasks []Stacks
	// Unknown says why that is not known of some process, "" for a whole state.
	Unknown string
	// Fingerprint is that of the reason, "" for none.
	Fingerprint string
}

// Executed reports whether only an execution shows the event.
func (e *Event) Executed() bool { return executed(e.Kind) }

// Info describes a recording.
type Info struct {
	Command []string
	// Root is the project's folder: goldens name its files from there.
	Root string
	// Pythons holds the version of each process's interpreter, by Proc.
	Pythons map[int]string
	Arch    string // as GOARCH has it
	// Truncated is set where the recording does not reach the end of what
	// it was to record; Why says the reason.
	Truncated bool
	Why       string
	// Err is why the recording could not be read. What it is of is not known then.
	Err   error
	Tests []string // the pytest ids that it holds
	// Wall is the length of the recording.
	Wall time.Duration
	// Uncounted holds the processes, by Proc, whose interpreter was not counted: a
	// stack without Python frames does not say that they run no Python.
	Uncounted map[int]bool
	// NoClock is set where instructions were not counted.
	NoClock bool
	// TestMarks is set where Events holds the test starts and ends.
	TestMarks bool
}

// Stacks are what was found on one thread's stacks at one point.
type Stacks struct {
	// Proc is the number of the process that the thread belongs to.
	Proc int
	// Python holds the Python frames, innermost first.
	Python stack.Stack
	// Full holds the C and the Python frames as they lie on each other, nil
	// where C frames were not read.
	Full *stack.Stack
	// NoPython is set where it is certain that the thread runs no Python.
	NoPython bool
}

// Source is one opened recording. Its methods are called from one goroutine.
type Source interface {
	Info() Info
	// Events returns the whole recording, in order per process. The caller
	// does not change what it gets. ThreadName may be missing until Stacks
	// was called, since names lie in the program's memory: Check calls Events
	// again then.
	Events() ([]Event, error)
	// Execute says which events that only an execution shows are wanted: of
	// all specs together, so that one pass over the recording finds them. It
	// is called at most once, before Events, which has them in their places.
	// An event that several patterns select comes once. With c their stacks
	// have C frames too.
	Execute(want []*EventPattern, c bool) error
	// Stacks returns the stack of the thread that made each of the wanted
	// events, at that event, in one pass over the recording; want holds
	// indexes into Events, rising. An event that is missing in the result
	// has no stack that could be read. Full is left out unless c is set.
	Stacks(want []int, c bool) (map[int]Stacks, error)
	// EndStacks returns the stacks of all threads at the end of the
	// recording, the main thread of the first process first.
	EndStacks(c bool) ([]Stacks, error)
	// State returns how things stood at the end.
	State() (*State, error)
	// SourceText gives a line of a Python file, where the recording has it.
	SourceText(file string, line int) (string, bool)
	Close() error
}

// Opener opens a recording.
type Opener func(path string) (Source, error)

// Divergence is the error of a Source whose replay did not do what was
// recorded. Nothing can be judged then.
type Divergence struct {
	Proc     int
	Pos      recording.Pos
	Recorded string // what was recorded
	Came     string // what came instead
	Around   []string
}

func (d *Divergence) Error() string {
	return fmt.Sprintf("replay diverged at %s (event %d of process %d): recorded %s, came %s",
		grouped(d.Pos.Instr), d.Pos.Event, d.Proc, d.Recorded, d.Came)
}
