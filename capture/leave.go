package capture

import (
	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// leave ends the recording of one process and lets it run on, untraced and
// with everything put back: the recording must not cost the program anything
// once it is over.
func (r *recorder) leave(p *process, why string) {
	r.sayLeft(p, why)
	r.leaveAs(p, recording.EndDetached, why)
}

func (r *recorder) sayLeft(p *process, why string) {
	if !r.runners && r.timesTests() && runsPytest(p.argv) {
		why += "; " + r.withoutPlugin() // nobody sees its marks
	}
	r.warnf("process %d (%s): recording stopped at instruction %d: %s", p.pid, shortName(p.exe), r.countNow(p), why)
}

func (r *recorder) leaveAll(why string) { r.leaveAllBut(nil, why) }

// leaveAllBut is leaveAll, except that a thread stays stopped: what its stop is
// about was not looked at, and letGo is to do that.
func (r *recorder) leaveAllBut(at *task, why string) {
	for _, p := range r.processes {
		if p.mode == modeRecord {
			r.sayLeft(p, why)
			r.leaveBut(at, p, recording.Event{Why: recording.EndDetached, Text: why})
		}
	}
}

func (r *recorder) leaveAs(p *process, end, why string) {
	r.leaveBut(nil, p, recording.Event{Why: end, Text: why})
}

// leaveBut is leaveAs with what else the last event says.
func (r *recorder) leaveBut(at *task, p *process, end recording.Event) {
	if p.mode != modeRecord {
		return
	}
	halted, st := r.haltRunning(p)
	r.logOpen(p)
	end.Kind, end.TID, end.Instr = recording.KindEnd, int32(p.pid), r.countNow(p)
	r.log(p, &end)
	r.close(p)
	p.clear()
	restored := false
	for _, t := range p.tasks {
		if t.dead {
			continue
		}
		t.leaving = true
		if !t.stopped {
			// A thread that runs user code or waits in a call: it is let go
			// at the stop that this causes.
			ptrace.Interrupt(t.tid)
			continue
		}
		if !restored {
			restored = r.restore(p, t.tid) == nil
		}
		switch {
		case t == at:
		case t != halted || r.letGo(t, st) != nil:
			r.release1(t, 0)
		}
	}
	if !restored {
		for _, t := range p.tasks {
			if !t.dead && r.restore(p, t.tid) == nil {
				break
			}
		}
	}
	for _, t := range p.tasks {
		// What it has just forked is a copy of it as it was, and has no log yet.
		if c := t.child; c != nil && c.proc == nil && c.stopped && !c.dead {
			t.child, c.leaving = nil, true
			_ = r.restore(p, c.tid) // an error means that it is gone
			r.release1(c, 0)
		}
	}
}

// letGo detaches a thread whose process is no longer recorded, at a stop.
func (r *recorder) letGo(t *task, st unix.WaitStatus) error {
	st, err := r.ranInto(t, st)
	if err != nil {
		return err
	}
	sig := 0
	if ptrace.Event(st) == unix.PTRACE_EVENT_EXEC {
		t.proc = nil // what it has now is not what the recorder knows
	}
	switch {
	case ptrace.Event(st) != 0 || st.StopSignal() == ptrace.SyscallStop:
	default:
		sig = int(st.StopSignal())
		var regs linux.Regs
		if err := ptrace.GetRegs(t.tid, &regs); err != nil {
			return err
		}
		if sig == int(unix.SIGTRAP) && t.proc != nil {
			_, counts := t.proc.countingTrap(regs.PC())
			full := t.proc.area != nil && regs.PC() == t.proc.area.Time.Full+1
			if full {
				// It goes on with the buffer that was full.
				ptrace.WriteU64(t.tid, t.proc.area.Time.Count, 0)
			}
			if counts || full || t.proc.paused(regs.PC()) {
				sig = 0
			}
		}
		if sig == int(unix.SIGSEGV) && t.proc != nil && ptrace.GetSigInfo(t.tid, &t.info) == nil && t.proc.wasGuarded(t.info.Addr()) {
			sig = 0 // the memory is accessible by now
		}
		if sig == int(unix.SIGILL) && t.proc != nil {
			if _, ok := t.proc.patches[regs.PC()]; ok {
				sig = 0 // the instruction itself is back by now
			}
		}
	}
	if ptrace.Event(st) == unix.PTRACE_EVENT_CLONE || ptrace.Event(st) == unix.PTRACE_EVENT_FORK || ptrace.Event(st) == unix.PTRACE_EVENT_VFORK {
		if msg, err := ptrace.EventMsg(t.tid); err == nil {
			child := &task{tid: int(msg), pid: int(msg), proc: t.proc, leaving: true}
			r.tasks[child.tid] = child
			if r.timedOut && ptrace.Event(st) != unix.PTRACE_EVENT_CLONE {
				r.tellLate(child.pid)
			}
			if st, ok := r.waits.Poll(child.tid); ok {
				if child.stopped = st.Stopped(); child.stopped {
					r.letGoCopy(child)
				} else {
					r.waits.Later(ptrace.Stop{TID: child.tid, Status: st})
				}
			}
		}
	}
	if t.proc != nil && t.pid != t.proc.pid {
		_ = r.restore(t.proc, t.tid) // as letGoCopy
	}
	r.release1(t, sig)
	return nil
}

// countingTrap returns where a thread goes on that stands behind the trap of a
// counting stub.
func (p *process) countingTrap(pc uint64) (at uint64, ok bool) {
	if p.clock == nil {
		return 0, false
	}
	at, _, _, ok = p.clock.Trap(pc)
	return at, ok
}

// letGoCopy detaches a process that was made while its maker was let go: it may be a
// copy of what that was before.
func (r *recorder) letGoCopy(child *task) {
	if child.proc != nil {
		_ = r.restore(child.proc, child.tid) // an error means that it is gone
	}
	r.release1(child, 0)
}

// makesProcess reports whether a stopped thread is inside a call that has just made a
// thread or a process: another call that is made for it there would take that one's place,
// and the program would see that it failed.
func makesProcess(tid int) bool {
	var info ptrace.SigInfo
	if ptrace.GetSigInfo(tid, &info) != nil {
		return false
	}
	switch info.Code() >> 8 { // how the kernel notes a ptrace event (ptrace(2))
	case unix.PTRACE_EVENT_CLONE, unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK:
		return info.Signo() == int(unix.SIGTRAP)
	}
	return false
}

// release1 detaches one stopped thread: one of a process that pyrr attached to, which makes
// calls for pyrr then, where it is inside none.
func (r *recorder) release1(t *task, sig int) {
	if r.attached && t.proc != nil && t.pid == t.proc.pid && makesProcess(t.tid) && ptrace.Syscall(t.tid, 0) == nil {
		t.leaving, t.stopped = true, false // it is let go where the call ends
		return
	}
	if t.dispatched && ptrace.GetSigInfo(t.tid, &t.info) == nil && r.atDispatch(t) {
		r.takeMask(t)
		t.blockAgain(1 << (unix.SIGSYS - 1))
		r.takeBack(t) // it has not made its call yet
		sig = 0
	}
	r.endDispatch(t)
	if sig == 0 {
		r.dropSelector(t)
	}
	if back := r.putBack(t); sig == 0 {
		sig = back
	}
	if t.proc != nil {
		if pc, err := ptrace.PC(t.tid); err == nil {
			if at, ok := t.proc.countingTrap(pc); ok {
				ptrace.SetPC(t.tid, at) // it has nothing to count any more
			}
		}
	}
	if r.attached && t.proc != nil && t.proc.area != nil && t.pid == t.proc.pid && r.beforeCall(t) == nil {
		r.reapFrozen(t)
		r.beginRseq(t)
	}
	if t.affinity == nil {
		unix.SchedSetaffinity(t.tid, &r.cpus)
	}
	t.stopped = false
	ptrace.Detach(t.tid, sig)
	if t.tid != r.rootPID || r.attached {
		r.bury(t)
	}
}

// putBack gives a stopped thread what was kept back from it, and returns the
// signal that its stop was for.
func (r *recorder) putBack(t *task) (sig int) {
	if t.sigstop != 0 && t.sys.cut() && t.state == stateReady {
		sig = t.sigstop
	}
	if t.diverted != 0 {
		// A result that the program has not seen yet, or a call to be made again.
		if ret, err := ptrace.Result(t.tid); err == nil {
			r.undivert(t, ret)
		}
	}
	if t.answered && t.sys.open() {
		// Its call was not made; what it is told instead stands in its
		// registers when it returns.
		ptrace.SetResult(t.tid, t.answer)
	}
	for i := range t.deferred {
		unix.Tgkill(t.pid, t.tid, unix.Signal(t.deferred[i].Signo()))
	}
	t.deferred = nil
	return sig
}

// restore takes back what was put into the address space: patched
// instructions, the limits of the counters, the detour of the clock.
func (r *recorder) restore(proc *process, tid int) error {
	var spans []ptrace.Span
	for addr, p := range proc.patches {
		if !stillTrapped(tid, addr, &p.site) {
			continue
		}
		spans = append(spans, ptrace.Span{Addr: addr, Data: p.site.Orig[:p.site.Len]})
	}
	if err := ptrace.WriteV(tid, append(spans, proc.former...)); err != nil {
		return err
	}
	if proc.clock != nil {
		if err := ptrace.WriteU64(tid, proc.clock.Budget, noBudget); err != nil {
			return err
		}
	}
	if proc.calls != nil {
		if err := ptrace.Write(tid, proc.calls.img.Mode, []byte{0, 0, 0, 0}); err != nil {
			return err
		}
		proc.fast = false
	}
	if proc.pauses.on {
		if err := ptrace.WriteU64(tid, proc.pauseCell(), inject.PauseNone); err != nil {
			return err
		}
	}
	r.restoreCode(proc, tid)
	r.restoreShared(proc, tid)
	if proc.area != nil {
		return ptrace.Write(tid, proc.area.Time.Mode, []byte{inject.ModePassthrough, 0, 0, 0})
	}
	return nil
}

// onlyWatch ends the recording of a process like leave, but goes on watching
// for what it starts.
func (r *recorder) onlyWatch(p *process, why string) error {
	if old := p.ep; old != nil {
		r.part(p, &recording.Event{Kind: recording.KindEnd, TID: int32(p.pid), Instr: r.countNow(p), Why: recording.EndTest, Text: why})
		r.abandoned(old)
	}
	p.clear()
	p.mode = modeWatch
	delete(r.recheck, p)
	restored := false
	for _, t := range p.tasks {
		if t.dead {
			continue
		}
		if !restored {
			restored = r.restore(p, t.tid) == nil
		}
		if t.affinity == nil {
			unix.SchedSetaffinity(t.tid, &r.cpus)
		}
		t.ev, t.child = recording.Event{}, nil
		if !t.stopped {
			continue // it goes on by itself at its next stop
		}
		sig := r.putBack(t)
		t.sys.move(moveDrop)
		if err := r.cont(t, sig); err != nil && !ptrace.Gone(err) {
			return err
		}
	}
	return nil
}
