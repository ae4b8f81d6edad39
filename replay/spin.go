package replay

import (
	"bytes"
	"fmt"

	unix "pyrr/internal/sys"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// A thread that waited in a loop which could not end by itself was stopped in
// one of its rounds, which are all alike. A replay stops it where it stands for
// the first time at the same instruction with the same registers and the same
// values in all memory that a round touches: then it would never have left
// either, so it is that very wait.

// maxSpinMem bounds the memory that a round touches.
const maxSpinMem = 1 << 14

// awaitSpin makes a thread stop wherever it comes to the instruction at which it
// stood then, until spinTaken. there says that it stands in the loop already.
func (p *Process) awaitSpin(t *Thread, ev *recording.Event) (there bool, err error) {
	n := 0
	for i := range ev.Mem {
		n += len(ev.Mem[i].Data)
	}
	if ev.Regs == nil || ev.Regs.PC() != ev.PC || n > maxSpinMem {
		return false, p.damaged("a loop without registers, or with %d bytes of memory", n)
	}
	if there, err := p.spins(t, ev); there || err != nil {
		return there, err
	}
	if _, ok := p.patches.find(ev.PC); ok {
		return false, nil // somebody has one there
	}
	if err := p.put(ev.PC, linux.Breakpoint); err != nil {
		return false, p.damaged("a loop at %#x: %v", ev.PC, err)
	}
	p.spin = ev.PC
	if t.regs.PC() == ev.PC {
		t.told = true // it is to go on from here
	}
	return false, nil
}

// spinTaken takes the breakpoint back.
func (p *Process) spinTaken() {
	if p.spin != 0 {
		p.take(p.spin) // an error says that the stub is gone, which the next call notices
		p.spin = 0
	}
}

// atSpin holds a thread that is in the loop against the event.
func (p *Process) atSpin(t *Thread, ev *recording.Event) error {
	left, used, err := p.counts()
	if err != nil {
		return err
	}
	t.told = false
	const trapped = unix.WaitStatus(0x7f | uint32(unix.SIGTRAP)<<8)
	return p.compare(t, ev, trapped, p.armed-uint64(left), used, false)
}

// spins reports whether a thread is in the loop of an event, in the state that
// repeats.
func (p *Process) spins(t *Thread, ev *recording.Event) (bool, error) {
	if ev.Stop != recording.StopSpin || ev.Regs == nil || !sameRegs(&t.regs, ev.Regs) {
		return false, nil
	}
	m := p.Mem()
	for i := range ev.Mem {
		w := &ev.Mem[i]
		b := make([]byte, len(w.Data))
		if m.ReadAt(b, w.Addr) != nil || !bytes.Equal(b, w.Data) {
			return false, nil
		}
	}
	x, err := ptrace.GetXState(t.tid, p.s.xstate)
	if err != nil {
		return false, fmt.Errorf("read the extended registers of thread %d: %w", t.TID, err)
	}
	return linux.SameVectors(x, ev.XState), nil
}

// sameRegs compares what a program can see of two sets of registers.
func sameRegs(a, b *linux.Regs) bool {
	return a.WithoutSegments() == b.WithoutSegments()
}
