// Package hang says why a program hung or failed: who waits for whom, what that
// one does, and how sure that is. It judges facts that others have read: of
// Python's objects (Facts) and of the log of what the program did (Log). It knows
// neither processes nor files.
// Begin with Judge (judge.go).
package hang

import (
	"slices"
	"strings"
)

// Facts is what was read of one process when its recording ends.
type Facts struct {
	// Proc is the number of the process in the recording.
	Proc int `json:"proc"`
	// Units are those that can wait: threads, tasks, greenlets.
	Units []Unit `json:"units,omitempty"`
	// Things are what is waited for, held or owed.
	Things []Thing `json:"things,omitempty"`
	// Raised are exceptions that the program ended with, or a test failed with.
	Raised *Raised `json:"raised,omitempty"`
	Exit   *Exit   `json:"exit,omitempty"`
	// Died are the exceptions that its threads reported on standard error, in the
	// order of the reports.
	Died []Raised `json:"died,omitempty"`
	// Dead are threads that have ended.
	Dead []Dead `json:"dead,omitempty"`
	// Busy are threads that computed at the end, and the loops that those were in.
	Busy []Busy `json:"busy,omitempty"`
	// Children are the names that the program gave its child processes, by pid.
	Children map[int]string `json:"children,omitempty"`
	// Self is the name that multiprocessing gives this process, as a child.
	Self string `json:"self,omitempty"`
	// Suspended are generators and coroutines of the program's own that no task runs,
	// where they stand: of a program that runs Twisted's reactor.
	Suspended []Frame `json:"suspended,omitempty"`
	// Failed is the task that has failed, where that is but one.
	Failed *Fate `json:"failed,omitempty"`
	// Left are queues with items that nobody has at hand.
	Left []Left `json:"left,omitempty"`
	// Copies are objects that a fork copies.
	Copies []Copy `json:"copies,omitempty"`
	// Cursors are those of sqlite3 that were not read to their end, by their names.
	Cursors []string `json:"cursors,omitempty"`
	// Asks is what a journey through the recording can answer; it is not kept.
	Asks []Ask `json:"-"`
	// TaskAt are the tasks by the addresses of their objects, for those who travel.
	TaskAt map[uint64]int `json:"-"`
	// GIL is who has the interpreter's lock, nil where nobody waits for that.
	GIL *GIL `json:"gil,omitempty"`
	// Python is the version, such as 3.11.
	Python string `json:"python,omitempty"`
}

// Busy is a thread that computed, watched instruction by instruction through its
// last ones.
type Busy struct {
	TID int32 `json:"tid"`
	// Instr is how many bytecode instructions it has executed since its last event,
	// Turn after how many the last ones repeat, 0 for never.
	Instr uint64 `json:"instr"`
	Turn  int    `json:"turn,omitempty"`
	// Lines are those of a turn, or of what was watched, and how often each runs in it.
	Lines []BusyLine `json:"lines,omitempty"`
	// Func is the function with the loop (its Line is 0); Same are what its names
	// stood for all the while, Changed those that stood for something else.
	Func    Frame    `json:"func"`
	Same    []Var    `json:"same,omitempty"`
	Changed []string `json:"changed,omitempty"`
}

// BusyLine is a line of a loop.
type BusyLine struct {
	Frame
	Count int `json:"count"`
}

// Kinds of units.
const (
	Thread   = "thread"
	Task     = "task"
	Greenlet = "greenlet"
)

// Unit is a thread, a task of an event loop or a greenlet.
type Unit struct {
	Kind string `json:"kind"`
	// TID is the thread's id in the recording; of a task that of the thread that
	// runs its loop, 0 for none.
	TID    int32  `json:"tid,omitempty"`
	Ident  uint64 `json:"ident,omitempty"` // of a thread
	Name   string `json:"name,omitempty"`
	Main   bool   `json:"main,omitempty"` // the main thread, or the task that it runs its loop for
	Daemon bool   `json:"daemon,omitempty"`
	// Running is a task whose code runs just now, or whose result has come.
	Running bool `json:"running,omitempty"`
	// Asleep, of a thread: its event loop sleeps although a callback is ready.
	Asleep bool `json:"asleep,omitempty"`
	// Role says what a thread is for that waits for work as it should: the
	// worker of a pool, a server, a feeder. Such a one is never the culprit.
	Role string `json:"role,omitempty"`
	// Frames are Python's, innermost first; at most maxFrames.
	Frames []Frame `json:"frames,omitempty"`
	Wait   *Wait   `json:"wait,omitempty"`
	// Stopped says of a task that its event loop does not run.
	Stopped bool `json:"stopped,omitempty"`
	AtPool
	// FDs are the descriptors of sockets, pipes and files that it has at hand.
	FDs []int `json:"fds,omitempty"`
	// Buffered are, by descriptor, bytes that lie read in the buffer of a file object that
	// it has at hand.
	Buffered map[int]int `json:"buffered,omitempty"`
	// Partial is the message of multiprocessing in the midst of which it reads.
	Partial *Partial `json:"partial,omitempty"`
	// Serves are the descriptors of the listening sockets of the servers that it runs.
	Serves []int `json:"serves,omitempty"`
}

// HowManager is how one waits for the answer of a manager of multiprocessing, to a call of
// the proxy that is waited for.
const HowManager = "manager"

// RoleServer is the role of a thread in which socketserver waits for connections.
const RoleServer = "a server that waits for a connection"

// RoleTimer begins the role of a threading.Timer whose time is not over.
const RoleTimer = "a timer"

// Frame is a Python frame.
type Frame struct {
	Func string `json:"func"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// Kinds of waits and things.
const (
	Lock       = "lock"
	RLock      = "rlock"
	Condition  = "condition"
	Event      = "event"
	Semaphore  = "semaphore"
	Barrier    = "barrier"
	Queue      = "queue"
	Channel    = "channel"
	Future     = "future"
	Import     = "import"
	Subprocess = "process"
	Pool       = "pool"
	Object     = "object"
	File       = "file" // of which bytes were not flushed: Size of them, to the descriptor Count
)

// Mutex is the class of a lock that no Python object is.
const Mutex = "mutex"

// HowAnswer is a wait for a package that reads a connection by a protocol of its own: that
// it waits for what comes there is likely.
const HowAnswer = "answer"

// Wait is what a unit waits for.
type Wait struct {
	// How says it more closely: "get", "put", "join" of a queue.
	How string `json:"how,omitempty"`
	// On are the things; one of them is enough if Any is set.
	On  []int `json:"on,omitempty"`
	Any bool  `json:"any,omitempty"`
	// Units are tasks, or threads that are joined.
	Units []int `json:"units,omitempty"`
	// Frame is the number of the frame that waits, from the user's view.
	Frame int `json:"frame"`
	// Limit says that there is a time limit, of Seconds if those are known; Asks that one
	// asks again and again.
	Limit   bool    `json:"limit,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Asks    bool    `json:"asks,omitempty"`
	// Takes is, of one that waits for room in a queue, the number of the frame further out
	// in which it takes from the same queue, 0 for none.
	Takes int `json:"takes,omitempty"`
	// PID is the child that is waited for.
	PID int `json:"pid,omitempty"`
	// Failed is the exception for which a task group has cancelled the tasks that it waits for.
	Failed string `json:"failed,omitempty"`
	// Window is the number that says how much the other end still takes, and is used up.
	Window string `json:"window,omitempty"`
	// Come are the bytes that have come, of a line (Of is 0) or of as many as are read.
	Come int `json:"come,omitempty"`
	Of   int `json:"of,omitempty"`
	// Unread is the buffer of the other end in which Bytes lie that nobody has read, if that
	// is in the same process.
	Unread string `json:"unread,omitempty"`
	Bytes  int    `json:"bytes,omitempty"`
}

// Hands are those who hold a thing, are at it, or could get at it.
type Hands struct {
	Holders []Hold `json:"holders,omitempty"`
	// Owed are the units that are at it: the worker that runs a future. Queued
	// says that it lies in a queue which the units named would take it from.
	Owed   []int `json:"owed,omitempty"`
	Queued bool  `json:"queued,omitempty"`
	// Known are the units that have it in reach of their variables, except for
	// those that wait for it.
	Known []int `json:"known,omitempty"`
	// Owner is the ident of the thread that holds it, where that is Gone.
	Owner uint64 `json:"owner,omitempty"`
	// Locked, of a lock: somebody has it, whoever it is. Gone: its owner is a
	// thread that is not there any more.
	Locked bool `json:"locked,omitempty"`
	Gone   bool `json:"gone,omitempty"`
	// Untaken says of what is taken by calls that no call took it before that of who waits.
	Untaken bool `json:"untaken,omitempty"`
	// Acts are what was done to it last, of each kind of act the last one, as it came.
	Acts []Taken `json:"acts,omitempty"`
}

// Thing is an object that is waited for, held or owed.
type Thing struct {
	Kind string `json:"kind"`
	// Addr is the address of the object: equal in a process and a copy of it.
	Addr uint64 `json:"addr,omitempty"`
	// Key is equal for the same thing seen from several processes.
	Key string `json:"key,omitempty"`
	// Name is how the program calls it: a variable or attribute.
	Name string `json:"name,omitempty"`
	// Class is the name of its class.
	Class string `json:"class,omitempty"`
	// State says how it is, in a word or two: "2 of 3 arrived", "unset".
	State string `json:"state,omitempty"`
	Hands
	// Async says that tasks wait for it, not threads.
	Async bool `json:"async,omitempty"`
	// Shared says that several processes can have it: it is multiprocessing's.
	Shared bool `json:"shared,omitempty"`
	// Pending, of a future: the event loop of the unit Owed has yet to begin with
	// its coroutine; none is Owed where that loop does not run.
	Pending bool `json:"pending,omitempty"`
	// Callback, of the result of a job: the job is done, and this function of the program
	// was called with its result before anybody is told. Owed is who still runs it.
	Callback *Frame `json:"callback,omitempty"`
	// InQueue is the name of a queue in an item of which it lies.
	InQueue string `json:"in_queue,omitempty"`
	// Generator is the suspended generator that holds a lock, and the line of its
	// with statement.
	Generator *Frame `json:"generator,omitempty"`
	// Early says that it was taken before the recording begins.
	Early bool `json:"early,omitempty"`
	// Pool is the class of the pool of connections in which it is waited for.
	Pool string `json:"pool,omitempty"`
	// Taken are the last times that it was taken, the last one first, where that
	// was found by travelling.
	Taken []Taken `json:"taken,omitempty"`
	// AtFork is who held it, in the process that this one is a copy of, when that was
	// forked: Unit is 0 for the thread that forked, -1 for another.
	AtFork *Taken `json:"at_fork,omitempty"`
	// Fate is what became of who should have acted.
	Fate []Fate `json:"fate,omitempty"`
	// Count and Size are numbers that the kind has: unfinished jobs of a queue,
	// its limit; workers of a pool; the descriptor of a stream that tasks wait for.
	Count int `json:"count,omitempty"`
	Size  int `json:"size,omitempty"`
}

// Hold says who holds a thing and where that one took it.
type Hold struct {
	Unit int `json:"unit"`
	// Frame is the number of the frame that holds it, Line where it was taken, 0
	// where that is not known.
	Frame int `json:"frame"`
	Line  int `json:"line,omitempty"`
	// Took is where it was taken outside of a with statement, found by travelling.
	Took *Taken `json:"took,omitempty"`
}

// Taken is where something was taken.
type Taken struct {
	// Unit is who took it, -1 for one that has ended; Name is what that is called.
	Unit  int    `json:"unit"`
	Name  string `json:"name,omitempty"`
	Where Frame  `json:"where"`
	From  *Frame `json:"from,omitempty"` // from which Where was called
	// Event is the one of the process that the thread was on its way to.
	Event uint64 `json:"event,omitempty"`
	// Act says what else was done to it than that it was taken.
	Act string `json:"act,omitempty"`
}

// Kinds of Fate: a job that lies in the queue of a pool, a QueueListener of logging.
const (
	QueuedJob = "job"
	Listener  = "listener"
)

// Fate is what became of a task, thread or process, or of a job that is queued.
type Fate struct {
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
	// How is "cancelled", "returned", "failed", "exited", "queued".
	How string `json:"how"`
	// Text is the exception, Type its class.
	Text  string `json:"text,omitempty"`
	Type  string `json:"type,omitempty"`
	Where *Frame `json:"where,omitempty"`
	// Timer is the function of a threading.Timer, After the seconds that it waits.
	Timer string  `json:"timer,omitempty"`
	After float64 `json:"after,omitempty"`
}

// Raised is an exception with where it comes from.
type Raised struct {
	Type string `json:"type"`
	Text string `json:"text,omitempty"`
	// Frames are those that it went through, innermost (where it was raised)
	// first, with their variables as they were.
	Frames []RaisedFrame `json:"frames,omitempty"`
	// Cause is the exception that it was raised from.
	Cause *Raised `json:"cause,omitempty"`
	// Group are the exceptions in it, of a group.
	Group []Raised `json:"group,omitempty"`
	// From says how: "from" or "while handling".
	From string `json:"from,omitempty"`
	// Phase is setup, call or teardown, of a test.
	Phase string `json:"phase,omitempty"`
	// Thread is the name of the thread that it ended or was reported in, Event the
	// event of its process at which that was, Main says that it is the main one.
	Thread string `json:"thread,omitempty"`
	Event  uint64 `json:"event,omitempty"`
	Main   bool   `json:"main,omitempty"`
	// Callback says that a callback raised it, of a future or of an event loop: it was
	// logged, and the thread went on.
	Callback bool `json:"callback,omitempty"`
	// Greenlet says that it ended a greenlet, and not a thread.
	Greenlet bool `json:"greenlet,omitempty"`
	// At is where it was raised, nil where that is not known: then the variables are
	// those that the traceback has.
	At *Point `json:"at,omitempty"`
	// Addr is the exception's address, for those who travel.
	Addr uint64 `json:"-"`
}

// Point is a place in the execution of a process: on the way to an event, after so many
// bytecode instructions.
type Point struct {
	Event uint64 `json:"event"`
	Instr uint64 `json:"instr"`
}

// RaisedFrame is a frame of a traceback.
type RaisedFrame struct {
	Frame
	Vars []Var `json:"vars,omitempty"`
}

// Var is a variable and its value, much like its repr.
type Var struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Set is where it got this value, Grown where a container got as many items as it
	// has, where that came later; nil where that is not known.
	Set   *Change `json:"set,omitempty"`
	Grown *Change `json:"grown,omitempty"`
}

// Change is where a value was changed.
type Change struct {
	Point
	Where Frame `json:"where"`
	// Thread is the name of the thread that did, "" for the one that raised.
	Thread string `json:"thread,omitempty"`
	// Passed says that it was passed as an argument, by the call at Where.
	Passed bool `json:"passed,omitempty"`
}

// Made tells a function that a library made of text, as dataclasses and proxies of managers
// are, by the frames around it: its file has no real name, and is not that of a program or
// of what exec runs, unless that runs the runner of tests (a worker's python -c).
func Made(frames []Frame, k int) bool {
	if !strings.HasPrefix(frames[k].File, "<") {
		return false
	}
	if slices.ContainsFunc(frames[:k], func(f Frame) bool { return Machinery(f.File) }) {
		return true
	}
	outside := false
	for i := range frames {
		if frames[i].File == frames[k].File && frames[i].Func == "<module>" {
			return false
		}
		outside = outside || i > k && !strings.HasPrefix(frames[i].File, "<") && frames[i].own()
	}
	return outside
}

// own tells a frame of the user's code, as far as its file says.
func (f *Frame) own() bool { return !Library(f.File) && !f.compiled() }

// MaxFrames bounds the frames that are kept of a unit.
const MaxFrames = 60

// Sound says whether all numbers of facts lead somewhere: those of a recording
// may be forged.
func (f *Facts) Sound() bool {
	units := func(list []int) bool {
		for _, n := range list {
			if n < 0 || n >= len(f.Units) {
				return false
			}
		}
		return true
	}
	if g := f.GIL; g != nil && !units(append(g.Waits, g.Unit)) {
		return false
	}
	for i := range f.Units {
		u := &f.Units[i]
		if u.Wait == nil {
			continue
		}
		w := u.Wait
		for _, n := range w.On {
			if n < 0 || n >= len(f.Things) {
				return false
			}
		}
		if !units(w.Units) || w.Frame < 0 || w.Frame > 0 && w.Frame >= len(u.Frames) || w.Takes < 0 || w.Takes > 0 && w.Takes >= len(u.Frames) {
			return false
		}
	}
	for i := range f.Things {
		t := &f.Things[i]
		if !units(t.Owed) || !units(t.Known) {
			return false
		}
		for _, k := range slices.Concat(t.Taken, t.Acts) {
			if k.Unit < -1 || k.Unit >= len(f.Units) {
				return false
			}
		}
		for _, h := range t.Holders {
			if h.Took != nil && (h.Took.Unit < -1 || h.Took.Unit >= len(f.Units)) {
				return false
			}
			if !units([]int{h.Unit}) || h.Frame < -1 || h.Frame >= len(f.Units[h.Unit].Frames) && h.Frame > 0 {
				return false
			}
		}
	}
	return true
}
