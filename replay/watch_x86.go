package replay

import (
	"fmt"

	"pyrr/internal/ptrace"
)

// watched is all that is watched at once: the n-th touch is the n-th of any of it.
type watched [maxWatches]Watch

func (w watched) list() []Watch {
	n := 0
	for n < len(w) && w[n].Len > 0 {
		n++
	}
	return w[:n]
}

// maxWatches is how many the processor has.
const maxWatches = 4

// Watch is memory that is watched by a debug register: Len of 1, 2, 4 or 8
// bytes, aligned to it.
type Watch struct {
	Addr uint64
	Len  int
	// Reads stops at reads too, as the processor offers it.
	Reads bool
}

// Debug registers (Intel SDM 3, 17.2): DR6 says which fired, DR7 switches on.
const (
	debugStatus  = 6
	debugControl = 7
)

// setWatches puts the watched memory into a thread's debug registers.
func (p *Process) setWatches(t *Thread) error {
	if t.watches == p.s.watchGen {
		return nil
	}
	if err := ptrace.SetDebugReg(t.tid, debugControl, 0); err != nil {
		return fmt.Errorf("clear debug registers: %w", err)
	}
	control := uint64(0)
	for i, w := range p.s.watches {
		if err := ptrace.SetDebugReg(t.tid, i, w.Addr); err != nil {
			return fmt.Errorf("watch %#x: %w", w.Addr, err)
		}
		kind := uint64(1) // writes
		if w.Reads {
			kind = 3
		}
		length := map[int]uint64{1: 0, 2: 1, 4: 3, 8: 2}[w.Len]
		control |= 1<<(2*i) | kind<<(16+4*i) | length<<(18+4*i)
	}
	if control != 0 {
		if err := ptrace.SetDebugReg(t.tid, debugControl, control); err != nil {
			return fmt.Errorf("set debug registers: %w", err)
		}
	}
	t.watches = p.s.watchGen
	return nil
}

// watched says whether a thread stopped because of watched memory.
func (p *Process) watched(t *Thread) (bool, error) {
	v, err := ptrace.DebugReg(t.tid, debugStatus)
	if err != nil {
		return false, fmt.Errorf("read debug registers: %w", err)
	}
	if v&0xf == 0 {
		return false, nil
	}
	return true, ptrace.SetDebugReg(t.tid, debugStatus, 0)
}
