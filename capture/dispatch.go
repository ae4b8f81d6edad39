package capture

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
)

// step handles one stop, or what is due by the clock. Where something has to be
// looked at again soon, it does not wait.
func (r *recorder) step() error {
	polls := len(r.recheck) > 0 || len(r.waiters) > 0
	switch {
	case !polls:
		r.again.Stop() // it would only cut the wait short
	case !r.again.Pending():
		r.again.Set(r.waits.Now().Add(lookAgain))
	}
	s, ok, err := r.waits.Next(!polls)
	switch {
	case err == unix.ECHILD:
		r.over = true
	case err != nil:
		return fmt.Errorf("wait for the command: %w", err)
	case ok:
		r.handle(s.TID, s.Status)
	case polls && !r.lookAgain():
		ptrace.Yield()
	}
	return nil
}

// lookAgain is how soon the recorder looks again whether a thread waits inside
// its call, or memory has become free, while stops keep coming.
const lookAgain = 100 * time.Microsecond

// lookAgain looks at what nothing else tells it of. It reports whether a thread
// was resumed.
func (r *recorder) lookAgain() bool {
	r.again.Stop()
	if r.recheckAll() {
		return true
	}
	r.serveAll()
	return false
}

// handle takes one wait status and keeps errors of recording from becoming
// errors of the program.
func (r *recorder) handle(tid int, st unix.WaitStatus) {
	defer r.survive(tid, st)
	if t := r.tasks[tid]; t != nil {
		t.stopped = st.Stopped()
	}
	if testHook != nil {
		testHook(st)
	}
	t := r.tasks[tid]
	if t == nil {
		r.waits.Keep(ptrace.Stop{TID: tid, Status: st})
		if tid == r.rootPID && !st.Stopped() {
			r.status, r.over = st, true
		}
		return
	}
	p := t.proc
	err := r.dispatch(t, st)
	r.settle(t, p, err)
}

// testHook is called at each stop, in tests; testBegin where a program that was
// executed is about to run.
var (
	testHook  func(st unix.WaitStatus)
	testBegin func() error
)

// survive keeps a mistake of pyrr's from ending the program: the recording
// ends, and the program is let go, also the thread whose stop it was about.
func (r *recorder) survive(tid int, st unix.WaitStatus) {
	p := recover()
	if p == nil {
		return
	}
	if r.failed {
		panic(p) // letting go fails too
	}
	r.failed = true
	why := fmt.Sprintf("internal error, please report it: %v\n%s", p, debug.Stack())
	if !slices.ContainsFunc(r.processes, func(proc *process) bool { return proc.mode == modeRecord }) {
		r.warnf("%s", why) // nothing is recorded yet
	}
	t := r.tasks[tid]
	if t != nil && t.proc != nil && st.Stopped() && ptrace.Event(st) == unix.PTRACE_EVENT_EXEC {
		delete(t.proc.tasks, tid) // it has another memory now, where nothing is to be put back
	}
	r.leaveAllBut(t, why)
	switch {
	case !st.Stopped():
		if tid == r.rootPID && !r.over {
			r.status, r.over = st, true
		}
	case t == nil:
		r.waits.Keep(ptrace.Stop{TID: tid, Status: st})
	case t.stopped && !t.dead:
		r.letGo(t, st)
	}
}

// settle ends the recording of a process after an error that is not the
// disappearance of a thread.
func (r *recorder) settle(t *task, p *process, err error) {
	if err == nil || errors.Is(err, errGone) || ptrace.Gone(err) {
		return
	}
	if p == nil {
		p = t.proc
	}
	if p != nil && p.mode == modeRecord {
		r.leave(p, err.Error())
		return
	}
	if t.stopped {
		ptrace.Detach(t.tid, 0)
		t.stopped = false
	}
}

// dispatch handles a stop or an end of t.
func (r *recorder) dispatch(t *task, st unix.WaitStatus) error {
	if st.Exited() || st.Signaled() {
		return r.ended(t, st)
	}
	t.stopped = true
	if t.helper {
		return nil // it is left where it is
	}
	if t.leaving || (t.proc != nil && t.proc.mode == modeLeave) {
		return r.letGo(t, st)
	}
	if ev := ptrace.Event(st); ev != 0 {
		return r.event(t, ev, st)
	}
	if t.proc == nil || t.proc.mode != modeRecord {
		sig := int(st.StopSignal())
		if st.StopSignal() == ptrace.SyscallStop {
			sig = 0
		}
		return r.cont(t, sig)
	}
	t.proc.stops++
	t.proc.beatStops++
	if st.StopSignal() == ptrace.SyscallStop {
		if t.sys == callNone || t.sys.cut() {
			return r.entry(t)
		}
		return r.exit(t)
	}
	return r.signal(t, int(st.StopSignal()))
}

// cont resumes a thread that is not recorded.
func (r *recorder) cont(t *task, sig int) error {
	t.stopped = false
	return ptrace.Cont(t.tid, sig)
}

// resume lets a recorded thread run to its next system call stop.
func (r *recorder) resume(t *task, sig int) error {
	t.stopped, t.state = false, stateRun
	if t.sys != callNone {
		t.sys.move(moveResume)
		r.tellExit(t, t.prints())
		return ptrace.Syscall(t.tid, sig)
	}
	if t.proc.calls != nil {
		fast := r.mayBuffer(t)
		if !fast && t.dispatch && !r.noBuffer && t.proc.inCalls(t) {
			// A stop there would show the call as the buffer's code makes it: one that
			// may wait with another time-out, or not at all. The next one stops.
			return ptrace.Cont(t.tid, sig)
		}
		fast, err := r.setFast(t, fast, sig)
		if err != nil {
			return err
		}
		if fast && !r.noBuffer {
			r.tellExit(t, true)
			return ptrace.Cont(t.tid, sig)
		}
	}
	r.tellExit(t, false)
	return ptrace.Syscall(t.tid, sig)
}

// waitSync waits for the next stop of one thread while everything else
// stays as it is. The thread must be sure to stop soon.
func (r *recorder) waitSync(t *task) (unix.WaitStatus, error) {
	st, err := r.waits.For(t.tid)
	if err != nil {
		return st, fmt.Errorf("wait for thread %d: %w", t.tid, err)
	}
	if !st.Stopped() {
		r.waits.Later(ptrace.Stop{TID: t.tid, Status: st})
		return st, errGone
	}
	t.stopped = true
	return st, nil
}
