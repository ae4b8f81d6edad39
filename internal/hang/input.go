package hang

import "time"

// Input is all that is known of a recording's end.
type Input struct {
	Procs []*Process
	// Midst says that the recording begins in the midst of a program.
	Midst bool
	// Short shortens a file's name for people; nil leaves it.
	Short func(file string) string
	// Text returns the text of a source line with the blanks before it, "" where it is
	// not at hand.
	Text func(file string, line int) string
	// Source returns the whole text of a file, "" where it is not at hand.
	Source func(file string) string
	// Seen returns the program's own functions in which a thread that has ended was seen
	// last, innermost first.
	Seen func(proc int, d *Dead) []Frame
	// NoValues leaves out values of variables, and messages of exceptions, which hold some.
	NoValues bool
}

// Process is a process at its end.
type Process struct {
	ID, PID, Parent int
	// Name is what it runs, in a word or two.
	Name string
	// Hangs says that it did not end by itself; Status is its wait status else.
	Hangs  bool
	Status int
	// Killed is the name of the signal that ended it, "" for none.
	Killed string
	// Event is that of its end, Time when that was (ns after the start).
	Event uint64
	Time  int64
	Facts *Facts
	// Threads are those at the end, main first.
	Threads []*Call
	Forked  bool // it began as a copy of Parent
	// Kids are the children that are not recorded.
	Kids []Kid
	// Refused is a connection that a thread of a library asks for again and again and does
	// not get, nil for none.
	Refused *Loop
	// Unread is what others have written to descriptors of it that no thread waits for.
	Unread []Unread
	// Stopped is the signal that stopped it, where nobody continued it since.
	Stopped *Stop
	// Signal is the last one that one of the recording sent to it.
	Signal *Stop
	// Streams are what descriptors stand for that tasks wait for through an object of
	// their event loop.
	Streams map[int]*Peer
}

// Stop is a signal that was sent to a process, and may have stopped it.
type Stop struct {
	Signal string
	Proc   int // whose thread TID sent it
	TID    int32
	Event  uint64
	Time   int64
	Where  *Frame // the line of the program that did
	// Pending says that no handler has run for it since.
	Pending bool
}

// Call is a thread at the end, and the system call that it is in.
type Call struct {
	TID  int32
	Num  int
	Name string // of the thread, in Python
	// Call is the name of the system call, "" for a thread that computes; Text
	// has its arguments.
	Call, Text string
	FD         int
	PID        int // that is waited for
	// Opens is the path that it opens, For what: "reading", "writing", or both.
	Opens, OpensFor string
	Since           int64
	For             time.Duration
	Event           uint64
	// Limit is the time-out of the call, 0 for none.
	Limit time.Duration
	// Early says that it was in this call when the recording began.
	Early bool
	// Attached says that it waited in it before the recorder attached.
	Attached bool
	// Frames are Python's, innermost first, for processes without facts.
	Frames []Frame
	// Peer is what the descriptor stands for that it waits for, nil for none or
	// several; Peers are those of a poll or select.
	Peer  *Peer
	Peers []*Peer
	// Loop says that it makes this call again and again, Owner who holds what it
	// waits for or retries.
	Loop  *Loop
	Owner *Owner
}

// Peer is what a descriptor stands for, and what is at its other end.
type Peer struct {
	// What is "pipe", "connection", "listening socket", "file", …; Addr its
	// name or address.
	What, Addr string
	Mail
	// Ends are who has the other end, of those in the recording; Unrecorded names
	// a program that has it and is not recorded.
	Ends       []End
	Unrecorded string
	Program    int // its pid
	// Unread says of what is written to such a program that its own output goes to a
	// pipe or connection of the process that waits.
	Unread bool
	// Outside says that the other end is not in the recording; Closed that nobody
	// has it open any more.
	Outside, Closed bool
	// Before says that it was open before the recording began: what went through it
	// until then is not known.
	Before bool
	Arrived
	// Used is the thread that read or wrote last at the other end, TID 0 for none.
	Used User
	Accepting
	// Got and Sent are the bytes each way, seen from the thread that waits; LastGot
	// and LastSent when that was, and at which event of its process.
	Got, Sent           uint64
	LastGot, LastSent   int64
	GotEvent, SentEvent uint64
	// Transaction is who has one open, on another connection to the database at the
	// other end.
	Transaction *Owner
}

// Arrived is what has come and nobody has used.
type Arrived struct {
	// Coming says that the other end has written what this one has not read.
	Coming bool
	// Unseen are the bytes of that of which an epoll does not tell, by the flag Edge.
	Unseen uint64
	Edge   string
	// Held are bytes that the thread which polls has read already: they lie in the buffer
	// of a file object that it has at hand.
	Held int
}

// Mail is what is known of a socket of datagrams.
type Mail struct {
	// From is the only address that it takes them from, "" for any, To where the last
	// one went, if none has come since.
	From, To string
	// Asked is what was sent last over a connection on which nothing came since, where that
	// is text.
	Asked string
}

// Accepting is who would take a connection, or sees what comes over it.
type Accepting struct {
	// Backlog says that the connection waits to be accepted at the other end.
	Backlog bool
	// Listeners are who has the listening socket of a Backlog. Watched are the
	// processes that have an epoll that watches the other end, or that socket.
	Listeners []End
	Watched   []int
	// Accepted is how many connections a listening socket has given out.
	Accepted int
}

// User is a thread of a process.
type User struct {
	Proc int
	TID  int32
}

// Kid is a child process that is not recorded.
type Kid struct {
	PID    int
	Exe    string // the program's name, "" where that is not known
	Reaped bool   // its end was fetched
	Killed bool   // it was sent SIGKILL
	// Fed are the processes that have the writing end of the pipe that it has as its
	// standard input, FedBy names other programs that have.
	Fed   []int
	FedBy []string
	// Heard are the processes that alone have the reading end of the pipe that it has as
	// its standard output, of which no thread reads from it.
	Heard []int
}

// Unread is data that a process has not read.
type Unread struct {
	FD    int
	What  string // as of a Peer
	Bytes uint64
	// Proc and TID are who wrote last, at Event of its process.
	Proc  int
	TID   int32
	Event uint64
	At    int64 // the time of that
}

// Loop is a call that is made again and again from one function.
type Loop struct {
	Count int
	For   time.Duration // since the first of them
	Every time.Duration // from one to the next
	Grows bool          // the time between grows
	Event uint64        // of the first
	Last  int64         // when the last one began
	Call  string        // its name
	// Moves says that most turns move data or wake somebody; Instr is how many
	// instructions of the process lie between each two of the last, 0 where that
	// differs.
	Moves bool
	Instr uint64
	// Still says that the thread has executed no instruction since the first turn: the loop
	// is within one call of native code.
	Still bool
	// Fails is a call that fails each time in the loop, with its error, Failed how
	// often.
	Fails  string
	Failed int
	// PID is a child of which each turn asks whether it has ended, 0 for none.
	PID int
}

// Owner is who holds what a thread waits for in the kernel.
type Owner struct {
	What  string
	Proc  int
	TID   int32
	Event uint64 // at which it took it
	Where *Frame // the line of the program that did
	// Lock says that the thread asks for a lock on a file again and again, without
	// waiting for it.
	Lock bool
	// Commits says that the thread waits, to commit, for those who read the database: it has
	// locked that itself. Only says that its process reads no other database.
	Commits, Only bool
}

// End is a descriptor of a process.
type End struct {
	Proc, FD int
}

// Degrees of certainty.
const (
	Proven = "proven"
	Likely = "likely"
	None   = "none"
)

// Verdict is why a program hung.
type Verdict struct {
	Degree string `json:"degree"`
	// Kind is a word for the sort of hang: deadlock, …
	Kind     string `json:"kind,omitempty"`
	Sentence string `json:"sentence"`
	// Long is the sentence with all that is known, "" where that is the same: Sentence has
	// two lines of a terminal at most.
	Long string `json:"long,omitempty"`
	// Plain is the sentence without values, for where others read it.
	Plain string `json:"-"`
	// Missing says what keeps a likely verdict from being proven.
	Missing  string     `json:"missing,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// Units are those that the sentence is about, the culprit first.
	Units []Ref  `json:"units,omitempty"`
	Edges []Edge `json:"edges,omitempty"`
	// Where is the line of the user's code that a report points to.
	Where *Frame `json:"where,omitempty"`
	// Raised is the exception, of a failure.
	Raised *Raised `json:"raised,omitempty"`
	// Since is since when the longest of those waits, in ns after the start, For how
	// long.
	Since int64         `json:"since,omitempty"`
	For   time.Duration `json:"for,omitempty"`
	// Attached says that it waited before the recorder attached: nobody knows how long.
	Attached bool `json:"attached,omitempty"`
	// key is what fingerprints are made of.
	key []string
}

// Ref names a unit.
type Ref struct {
	Proc int    `json:"proc"`
	TID  int32  `json:"tid,omitempty"`
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Edge is one of the graph: who waits for whom, and why.
type Edge struct {
	From Ref    `json:"from"`
	To   Ref    `json:"to"`
	Why  string `json:"why"`
	Sure bool   `json:"sure"`
}

// Evidence is a fact with its place in the recording.
type Evidence struct {
	Text string `json:"text"`
	// Proc and Event are a position for replay --at, where Instr is not 0 that; Event 0
	// is none.
	Proc  int    `json:"proc,omitempty"`
	Event uint64 `json:"event,omitempty"`
	Instr uint64 `json:"instr,omitempty"`
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`
}
