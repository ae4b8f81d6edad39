package logview

import (
	"cmp"
	"maps"
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// Moment is a place in a recording: an event of a process.
type Moment struct {
	Proc int // number of the process
	Pos  recording.Pos
	TID  int32
	Time int64 // ns since the recording began
}

// State is what is known of a recording at its end, or at one event.
type State struct {
	// At is the event before whose effect the state is; its zero value stands
	// for the end.
	At Moment
	// Time is the time of At; at the end that of the last event.
	Time int64
	// Procs are the recorded processes that had begun, by their numbers.
	Procs []*Process
	// Files are the open files that some process holds, and the other ends of
	// those, in the order in which they were made.
	Files []*File
	Tests []Test
	// Locks are the locks on ranges of files that are held; those on whole files
	// stand in Files.
	Locks []RecordLock
	// Timeout is where the time-out expired, nil if it did not.
	Timeout *Moment
	// Partial is set where there was more than the bounds of this package
	// let it follow; what is there is right, and not all.
	Partial bool

	byID map[int]*Process
}

// Proc returns the process with that number, nil if there is none.
func (s *State) Proc(id int) *Process { return s.byID[id] }

// Origin says how a process of the recording began.
type Origin uint8

// The ways in which a recorded process begins. Number and name of a process
// change with an exec; its PID stays.
const (
	Began  Origin = iota // with the recording, or its maker is not recorded
	Forked               // as a copy of Parent
	Execed               // as another program in the place of a thread of Parent
)

// Process is a process, from its start or an exec to its end or an exec.
type Process struct {
	recording.Process
	// Threads are those that exist, in the order of their appearance; Gone the
	// last ones that ended.
	Threads []*Thread
	Gone    []*Thread
	// Events counts the events that are behind, Instr the instructions.
	Events uint64
	Instr  uint64
	// Time is that of its last event.
	Time int64

	Origin Origin
	Parent *Process // nil where Origin is Began
	Made   Moment   // the event of Parent that made it
	Next   *Process // the program that it became by an exec, if that is recorded
	// Children are the processes that it made, recorded or not, in order.
	Children []*Child

	// Ended is nil as long as its stream goes on.
	Ended *End

	// FDs are its descriptors. Where the recording does not say what was open when
	// it began, there are of those the ones that it used since.
	FDs map[int]*FD

	// Received are the last signals whose handlers ran, Sent the last that its
	// threads sent; the totals count all.
	Received      []Signal
	Sent          []Signal
	TotalReceived int
	TotalSent     int

	tables map[int32]*table // of threads with descriptors of their own
}

// Thread returns the thread with an id that exists, nil if there is none.
func (p *Process) Thread(tid int32) *Thread {
	for _, t := range p.Threads {
		if t.TID == tid {
			return t
		}
	}
	return nil
}

// Waits reports whether the process is of no use to itself any more: all of
// its threads are in calls.
func (p *Process) Waits() bool {
	return len(p.Threads) > 0 && !slices.ContainsFunc(p.Threads, func(t *Thread) bool { return t.Open == nil })
}

// End is how the stream of a process ends.
type End struct {
	Why    string // one of the End reasons of package recording
	Text   string
	Status uint32 // wait status, of recording.EndExited
	At     Moment
}

// Exited reports whether the process ended by itself, or became another
// program; else it was there when the recording stopped.
func (e *End) Exited() bool { return e.Why == recording.EndExited || e.Why == recording.EndExec }

// Child is a process that a recorded one made.
type Child struct {
	PID int
	// Proc is the recorded process that it is now, or was last; nil if it is
	// not recorded (any more), as it executes a program that is not Python.
	Proc *Process
	Made Moment
	// Exe is the program that one that is not recorded executes, "" if it is
	// not known.
	Exe string
	// Reaped is where its end was fetched, nil if it was not; Status is its
	// wait status then.
	Reaped *Moment
	Status uint32

	held *table // what it has open, as far as is known
}

// Signal is a signal that was sent, or whose handler ran.
type Signal struct {
	Nr int
	// PID is who sent it, or whom it was sent to; 0 if that is the kernel, or
	// not known. TID is set where it was sent to one thread.
	PID, TID int
	At       Moment // TID of At is the thread that sent it, or whose handler ran
}

// Test is a test of a test runner that the recording tells of.
type Test struct {
	ID      string
	Phase   string // the last phase that began: setup, call or teardown
	Begin   Moment
	End     *Moment // nil if it has not ended
	Outcome string
}

// FD is a descriptor.
type FD struct {
	Num     int
	Cloexec bool
	File    *File
	Since   Moment
}

// Socket is what is known of a socket. Addresses are as connect(3, 127.0.0.1:80) shows
// them, "" where not known.
type Socket struct {
	Domain, Type uint32
	Local        string
	Remote       string
	SentTo       string // where the last datagram went that named an address
	Listening    bool
	Connected    *Moment // where it was connected, or accepted; nil if it was not
	From         *File   // the listening socket that it was accepted from
	// Backlog are the connections of recorded processes to a listening
	// socket that it has not accepted.
	Backlog  []*File
	Accepted int  // connections that a listening socket has given out
	ShutIn   bool // it was shut for reading
	ShutOut  bool // and for writing
}

// File is an open file: what one or more descriptors, in one or more
// processes, stand for.
type File struct {
	// Num numbers the open files of a State from 1.
	Num  int
	Kind linux.Object
	// Inherited is set where it was open before the recording of the first
	// process that has it begins. Where the recording does not say what it is, that
	// shows by its use.
	Inherited bool
	Made      Moment // or the first use of one that was inherited
	// Path is the path that it was opened with, the name of a memfd or queue.
	Path string
	// PID is the process of a pidfd.
	PID int
	// Writes is set for the end of a pipe that is written to.
	Writes bool

	Socket

	// Other is the other end, in this recording, of a pipe, a socket pair or
	// a connection. Sure is set where that is certain; a connection whose
	// addresses are not known is matched by the order of accepting.
	Other *File
	Sure  bool

	// Watched are the descriptors that an epoll watches, in its first
	// holder's process.
	Watched map[int]Watch
	// Lock is the operation of the last flock, 0 if it holds none.
	Lock   uint32
	Locked Moment

	In, Out Traffic
	tx      transaction

	// Holders are the descriptors that stand for it now, by process; none if
	// it is closed everywhere.
	Holders []Holder

	rights []right // sent over its other end and not received yet
	taking right
}

// Closed reports whether no process has it open.
func (f *File) Closed() bool { return len(f.Holders) == 0 }

// Traffic is what went one way through an open file.
type Traffic struct {
	Calls, Bytes uint64
	First, Last  Moment // of the calls that read or wrote something
}

// Holder is a descriptor of a process, or of one that is not recorded.
type Holder struct {
	Proc *Process // nil for a child that is not recorded
	Of   *Child   // set where Proc is nil
	TID  int32    // set where one thread alone has the descriptor
	FD   int
}

// PID returns the process's id.
func (h *Holder) PID() int {
	if h.Proc != nil {
		return h.Proc.PID
	}
	return h.Of.PID
}

// Watch is what an epoll waits for of a descriptor.
type Watch struct {
	File   *File
	Events uint32 // as in epoll_ctl(2)
}

// FD returns what a descriptor stands for in a thread, nil if that is not known.
func (p *Process) FD(t *Thread, fd int) *File {
	m := p.FDs
	if t != nil && p.tables[t.TID] != nil {
		m = p.tables[t.TID].fds
	}
	if d := m[fd]; d != nil {
		return d.File
	}
	return nil
}

// Want is a descriptor that the call of a thread waits for.
type Want struct {
	FD     int
	File   *File // nil if it is not known
	Events uint32
}

// Wants returns the descriptors that the open call of a thread waits for: the
// one that it reads, writes, accepts from or connects, those of a poll or select
// as far as they are recorded, those that an epoll watches.
func (p *Process) Wants(t *Thread) []Want {
	if t.Open == nil {
		return nil
	}
	e := &t.Open.Enter
	var out []Want
	for _, w := range linux.Wants(int(e.Nr), e.Args, e.In, nil) {
		f := p.FD(t, w.FD)
		if !w.Epoll || f == nil {
			out = append(out, Want{w.FD, f, w.Events})
			continue
		}
		for _, fd := range slices.Sorted(maps.Keys(f.Watched)) {
			out = append(out, Want{fd, f.Watched[fd].File, f.Watched[fd].Events})
		}
	}
	return out
}

func sortedThreads(m map[int32]*Thread) []*Thread {
	return slices.SortedFunc(maps.Values(m), func(a, b *Thread) int { return cmp.Compare(a.Num, b.Num) })
}
