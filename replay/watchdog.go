package replay

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	unix "pyrr/internal/sys"

	"pyrr/internal/headroom"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// How much processor time a stub may take between two stops: a slice of bytecode
// is bounded by its count, only native code can take long, and that took its time
// while it was recorded too. So it is the time between the two events, several
// times over, within limits.
const (
	mostPatience = 10 * time.Minute
	slowdown     = 4
)

var leastPatience = 10 * time.Second // tests shorten it

// patience is what a stub gets on its way from an event of one time to one of
// another, in ns.
func patience(from, to int64) time.Duration {
	gap := time.Duration(to - from)
	if from < 0 || to < from {
		gap = 0
	}
	return leastPatience + slowdown*min(gap, (mostPatience-leastPatience)/slowdown)
}

// lull is how often the watchdog looks, and stuck how often it may find that a
// stub that is to run takes no processor time at all.
const (
	lull  = 50 * time.Millisecond
	stuck = int(120 * time.Second / lull)
)

// cause says why the watchdog ended a stub.
type cause uint8

const (
	causeNone   cause = iota
	causeTime         // it ran on and on
	causeMemory       // it took more memory than it may have
)

// watchdog ends a stub that runs on for ever, or fills the memory. It watches
// whatever a stub is let run for: the program's own code, and each call that is
// made for it.
type watchdog struct {
	limit int64 // bytes that a stub may have in memory
	meter *headroom.Meter
	floor int64 // bytes that have to stay free, whichever stub took the rest

	mu    sync.Mutex
	pid   int
	tid   int    // the thread that runs
	run   uint64 // number of the run
	may   time.Duration
	cause cause
	quit  chan struct{}
}

func newWatchdog(limit int64) *watchdog {
	w := &watchdog{limit: limit, meter: headroom.Open(), quit: make(chan struct{})}
	free, _ := w.meter.Free()
	w.floor = min(free/8, 512<<20)
	go w.look()
	return w
}

// look looks at the stub that runs, until stop.
func (w *watchdog) look() {
	tick := time.NewTicker(lull)
	defer tick.Stop()
	var run uint64
	var began, last time.Duration
	idle := 0
	for {
		select {
		case <-w.quit:
			return
		case <-tick.C:
		}
		w.mu.Lock()
		if pid := w.pid; pid != 0 && dead(pid) {
			// Whoever waits for the first thread waits for the others to be waited for.
			reapOthers(pid, w.tid)
		} else if pid != 0 && w.cause == causeNone {
			used := cpuTime(pid)
			switch {
			case w.run != run:
				run, began, idle = w.run, used, 0
			case used-began > w.may || idle > stuck:
				w.end(pid, causeTime)
			}
			if idle++; used > last {
				idle = 0
			}
			last = used
			if resident(pid) > w.limit || w.scarce() {
				w.end(pid, causeMemory)
			}
		}
		w.mu.Unlock()
	}
}

// scarce reports whether the machine, or the container, has little memory left.
func (w *watchdog) scarce() bool {
	free, _ := w.meter.Free()
	return free < w.floor
}

func (w *watchdog) end(pid int, why cause) {
	w.cause = why
	ptrace.KillTracee(pid)
}

// begin notes that a thread of a stub runs from now on, until rest, and may take so
// much processor time.
func (w *watchdog) begin(pid, tid int, may time.Duration) {
	w.mu.Lock()
	w.pid, w.tid, w.may, w.cause = pid, tid, may, causeNone
	w.run++
	w.mu.Unlock()
}

func (w *watchdog) rest() {
	w.mu.Lock()
	w.pid = 0
	w.mu.Unlock()
}

// fired says why the watchdog ended a stub.
func (w *watchdog) fired() cause {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}

func (w *watchdog) stop() { close(w.quit) }

// dead says whether a process has ended and was not waited for yet (stat of proc(5)).
func dead(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	i := bytes.LastIndexByte(b, ')')
	return i >= 0 && i+2 < len(b) && b[i+2] == 'Z'
}

// reapOthers waits for the threads of a process that has ended, except for its first one
// and the one that another waits for: as long as they are there, the kernel does not
// tell that the first one is gone.
func reapOthers(pid, but int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // what can't be read is gone
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil && tid != pid && tid != but {
			ptrace.Reap(tid)
		}
	}
}

// cpuTime is the processor time that a process has taken, 0 where it is gone.
// A process's clock is numbered by its id (MAKE_PROCESS_CPUCLOCK of the kernel's
// posix-timers.h, CPUCLOCK_SCHED).
func cpuTime(pid int) time.Duration {
	const sched = 2
	var ts unix.Timespec
	if unix.ClockGettime(^int32(pid)<<3|sched, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// resident is how many bytes of a process are in memory (statm of proc(5)).
func resident(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		return 0
	}
	return pages * pageSize
}

// defaultLimit is how much memory a replayed process may have whose recording
// does not say how much the recorded one had: it was cut, or is an old one.
const defaultLimit = 4 << 30

// memorySlack is what a stub may have beside what the recorded process had.
const memorySlack = 256 << 20

// memoryLimit is how much memory a replayed process may have: twice what the
// recorded one had at most, where the recording says so, and never more than
// the machine can spare. The variable PYRR_REPLAY_MEMORY, in MiB, stands above
// both.
func memoryLimit(rec *recording.Recording) int64 {
	if mib, err := strconv.ParseInt(os.Getenv("PYRR_REPLAY_MEMORY"), 10, 64); err == nil && mib > 0 && mib < 1<<40 {
		return mib << 20
	}
	limit := freeMemory()
	if sum, ok := rec.Summary(); ok && sum.Memory > 0 && sum.Memory < 1<<50 {
		return min(limit, 2*sum.Memory+memorySlack)
	}
	return min(limit, defaultLimit)
}

// pinHere keeps the calling thread, and the stubs that it starts, on the
// processor it runs on.
func pinHere() {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return
	}
	cpus := []int{}
	for i := 0; len(cpus) < set.Count(); i++ {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	var one unix.CPUSet
	one.Set(cpus[os.Getpid()%len(cpus)])
	unix.SchedSetaffinity(0, &one)
}

// MemoryError says that a replay was given up, as it takes more memory than a
// replay of that recording may have. It says nothing about the recording.
type MemoryError struct {
	Process int
	Event   uint64
	Limit   int64 // bytes
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("process %d, event %d: the replayed process takes more memory than it may have here (%d MiB; PYRR_REPLAY_MEMORY=MIB is another limit)",
		e.Process, e.Event, e.Limit>>20)
}

// KilledError says that a replayed process was ended by SIGKILL, and not by pyrr:
// the machine, or its control group, had no memory left, or somebody ended it. It
// says nothing about the recording.
type KilledError struct {
	Process int
	Event   uint64
}

func (e *KilledError) Error() string {
	return fmt.Sprintf("process %d, event %d: the replayed process was killed (SIGKILL), by the kernel for want of memory or by somebody; that says nothing about the recording",
		e.Process, e.Event)
}

// overrun is the error of a stub that the watchdog ended, nil where it did not.
func (p *Process) overrun(ev *recording.Event) error {
	switch p.s.watch.fired() {
	case causeTime:
		if ev == nil {
			return p.damaged("a call that is made for the process does not end")
		}
		return p.diverged(ev, "the thread ran on without reaching the event")
	case causeMemory:
		return &MemoryError{p.Info.ID, p.Number, p.s.watch.limit}
	}
	return nil
}

// guarded makes a call in a thread of the stub, under the watchdog.
func (p *Process) guarded(t *Thread, call func() error) error {
	p.s.watch.begin(p.pid, t.tid, leastPatience)
	err := call()
	p.s.watch.rest()
	if err != nil {
		if over := p.overrun(nil); over != nil {
			return over
		}
		if ptrace.Gone(err) {
			return &KilledError{p.Info.ID, p.Number}
		}
	}
	return err
}
