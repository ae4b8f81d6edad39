package capture

import (
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// stopAll stops all threads, also those that are being made meanwhile.
func (in *instant) stopAll() error {
	for {
		list, err := threadsOf(in.pid)
		if err != nil {
			return err
		}
		var added []*still
		for _, tid := range list {
			if in.byTID[tid] != nil {
				continue
			}
			if err := ptrace.Seize(tid, instantOptions); err != nil {
				if ptrace.Gone(err) || isZombie(tid) {
					continue // it has just ended
				}
				return whyNotSeized(tid, err)
			}
			t := &still{tid: tid}
			in.byTID[tid] = t
			added = append(added, t)
		}
		if len(added) == 0 {
			return nil
		}
		if in.halted.IsZero() {
			in.halted = time.Now()
		}
		for _, t := range added {
			if err := ptrace.Interrupt(t.tid); err != nil && !ptrace.Gone(err) {
				return err
			}
		}
		if err := in.await(slices.Clone(added)); err != nil {
			return err
		}
		for _, t := range added {
			if in.byTID[t.tid] != nil {
				in.all = append(in.all, t)
			}
		}
	}
}

const (
	// waitPatience is how long threads may take to stop: those that wait where nothing
	// interrupts them are done without after it.
	waitPatience = 3 * time.Millisecond
	// spinFor is how long the tracer waits without a sleep, which takes longer than most
	// stops. After it a thread may wait for the tracer's own processor, which it gets only
	// if the tracer, which goes before others, sleeps.
	spinFor = 60 * time.Microsecond
	nap     = 20 * time.Microsecond
)

// await waits until threads that were interrupted have stopped.
func (in *instant) await(added []*still) error {
	progress := time.Now()
	for len(added) > 0 {
		left := added[:0]
		for _, t := range added {
			st, ok := in.r.waits.Poll(t.tid)
			switch {
			case !ok:
				left = append(left, t)
				continue
			case !st.Stopped():
				delete(in.byTID, t.tid)
			default:
				t.stoppedBy(st)
			}
			progress = time.Now()
		}
		added = left
		switch since := time.Since(progress); {
		case len(added) == 0:
		case since > waitPatience && asleepForGood(added):
			for _, t := range added {
				t.deaf = true
			}
			in.late = append(in.late, added...)
			return nil
		case since > stopPatience:
			return fmt.Errorf("thread %d does not stop", added[0].tid)
		case since > waitPatience:
			time.Sleep(50 * time.Microsecond)
		case since > spinFor:
			_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(nap)}, nil) // or a part of it
		default:
			ptrace.Yield()
		}
	}
	return nil
}

// stoppedBy notes that a thread has stopped: where it was told to, or where a signal
// comes that is there already.
func (t *still) stoppedBy(st unix.WaitStatus) {
	t.stopped = true
	if ptrace.Event(st) == 0 && st.StopSignal() != ptrace.SyscallStop {
		t.sig = st.StopSignal()
	}
}

// readWaiting reads where a thread is that does not stop: proc(5) says that of one
// that waits in the kernel.
func (in *instant) readWaiting(t *still) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", in.pid, t.tid))
	t.regs = linux.WaitingRegs(text)
}

// letGo lets all threads go on, as they were.
func (in *instant) letGo() {
	defer func() {
		if in.stood == 0 && !in.halted.IsZero() {
			in.stood = in.before + time.Since(in.halted)
		}
	}()
	for _, t := range in.all {
		if t.stopped {
			in.letGoOne(t)
		}
	}
}

// goOn lets the process go until it is stopped once more.
func (in *instant) goOn() {
	in.letGo()
	in.letGoLate()
	in.before, in.stood, in.halted = in.stood, 0, time.Time{}
	in.all, in.byTID = slices.Clone(in.late), map[int]*still{}
	for _, t := range in.late {
		in.byTID[t.tid] = t // it is traced still
	}
}

func (in *instant) letGoOne(t *still) {
	for _, sig := range t.kept {
		unix.Tgkill(in.pid, t.tid, sig)
	}
	t.stopped, t.kept = false, nil
	ptrace.Detach(t.tid, int(t.sig))
}

// letGoLate lets threads go that have stopped only now.
func (in *instant) letGoLate() {
	in.late = slices.DeleteFunc(in.late, func(t *still) bool {
		st, ok := in.r.waits.Poll(t.tid)
		if ok && st.Stopped() {
			t.stoppedBy(st)
			in.letGoOne(t)
		}
		return ok
	})
}
