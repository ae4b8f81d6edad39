package capture

import (
	"encoding/binary"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// crash logs the signal of an instruction that ends the process: where that is, and
// what it did. No handler's frame comes with it, and the registers are those of the
// instruction, at which a replay stops as well.
func (r *recorder) crash(t *task, regs *linux.Regs) error {
	info := t.info
	m, err := r.momentOf(t, recording.StopTrap, regs)
	if err != nil {
		return err
	}
	if _, err := r.undivert(t, 0); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindSignal, Nr: int32(t.sigstop)}
	for i := range ev.Args {
		ev.Args[i] = binary.LittleEndian.Uint64(info[8*i:])
	}
	if err := r.complete(m, &ev); err != nil {
		return err
	}
	at := *regs
	ev.Regs = &at
	if ev.XState, err = ptrace.GetXState(t.tid, r.xstate); err != nil {
		return err
	}
	r.log(t.sp, &ev)
	return nil
}
