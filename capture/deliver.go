package capture

import (
	"encoding/binary"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"

	"golang.org/x/sys/unix"
)

// deliver lets the kernel build the handler's frame for a thread in a
// signal-delivery-stop, and logs what it built. The thread must hold the
// slot.
func (r *recorder) deliver(m *moment, info *ptrace.SigInfo) error {
	t, p := m.t, m.t.proc
	sig := info.Signo()
	if _, err := r.undivert(t, 0); err != nil {
		return err
	}
	var before linux.Regs
	if err := ptrace.GetRegs(t.tid, &before); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindSignal, Nr: int32(sig)}
	for i := range ev.Args {
		ev.Args[i] = binary.LittleEndian.Uint64(info[8*i:])
	}
	if err := r.complete(m, &ev); err != nil {
		return err
	}
	if t.sys == callLogged || t.sys == callInterrupted {
		// What the kernel wrote although the call was cut short: the rest of
		// a sleep, the rest of a time-out.
		ranges, err := linux.Outputs(int(t.ev.Nr), t.ev.Args, -int64(unix.EINTR), ptrace.Mem(t.tid), r.ranges[:0])
		if err == nil {
			if err := r.capture(t, &ev, append([]mem.Range(nil), ranges...)); err != nil {
				return err
			}
		}
	}
	if err := ptrace.SetSigInfo(t.tid, info); err != nil {
		return err
	}
	if err := ptrace.Step(t.tid, sig); err != nil {
		return err
	}
	st, err := r.waitSync(t)
	if err != nil {
		return err
	}
	if ptrace.Event(st) != 0 || st.StopSignal() != unix.SIGTRAP {
		// The frame did not fit on the stack, or the like: the kernel raises
		// SIGSEGV, which ends the process unless it has a stack for it.
		t.sys.move(moveDrop)
		return r.dispatch(t, st)
	}
	var after linux.Regs
	if err := ptrace.GetRegs(t.tid, &after); err != nil {
		return err
	}
	frame, err := r.frameBytes(t, &before, &after)
	if err != nil {
		return err
	}
	ev.Mem = append(ev.Mem, recording.Write{Addr: after.SP(), Data: frame})
	ev.Regs = &after
	if ev.XState, err = r.xstateOf(t.tid); err != nil {
		return err
	}
	t.sys.move(moveDrop)
	t.ev.Kind = 0
	if err := r.noteMask(t); err != nil {
		return err
	}
	r.log(p, &ev)
	return r.runOn(t)
}

// sigreturnEffects takes the registers that rt_sigreturn(2) restored.
func (r *recorder) sigreturnEffects(t *task, ev *recording.Event) error {
	var regs linux.Regs
	if err := ptrace.GetRegs(t.tid, &regs); err != nil {
		return err
	}
	ev.Regs = &regs
	var err error
	ev.XState, err = r.xstateOf(t.tid)
	t.ev.Kind = 0
	return err
}
