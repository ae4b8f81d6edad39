package capture

import (
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// How a thread that runs is brought to a place where it can be let go, wherever it
// is: in the midst of the program's code, of a call, of code of pyrr's, or of a trap
// that it has run into and that nobody has taken yet.

// leavePatience is how long a thread that runs code may take to stop before what was
// patched is put back under it.
const leavePatience = 50 * time.Millisecond

// haltRunning brings the thread of a process that runs code to a stop, which it
// returns: code that is being executed is not to be written to. All others are in
// the kernel, and stop before they come back from there.
func (r *recorder) haltRunning(p *process) (*task, unix.WaitStatus) {
	t := p.cur
	if t == nil || t.dead || t.stopped || !t.computing() || ptrace.Interrupt(t.tid) != nil {
		return nil, 0
	}
	for until := time.Now().Add(leavePatience); time.Now().Before(until); time.Sleep(20 * time.Microsecond) {
		st, ok := r.waits.Poll(t.tid)
		switch {
		case !ok:
			continue
		case !st.Stopped():
			r.waits.Later(ptrace.Stop{TID: t.tid, Status: st})
			return nil, 0
		}
		t.stopped = true
		return t, st
	}
	return nil, 0
}

// ranInto returns the stop that a thread comes to next, where one for pyrr's own trap
// waits behind the stop for an interrupt: it has done nothing since the trap.
func (r *recorder) ranInto(t *task, st unix.WaitStatus) (unix.WaitStatus, error) {
	if ptrace.Event(st) != unix.PTRACE_EVENT_STOP || st.StopSignal() != unix.SIGTRAP || !ptrace.PendingTrap(t.tid) {
		return st, nil
	}
	if err := ptrace.Cont(t.tid, 0); err != nil {
		return st, err
	}
	return r.waitSync(t)
}

// beforeCall makes a thread that stands at the entry of a system call stand before it:
// calls can be injected there.
func (r *recorder) beforeCall(t *task) error {
	if !ptrace.AtEntry(t.tid) {
		return nil
	}
	var regs linux.Regs
	if err := ptrace.GetRegs(t.tid, &regs); err != nil {
		return err
	}
	if !regs.InCall() {
		return nil // it is not to be made
	}
	if err := r.skipCall(t); err != nil {
		return err
	}
	regs.CallAgain()
	return ptrace.SetRegs(t.tid, &regs)
}
