package capture

import (
	"time"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// state says where a thread is, as far as the recorder knows.
type state uint8

const (
	// stateNew: its parent's event or its own first stop is still to come.
	stateNew state = iota
	// stateRun: resumed, in user code or inside a system call.
	stateRun
	// stateReady: stopped, waiting for the slot.
	stateReady
	// stateDying: resumed to die.
	stateDying
)

// task is a traced thread.
type task struct {
	tid, pid int
	proc     *process
	state    state
	// stopped: it is in a ptrace stop that has been seen.
	stopped bool
	// regs are the registers at the last system call entry, with the
	// number of the call.
	regs linux.Regs
	// vfork: the child borrows the memory until it execs or ends.
	vfork bool
	// execing: inside execve, past the point of no return or not.
	execing bool
	// dead: it has been waited for.
	dead bool
	// affinity as the program set it, nil when it did not.
	affinity []byte
	leaving  bool
	helper   bool
	leadExit bool

	inCall
	dispatching
	turn
	signalState
	lastWords
	beforeAttach
}

// beforeAttach is what a thread had and did before pyrr attached to it.
type beforeAttach struct {
	rseq   ptrace.RseqConfig
	waited int // the system call that it was in, -1 for none
}

// turn is how a thread stands to the slot of its process.
type turn struct {
	// probed: it was interrupted, to see whether it waits in a loop, or to give way.
	probed bool
	// spun is the loop that it waits in.
	spun *spinLoop
	// slept is the processor time of its process when it began to wait with a time-out.
	slept time.Duration
	vain  vainWaits
	chance
}

// inCall is the part of a thread that is about its system call.
type inCall struct {
	// sys says how far its system call has come, ev is that call.
	sys     callState
	ev      recording.Event
	call    *linux.Syscall
	class   linux.Class
	errno   int
	blocks  bool
	strange bool // pyrr does not know what its call does, and nothing is written
	// answer replaces the result of a call that was not made.
	answer   int64
	answered bool
	// child is the thread or process that the current call made.
	child *task
	// insns are what the log needs to show the thread's last result.
	lastRet int64
	xstate  []byte // at the entry of a call that may wait, where images may be taken
	pins    []pin
	once    bool // its call is followed to its end at once
	outlet
	promoted []*sharedMap      // mappings of its process that were quiet before
	mapped   *sharedMap        // made by the call that just returned
	code     madeCode          // likewise
	resize   []recording.Event // what follows from a file's new size
}

// outlet is where what a call writes goes to.
type outlet struct {
	cleared  bool   // nobody else holds the file that it writes to
	moved    *moved // what it moves to the command's own output
	diverted uint64 // where it writes to instead, or 0; see scratch.go
}

// signalState is what signals are on their way to a thread.
type signalState struct {
	// blocked are the signals of pyrr's own traps that the program blocks.
	blocked uint64
	// sigstop is the number of the signal of the current signal-delivery-stop.
	sigstop int
	info    ptrace.SigInfo
	// deferred are signals taken in the middle of user code, to be delivered
	// at the next exact position.
	deferred []ptrace.SigInfo
	// redirected are signals that were taken by another thread and sent on.
	redirected []ptrace.SigInfo
}

// lastWords are what the kernel writes when a thread ends.
type lastWords struct {
	// ctid is cleared by the kernel when the thread ends.
	ctid uint64
	// robust is the head of its list of robust mutexes, and died the words in
	// them that the kernel is about to write.
	robust uint64
	died   []uint64
}

// computing reports whether a thread was left running the program's code. It
// holds the slot of its process then.
func (t *task) computing() bool { return t.state == stateRun && t.sys == callNone }

// inKernel reports whether a thread was left inside a system call.
func (t *task) inKernel() bool {
	return t.state == stateRun && t.sys != callNone && t.sys != callEntering
}

// mode says what the recorder does with an address space.
type mode uint8

const (
	modeRecord mode = iota + 1
	// modeWatch: not recorded, but its forks and execs are seen.
	modeWatch
	// modeLeave: the recording ended; its threads are let go as they stop.
	modeLeave
)

// process is an address space with its schedule and its log: what the recording
// calls a process. A vfork child belongs to its parent's until it execs.
type process struct {
	mode  mode
	pid   int // of the process that the log is about
	tasks map[int]*task
	slot
	actions actions // what the program does about the signals of traps
	pauses  pauses
	spin    spinWatch
	fds     map[fdKey]string // what descriptors are, for output marking
	exitTID int              // of the thread that ended it by exit_group

	logState
	program
	counting
	bufferedCalls
	pace
	ownMemory
	sharedState
	testState
}

// logState is where a process stands in its log.
type logState struct {
	ep        *epoch // nil while nothing of it is written
	id        int    // in its epoch
	stream    *recording.Stream
	events    uint64
	nextSum   uint64 // event at which to log checksums
	ended     bool
	lastTime  int64  // of the last event
	lastInstr uint64 // its instruction count
}

// program is what a process executes.
type program struct {
	python string
	// undumpable: it asked for that (PR_SET_DUMPABLE), and is told so.
	undumpable bool
	// traced: it asked to be traced (PTRACE_TRACEME) by who does not trace it.
	traced bool
	exe    string
	argv   []string
	env    []string
}

// counting is the clock of a process.
type counting struct {
	clock *cpython.Installed
	find  *pendingClock // a Python runtime that ld.so has not relocated yet
	// count = base + budget − cell; see counter.go.
	base, budget uint64
	verified     bool // the clock was checked at a first trap
	// clockArea, clockBias and clockReg are what the log says of the clock.
	clockArea, clockBias, clockReg uint64
	statics                        linux.Mapping // of the interpreter; see chaos.go
	remote                         remoteWatch
}

// bufferedCalls are the calls that a process makes without a stop.
type bufferedCalls struct {
	calls     *callBuffer
	findCalls *pendingCalls
	loader    *pendingCalls  // the dynamic linker's sites
	late      []inject.Write // what patches those
	devs      []uint64       // those that the calls area knows
	fast      bool           // calls go to the buffer: its mode cell is 1
	saysReady bool           // its cell says that another thread is ready
	counts    bool           // and counts from the beginning again, for who has just got the slot
	permits   inject.Permits
	permitted bool // the calls area knows them
	// masks: a thread has changed its signal mask. Only then the others need no stop for
	// that, since after each trap the mask is asked for.
	masks bool
	// parts are where shared memory lies, partsOf a sum of what they are made of.
	parts   [inject.SharedParts]mem.Range
	partsOf uint64
	callPos uint64 // end of what the buffer holds
	// sifts: it has seccomp filters, and what they do to other calls nobody knows.
	sifts bool
}

// pace is how a process gets on, and where it runs.
type pace struct {
	// waited is since when something waits for cur, waitedUsed the processor time of then,
	// and waitedAt and nativeTicks what tells whether it got on.
	waited      time.Time
	waitedUsed  time.Duration
	waitedAt    uint64
	nativeTicks uint64
	// traps counts trapped instructions in a row, the last at event trapAt.
	traps  int
	trapAt uint64
	cpu    int
	// stops counts those since it last had a slice to the end, beatStops those
	// since the last beat.
	stops, beatStops int
}

// ownMemory is what the recorder did to the memory of a process, and knows of it.
type ownMemory struct {
	deadStacks []uint64 // where the stacks of threads end that are no more
	area       *inject.Area
	patches    map[uint64]patch // address → the instruction patched there
	former     []ptrace.Span    // what else was overwritten in a process that pyrr attached to
	left       []linux.Mapping  // what it may have left there when it was attached to before
	// filtered: it had seccomp filters when pyrr attached, which are passed by for calls
	// of pyrr's.
	filtered  bool
	brk       uint64
	scratch   bool   // the scratch area is mapped
	diverting uint64 // of it in use, a bit each
	files     []span // private mappings of files
	noFork    []span // memory that a fork does not get as it is
	made      []madeCode
}

// sharedState is what a process shares with others.
type sharedState struct {
	shared []*sharedMap
	quiet  []*sharedMap // see quiet.go
	helper *task        // changes protections for it; see shared.go
	wanted bool         // others wait for what it holds
	at     *moment      // where its thread stands that is asked to give way
	// guarded is what threads may have had faults in when recording ended.
	guarded []span
}

// testState is what a process has to do with tests.
type testState struct {
	runner  *runner
	within  *testRun // that started it
	zombies []int    // ended images that it has to wait for
	device  string   // that can't be recorded, and is open
}

// pendingClock is a runtime found in a mapped file, to be installed when its
// table is relocated.
type pendingClock struct {
	clock *cpython.Clock
	bias  uint64
}
