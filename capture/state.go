package capture

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"pyrr/internal/headroom"
	"pyrr/internal/inject"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"

	"golang.org/x/sys/unix"
)

// recorder is the state of one recording. All of it belongs to the tracer's
// goroutine.
type recorder struct {
	o     Options
	cpu   *inject.CPU
	start time.Time
	epochs
	tasks     map[int]*task
	processes []*process // recorded ones, also ended, by id
	waits     *ptrace.Waits
	cpus      unix.CPUSet // affinity that pyrr was started with
	kernel    kernel
	stats     threadStats
	placement
	tsc uint64 // the processor's time stamp counter at start

	target
	programs
	timing
	sharedMemory
	choices
	troubles
	workspace
	shortage
}

// target is the command, or the process that was there before.
type target struct {
	rootPID int
	root    ptrace.Process
	// attached: the process was there before pyrr; letGoSoon ends its recording.
	attached  bool
	letGoSoon atomic.Bool
	status    unix.WaitStatus
	over      bool
	expired   []ptrace.Process // what the time-out is to end
	pgid      int              // the process group that those are in
	outOf     int              // the process whose standard output is the command's
	outID     [3]string
}

// programs is what was found out about files.
type programs struct {
	gained    map[string]bool    // programs with privileges of their own that were already warned of
	tracers   map[[3]uint64]bool // device, inode and time of programs: whether they trace others
	pythons   map[[3]uint64]bool // the same: whether they are worth recording
	localDevs map[uint64]bool    // devices with a file system that localFS has, as far as asked
	streams   streams
}

// timing is what is due, and when.
type timing struct {
	// beat runs what is due by the clock, again what has to be looked at soon.
	beat, again *ptrace.Timer
	// hurry runs at hurryAt, for who waits for a slot that natively would not.
	hurry   *ptrace.Timer
	hurryAt time.Time
	// recheck counts processes whose current thread may be blocked.
	recheck  map[*process]bool
	spins    spinLooks
	deadline time.Time
	after    time.Duration // what deadline is the end of
	// expireBy is when the time-out takes effect at the latest, set while it
	// waits for a computing thread to come to an exact instruction.
	expireBy time.Time
	killAt   time.Time
	timedOut bool
	// cancelled: pyrr got SIGTERM, cancelBy is when the command gets it.
	cancelled atomic.Bool
	cancelBy  time.Time
}

// sharedMemory is the memory that processes share.
type sharedMemory struct {
	objects map[objectKey]*sharedObject
	quiet   quiet
	waiters []*waiter
}

// choices follow from the options.
type choices struct {
	disabled map[int]bool
	chaos    *chaos
	noBuffer bool // all system calls stop
}

// troubles are what went wrong.
type troubles struct {
	failed   bool // a mistake of pyrr's was caught
	writeErr bool
	fewFiles bool // that too few files may be open was said
	saidFull bool // that no thread more could be made was said
	saidJIT  bool // the user was told that it is off
	// saidCompiled: the user was told that it is on
	saidCompiled bool
}

// workspace is memory to read into.
type workspace struct {
	callBuf []byte // what a process's buffer of calls held
	buf     []byte // of what is done with at once
	bytes   slab   // of what events hold
	spans   []ptrace.Span
	ranges  []mem.Range
	writes  []recording.Write
	xstate  []byte
}

// shortage is how it stands with the memory of the machine.
type shortage struct {
	meter     *headroom.Meter
	nextShort time.Time
	heap      *headroom.Heap
	saidShort bool // that memory is short
}

func newRecorder(o Options, w *recording.Writer, h recording.Header, cpu *inject.CPU) *recorder {
	r := &recorder{
		o: o, cpu: cpu, epochs: epochs{header: h}, start: time.Now(), target: target{attached: o.PID != 0},
		tasks: map[int]*task{}, timing: timing{recheck: map[*process]bool{}}, sharedMemory: sharedMemory{objects: map[objectKey]*sharedObject{}},
		programs: programs{localDevs: map[uint64]bool{}}, choices: choices{disabled: map[int]bool{}},
		workspace: workspace{buf: make([]byte, 1<<16), xstate: make([]byte, 1<<14)},
	}
	if w != nil {
		r.command = &epoch{w: w, dir: o.Dir, live: map[*process]bool{}}
	}
	for _, name := range o.DisableSyscall {
		if nr, ok := syscallNumber(name); ok {
			r.disabled[nr] = true
		}
	}
	r.images = o.From > 0 || o.Tests != nil || r.attached
	// Where a call is to be refused, or a schedule to be varied, each call stops.
	r.noBuffer = o.NoBuffer || built == "off" || o.Chaos || len(o.DisableSyscall) > 0
	if built == "prctl" {
		r.o.Dispatch = DispatchCall
	}
	if o.Chaos {
		r.chaos = newChaos(o.Seed, o.Slice)
	}
	r.outOf = os.Getpid() // whose files the command inherits
	if r.attached {
		r.outOf = o.PID
	}
	for fd := 1; fd <= 2; fd++ {
		if !r.attached && ptrace.NotOpen>>fd&1 != 0 {
			continue
		}
		r.outID[fd], _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", r.outOf, fd))
	}
	return r
}
