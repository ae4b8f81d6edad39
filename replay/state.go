package replay

import (
	"fmt"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// checkMode holds registers against what a recorded thread can have. What is
// recorded is 64-bit code: in another segment the same bytes are other
// instructions, and addresses other addresses.
func (p *Process) checkMode(r *linux.Regs) error {
	if r.Cs != ptrace.UserCS {
		return p.damaged("a thread with the code segment %#x, which is not that of 64-bit programs", r.Cs)
	}
	return nil
}

// setState gives a thread the registers that an event holds.
func (p *Process) setState(t *Thread, ev *recording.Event) error {
	if err := p.checkMode(ev.Regs); err != nil {
		return err
	}
	if ev.Regs.FsBase >= userTop || ev.Regs.GsBase >= userTop {
		return p.damaged("a thread with its segments at %#x and %#x", ev.Regs.FsBase, ev.Regs.GsBase)
	}
	t.regs, t.dirty = *ev.Regs, true
	if ev.Why != recording.InCall {
		// The kernel would take it for a call that is to be made again.
		t.regs.OrigRax = nrNone
	}
	if len(ev.XState) == 0 {
		return nil
	}
	if err := p.s.setXState(t.tid, ev.XState); err != nil {
		return fmt.Errorf("set the extended registers: %w", err)
	}
	return nil
}
