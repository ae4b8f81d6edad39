package capture

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// fork makes a stopped thread fork its process, and returns the copy, 0 where the
// kernel refuses. The copy shares the descriptors: with its own ones it would keep
// files, locks and connections alive. Nobody is told of its end.
func (in *instant) fork(t *still) (child int, err error) {
	if err := ptrace.SetOptions(t.tid, instantOptions|in.extra|unix.PTRACE_O_TRACECLONE); err != nil {
		return 0, err
	}
	err = in.inject(t, sys.SYS_CLONE, [6]uint64{unix.CLONE_FILES}, func(ret int64) bool { return ret != eRestartNoIntr }, &child)
	return child, err
}

// inject makes a stopped thread execute a system call until done likes its result, and
// stops it as it was. The kernel makes no process while a signal is on its way
// (copy_process, kernel/fork.c): that is kept, and comes when the thread is let go.
// What the call made is noted in child.
func (in *instant) inject(t *still, nr uint64, args [6]uint64, done func(ret int64) bool, child *int) error {
	orig := make([]byte, len(ptrace.Gadget))
	if err := (ptrace.Mem)(t.tid).ReadAt(orig, in.gate); err != nil {
		return err
	}
	if err := ptrace.Write(t.tid, in.gate, ptrace.Gadget); err != nil {
		return err
	}
	if t.sig != 0 {
		t.kept, t.sig = append(t.kept, t.sig), 0
	}
	const most = 100
	var failed error
	for range most {
		ret, err := ptrace.InjectStops(t.tid, in.gate, nr, args, func(st unix.WaitStatus) error {
			switch ptrace.Event(st) {
			case unix.PTRACE_EVENT_CLONE:
				msg, err := ptrace.EventMsg(t.tid)
				*child = int(msg)
				return err
			case 0:
				t.kept = append(t.kept, st.StopSignal())
			}
			return nil
		})
		if failed = err; err != nil || done(ret) {
			break
		}
	}
	if err := ptrace.Write(t.tid, in.gate, orig); failed == nil {
		failed = err
	}
	if failed != nil {
		return failed
	}
	return in.stopAgain(t)
}

// stopAgain brings a thread that has made a call of pyrr's to where the kernel makes
// it do its own call again that was interrupted: that is at a stop for signals alone.
func (in *instant) stopAgain(t *still) error {
	if err := ptrace.Interrupt(t.tid); err != nil {
		return err
	}
	if err := ptrace.Cont(t.tid, 0); err != nil {
		return err
	}
	t.stopped = false
	st, err := in.r.waits.For(t.tid)
	if err != nil {
		return err
	}
	if !st.Stopped() {
		return unix.ESRCH
	}
	t.stoppedBy(st)
	return nil
}

// Of close_range(2), which Linux has since 5.9.
const closeRangeUnshare = 2

// close gives a fresh copy descriptors of its own, of which it closes all, and makes
// sure that it never runs.
func (in *instant) close(f *frozen) error {
	f.proc = ptrace.OpenProcess(f.pid)
	st, err := in.r.waits.For(f.pid)
	if err == nil && !st.Stopped() {
		err = unix.ESRCH
	}
	if err == nil {
		err = ptrace.SetOptions(f.pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL|in.extra)
	}
	if err == nil {
		// Where memory becomes scarce it is the copy that goes. An error leaves that to the kernel.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", f.pid), []byte("1000"), 0)
		var ret int64
		ret, err = ptrace.Inject(f.pid, in.gate, closeRange, [6]uint64{0, uint64(^uint32(0)), closeRangeUnshare}, ignoreStops)
		if err == nil && ret != 0 {
			if ret, err = ptrace.Inject(f.pid, in.gate, sys.SYS_UNSHARE, [6]uint64{unix.CLONE_FILES}, ignoreStops); err == nil && ret == 0 {
				err = in.r.closeAll(f.pid, in.gate)
			}
		}
	}
	if err != nil {
		in.end(f)
		return fmt.Errorf("prepare its image: %w", err)
	}
	nameCopy(f.pid, in.gate, in.gate+uint64(len(ptrace.Gadget)))
	return nil
}

// end ends the copy, and makes the process that it is a child of forget it: it would
// be there, as one that has ended, until that ends. Where the process itself was read
// in place of a copy, it is let go.
func (in *instant) end(f *frozen) {
	if f.pid == in.pid {
		in.letGo()
		return
	}
	f.end()
	for {
		st, err := in.r.waits.For(f.pid)
		if err != nil || !st.Stopped() {
			break
		}
	}
	ended, _ := copiesOf(in.pid) // of others, too, that did not come this far
	if !slices.Contains(ended, f.pid) {
		ended = append(ended, f.pid)
	}
	in.reap(ended)
}

// threadsOf lists the threads of a process.
func threadsOf(pid int) ([]int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, fmt.Errorf("list its threads: %w", err)
	}
	out := make([]int, 0, len(list))
	for _, e := range list {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, tid)
		}
	}
	return out, nil
}

// stateOf is the state of a thread, as proc(5) has it; 0 for one that is gone.
func stateOf(tid int) byte {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	// TID (NAME) STATE …, where the name may hold anything.
	rest := strings.TrimSpace(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if rest == "" {
		return 0
	}
	return rest[0]
}

func isZombie(tid int) bool {
	s := stateOf(tid)
	return s == 'Z' || s == 'X'
}

// asleepForGood says whether all of these wait in the kernel where no signal comes to
// them: for a disk, or for the child of a vfork.
func asleepForGood(list []*still) bool {
	for _, t := range list {
		if stateOf(t.tid) != 'D' {
			return false
		}
	}
	return true
}

// whyNotSeized says why a thread can't be traced.
func whyNotSeized(tid int, err error) error {
	if tracer := tracerOf(tid); tracer > 0 && tracer != os.Getpid() {
		return fmt.Errorf("process %d (%s) traces it already: only one can", tracer, nameOfProcess(tracer))
	}
	return err
}
