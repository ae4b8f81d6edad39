package capture

import (
	"encoding/binary"
	"fmt"

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

// frameBytes reads the frame that the kernel put on the stack: from the new
// stack pointer to the old one, or, on an alternate stack, to the end of the
// XSAVE area, which lies highest (arch/x86/kernel/signal_64.c).
func (r *recorder) frameBytes(t *task, before, after *linux.Regs) ([]byte, error) {
	n := before.SP() - after.SP()
	if before.SP() < after.SP() || n > maxFrame {
		// ucontext: flags, link, stack_t at +16; the frame starts with the
		// return address. fpstate is at mcontext+184.
		const fpstate = 8 + 40 + 184
		fp, err := readU64(t.tid, after.SP()+fpstate)
		if err != nil {
			return nil, fmt.Errorf("read the signal frame: %w", err)
		}
		var legacy [fxsave]byte
		if err := (ptrace.Mem)(t.tid).ReadAt(legacy[:], fp); err != nil {
			return nil, fmt.Errorf("read the signal frame: %w", err)
		}
		n = fp + fpstateSize(&legacy) - after.SP()
		if fp < after.SP() || n > maxFrame {
			return nil, fmt.Errorf("a signal frame of %d bytes", n)
		}
	}
	b := make([]byte, n)
	if err := (ptrace.Mem)(t.tid).ReadAt(b, after.SP()); err != nil {
		return nil, fmt.Errorf("read the signal frame: %w", err)
	}
	return b, nil
}

// fxsave is the size of the area that FXSAVE writes, with which each XSAVE area begins.
const fxsave = 512

// fpstateSize is how much the kernel saved of the floating point state on a signal's
// frame, as the frame itself tells (struct _fpx_sw_bytes in uapi/asm/sigcontext.h). It is
// less than the XSAVE area that ptrace shows where the program did not ask for all of the
// processor's features, such as AMX.
func fpstateSize(legacy *[fxsave]byte) uint64 {
	const magic1, swBytes, extendedSize = 0x46505853, 464, 468
	if binary.LittleEndian.Uint32(legacy[swBytes:]) != magic1 {
		return fxsave
	}
	return max(fxsave, uint64(binary.LittleEndian.Uint32(legacy[extendedSize:])))
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
