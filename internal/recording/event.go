// Package recording is the file format: what the recorder writes while the
// program runs and what everything else reads. docs/format.md specifies it.
//
// It never interprets what happened: logview does. Begin with Event in this file,
// kinds.go for the tables that everything follows, Writer and Open.
package recording

import (
	"pyrr/internal/linux"
)

// Pos is a point in the execution of a process, totally ordered within it.
type Pos struct {
	// Instr counts the CPython bytecode instructions that the process had
	// executed.
	Instr uint64
	// Event is the number of the process's event, from 0.
	Event uint64
}

// Kind is the kind of an event.
type Kind uint8

// The kinds of events. An event belongs to one thread; between two events of
// a process the thread of the later one ran, and no other.
const (
	// KindStart opens a stream: a process begins from an image (Proc, Maps,
	// Mem, Regs, XState) or as a fork (Proc names the parent's event).
	KindStart Kind = iota + 1
	// KindSyscall is a system call, entered and returned with no other
	// thread of the process running in between.
	KindSyscall
	// KindEnter is a thread entering a system call and giving way to others.
	KindEnter
	// KindExit is the result of the thread's last KindEnter.
	KindExit
	// KindSwitch is a thread preempted at exactly Instr instructions.
	KindSwitch
	// KindSignal is a signal handler's frame built on the thread's stack:
	// Nr is the signal; Args the first 48 bytes of its siginfo_t, zeros in
	// recordings by versions that did not keep them; Mem the frame's bytes;
	// Regs and XState the thread's state at the first instruction of the
	// handler. Without Mem it is the signal of an instruction that ends the
	// process: Regs are those of the instruction.
	KindSignal
	// KindInsn is an instruction that pyrr executes for the program, because
	// its result differs between machines or runs: rdtsc, cpuid and others.
	// Nr is the kind (inject.Insn); Regs the registers after it.
	KindInsn
	// KindWrite is pyrr's own preparation of the process (counting stubs,
	// patched instructions), or what others and the kernel wrote there while no
	// thread of it ran: Maps and Mem are to be applied.
	KindWrite
	// KindReadings empties the buffer of clock readings because it is full.
	KindReadings
	// KindDeath is the end of one thread.
	KindDeath
	// KindEnd closes a stream. Why says how; Ret is the wait status.
	KindEnd
	// KindTimeout marks the point at which the time-out expired.
	KindTimeout
	// KindNote is a remark: Text. It has no effect on the execution.
	KindNote
	// KindChecksum holds the checksums of all pages of the writable
	// mappings, for --verify=full.
	KindChecksum
	// KindFault is a synchronous fault (SIGSEGV and the like) that pyrr
	// handled itself: the page of a shared mapping was brought up to date.
	// Maps holds the new protections, Mem the new bytes.
	KindFault
	// KindThread is a thread that exists when the recording of its process
	// begins: Regs and XState are its state. With Why InCall it waits in the
	// call that Nr, Args and In describe, like after a KindEnter.
	KindThread
)

// Stop says how a thread gets from its last event to this one, which is what
// replay has to wait for.
type Stop uint8

// The ways to reach an event.
const (
	// StopNone: nothing runs; the thread stands where its last event left it.
	StopNone Stop = iota
	// StopSyscall: the thread runs to its next system call.
	StopSyscall
	// StopInstr: the thread runs until exactly Instr instructions of the
	// process were executed and stands before the next.
	StopInstr
	// StopTrap: the thread runs to a trap that the program's execution
	// raises by itself: a patched instruction, a full clock buffer, a fault.
	StopTrap
	// StopBuffered: the thread runs to a system call that was made and noted
	// without a stop. It can be replayed like one that stops.
	StopBuffered
	// StopPause: the thread runs until it has passed so many pauses as Pauses
	// says, and stands in the stub of the last.
	StopPause
	// StopSpin: the thread runs until it stands at PC for the first time with
	// the state that Regs, XState and Mem hold, which repeats for ever.
	StopSpin
)

// lastStop is the highest of them.
const lastStop = StopSpin

// End reasons, in Event.Why of KindEnd.
const (
	EndExited    = "exited"    // the process ended; Ret is its wait status
	EndExec      = "exec"      // it became another program; Text names it
	EndDetached  = "detached"  // the recording stops here and the program went on; Text says why
	EndTimeout   = "timeout"   // stopped by the time-out
	EndTest      = "test"      // the test that was recorded ended and the process went on; Text says how
	EndTruncated = "truncated" // made up by the reader: the stream ends without KindEnd
)

// InCall in Event.Why of KindThread: the thread waits in a system call.
const InCall = "call"

// What a test runner said, in Event.Why of KindNote. Text is the id of the
// test; for MarkTestEnd its outcome and a space come before.
const (
	MarkTestStart = "test start"
	MarkTestPhase = "test phase" // Text: setup, call or teardown
	MarkTestEnd   = "test end"
	MarkSession   = "test session" // Text: start, collect, run, finish
)

// NoteAttached in Event.Why of KindNote: the thread waited in a system call when the
// recorder attached to its process, and makes it again.
const NoteAttached = "attached"

// Marks of calls that wrote to the command's own standard output or error,
// in Event.Why of KindSyscall and KindExit.
const (
	OutStdout = "1"
	OutStderr = "2"
)

// Write is bytes that appear in the process's memory at an event.
type Write struct {
	Addr uint64
	Data []byte
}

// FileID names a file in the recording's store; 0 means none.
type FileID uint32

// Mapping is a span of address space that replay has to make.
type Mapping struct {
	Start, End uint64
	// Prot is PROT_READ|PROT_WRITE|PROT_EXEC of mmap(2).
	Prot uint32
	// Shared is set for MAP_SHARED in the program; replay maps it privately.
	Shared bool
	// File and Offset give the content; File 0 is zeros.
	File   FileID
	Offset uint64
	// Name is the path in /proc/PID/maps, for symbols and listings.
	Name string
}

// Process describes a process; it is held by its KindStart event.
type Process struct {
	// ID numbers the recording's processes from 1 in order of appearance;
	// an exec makes a new one.
	ID  int
	PID int // as the program saw it
	// Parent is the ID of the process that made it, 0 for the first.
	Parent int
	// ParentEvent is the number of the parent's event that made it.
	ParentEvent uint64
	// Fork is set where the address space began as a copy of the parent's;
	// else the stream begins with an image.
	Fork bool
	Exe  string
	Argv []string
	Env  []string
	Cwd  string
	// Python is the version of the interpreter, "" until known.
	Python string
	// Start is the wall-clock time in ns since the epoch.
	Start int64
	// Brk is the program break, StackLimit the size kept below the stack.
	Brk        uint64
	StackLimit uint64
}

// OpenFD is a descriptor that a process has when its stream begins.
type OpenFD struct {
	FD int32
	// Flags are those of open(2), with O_CLOEXEC of the descriptor.
	Flags uint32
	// Name is what /proc/PID/fd leads to: a path, "pipe:[INODE]",
	// "socket:[INODE]", "anon_inode:[eventpoll]". The details of linux.CutDetail may
	// follow.
	Name string
}

// Reached says how far the thread had come that an event stopped: what a replay waits
// for, and compares.
type Reached struct {
	// PC and RegSum hold the thread's program counter, and a checksum of its
	// callee-saved registers and stack pointer (RegSum of this package),
	// where the event was reached by running.
	PC     uint64
	RegSum uint32
	// OutSum is the OutSum of the bytes that a call was given which writes to the
	// command's own output, 0 for none: a replay gives it the same.
	OutSum uint32
	// Pauses counts the pauses (inject.PauseSite) that threads of the process
	// passed since the last event with a Stop other than StopBuffered.
	Pauses uint64
}

// Memory is what an event does to the process's memory.
type Memory struct {
	// Mem is applied when the event takes effect.
	Mem []Write
	// LeftOut is how many bytes of Mem's data a brief iterator left out: its last
	// writes are shorter than they were, or empty.
	LeftOut uint64
	Maps    []Mapping
}

// Event is one entry of a process's log. Which fields an event holds is in
// the table of kinds (docs/format.md); the others are zero.
type Event struct {
	Kind Kind
	Stop Stop
	TID  int32 // as the program saw it
	// Instr is the process's instruction count at the event.
	Instr uint64
	Reached
	// Nr is the syscall, signal or instruction kind.
	Nr   int32
	Args [6]uint64
	// Ret is the raw result, -errno on failure.
	Ret int64
	// Time is wall-clock time of reaching the event in ns since Proc.Start's
	// recording began; for a KindSyscall, EndTime is that of its return.
	Time, EndTime int64
	// In is what an input argument pointed to where a reader wants to see
	// it: a path, a socket address, the control data of a message that is
	// sent. At most 256 bytes.
	In []byte
	// Readings holds the clock readings consumed since the process's previous
	// event: struct timespec, 16 bytes each.
	Readings []byte
	Memory
	// Child is the thread or process id that a clone or fork made.
	Child  int32
	Regs   *linux.Regs
	XState []byte
	Proc   *Process
	Why    string
	Text   string
	// Open are the descriptors of a process that begins from an image, by their
	// numbers; empty where that is not known.
	Open []OpenFD
}

// Written returns the n bytes that the event wrote at addr, nil where it did
// not write them all.
func (ev *Event) Written(addr uint64, n int) []byte {
	for _, w := range ev.Mem {
		if addr >= w.Addr && addr-w.Addr <= uint64(len(w.Data)) {
			if data := w.Data[addr-w.Addr:]; n >= 0 && n <= len(data) {
				return data[:n]
			}
		}
	}
	return nil
}
