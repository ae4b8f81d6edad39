package replay

import (
	"fmt"
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
)

// patch is bytes of the program that the replay has replaced by its own: the
// code of a breakpoint, a counting stub that leads to a hook. Nobody who
// reads the process's memory sees it.
type patch struct {
	addr      uint64
	orig, now []byte
}

// isBreak tells a breakpoint from a stub.
func (p *patch) isBreak() bool { return len(p.orig) == len(linux.Breakpoint) }

// patches are sorted by address and do not overlap.
type patches []patch

func (ps patches) find(addr uint64) (int, bool) {
	return slices.BinarySearchFunc(ps, addr, func(p patch, a uint64) int {
		switch {
		case p.addr < a:
			return -1
		case p.addr > a:
			return 1
		}
		return 0
	})
}

// hide puts the original bytes into what was read at addr.
func (ps patches) hide(b []byte, addr uint64) {
	i, _ := ps.find(addr)
	if i > 0 {
		i-- // may reach into the range
	}
	for ; i < len(ps) && ps[i].addr < addr+uint64(len(b)); i++ {
		p := &ps[i]
		switch {
		case p.addr >= addr:
			copy(b[p.addr-addr:], p.orig)
		case p.addr+uint64(len(p.orig)) > addr:
			copy(b, p.orig[addr-p.addr:])
		}
	}
}

// put replaces bytes of the process.
func (p *Process) put(addr uint64, now []byte) error {
	orig := make([]byte, len(now))
	if err := (ptrace.Mem)(p.pid).ReadAt(orig, addr); err != nil {
		return err
	}
	if err := p.poke(ptrace.Span{Addr: addr, Data: now}); err != nil {
		return fmt.Errorf("patch %#x: %w", addr, err)
	}
	i, ok := p.patches.find(addr)
	if ok {
		return fmt.Errorf("patch %#x: there is one already", addr)
	}
	p.patches = slices.Insert(slices.Clip(p.patches), i, patch{addr, orig, now})
	return nil
}

// take gives the bytes back.
func (p *Process) take(addr uint64) error {
	i, ok := p.patches.find(addr)
	if !ok {
		return nil
	}
	orig := p.patches[i].orig
	p.patches = slices.Delete(slices.Clone(p.patches), i, i+1)
	// What is not mapped any more needs nothing.
	if err := p.poke(ptrace.Span{Addr: addr, Data: orig}); err != nil && ptrace.Gone(err) {
		return err
	}
	return nil
}

// overwrite keeps patches in place where the log writes over them.
func (p *Process) overwrite(spans []ptrace.Span) {
	for k, s := range spans {
		for i := range p.patches {
			q := &p.patches[i]
			lo, hi := max(q.addr, s.Addr), min(q.addr+uint64(len(q.orig)), s.Addr+uint64(len(s.Data)))
			if lo >= hi {
				continue
			}
			// The recording's bytes and the patch are shared: both are copied.
			spans[k].Data = slices.Clone(spans[k].Data)
			q.orig = slices.Clone(q.orig)
			copy(q.orig[lo-q.addr:hi-q.addr], s.Data[lo-s.Addr:])
			copy(spans[k].Data[lo-s.Addr:hi-s.Addr], q.now[lo-q.addr:])
		}
	}
}

// forget drops patches in a range that was mapped again, or unmapped.
func (p *Process) forget(lo, hi uint64) {
	if !slices.ContainsFunc(p.patches, func(q patch) bool { return q.addr >= lo && q.addr < hi }) {
		return
	}
	p.patches = slices.DeleteFunc(slices.Clone(p.patches), func(q patch) bool { return q.addr >= lo && q.addr < hi })
	p.unsynced = true
}

// memory reads a process without its patches.
type memory struct {
	raw ptrace.Mem
	ps  patches
}

// ReadAt implements mem.Reader.
func (m memory) ReadAt(b []byte, addr uint64) error {
	if err := m.raw.ReadAt(b, addr); err != nil {
		return err
	}
	m.ps.hide(b, addr)
	return nil
}

// ReadBatch is ReadAt for many ranges; see ptrace.Mem.
func (m memory) ReadBatch(bufs [][]byte, addrs []uint64) int {
	n := m.raw.ReadBatch(bufs, addrs)
	for i := range n {
		m.ps.hide(bufs[i], addrs[i])
	}
	return n
}

// Mem reads the memory of the process as it is at the event at hand, without
// anything that the replay has put into it.
func (p *Process) Mem() mem.Reader {
	if p.guard != nil {
		return watchedMem{p.guard.reader(p.pid), p.guard.of}
	}
	if len(p.patches) == 0 {
		return ptrace.Mem(p.pid)
	}
	return memory{ptrace.Mem(p.pid), p.patches}
}

// Unnoted reads memory as Mem does, but what it reads is not kept on that
// account by Shorten. Where there are breakpoints it shows them.
func (p *Process) Unnoted() mem.Reader { return ptrace.Mem(p.pid) }
