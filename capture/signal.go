package capture

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// maxFrame bounds a signal frame: a red zone, siginfo, ucontext and an XSAVE
// area with every state there is (AMX takes 8 KiB).
const maxFrame = 1 << 16

// signal handles a signal-delivery-stop of a recorded thread.
//
// A handler may run only at a position that replay can find again: at the
// end of a system call, or before an exact bytecode instruction. A signal
// that arrives elsewhere is kept until then. CPython's own handler only sets
// a flag that the eval loop looks at, so a program can't tell the difference.
func (r *recorder) signal(t *task, sig int) error {
	if err := ptrace.GetSigInfo(t.tid, &t.info); err != nil {
		if err == unix.EINVAL { // a group stop of a thread that is not seized
			return r.goOn(t)
		}
		return err
	}
	if r.atDispatch(t) {
		return r.callAgain(t)
	}
	t.sigstop = sig
	t.takeRedirected()
	var regs linux.Regs
	if err := ptrace.GetRegs(t.tid, &regs); err != nil {
		return err
	}
	if own, err := r.ownTrap(t, sig, &regs); own || err != nil {
		return err
	}
	if sig == int(unix.SIGBUS) {
		r.beyondFile(t)
	}
	if err := r.backOut(t, &regs); err != nil {
		return err
	}
	disp, err := dispositionOf(t.pid, t.tid, sig)
	if err != nil {
		return err
	}
	synchronous := t.info.Code() > 0 && (sig == int(unix.SIGSEGV) || sig == int(unix.SIGILL) ||
		sig == int(unix.SIGFPE) || sig == int(unix.SIGBUS) || sig == int(unix.SIGTRAP))
	if !disp.caught {
		// Ignored, stopping or ending: the kernel's own business. The program
		// sees the effect only in later calls, or not at all.
		if !disp.ignored && ends(sig) {
			return r.dies(t, sig, &regs, synchronous)
		}
		return r.resume(t, sig)
	}
	if synchronous {
		m, err := r.momentOf(t, recording.StopTrap, &regs)
		if err != nil {
			return err
		}
		info := t.info
		return r.deliver(m, &info)
	}
	if r.redirect(t) {
		return r.resume(t, 0)
	}
	if t.sys != callNone {
		// Its call was interrupted: the handler runs before the call's end.
		r.ownLimit(t)
		if t.proc.cur == t {
			return r.deliverAtStop(t)
		}
		return r.enqueue(t)
	}
	if t.proc.cur == t && r.atCallEnd(t, &regs) {
		info := t.info
		return r.deliver(standing(t), &info)
	}
	r.deferSignal(t)
	r.expectSpins()
	return r.runOn(t)
}

// ownTrap deals with a signal that comes of what pyrr put into the program: the clock's
// stubs, patched instructions, memory that it serves. own says whether it is one.
func (r *recorder) ownTrap(t *task, sig int, regs *linux.Regs) (own bool, err error) {
	trapped := func(do func() error) (bool, error) {
		if err := r.unforce(t); err != nil {
			return true, err
		}
		return true, do()
	}
	switch sig {
	case int(unix.SIGTRAP):
		if t.proc.clock != nil {
			if resumeAt, _, _, ok := t.proc.clock.Trap(regs.PC()); ok {
				return trapped(func() error { return r.stubTrap(t, regs, resumeAt) })
			}
		}
		if t.proc.area != nil && regs.PC() == t.proc.area.Time.Full+1 {
			return trapped(func() error { return r.readingsFull(t, regs) })
		}
		if t.proc.paused(regs.PC()) {
			return trapped(func() error { return r.pausedOut(t) })
		}
	case int(unix.SIGILL):
		if p, ok := t.proc.patches[regs.PC()]; ok && t.info.Code() > 0 {
			return trapped(func() error { return r.insn(t, regs, p) })
		}
	case int(unix.SIGSEGV):
		return r.ownFault(t, regs)
	}
	return false, nil
}

// redirect passes a signal for the process on to its first thread, which a
// kernel prefers that is not watched: a thread in a ptrace stop is passed
// over, and one that leaves such a stop takes whatever is pending. It matters,
// because a program may wait in its first thread to be interrupted.
func (r *recorder) redirect(t *task) bool {
	const siTkill = -6
	if t.tid == t.pid || t.info.Code() == siTkill {
		return false
	}
	lead := r.tasks[t.pid]
	if lead == nil || lead.dead || lead.leadExit || lead.proc != t.proc || lead.state == stateDying {
		return false
	}
	mask, err := blockedBy(lead)
	if err != nil || mask&(1<<(t.sigstop-1)) != 0 {
		return false
	}
	if unix.Tgkill(lead.pid, lead.tid, unix.Signal(t.sigstop)) != nil {
		return false
	}
	lead.redirected = append(lead.redirected, t.info)
	return true
}

// takeRedirected gives a signal that redirect sent its original siginfo.
func (t *task) takeRedirected() {
	for i := range t.redirected {
		if t.redirected[i].Signo() == t.sigstop {
			t.info = t.redirected[i]
			t.redirected = append(t.redirected[:i], t.redirected[i+1:]...)
			return
		}
	}
}

// blockedBy reads SigBlk of /proc/PID/task/TID/status, of a thread that need
// not be stopped.
func blockedBy(t *task) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", t.pid, t.tid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "SigBlk:"); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, fmt.Errorf("no SigBlk in the status of thread %d", t.tid)
}

// deferSignal keeps the current signal for the next exact position. Standard
// signals do not queue: one that is waiting already is not kept twice.
func (r *recorder) deferSignal(t *task) {
	const firstRealTime = 32
	if t.sigstop < firstRealTime {
		for i := range t.deferred {
			if t.deferred[i].Signo() == t.sigstop {
				return
			}
		}
	}
	t.deferred = append(t.deferred, t.info)
}

// atCallEnd reports whether t has run no user code since its last system
// call: all registers are as that call left them. To get back there it would
// have had to make the call again.
func (r *recorder) atCallEnd(t *task, now *linux.Regs) bool {
	return t.ev.Kind == recording.KindSyscall && now.LeftBy(&t.regs, t.lastRet)
}

// deliverable returns the index of the first deferred signal that t does not
// block, -1 if there is none.
func (r *recorder) deliverable(t *task) (int, error) {
	if len(t.deferred) == 0 {
		return -1, nil
	}
	mask, err := ptrace.SigMask(t.tid)
	if err != nil {
		return -1, err
	}
	for i := range t.deferred {
		if mask&(1<<(t.deferred[i].Signo()-1)) == 0 {
			return i, nil
		}
	}
	return -1, nil
}

// deliverAtStop delivers the signal of the stop that t is in, which
// interrupted its system call.
func (r *recorder) deliverAtStop(t *task) error {
	info := t.info
	r.logEnter(t)
	return r.deliver(standing(t), &info)
}

// skipCall takes the call back before which a thread stands: it comes to the call's end
// without making it.
func (r *recorder) skipCall(t *task) error {
	if err := ptrace.SetNumber(t.tid, -1); err != nil {
		return err
	}
	if err := ptrace.Syscall(t.tid, 0); err != nil {
		return err
	}
	_, err := r.waitSync(t)
	return err
}

// deliverAtEntry delivers deferred signal i to a thread that stands before a
// system call: the call is taken back, and comes again after the handler.
func (r *recorder) deliverAtEntry(t *task, i int) error {
	info := t.deferred[i]
	t.deferred = append(t.deferred[:i], t.deferred[i+1:]...)
	r.logEnter(t)
	if err := r.skipCall(t); err != nil {
		return err
	}
	regs := t.regs
	regs.CallAgain()
	if err := ptrace.SetRegs(t.tid, &regs); err != nil {
		return err
	}
	if err := r.raise(t, &info); err != nil {
		return err
	}
	return r.deliver(standing(t), &info)
}

// raiseInside makes deferred signal i pending for a thread that is about to make
// a call that may wait.
func (r *recorder) raiseInside(t *task, i int) error {
	info := t.deferred[i]
	if err := unix.Tgkill(t.pid, t.tid, unix.Signal(info.Signo())); err != nil {
		return err
	}
	t.deferred = append(t.deferred[:i], t.deferred[i+1:]...)
	t.redirected = append(t.redirected, info)
	return nil
}

// raise brings a thread at a syscall stop into the delivery stop of a
// signal, whose siginfo is set by deliver.
func (r *recorder) raise(t *task, info *ptrace.SigInfo) error {
	if err := ptrace.Syscall(t.tid, info.Signo()); err != nil {
		return err
	}
	for {
		st, err := r.waitSync(t)
		if err != nil {
			return err
		}
		if ptrace.Event(st) == 0 && int(st.StopSignal()) == info.Signo() {
			return nil
		}
		if ptrace.Event(st) == unix.PTRACE_EVENT_STOP {
			t.probed = false // an interrupt, which has become pointless
			if err := ptrace.Syscall(t.tid, 0); err != nil {
				return err
			}
			continue
		}
		if ptrace.Event(st) == 0 && st.StopSignal() != ptrace.SyscallStop {
			// Another signal came first; it waits its turn.
			t.sigstop = int(st.StopSignal())
			if err := ptrace.GetSigInfo(t.tid, &t.info); err != nil {
				return err
			}
			d, err := dispositionOf(t.pid, t.tid, t.sigstop)
			if err != nil {
				return err
			}
			if d.caught {
				r.deferSignal(t)
				t.sigstop = 0
			}
			if err := ptrace.Syscall(t.tid, t.sigstop); err != nil {
				return err
			}
			continue
		}
		return fmt.Errorf("deliver signal %d: thread %d %s instead", info.Signo(), t.tid, ptrace.Describe(st))
	}
}

// disposition is what a process does about a signal.
type disposition struct{ caught, ignored bool }

// dispositionOf reads SigCgt and SigIgn of /proc/PID/task/TID/status.
func dispositionOf(pid, tid, sig int) (disposition, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if err != nil {
		return disposition{}, unix.ESRCH
	}
	var d disposition
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(line, ":")
		if !ok || (name != "SigCgt" && name != "SigIgn") {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return d, fmt.Errorf("read signal mask %q: %w", value, err)
		}
		set := mask&(1<<(sig-1)) != 0
		if name == "SigCgt" {
			d.caught = set
		} else {
			d.ignored = set
		}
	}
	return d, nil
}

// stubTrap handles a thread whose instruction budget ran out.
func (r *recorder) stubTrap(t *task, regs *linux.Regs, resumeAt uint64) error {
	if !t.proc.verified {
		t.proc.verified = true
		if err := t.proc.clock.Verify(ptrace.Mem(t.tid), regs); err != nil {
			if perr := ptrace.SetPC(t.tid, resumeAt); perr != nil {
				return perr
			}
			return fmt.Errorf("the bytecode clock is not to be trusted: %w", err)
		}
	}
	return r.tick(t, resumeAt)
}

// clocksFull empties the full buffer of clock readings.
func (r *recorder) readingsFull(t *task, regs *linux.Regs) error {
	m, err := r.momentOf(t, recording.StopTrap, regs)
	if err != nil {
		return err
	}
	if err := r.logAt(m, &recording.Event{Kind: recording.KindReadings}); err != nil {
		return err
	}
	return r.afterTrap(t, true)
}

// insn executes a patched instruction for a thread.
func (r *recorder) insn(t *task, regs *linux.Regs, p patch) error {
	m, err := r.momentOf(t, recording.StopTrap, regs)
	if err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindInsn, Nr: int32(p.site.Insn)}
	r.emulate(t, p, regs)
	ev.Regs = regs
	if err := ptrace.SetRegs(t.tid, regs); err != nil {
		return err
	}
	if err := r.logAt(m, &ev); err != nil {
		return err
	}
	return r.afterTrap(t, p.site.Insn == inject.Pause)
}
