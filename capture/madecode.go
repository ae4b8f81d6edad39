package capture

import (
	"bytes"
	"slices"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// Machine code that a program makes at run time holds instructions with changing
// results as files do, but not yet when its memory is mapped. What can be written and
// executed at once is made executable only when a thread first comes to a page of it:
// the fault tells an address where code begins, and what control flow reaches from
// there gets the traps. What is written first, and made executable by mprotect(2)
// later, is looked at then, from its beginning.
//
// Two things are not found: what replaces code that has run already, and code
// that a thread enters at another place of a page that was looked at.

// madeCode is memory that can be written and executed, of which a thread has executed
// nothing yet as far as it is hidden.
type madeCode struct {
	span
	prot uint64 // what the program asked for
}

const writeExec = unix.PROT_WRITE | unix.PROT_EXEC

// codeAsked notes what the call at hand has made executable.
func (r *recorder) codeAsked(t *task, start, end, prot uint64) {
	t.code = madeCode{}
	if prot&unix.PROT_EXEC == 0 || start >= end || t.proc.area == nil {
		return
	}
	for _, f := range t.proc.files {
		if f.start < end && start < f.end {
			return // a file's, or partly
		}
	}
	t.code = madeCode{span{start, end}, prot}
}

// codeMade deals with memory that the call of t has made executable, once the call is
// in the log.
func (r *recorder) codeMade(t *task) error {
	c := t.code
	t.code = madeCode{}
	p := t.proc
	if c.end == 0 {
		return nil
	}
	if c.prot&writeExec != writeExec {
		mem := r.trapMade(t, c.start, c.start, c.end)
		if len(mem) > 0 {
			r.log(p, &recording.Event{Kind: recording.KindFault, TID: int32(t.tid), Instr: p.base, Memory: recording.Memory{Mem: mem}})
		}
		return nil
	}
	if err := r.makeHelper(t); err != nil {
		return err
	}
	if err := r.protect(p, c.start, c.end, c.prot&^unix.PROT_EXEC); err != nil {
		return err
	}
	r.showShared(p, c.start, c.end, c.prot&^unix.PROT_EXEC)
	p.made = append(p.made, c)
	r.log(p, &recording.Event{Kind: recording.KindFault, TID: int32(t.tid), Instr: p.base,
		Memory: recording.Memory{Maps: []recording.Mapping{{Start: c.start, End: c.end, Prot: uint32(c.prot &^ unix.PROT_EXEC)}}}})
	return nil
}

// showShared notes with what protection a shared mapping is given back.
func (r *recorder) showShared(p *process, start, end, prot uint64) {
	for _, m := range p.shared {
		if m.start < end && start < m.end {
			m.prot = prot
		}
	}
}

// ownFault handles a fault that is there for the recorder alone. It reports whether it
// was one.
func (r *recorder) ownFault(t *task, regs *linux.Regs) (bool, error) {
	if ok, err := r.codeFault(t, regs); ok || err != nil {
		return ok, err
	}
	return r.sharedFault(t, t.info.Addr(), regs)
}

// codeFault handles the fault of a thread that comes to a hidden page of code.
func (r *recorder) codeFault(t *task, regs *linux.Regs) (bool, error) {
	const accessRefused = 2 // SEGV_ACCERR, asm-generic/siginfo.h
	const longest = 15      // of an instruction
	addr := t.info.Addr()
	if t.info.Code() != accessRefused || addr-regs.PC() >= longest {
		return false, nil
	}
	p := t.proc
	i := slices.IndexFunc(p.made, func(c madeCode) bool { return c.start <= addr && addr < c.end })
	if i < 0 {
		return false, nil
	}
	if m := p.findShared(addr); m != nil && m.obj.multi && m.obj.holder[m.unitOf(addr)] != m {
		return false, nil // another process has it
	}
	at, err := r.momentOfFault(t, regs)
	if err != nil {
		return true, err
	}
	c := p.made[i]
	ev := recording.Event{Kind: recording.KindFault, Memory: recording.Memory{Mem: r.trapMade(t, regs.PC(), c.start, c.end)}}
	page := addr &^ (pageSize - 1)
	if err := r.protect(p, page, page+pageSize, c.prot); err != nil {
		return true, err
	}
	ev.Maps = []recording.Mapping{{Start: page, End: page + pageSize, Prot: uint32(c.prot)}}
	if err := r.logAt(at, &ev); err != nil {
		return true, err
	}
	return true, r.runOn(t)
}

// trapMade puts traps into code that is entered at entry, and returns what it wrote.
func (r *recorder) trapMade(t *task, entry, lo, hi uint64) []recording.Write {
	read := func(addr uint64, b []byte) int {
		for n := len(b); n > 0; n-- {
			if (ptrace.Mem)(t.tid).ReadAt(b[:n], addr) == nil {
				return n
			}
		}
		return 0
	}
	var mem []recording.Write
	for _, s := range inject.MadeSites(read, entry, lo, hi) {
		if forceWrite(t.tid, s.Off, s.Trap()) != nil {
			continue
		}
		t.proc.patches[s.Off] = patch{site: s}
		mem = append(mem, recording.Write{Addr: s.Off, Data: s.Trap()})
	}
	return mem
}

// codeMoved follows memory that mremap(2) has moved.
func (proc *process) codeMoved(old, oldLen, at, newLen uint64) {
	for i := range proc.made {
		if c := &proc.made[i]; old <= c.start && c.end <= old+oldLen {
			c.start, c.end = c.start-old+at, min(c.end-old+at, at+newLen)
		}
	}
	moved := map[uint64]patch{}
	for a, p := range proc.patches {
		if old <= a && a < old+oldLen {
			delete(proc.patches, a)
			moved[a-old+at] = p
		}
	}
	for a, p := range moved {
		proc.patches[a] = p
	}
}

// codeGone forgets code whose memory is unmapped or protected otherwise.
func (p *process) codeGone(start, end uint64) {
	var keep []madeCode
	for _, c := range p.made {
		if c.end <= start || end <= c.start {
			keep = append(keep, c)
			continue
		}
		if c.start < start {
			keep = append(keep, madeCode{span{c.start, start}, c.prot})
		}
		if end < c.end {
			keep = append(keep, madeCode{span{end, c.end}, c.prot})
		}
	}
	p.made = keep
}

// restoreCode gives a process that is not recorded any more its code back. tid is one of
// its threads, stopped, or the thread of a copy of it.
func (r *recorder) restoreCode(p *process, tid int) {
	for _, c := range p.made {
		if t := r.tasks[tid]; p.helper != nil && (t == nil || t.pid == p.pid) {
			r.protect(p, c.start, c.end, c.prot)
			r.showShared(p, c.start, c.end, c.prot)
		} else if p.area != nil {
			undo := r.unfiltered(p, tid)
			ptrace.Inject(tid, p.area.Gadget, sys.SYS_MPROTECT, [6]uint64{c.start, c.end - c.start, c.prot}, ignoreStops)
			undo()
		}
		p.guarded = append(p.guarded, c.span)
	}
}

// stillTrapped reports whether a trap is where it was put: code that is made at run
// time may have been replaced.
func stillTrapped(tid int, addr uint64, s *inject.Site) bool {
	b := make([]byte, s.Len)
	return (ptrace.Mem)(tid).ReadAt(b, addr) == nil && bytes.Equal(b, s.Trap())
}
