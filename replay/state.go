package replay

import (
	"fmt"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// checkMode holds registers against what a recorded thread can have. What is
// recorded is 64-bit code: in another segment the same bytes are other
// instructions, and addresses other addresses.
func (p *Process) checkMode(r *linux.Regs) error {
	if !r.Is64() {
		return p.damaged("a thread with the code segment %#x, which is not that of 64-bit programs", r.Mode())
	}
	return nil
}

// setState gives a thread the registers that an event holds.
func (p *Process) setState(t *Thread, ev *recording.Event) error {
	if err := p.checkMode(ev.Regs); err != nil {
		return err
	}
	if b := ev.Regs.Bases(); b[0] >= userTop || b[1] >= userTop {
		return p.damaged("a thread with its segments at %#x and %#x", b[0], b[1])
	}
	t.regs, t.dirty = *ev.Regs, true
	if ev.Why != recording.InCall {
		// The kernel would take it for a call that is to be made again.
		t.regs.NoCall()
	}
	if len(ev.XState) == 0 {
		return nil
	}
	if err := p.s.setXState(t.tid, ev.XState); err != nil {
		return fmt.Errorf("set the extended registers: %w", err)
	}
	return nil
}
