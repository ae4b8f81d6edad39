package replay

import (
	"encoding/binary"
	"errors"
	"fmt"

	unix "pyrr/internal/sys"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// halt says why a thread that ran towards its next event stopped.
type halt uint8

const (
	haltEvent  halt = iota // it is at the event
	haltCount              // it stands at the dispatch that it was to stop at
	haltBreak              // it stands at an address with a breakpoint
	haltPython             // it stands at the dispatch of a bytecode instruction with one
	haltStep               // one machine instruction was executed
	haltWatch              // watched memory was touched by the instruction before
)

// noLimit is a count that no thread reaches.
const noLimit = ^uint64(0)

// runTo lets one thread run until the next event's stop, and compares. At
// the breakpoints on the way it calls the user's hook.
func (p *Process) runTo(t *Thread, ev *recording.Event) error {
	if p.s.o.OnLast != nil && ev.Kind == recording.KindSwitch && ev.Stop == recording.StopInstr && p.cell != 0 && ev.Instr > p.counted+LastAfter {
		if arrived, err := p.lastSteps(t, ev); arrived || err != nil {
			return err
		}
	}
	for {
		h, err := p.leg(t, ev, noLimit, false)
		if err != nil {
			return err
		}
		if h == haltEvent {
			return nil
		}
		if err := p.tell(t, ev); err != nil {
			return err
		}
	}
}

// leg lets a thread run towards the next event until something stops it: a
// breakpoint, the dispatch that makes the process's count limit, or the
// event, which is held against the log.
func (p *Process) leg(t *Thread, ev *recording.Event, limit uint64, step bool) (halt, error) {
	for {
		if err := p.sync(t); err != nil {
			return 0, err
		}
		if err := p.arm(t, ev, limit); err != nil {
			return 0, err
		}
		h, again, err := p.once(t, ev, limit, step)
		if err != nil {
			return 0, err
		}
		if h == haltStep && !step {
			continue // it was only to get past a breakpoint
		}
		if !again {
			return h, nil
		}
	}
}

// once lets a thread run until it stops, and tells what that is.
func (p *Process) once(t *Thread, ev *recording.Event, limit uint64, step bool) (h halt, again bool, err error) {
	if ev.Stop == recording.StopSpin {
		there, err := p.awaitSpin(t, ev)
		if err != nil {
			return 0, false, err
		}
		defer p.spinTaken()
		if there {
			return haltEvent, false, p.atSpin(t, ev)
		}
	}
	over, err := p.passOver(t)
	if err != nil {
		return 0, false, err
	}
	single := step || over != 0
	st, err := p.resume(t, ev, single)
	if err == nil && over != 0 {
		err = p.poke(ptrace.Span{Addr: over, Data: linux.Breakpoint})
	}
	if err != nil {
		return 0, false, err
	}
	return p.stopped(t, ev, st, limit, single)
}

// arm writes the budget that stops the thread in time, and once for each
// event what its clock readings are.
func (p *Process) arm(t *Thread, ev *recording.Event, limit uint64) error {
	var cells [24]byte
	if p.cell != 0 {
		if ev.Instr < p.counted {
			return p.damaged("the instruction count goes back from %d to %d", p.counted, ev.Instr)
		}
		total := ev.Instr
		if ev.Stop == recording.StopInstr {
			total-- // the dispatch that makes the count traps
		} else if p.adapting() {
			total += slack
		}
		if limit != noLimit && int64(limit-1-total) < 0 {
			total = limit - 1
		}
		if !p.primed || p.armed != total {
			binary.LittleEndian.PutUint64(cells[0:], total-p.counted)
			p.pending = append(p.pending, ptrace.Span{Addr: p.cell, Data: cells[0:8]})
			p.armed = total
		}
	}
	if err := p.armPauses(ev); err != nil {
		return err
	}
	readings := ev.Readings
	if !p.calls.empty() && !p.primed {
		if p.calls.thread != t {
			return p.damaged("calls of another thread in the buffer")
		}
		p.calls.readings = append(p.calls.readings, readings...)
		readings = p.calls.readings
		for _, w := range p.calls.feed.Writes(p.cell, p.armed, p.area.Count) {
			p.pending = append(p.pending, ptrace.Span{Addr: w.Addr, Data: w.Data})
		}
	}
	if p.area != nil && !p.primed {
		n := len(readings)
		if n > p.area.Cap*inject.ReadingSize {
			return p.damaged("%d bytes of clock readings", n)
		}
		p.unread = 0
		if ev.Kind == recording.KindReadings {
			// The buffer was full with what buffered calls have consumed
			// since, if those were replayed with stops.
			p.unread = uint64(p.area.Cap - n/inject.ReadingSize)
		}
		binary.LittleEndian.PutUint64(cells[8:], p.unread)
		p.pending = append(p.pending, ptrace.Span{Addr: p.area.Count, Data: cells[8:16]})
		if n > 0 {
			p.pending = append(p.pending, ptrace.Span{Addr: p.area.Buf + p.unread*inject.ReadingSize, Data: readings})
		}
	}
	p.primed = true
	return p.flush(t)
}

// passOver readies a thread to leave a place that was told already: past the
// hook of a dispatch, or with the instruction under a breakpoint put back,
// whose address it then returns.
func (p *Process) passOver(t *Thread) (uint64, error) {
	if !t.told {
		return 0, nil
	}
	t.told = false
	if target := p.hooks.handler(t.regs.PC()); target != 0 {
		t.regs.SetPC(target)
		t.dirty = true
		return 0, nil
	}
	i, ok := p.patches.find(t.regs.PC())
	if !ok || !p.patches[i].isBreak() {
		return 0, nil
	}
	return t.regs.PC(), p.poke(ptrace.Span{Addr: t.regs.PC(), Data: p.patches[i].orig})
}

// resume lets a thread run, by one machine instruction or freely, and waits
// for its stop.
func (p *Process) resume(t *Thread, ev *recording.Event, single bool) (unix.WaitStatus, error) {
	if t.dirty {
		if err := ptrace.SetRegs(t.tid, &t.regs); err != nil {
			return 0, fmt.Errorf("set registers: %w", err)
		}
		t.dirty = false
	}
	if err := p.setWatches(t); err != nil {
		return 0, err
	}
	if err := p.exchange(t); err != nil {
		return 0, err
	}
	run, traces := ptrace.Sysemu, false
	if single {
		run = ptrace.SysemuStep
		traces = p.leavesTrace(t.regs.PC())
	}
again:
	p.s.watch.begin(p.pid, t.tid, patience(p.time, ev.Time))
	if err := run(t.tid, 0); ptrace.Gone(err) {
		return 0, &KilledError{p.Info.ID, p.Number}
	} else if err != nil {
		return 0, fmt.Errorf("resume thread %d: %w", t.TID, err)
	}
	_, st, err := ptrace.WaitFor(t.tid)
	p.s.watch.rest()
	if p.guard != nil && err == nil && st.Stopped() && st.StopSignal() == unix.SIGSEGV {
		ok, ferr := p.faulted(t)
		if ferr != nil {
			return 0, ferr
		}
		if ok {
			goto again
		}
	}
	if err != nil {
		return 0, fmt.Errorf("wait for thread %d: %w", t.TID, err)
	}
	if !st.Stopped() {
		t.gone = true
		if err := p.overrun(ev); err != nil {
			return 0, err
		}
		if st.Signaled() && st.Signal() == unix.SIGKILL {
			return 0, &KilledError{p.Info.ID, p.Number}
		}
		return 0, p.diverged(ev, "the thread %s", ptrace.Describe(st))
	}
	if err := ptrace.GetRegs(t.tid, &t.regs); err != nil {
		return 0, fmt.Errorf("read registers: %w", err)
	}
	if err := p.checkMode(&t.regs); err != nil {
		return 0, err
	}
	if traces {
		err = p.clearTrace(&t.regs)
	}
	return st, err
}

// stopped tells what a stop is. again says that the thread is to run on.
func (p *Process) stopped(t *Thread, ev *recording.Event, st unix.WaitStatus, limit uint64, single bool) (h halt, again bool, err error) {
	left, used, err := p.counts()
	if err != nil {
		return 0, false, err
	}
	count := p.armed - uint64(left)
	r := &t.regs
	sig := st.StopSignal()
	atStub := sig == unix.SIGTRAP && p.stubs != 0 && r.PC() >= p.stubs && r.PC()-p.stubs < clockCode && (r.PC()-p.stubs)%stubSize == stubTrap
	if atStub {
		r.SetPC(r.PC() - (stubTrap - stubJump))
		r.ClearArithmetic()
		t.dirty = true
		if count == limit && (ev.Stop != recording.StopInstr || limit != ev.Instr) {
			p.counted = count
			t.told = true
			return haltCount, false, nil
		}
		return haltEvent, false, p.compare(t, ev, st, count, used, true)
	}
	if hook, ok := p.hooks.trap(r.PC(), sig); ok {
		p.counted = count
		r.SetPC(p.stubs + uint64(hook.stub)*stubSize + stubJump)
		r.ClearArithmetic()
		t.dirty = true
		return p.atHook(t, hook)
	}
	if sig == unix.SIGTRAP && !single {
		if i, ok := p.patches.find(r.PC() - linux.BehindBreakpoint); ok && p.patches[i].isBreak() {
			r.SetPC(r.PC() - linux.BehindBreakpoint)
			t.dirty, t.told = true, true
			p.counted = count
			if there, err := p.spins(t, ev); there || err != nil {
				return haltEvent, false, errors.Join(err, p.atSpin(t, ev))
			}
			return haltBreak, p.spin == r.PC(), nil
		}
	}
	if sig == unix.SIGTRAP && len(p.s.watches) > 0 {
		hit, err := p.watched(t)
		if err != nil {
			return 0, false, err
		}
		if hit {
			p.counted = count
			return haltWatch, false, nil
		}
	}
	if sig == unix.SIGTRAP && single {
		code, err := trapCode(t)
		if err != nil {
			return 0, false, err
		}
		if code == trapTrace {
			p.counted = count
			if there, err := p.spins(t, ev); there || err != nil {
				return haltEvent, false, errors.Join(err, p.atSpin(t, ev))
			}
			if p.spin == r.PC() {
				t.told = true // nothing is here but the wait for that
				return haltStep, false, nil
			}
			if i, ok := p.patches.find(r.PC()); ok && p.patches[i].isBreak() {
				t.told = true
				return haltBreak, false, nil
			}
			return haltStep, false, nil
		}
	}
	return haltEvent, false, p.compare(t, ev, st, count, used, false)
}

// trapTrace is the si_code of a SIGTRAP from a single step (TRAP_TRACE,
// asm-generic/siginfo.h).
const trapTrace = 2

func trapCode(t *Thread) (int, error) {
	var info ptrace.SigInfo
	if err := ptrace.GetSigInfo(t.tid, &info); err != nil {
		return 0, fmt.Errorf("read the trap's code: %w", err)
	}
	return info.Code(), nil
}

// stopAt describes a stop; of a trap it says what the processor told of it, too.
func stopAt(t *Thread, st unix.WaitStatus) string {
	text := fmt.Sprintf("%s at %#x", ptrace.Describe(st), t.regs.PC())
	if st.StopSignal() != unix.SIGTRAP {
		return text
	}
	code, err := trapCode(t)
	status, err2 := ptrace.DebugReg(t.tid, debugStatus)
	if err != nil || err2 != nil {
		return text
	}
	return fmt.Sprintf("%s (code %d, debug status %#x)", text, code, status)
}

// counts reads the counting cell and the number of clock readings used.
func (p *Process) counts() (left int64, used uint64, err error) {
	var b [24]byte
	spans := make([]ptrace.Span, 0, 3)
	if p.cell != 0 {
		spans = append(spans, ptrace.Span{Addr: p.cell, Data: b[0:8]})
	}
	if p.area != nil {
		spans = append(spans, ptrace.Span{Addr: p.area.Count, Data: b[8:16]})
	}
	if p.pauseCell != 0 {
		spans = append(spans, ptrace.Span{Addr: p.pauseCell, Data: b[16:24]})
	}
	if _, err := ptrace.ReadV(p.pid, spans); err != nil && len(spans) > 0 {
		return 0, 0, fmt.Errorf("read the counters: %w", err)
	}
	p.pauseNow = binary.LittleEndian.Uint64(b[16:])
	return int64(binary.LittleEndian.Uint64(b[0:])), binary.LittleEndian.Uint64(b[8:]) - p.unread, nil
}

// compare holds a stop against the event that was expected there. A thread
// that was stopped by a counting stub stands at the stub's jump by now.
func (p *Process) compare(t *Thread, ev *recording.Event, st unix.WaitStatus, count, used uint64, atStub bool) error {
	r := &t.regs
	sig := st.StopSignal()
	if err := p.lost(t, ev, sig, count); err != nil {
		return err
	}
	readings := uint64(len(ev.Readings) / inject.ReadingSize)
	if !p.calls.empty() {
		readings = uint64(len(p.calls.readings) / inject.ReadingSize)
		if err := p.checkFed(t, stopAt(t, st)); err != nil {
			return err
		}
	}
	if p.adapting() {
		p.adopt(t, ev, count, atStub)
	}
	what := ""
	switch ev.Stop {
	case recording.StopSyscall, recording.StopBuffered:
		switch {
		case atStub:
			what = fmt.Sprintf("the thread executes more than %d instructions without a system call", ev.Instr)
		case sig != ptrace.SyscallStop:
			what = "the thread " + stopAt(t, st)
		case int32(r.Number()) != ev.Nr:
			what = fmt.Sprintf("system call %s", p.describe(t))
		case r.Args() != ev.Args:
			what = fmt.Sprintf("its arguments are %#x instead of %#x", r.Args(), ev.Args)
		}
	case recording.StopInstr:
		if !atStub {
			what = "the thread " + stopAt(t, st)
		}
	case recording.StopPause:
		if atStub || sig != unix.SIGTRAP || p.pauseNow != 0 {
			what = "the thread " + stopAt(t, st)
		}
	case recording.StopSpin:
		if atStub || sig != unix.SIGTRAP || r.PC() != ev.PC {
			what = "the thread " + stopAt(t, st)
		}
	case recording.StopTrap:
		if atStub || sig == ptrace.SyscallStop {
			what = "the thread " + stopAt(t, st)
		}
	}
	if what == "" && p.cell != 0 && count != ev.Instr {
		what = fmt.Sprintf("it comes after %d instructions", count)
	}
	if what == "" && p.area != nil && used != readings {
		what = fmt.Sprintf("the clock was read %d times before it, not %d", used, readings)
	}
	if what == "" && r.PC() != ev.PC {
		what = fmt.Sprintf("program counter %#x instead of %#x", r.PC(), ev.PC)
	}
	if what == "" && recording.RegSum(r) != ev.RegSum {
		what = "other values in the callee-saved registers"
	}
	if what != "" {
		return p.diverged(ev, "%s", what)
	}
	p.counted = ev.Instr
	p.arrived = true
	p.markPauses(ev)
	return nil
}
