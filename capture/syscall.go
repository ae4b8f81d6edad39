package capture

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// Results with which the kernel leaves an interrupted call that it will
// restart (linux/errno.h); user space never sees them.
const (
	eRestartSys    = -512
	eRestartNoIntr = -513
	eRestartNoHand = -514
	eRestartBlock  = -516
	nrRestart      = sys.SYS_RESTART_SYSCALL
)

func isRestart(ret int64) bool {
	return ret == eRestartSys || ret == eRestartNoIntr || ret == eRestartNoHand || ret == eRestartBlock
}

// entry handles a thread that is about to make a system call.
func (r *recorder) entry(t *task) error {
	p := t.proc
	t.dispatched = t.dispatch
	if t.sys.cut() {
		// The kernel starts the interrupted call again; nothing was run in
		// between, and the log has the call already, or gets it with its process.
		t.sys.move(moveAgain)
		if len(t.pins) > 0 {
			return r.enterCall(t)
		}
		return r.resume(t, 0)
	}
	if err := ptrace.GetRegs(t.tid, &t.regs); err != nil {
		return err
	}
	if p.area != nil && p.area.InTimeFunc(t.regs.SP()) {
		// The real vDSO makes its own call where it can't read the clock; the
		// answer goes into the buffer as always.
		t.sys.move(moveUnseen)
		return r.resume(t, 0)
	}
	nr := t.regs.Number()
	args := t.regs.Args()
	inAddr, inLen, str := linux.InArgs(nr, args)
	m, in, err := r.momentIn(t, recording.StopSyscall, &t.regs, inAddr, inLen)
	if err != nil {
		return err
	}
	if str {
		if i := bytes.IndexByte(in, 0); i >= 0 {
			in = in[:i]
		}
	} else if len(in) == 0 {
		in = r.control(t, nr, args)
	}
	call, known := linux.Lookup(nr)
	t.sys.move(moveEnter)
	t.call, t.answered, t.lapsed, t.child, t.strange = call, false, false, nil, false
	var errno int
	t.class, errno = linux.ClassOf(nr, args)
	t.ev = recording.Event{Kind: recording.KindSyscall, Nr: int32(nr), Args: args, Time: r.since()}
	if len(in) > 0 {
		t.ev.In = in
	}
	if err := r.complete(m, &t.ev); err != nil {
		return err
	}
	if !known {
		// One that the kernel does not have either is like any that fails.
		t.call = &linux.Syscall{Nr: nr, Name: fmt.Sprintf("system call %d", nr)}
	}
	if t.class == linux.Refuse || r.disabled[nr] {
		return r.refuse(t, nr, call)
	}
	t.blocks = !known || linux.MayBlock(nr, args)
	if delivered, err := r.signalFirst(t, nr); delivered || err != nil {
		return err
	}
	if t.blocks && r.images && len(p.tasks) > 1 {
		// An image may be taken while it waits, where it can't be asked.
		x, err := ptrace.GetXState(t.tid, r.xstate)
		if err != nil {
			return err
		}
		t.xstate = append(t.xstate[:0], x...)
	}
	r.noteFD(t, nr, args)
	r.noteOutput(t)
	t.errno = errno
	if r.runners {
		if done, err := r.asked(t); done || err != nil {
			return err
		}
	}
	if len(p.shared) > 0 {
		r.serveAt(t)
	}
	return r.enterCall(t)
}

// signalFirst delivers a signal that came before the call, or raises it inside.
func (r *recorder) signalFirst(t *task, nr int) (delivered bool, err error) {
	i, err := r.deliverable(t)
	if err != nil || i < 0 || nr == sys.SYS_RT_SIGRETURN || t.class == linux.Process {
		return false, err
	}
	if !t.blocks || t.class != linux.Plain {
		return true, r.deliverAtEntry(t, i)
	}
	// It is to cut the wait short, as where it comes a moment later: a
	// handler that ran before the call could not keep it from waiting.
	return false, r.raiseInside(t, i)
}

// refuse ends the recording at a call that can't be recorded; the program makes it.
func (r *recorder) refuse(t *task, nr int, call *linux.Syscall) error {
	why := "is switched off"
	if t.class == linux.Refuse {
		why = "can't be recorded: " + call.Note
	}
	r.logEnter(t)
	r.leaveWritten(t.proc, nr, int32(t.ev.Args[0]))
	err := fmt.Errorf("%s at instruction %d %s", t.call.Name, t.proc.base, why)
	if !r.beginsAnew(t.proc) {
		return err
	}
	r.endHere(t.proc, err)
	t.strange, t.class, t.blocks = true, linux.Plain, true
	return r.resume(t, 0)
}

// enterCall lets a thread make the call that it stands before, or answers it.
func (r *recorder) enterCall(t *task) error {
	p, nr, args, errno := t.proc, int(t.ev.Nr), t.ev.Args, t.errno
	if len(p.shared) > 0 || len(r.objects) > 0 {
		if wait, err := r.needShared(t); wait || err != nil {
			return err
		}
		if err := r.yieldFiles(t); err != nil {
			return err
		}
	}
	switch t.class {
	case linux.Hidden:
		if r.registersAsBefore(t) {
			errno = 0
		}
		return r.answer(t, -int64(errno))
	case linux.Process:
		return r.enterProcess(t, nr, args)
	case linux.Faked:
		return r.enterFaked(t, nr, args, errno)
	}
	if nr == sys.SYS_PTRACE {
		return r.enterPtrace(t)
	}
	if nr == sys.SYS_PRCTL && args[0] == unix.PR_GET_DUMPABLE && p.undumpable {
		return r.answer(t, 0)
	}
	if killsItself(t) {
		r.lastWrites(t, true)
	}
	if len(r.quiet.files) > 0 {
		if done, err := r.enterQuiet(t); done || err != nil {
			return err
		}
	}
	if t.lapsed = r.lapses(t); t.lapsed {
		return r.answer(t, -int64(unix.ETIMEDOUT))
	}
	if t.blocks {
		if len(p.ready) > 0 {
			r.recheck[p] = true
		}
		if err := r.divert(t); err != nil {
			return err
		}
		if p.cur == t && len(p.ready) > 0 && r.willSleep(t) {
			if err := r.resume(t, 0); err != nil {
				return err
			}
			r.giveWay(t)
			return r.schedule(p)
		}
	}
	return r.resume(t, 0)
}

// answer lets the call at hand not happen, with the given result.
func (r *recorder) answer(t *task, ret int64) error {
	t.answer, t.answered = ret, true
	t.blocks = false
	if err := ptrace.SetNumber(t.tid, -1); err != nil {
		return err
	}
	return r.resume(t, 0)
}

// exit handles a thread whose system call returned.
func (r *recorder) exit(t *task) error {
	p := t.proc
	if t.sys == callUnseen {
		t.sys.move(moveTake)
		return r.resume(t, 0)
	}
	ret, err := ptrace.Result(t.tid)
	if err != nil {
		return err
	}
	if t.answered {
		ret = t.answer
		if err := ptrace.SetResult(t.tid, ret); err != nil {
			return err
		}
	} else if isRestart(ret) {
		// What comes next is a signal or the same call again, and no user
		// code before that, so the slot does not matter.
		if t.making() {
			t.sys.move(moveCut)
			return r.resume(t, 0)
		}
		r.logEnter(t)
		r.logWord(t)
		t.sys.move(moveInterrupt)
		return r.resume(t, 0)
	} else if ret == -int64(unix.EFAULT) && t.lostWord() {
		return r.makeAgain(t)
	}
	t.lastRet = ret
	p.came(t.ev.Nr, t.ev.Args, ret)
	if p.cur == t {
		if !p.contended() && p.coming > 0 {
			p.coming-- // it takes longer
		}
		if woke := r.letWoken(t); len(p.ready) > 0 && !t.once && (t.lapsed || woke || r.givesWay(t)) && t.class == linux.Plain {
			r.logEnter(t)
			r.logWord(t)
			t.sys.move(moveWait)
			r.printed(t, ret)
			r.release(p)
			p.wait(t)
			return r.schedule(p)
		}
		return r.finishCall(t)
	}
	t.sys.move(moveWait)
	r.printed(t, ret)
	return r.enqueue(t)
}

// finishCall takes the result and the outputs of a returned call and lets
// the thread, which holds the slot, go on.
func (r *recorder) finishCall(t *task) error {
	p := t.proc
	delete(r.recheck, p)
	ev := t.ev
	if t.sys != callInside {
		ev = recording.Event{Kind: recording.KindExit, TID: int32(t.tid), Instr: t.proc.base, Nr: t.ev.Nr, Time: r.since()}
		ev.Child, ev.Why = t.ev.Child, t.ev.Why
	} else {
		ev.EndTime = r.since()
	}
	if t.diverted != 0 {
		ret, err := r.undivert(t, t.lastRet)
		if err != nil {
			return err
		}
		if ret != t.lastRet {
			if err := ptrace.SetResult(t.tid, ret); err != nil {
				return err
			}
			t.lastRet = ret
		}
	}
	if ev.Ret = t.lastRet; ev.Ret <= 0 {
		ev.Why, ev.OutSum = "", 0
	}
	known := t.sys == callPrinted // its result
	if !known {
		if err := r.effects(t, &ev); err != nil {
			return err
		}
		if err := t.takeMoved(&ev); err != nil {
			return err
		}
	}
	if err := r.note(t); err != nil {
		return err
	}
	r.learnFD(t, &ev)
	r.noteLimits(t)
	t.sys.move(moveTake)
	t.pins, t.cleared, t.once = t.pins[:0], false, false
	if !known {
		r.log(p, &ev)
	}
	if err := r.afterCall(t, &ev); err != nil {
		return err
	}
	if p.mode != modeRecord || p.cur != t || !t.stopped {
		return nil
	}
	if r.o.From > 0 && p.events >= r.o.From && p.ep == r.command && p.pid == r.rootPID {
		r.beginLate(t)
	}
	if isMark(t) {
		if err := r.mark(t); err != nil {
			return err
		}
		if p.mode != modeRecord || !t.stopped {
			return nil
		}
	}
	if r.o.Checksums > 0 && p.events >= p.nextSum {
		p.nextSum = p.events + r.o.Checksums
		if err := r.logChecksums(t); err != nil {
			return err
		}
	}
	if r.hurried(p) {
		if err := r.arm(t, 0); err != nil {
			return err
		}
	}
	if len(t.deferred) > 0 {
		return r.runOn(t)
	}
	return r.resume(t, 0)
}

// effects collects what a returned call changed in the process.
func (r *recorder) effects(t *task, ev *recording.Event) error {
	nr, args, ret := int(t.ev.Nr), t.ev.Args, ev.Ret
	if t.answered && t.class == linux.Hidden || t.strange {
		return nil
	}
	switch t.class {
	case linux.AddressSpace:
		return r.mappingEffects(t, ev)
	case linux.Process:
		return r.processEffects(t, ev)
	case linux.Sigreturn:
		return r.sigreturnEffects(t, ev)
	}
	ranges, err := linux.Outputs(nr, args, ret, ptrace.Mem(t.tid), r.ranges[:0])
	r.ranges = ranges[:0]
	if err != nil {
		err = fmt.Errorf("%s at instruction %d: %w", t.call.Name, t.proc.base, err)
		if _, unknown := errors.AsType[*linux.UnknownError](err); !unknown || !r.beginsAnew(t.proc) {
			return err
		}
		r.endHere(t.proc, err)
		return nil
	}
	if err := r.capture(t, ev, ranges); err != nil {
		return err
	}
	if err := r.deviceOpened(t, ev); err != nil {
		return err
	}
	if len(r.quiet.files) > 0 {
		if err := r.quietEffects(t, ev); err != nil {
			return err
		}
		if t.blocks && len(t.proc.quiet)+len(t.proc.shared) > 0 {
			if err := r.lookQuiet(t); err != nil {
				return err
			}
		}
	}
	if len(t.proc.shared) > 0 {
		return r.sharedEffects(t, ev)
	}
	return nil
}

// capture reads memory ranges into the event. Ranges that can't be read were
// not written by the kernel either.
func (r *recorder) capture(t *task, ev *recording.Event, ranges []mem.Range) error {
	if len(ranges) == 0 {
		return nil
	}
	total := 0
	for _, g := range ranges {
		if g.Len > 1<<32 {
			return fmt.Errorf("%s: an output of %d bytes", t.call.Name, g.Len)
		}
		total += int(g.Len)
	}
	if total == 0 {
		return nil
	}
	buf := r.bytes.cut(total)
	spans, writes := r.spans[:0], r.writes[:0]
	off := 0
	for _, g := range ranges {
		if g.Len == 0 {
			continue
		}
		b := buf[off : off+int(g.Len)]
		off += int(g.Len)
		spans = append(spans, ptrace.Span{Addr: g.Addr, Data: b})
		writes = append(writes, recording.Write{Addr: g.Addr, Data: b})
	}
	r.spans, r.writes = spans[:0], writes[:0]
	n, err := ptrace.ReadV(t.tid, spans)
	if err != nil {
		if ptrace.Gone(err) {
			return err
		}
		if n < off {
			// One span failed: keep the others, each by itself.
			writes = writes[:0]
			for _, s := range spans {
				if (ptrace.Mem)(t.tid).ReadAt(s.Data, s.Addr) == nil {
					writes = append(writes, recording.Write{Addr: s.Addr, Data: s.Data})
				}
			}
		}
	}
	ev.Mem = append(ev.Mem, writes...)
	return nil
}
