package capture

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// Stubs lie near the code that leads to them: jumps and offsets of 32 bits reach 2 GiB.

const (
	lowest  = 1 << 20 // no gap begins below; the kernel forbids the first 64 KiB
	highest = 1 << 47
	// reach is how far the two ends of what refers to each other may be apart.
	reach = 1<<31 - 1<<20
	// margin is what is left free on both sides of stubs where there is room for it: the
	// program's own mappings grow.
	margin = 1 << 19
)

// gapNear finds a free span of so many bytes within reach of all of [lo, hi): below
// and close, where hardly anything grows; else above, away from the program's heap;
// else in the largest gap that there is.
func gapNear(maps []linux.Mapping, lo, hi, size uint64) (uint64, bool) {
	const wide, close, away = 1 << 20, 1 << 30, 1 << 29
	first, last := max(hi, lowest+reach)-reach, lo+reach // the span is to lie in [first, last)
	fits := func(at uint64) bool { return at >= first && at+size <= last }
	for i := len(maps) - 1; i >= 0; i-- {
		end := maps[i].Start
		if begin := gapBegin(maps, i); end <= lo && end >= begin+size+wide && lo-end+size < close {
			if at := end - size - margin; fits(at) {
				return at, true
			}
		}
	}
	for i := range maps {
		end := uint64(highest)
		if i+1 < len(maps) {
			end = maps[i+1].Start
		}
		if at := maps[i].End + away; maps[i].End >= hi && at+size < end && fits(at) {
			return at, true
		}
	}
	var best, room uint64
	for i := 0; i <= len(maps); i++ {
		begin, end := gapBegin(maps, i), uint64(highest)
		if i < len(maps) {
			if end = maps[i].Start; maps[i].Path == "[stack]" {
				end = max(begin, end-min(end, stackGuard)) // it grows down
			}
		}
		begin, end = max(begin, first), min(end, last)
		if end > begin && end-begin >= size+2*pageSize && end-begin > room {
			// Not right above what is there: heaps grow up. A page stays between two of
			// pyrr's, which the kernel would make one mapping of.
			room, best = end-begin, end-size-min(margin, (end-begin-size)/2)&^(pageSize-1)
		}
	}
	return best, room > 0
}

// gapBegin is where the gap before a mapping begins.
func gapBegin(maps []linux.Mapping, i int) uint64 {
	if i == 0 {
		return lowest
	}
	return max(maps[i-1].End, lowest)
}

// stackGuard is what the kernel keeps free below a stack that grows (stack_guard_gap).
const stackGuard = 1 << 20

// What pyrr put near the code of a process stays there when it lets go: a thread may be
// in the midst of it. Where it attaches again, the same stubs at the same place serve
// again, whatever threads stand in them.

// leftCode are the mappings in which such stubs may lie: code that is of no file.
func leftCode(maps []linux.Mapping) []linux.Mapping {
	var out []linux.Mapping
	for _, m := range maps {
		if m.Ino == 0 && m.Path == "" && !m.Shared && m.Prot == unix.PROT_READ|unix.PROT_EXEC {
			out = append(out, m)
		}
	}
	return out
}

// leftBefore finds an area of so many bytes that pyrr left in a process that it has
// attached to before, and that holds what would be put there. build says that for an
// address, code is the part of it that no running program changes. The area is in use
// from then on.
func (r *recorder) leftBefore(t *task, size, code uint64, build func(at uint64) ([]inject.Write, error)) (uint64, bool) {
	for i, m := range t.proc.left {
		if m.End-m.Start < code {
			continue
		}
		writes, err := build(m.Start)
		if err == nil && holds(t.tid, m.Start, code, writes) && mapped(t.pid, m.Start, size) {
			t.proc.left = append(t.proc.left[:i:i], t.proc.left[i+1:]...)
			return m.Start, true
		}
	}
	return 0, false
}

// holds says whether memory has what writes put into [at, at+n), and that is something.
func holds(tid int, at, n uint64, writes []inject.Write) bool {
	some := false
	for _, w := range writes {
		if w.Addr < at || w.Addr+uint64(len(w.Data)) > at+n {
			continue
		}
		b := make([]byte, len(w.Data))
		if (ptrace.Mem)(tid).ReadAt(b, w.Addr) != nil || !bytes.Equal(b, w.Data) {
			return false
		}
		some = some || len(b) > 0
	}
	return some
}

// mapped says whether all of a span is mapped, and of no file.
func mapped(pid int, at, size uint64) bool {
	maps, err := linux.ReadMaps(pid)
	if err != nil {
		return false
	}
	end := at
	for _, m := range maps {
		if m.Start <= end && m.End > end && m.Ino == 0 && !m.Shared {
			end = m.End
		}
	}
	return end >= at+size
}

// clearAgain makes a part of an area that is used again what it was at first: zeros.
func (r *recorder) clearAgain(t *task, at, size uint64) error {
	ret, err := r.inject(t, t.proc.area.Gadget, sys.SYS_MMAP, at, size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED, ^uint64(0), 0)
	if err == nil && uint64(ret) != at {
		err = errnoOf(ret)
	}
	if err != nil {
		return fmt.Errorf("use the area at %#x again: %w", at, err)
	}
	return nil
}

// mapNear maps memory for stubs of the code in [lo, hi). It returns 0 where there is no
// room.
func (r *recorder) mapNear(t *task, lo, hi, size, prot uint64) (uint64, error) {
	maps, err := linux.ReadMaps(t.pid)
	if err != nil {
		return 0, err
	}
	at, ok := gapNear(maps, lo, hi, size)
	if !ok {
		return 0, nil
	}
	ret, err := r.inject(t, t.proc.area.Gadget, sys.SYS_MMAP, at, size, prot,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uint64(0), 0)
	if err != nil || uint64(ret) != at {
		return 0, err
	}
	return at, nil
}

// callsArea makes the calls area; there is none where there is no room.
func (r *recorder) callsArea(t *task, find *pendingCalls, sites []inject.CallSite) (uint64, *inject.CallsArea, error) {
	var img *inject.CallsArea
	build := func(at uint64) (writes []inject.Write, err error) {
		if img, err = inject.BuildCalls(at, find.bias, sites); err != nil {
			return nil, err
		}
		return img.Writes, nil
	}
	size := inject.CallsSize(len(sites))
	if at, ok := r.leftBefore(t, size, inject.CallsCode(len(sites)), build); ok {
		// A thread that waits in a call stands in it behind the common code, as it would
		// in a new one.
		pass := img.Pass
		if err := r.stepOut(t.proc, func(pc uint64) bool { return pc >= pass.Addr && pc < pass.Addr+pass.Len }); err != nil {
			return 0, nil, err
		}
		// Nor is it known which selectors such threads still have.
		img.Selectors = 0
		data := img.Code.Addr + img.Code.Len
		return at, img, r.clearAgain(t, data, at+size-data)
	}
	at, err := r.mapNear(t, find.end, find.end, size, unix.PROT_READ|unix.PROT_EXEC)
	if err != nil || at == 0 {
		return 0, nil, err
	}
	if _, err := build(at); err != nil {
		return 0, nil, nil
	}
	data := img.Code.Addr + img.Code.Len
	if err := r.makeData(t, data, at+size-data); err != nil {
		return 0, nil, fmt.Errorf("protect the calls area: %w", err)
	}
	return at, img, nil
}

// clockArea is where the counting stubs of an interpreter go.
func (r *recorder) clockArea(t *task, find *pendingClock) (uint64, error) {
	const size = cpython.AreaCodeSize + cpython.AreaDataSize
	at, ok := r.leftBefore(t, size, cpython.AreaCodeSize, func(at uint64) ([]inject.Write, error) {
		in, err := find.clock.InstalledAt(find.bias, at)
		if err != nil {
			return nil, err
		}
		return []inject.Write{inject.Write(in.Writes[0])}, nil
	})
	if ok {
		return at, r.stepOut(t.proc, func(pc uint64) bool { return pc >= at && pc < at+cpython.AreaCodeSize })
	}
	lo, hi := find.clock.LoadRange()
	at, err := r.mapNear(t, lo+find.bias, hi+find.bias, size, unix.PROT_READ|unix.PROT_EXEC)
	if err == nil && at == 0 {
		err = fmt.Errorf("no room for the counting stubs near %#x", lo+find.bias)
	}
	if err != nil {
		return 0, err
	}
	if err := r.makeData(t, at+cpython.AreaCodeSize, cpython.AreaDataSize); err != nil {
		return 0, fmt.Errorf("protect the counting stubs: %w", err)
	}
	return at, nil
}

// makeData makes a part of what was mapped as code one that is written to, and not
// executed. The other way round is refused where memory that was ever written may not be
// executed (PR_SET_MDWE, systemd's MemoryDenyWriteExecute).
func (r *recorder) makeData(t *task, at, size uint64) error {
	ret, err := r.inject(t, t.proc.area.Gadget, sys.SYS_MPROTECT, at, size, unix.PROT_READ|unix.PROT_WRITE, 0, 0, 0)
	if err == nil && ret != 0 {
		err = errnoOf(ret)
	}
	return err
}

// pausesArea is where the stubs for the pauses of a file go, 0 where there is no room.
func (r *recorder) pausesArea(t *task, find *pendingPauses) (at, size uint64, err error) {
	if !slices.ContainsFunc(find.sites, func(s inject.PauseSite) bool { return s.How != inject.PauseTrap }) {
		return find.at.start, 0, nil // traps take none
	}
	size = inject.PauseSize(len(find.sites))
	at, ok := r.leftBefore(t, size, size, func(at uint64) ([]inject.Write, error) {
		img, err := inject.BuildPauses(at, find.bias, t.proc.pauseCell(), find.sites)
		if err != nil {
			return nil, err
		}
		return img.Writes, nil
	})
	if ok {
		return at, size, r.stepOut(t.proc, func(pc uint64) bool { return pc >= at && pc < at+size })
	}
	at, err = r.mapNear(t, find.at.start, find.at.end, size, unix.PROT_READ|unix.PROT_EXEC)
	return at, size, err
}
