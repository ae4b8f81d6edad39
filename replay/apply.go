package replay

import (
	"errors"
	"fmt"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

const noFile = ^uint64(0)

// apply brings the process to an event, holds it against the log, and lets
// the event take effect.
func (p *Process) apply(ev *recording.Event) error {
	err := p.effect(ev)
	if _, known := errors.AsType[*KilledError](err); ptrace.Gone(err) && !known {
		return &KilledError{p.Info.ID, p.Number}
	}
	return err
}

func (p *Process) effect(ev *recording.Event) error {
	p.Instr = ev.Instr
	switch ev.Kind {
	case recording.KindStart:
		return p.begin(ev)
	case recording.KindEnd:
		if err := p.drain(); err != nil {
			return err
		}
		return p.end(ev)
	case recording.KindNote, recording.KindTimeout:
		return p.show(p.threads[ev.TID], ev)
	case recording.KindChecksum:
		return p.checksum(ev)
	}
	if p.pid == 0 {
		return p.diverged(ev, "the process has not begun")
	}
	if ev.Kind == recording.KindThread {
		return p.thread(ev)
	}
	t := p.threads[ev.TID]
	if t == nil {
		return p.diverged(ev, "there is no such thread")
	}
	if fed, err := p.fed(t, ev); fed || err != nil {
		return err
	}
	if ev.Stop != recording.StopNone && !p.arrived {
		if err := p.runTo(t, ev); err != nil {
			return err
		}
	}
	if err := p.unmapFed(t, ev); err != nil {
		return err
	}
	p.Instr = ev.Instr
	if ev.OutSum != 0 && ev.Stop != recording.StopNone {
		if err := p.checkOutput(t, ev); err != nil {
			return err
		}
	}
	if err := p.show(t, ev); err != nil {
		return err
	}
	return p.happen(t, ev)
}

// happen lets what an event of a thread says happen, now that the thread is there.
func (p *Process) happen(t *Thread, ev *recording.Event) error {
	switch ev.Kind {
	case recording.KindSyscall, recording.KindExit:
		if p.adapting() && ev.Kind == recording.KindExit {
			t.moveOutput(ev)
		}
		call := ev
		if ev.Kind == recording.KindExit {
			call = &t.enter
			if call.Kind == 0 {
				return p.diverged(ev, "the thread is in no system call")
			}
		}
		if err := p.finishCall(t, call, ev); err != nil {
			return err
		}
		t.enter = recording.Event{}
	case recording.KindEnter:
		t.enter = *ev
		if ev.Child != 0 {
			if err := p.born(t, ev, ev); err != nil {
				return err
			}
		}
	case recording.KindSignal, recording.KindInsn:
		t.told = false
		if ev.Regs == nil {
			return p.damaged("a %s event without registers", ev.Kind)
		}
		p.write(ev.Mem)
		if p.adapting() && ev.Kind == recording.KindInsn {
			ev.Regs = inject.Merged(&t.regs, ev.Regs, inject.Insn(ev.Nr), p.area)
		}
		if err := p.setState(t, ev); err != nil {
			return err
		}
		if ev.Kind == recording.KindSignal {
			t.enter = recording.Event{}
		}
	case recording.KindWrite, recording.KindFault:
		if ev.Kind == recording.KindWrite {
			p.mapped(ev.Maps)
		}
		if err := p.flush(t); err != nil {
			return err
		}
		for i := range ev.Maps {
			if err := p.mapIn(t, ev.Maps[i], ev.Kind == recording.KindFault); err != nil {
				return err
			}
		}
		p.write(ev.Mem)
		if ev.Kind == recording.KindWrite {
			p.clockBegins(ev.Clock(), ev.Text)
		}
	case recording.KindDeath:
		p.write(ev.Mem)
		return p.death(t, ev)
	case recording.KindSwitch, recording.KindReadings:
	default:
		return p.damaged("an event of unknown kind %d", ev.Kind)
	}
	return nil
}

// show calls the user's hook, with memory up to date.
func (p *Process) show(t *Thread, ev *recording.Event) error {
	if p.s.o.OnEvent == nil {
		return nil
	}
	if err := p.flush(t); err != nil {
		return err
	}
	return p.s.o.OnEvent(p, t, ev)
}

// write keeps bytes to be written before a thread runs or memory is read.
func (p *Process) write(ws []recording.Write) {
	if p.guard != nil {
		for _, w := range ws {
			p.guard.of.mark(w.Addr, w.Addr+uint64(len(w.Data)))
		}
	}
	for _, w := range ws {
		p.pending = append(p.pending, ptrace.Span{Addr: w.Addr, Data: w.Data})
		p.held += len(w.Data)
	}
}

// maxHeld is how many bytes of events wait to be written, so that a recording
// of events at which nothing runs can't fill pyrr's own memory.
const maxHeld = 64 << 20

// flush writes what is pending.
func (p *Process) flush(t *Thread) error {
	if len(p.pending) == 0 {
		return nil
	}
	if len(p.patches) > 0 {
		p.overwrite(p.pending)
	}
	err := p.poke(p.pending...)
	clear(p.pending) // the bytes are the recording's, and many
	p.pending, p.held = p.pending[:0], 0
	switch {
	case err == nil || Damaged(err):
	case ptrace.Gone(err) && p.s.watch.fired() == causeMemory:
		err = p.overrun(nil)
	case !ptrace.Gone(err):
		err = p.damaged("write to memory: %v", err)
	}
	return err
}

// finishCall gives a thread the result of a system call. call holds its
// number and arguments, ev its result.
func (p *Process) finishCall(t *Thread, call, ev *recording.Event) error {
	if err := p.echo(t, call, ev); err != nil {
		return err
	}
	if _, ok := linux.Lookup(int(call.Nr)); !ok && ev.Ret >= 0 {
		return p.damaged("system call %d is not known to this version of pyrr", call.Nr)
	}
	t.regs.SetResult(ev.Ret)
	t.regs.NoCall()
	t.dirty = true
	class, _ := linux.ClassOf(int(call.Nr), call.Args)
	switch class {
	case linux.AddressSpace:
		if err := p.spaceCall(t, call, ev); err != nil {
			return err
		}
	case linux.Process:
		if ev.Child != 0 {
			if err := p.born(t, call, ev); err != nil {
				return err
			}
		}
	case linux.Sigreturn:
		if ev.Regs != nil {
			if err := p.setState(t, ev); err != nil {
				return err
			}
		}
	}
	p.write(ev.Mem)
	return nil
}

// end closes the process's stream.
func (p *Process) end(ev *recording.Event) error {
	if err := p.show(p.threads[ev.TID], ev); err != nil {
		return err
	}
	p.done = true
	if ev.Why == recording.EndTruncated {
		p.s.res.Truncated, p.s.res.Why = true, ev.Text
		p.s.res.TruncatedAt = recording.Pos{Instr: ev.Instr, Event: p.Number}
	}
	p.s.res.Instructions += p.counted
	if b, err := mem.U8(p.Mem(), p.cell+cpython.CompiledCell); p.cell != 0 && err == nil && b != 0 {
		p.s.res.Compiled = true
	}
	p.kill()
	return nil
}

// death ends a thread.
func (p *Process) death(t *Thread, ev *recording.Event) error {
	delete(p.threads, t.TID)
	if t.tid == p.pid {
		// The leader of the stub holds the address space: it is kept, parked.
		p.parked = append(p.parked, t)
		return nil
	}
	if err := p.flush(t); err != nil {
		return err
	}
	if err := p.guarded(t, func() error { return ptrace.ExitThread(t.tid, gadgetBase) }); err != nil {
		return fmt.Errorf("end thread %d: %w", t.TID, err)
	}
	t.gone = true
	return nil
}

// damagedError says that the recording can't be what the recorder wrote.
type damagedError struct {
	proc  int
	event uint64
	err   error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("process %d, event %d: damaged recording: %v", e.proc, e.event, e.err)
}

func (e *damagedError) Unwrap() error { return e.err }

func (p *Process) damaged(format string, args ...any) error {
	return &damagedError{p.Info.ID, p.Number, fmt.Errorf(format, args...)}
}

// Damaged reports whether err says that the recording is damaged.
func Damaged(err error) bool {
	var d *damagedError
	var r *recording.DamagedError
	return errors.As(err, &d) || errors.As(err, &r)
}

// clockBegins takes in what a write says of the counting and of the buffer of
// calls.
func (p *Process) clockBegins(c recording.Clock, python string) {
	if c.Budget != 0 {
		p.cell, p.stubs, p.ClockBias = c.Budget, c.Stubs, c.Bias
		if c.Next > 0 {
			p.nextInstr, p.nextKnown = cpython.DecodeNextInstr(c.Next, parseVersion(python)), true
		}
		p.Info.Python = python
		p.unsynced = true
	}
	if c.Pauses != 0 {
		p.countPauses(c.Pauses)
	}
	if c.Calls != 0 {
		p.calls = newCallFeed(c.Calls)
	}
}
