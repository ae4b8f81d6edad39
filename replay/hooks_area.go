package replay

import (
	"fmt"

	unix "pyrr/internal/sys"

	"pyrr/internal/ptrace"
)

// mapHooks makes the area of the hooks.
func (p *Process) mapHooks(t *Thread) error {
	h := &p.hooks
	if h.mapped {
		return nil
	}
	if err := p.settle(t); err != nil {
		return err
	}
	for _, m := range []struct{ at, size, prot uint64 }{
		{hookBase, hookCode, unix.PROT_READ | unix.PROT_EXEC},
		{hookCells, hookEnd - hookCells, unix.PROT_READ | unix.PROT_WRITE},
	} {
		const flags = unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
		ret, err := p.call(t, unix.SYS_MMAP, m.at, m.size, m.prot, flags, noFile, 0)
		if err != nil {
			return err
		}
		if uint64(ret) != m.at {
			return fmt.Errorf("map the hooks of breakpoints at %#x: %w", m.at, unix.Errno(-ret))
		}
	}
	h.mapped = true
	return nil
}

// settle gives a thread its registers, so that a call injected into it puts
// back the right ones.
func (p *Process) settle(t *Thread) error {
	if !t.dirty {
		return nil
	}
	if err := ptrace.SetRegs(t.tid, &t.regs); err != nil {
		return fmt.Errorf("set registers: %w", err)
	}
	t.dirty = false
	return nil
}

// unhook gives all stubs back.
func (p *Process) unhook() error {
	for n := range p.hooks.on {
		if err := p.take(p.stubs + uint64(n*stubSize) + stubJump); err != nil {
			return err
		}
	}
	clear(p.hooks.on)
	return nil
}
