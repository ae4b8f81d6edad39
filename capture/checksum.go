package capture

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logChecksums logs a checksum of every page of the writable private
// mappings of t's process. The replay computes the same and compares: the
// strongest proof there is that both are one execution.
func (r *recorder) logChecksums(t *task) error {
	p := t.proc
	maps, err := linux.ReadMaps(t.pid)
	if err != nil {
		return err
	}
	inFlight, stacks := p.inFlight(t), p.stackPointers()
	ev := recording.Event{Kind: recording.KindChecksum, TID: int32(t.tid), Instr: p.base}
	for _, m := range maps {
		if m.Prot&unix.PROT_WRITE == 0 || m.Shared || strings.HasPrefix(m.Path, "[v") {
			continue
		}
		if m.Start >= scratchBase && m.Start < scratchBase+scratchSize {
			continue
		}
		if m.Start >= areaBase && m.Start < areaBase+inject.AreaSize {
			continue // differs by design: the clock's function and its stack
		}
		if p.calls != nil && m.Start >= p.calls.img.Base && m.Start < p.calls.img.Base+p.calls.img.Size {
			continue // so is the buffer of calls
		}
		if p.clock != nil && m.Start <= p.clock.Budget && p.clock.Budget < m.End {
			continue // the budget is the engine's
		}
		live := m.Start // below it lies the unused part of a stack
		for _, rsp := range stacks {
			if rsp >= m.Start && rsp < m.End {
				live = max(live, rsp)
			}
		}
		sums := make([]byte, 0, (m.End-m.Start)/pageSize*4)
		buf := make([]byte, 1<<20)
		for at := m.Start; at < m.End; {
			n := min(uint64(len(buf)), m.End-at)
			if err := (ptrace.Mem)(t.tid).ReadAt(buf[:n], at); err != nil {
				return err
			}
			unsteady := r.unsteady(p)
			for off := uint64(0); off < n; off += pageSize {
				sum := max(crc32.Checksum(buf[off:off+pageSize], castagnoli), 1)
				if inFlight(at+off) || at+off < live || p.onLeftStack(at+off) || unsteady(at+off) {
					sum = 0 // not to be compared
				}
				sums = binary.LittleEndian.AppendUint32(sums, sum)
			}
			at += n
		}
		ev.Mem = append(ev.Mem, recording.Write{Addr: m.Start, Data: sums})
	}
	r.log(p, &ev)
	return nil
}

// unsteady tells pages of mapped files that others write to: what they did since the
// process was told of it last shows already, and is logged later.
func (r *recorder) unsteady(p *process) func(page uint64) bool {
	if len(p.quiet) == 0 {
		return func(uint64) bool { return false }
	}
	r.askOfFiles()
	var ranges []mem.Range
	for _, m := range p.quiet {
		if m.quiet.changed || m.gen != m.quiet.gen {
			ranges = append(ranges, mem.Range{Addr: m.start, Len: m.end - m.start})
		}
	}
	return func(page uint64) bool {
		return slices.ContainsFunc(ranges, func(g mem.Range) bool { return page >= g.Addr && page-g.Addr < g.Len })
	}
}

// stackPointers returns where the stacks of the threads end, for each that is
// known. What lies below is dead, and not all of it is reproducible: ld.so
// saves the extended registers there when it binds a function, and which of
// them the processor takes to be in use depends on context switches.
func (p *process) stackPointers() []uint64 {
	var all []uint64
	for _, t := range p.tasks {
		sp := t.regs.SP()
		var regs linux.Regs
		if t.stopped && ptrace.GetRegs(t.tid, &regs) == nil {
			sp = regs.SP()
		}
		if sp > linux.RedZone {
			all = append(all, sp-linux.RedZone)
		}
	}
	return all
}

// mostLeft is how many stacks without a thread are known at a time, and leftReach how
// much of each lies below what its thread had last.
const (
	mostLeft  = 256
	leftReach = 256 << 10
)

// leaveStack notes where the stack of a thread ended that is no more: below that lies
// what lies below the stacks of others.
func (p *process) leaveStack(t *task) {
	if sp := t.regs.SP(); sp > leftReach {
		p.deadStacks = append(p.deadStacks[max(0, len(p.deadStacks)-mostLeft+1):], sp)
	}
}

// onLeftStack tells a page below what a thread that is no more had of its stack.
func (p *process) onLeftStack(page uint64) bool {
	return slices.ContainsFunc(p.deadStacks, func(sp uint64) bool { return page < sp && page+leftReach > sp })
}

// inFlight tells pages that the kernel may be writing for threads inside a
// call: the log has those bytes only when the call ends.
func (p *process) inFlight(but *task) func(page uint64) bool {
	const reach = 128 << 10 // of a buffer whose length is not known
	var args []uint64
	var ranges []mem.Range
	for _, t := range p.tasks {
		if t != but && t.sys.open() {
			args = append(args, t.ev.Args[:]...)
			ranges = t.mayWrite(ranges)
		}
	}
	return func(page uint64) bool {
		for _, a := range args {
			if a >= pageSize && page+pageSize > a && page < a+reach {
				return true
			}
		}
		return slices.ContainsFunc(ranges, func(g mem.Range) bool { return page+pageSize > g.Addr && page < g.Addr+g.Len })
	}
}

// mayWrite appends what a thread's open call may have written: the memory of its
// arguments, as far as the call could go.
func (t *task) mayWrite(to []mem.Range) []mem.Range {
	const all = 0x7ffff000 // MAX_RW_COUNT of linux/fs.h
	for _, ret := range []int64{all, -int64(unix.EFAULT)} {
		if ranges, err := linux.Outputs(int(t.ev.Nr), t.ev.Args, ret, ptrace.Mem(t.tid), to); err == nil {
			to = ranges
		}
	}
	return to
}
