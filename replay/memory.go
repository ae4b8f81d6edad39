package replay

import (
	"encoding/binary"
	"fmt"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

const pageSize = 4096

func pageUp(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }

// ownPage is the gadget's page. What lies there is executed with real system
// calls, so nothing of a recording may get there: neither bytes, nor a mapping.
func ownPage(start, length uint64) bool {
	return start < gadgetBase+pageSize && (start+length > gadgetBase || start+length < start)
}

// poke writes memory of the process. Every address here may come out of the
// recording.
func (p *Process) poke(spans ...ptrace.Span) error {
	for _, s := range spans {
		if ownPage(s.Addr, uint64(len(s.Data))) {
			return p.damaged("%d bytes at %#x, which is the replay's own", len(s.Data), s.Addr)
		}
	}
	return ptrace.WriteV(p.pid, spans)
}

// call makes the stub execute an address-space call.
func (p *Process) call(t *Thread, nr uint64, args ...uint64) (int64, error) {
	var a [6]uint64
	copy(a[:], args)
	if ownPage(a[0], pageUp(a[1])) || nr == unix.SYS_MREMAP && ownPage(a[4], pageUp(a[2])) {
		return 0, p.damaged("%s of %#x-%#x, which is the replay's own", name(int32(nr)), a[0], a[0]+a[1])
	}
	var ret int64
	err := p.guarded(t, func() (err error) {
		ret, err = ptrace.Inject(t.tid, gadgetBase, nr, a, nil)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("in the stub of process %d: %w", p.Info.ID, err)
	}
	return ret, nil
}

// mapIn makes a mapping at its recorded place. Shared mappings of the
// program become private ones: what others wrote into them is in the log.
func (p *Process) mapIn(t *Thread, m recording.Mapping, protectOnly bool) error {
	if m.Start%pageSize != 0 || m.End%pageSize != 0 || m.Start >= m.End || m.End > userTop+pageSize ||
		(m.Start < hookEnd && m.End > gadgetBase) {
		return p.damaged("a mapping at %#x-%#x", m.Start, m.End)
	}
	if err := p.unguard(t, m.Start, m.End); err != nil {
		return err
	}
	if protectOnly {
		ret, err := p.call(t, unix.SYS_MPROTECT, m.Start, m.End-m.Start, uint64(m.Prot))
		if err == nil && ret != 0 {
			err = p.damaged("protect %#x-%#x: %v", m.Start, m.End, unix.Errno(-ret))
		}
		return err
	}
	p.laid = append(p.laid, m)
	if p.guard != nil && m.File != 0 {
		p.s.cut.mapped = append(p.s.cut.mapped, m)
	}
	flags := uint64(unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_NORESERVE)
	fd, off := noFile, uint64(0)
	if m.File != 0 {
		n, ok := p.s.files[m.File]
		if !ok {
			return p.damaged("a mapping of file %d, which the recording does not hold", m.File)
		}
		fd, off = uint64(n), m.Offset
	} else {
		flags |= unix.MAP_ANONYMOUS
	}
	ret, err := p.call(t, unix.SYS_MMAP, m.Start, m.End-m.Start, uint64(m.Prot)&7, flags, fd, off)
	if err != nil {
		return err
	}
	if uint64(ret) != m.Start {
		return p.damaged("map %#x-%#x (%s): %v", m.Start, m.End, m.Name, unix.Errno(-ret))
	}
	return nil
}

// begin makes the process: from an image, or from the fork of its parent.
func (p *Process) begin(ev *recording.Event) error {
	if ev.Proc == nil {
		return p.damaged("a start without a process")
	}
	p.Info = *ev.Proc
	if c := p.s.cut; c != nil {
		c.born(&p.Info)
	}
	if p.Info.Fork {
		key := forkKey{p.Info.Parent, p.Info.ParentEvent}
		c := p.s.forks[key]
		if c == nil {
			return p.damaged("process %d did not fork it", p.Info.Parent)
		}
		delete(p.s.forks, key)
		p.inherit(&c.of)
		p.pid = c.pid
		p.threads[ev.TID] = &Thread{TID: ev.TID, tid: c.pid, regs: c.regs, dirty: true}
		p.write(ev.Mem)
		return p.show(p.threads[ev.TID], ev)
	}
	p.mapped(ev.Maps)
	pid, err := ptrace.StartStub(gadgetBase, p.s.keep)
	if err != nil {
		return err
	}
	p.pid = pid
	t := &Thread{TID: ev.TID, tid: pid}
	p.threads[ev.TID] = t
	if ev.Regs == nil {
		return p.damaged("an image without registers")
	}
	for _, m := range ev.Maps {
		if m.Name == "[stack]" {
			// The kernel lets the stack grow when it is touched; here all
			// that it may grow to is there from the start.
			if low := m.End - min(pageUp(max(ev.Proc.StackLimit, 1<<20)), m.End); low < m.Start && low > gadgetBase {
				m.Start = low
			}
		}
		if err := p.mapIn(t, m, false); err != nil {
			return err
		}
	}
	p.startArea = ev.Area()
	if a := &p.startArea; a.Base != 0 {
		if a.Cap > 1<<20 {
			return p.damaged("room for %d clock readings", a.Cap)
		}
		p.area = &inject.TimeFunc{FnCell: a.FnCell, Count: a.Count, Buf: a.Buf, Cap: int(a.Cap), Replay: a.Replay}
	}
	p.brk = ev.Proc.Brk
	p.write(ev.Mem)
	if err := p.flush(t); err != nil {
		return err
	}
	if p.area != nil {
		// The clock function of the recording called the kernel's vDSO; this
		// one leaves what is in the buffer.
		if err := p.poke(ptrace.Span{Addr: p.area.FnCell, Data: binary.LittleEndian.AppendUint64(nil, p.area.Replay)}); err != nil {
			return p.damaged("write the clock function: %v", err)
		}
	}
	if err := p.setState(t, ev); err != nil {
		return err
	}
	if c := p.s.cut; c != nil && c.later[p.Info.ID] {
		if err := c.program(p, t); err != nil {
			return err
		}
	}
	return p.show(t, ev)
}

// inherit takes over what a fork has of its parent.
func (p *Process) inherit(of *Process) {
	p.area, p.cell, p.stubs, p.brk, p.ClockBias = of.area, of.cell, of.stubs, of.brk, of.ClockBias
	p.pauseCell, p.pauseNow, p.pauseMark = of.pauseCell, of.pauseNow, of.pauseNow
	if of.calls != nil {
		p.calls = newCallFeed(of.calls.feed.Data())
	}
	p.modules, p.engine, p.patches = of.modules, of.engine, of.patches
	p.python, p.hooks = of.python.clone(), of.hooks.clone()
	p.python.tstates = nil
	p.laid, p.guard = of.laid[:len(of.laid):len(of.laid)], of.guard.clone()
	p.nextInstr, p.nextKnown, p.looked = of.nextInstr, of.nextKnown, of.looked
	p.unsynced, p.stale = true, of.hooks.mapped
	if p.python.rt != nil {
		p.python.rt.TID = p.threadOf
	}
}

// readyForCall prepares a stopped thread for calls that change its memory.
func (p *Process) readyForCall(t *Thread) error {
	// What is pending was written before the mapping changed.
	if err := p.flush(t); err != nil {
		return err
	}
	return p.settle(t)
}

// spaceCall repeats a call that changed the address space.
func (p *Process) spaceCall(t *Thread, call, ev *recording.Event) error {
	// Where there is a hole in the span, the kernel does the rest, or what lies
	// before it, and says ENOMEM (madvise(2), mprotect(2)).
	holes := ev.Ret == -int64(unix.ENOMEM) && (call.Nr == unix.SYS_MADVISE || call.Nr == unix.SYS_MPROTECT || call.Nr == unix.SYS_PKEY_MPROTECT)
	if ev.Ret < 0 && ev.Ret > -4096 && !holes {
		return nil
	}
	a := call.Args
	defer p.spaceChanged()
	if err := p.readyForCall(t); err != nil {
		return err
	}
	same := func(ret int64, err error) error {
		if err != nil {
			return err
		}
		if ret != ev.Ret {
			return p.diverged(ev, "%s returns %#x", name(call.Nr), uint64(ret))
		}
		return nil
	}
	switch call.Nr {
	case unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_PKEY_MPROTECT, unix.SYS_MADVISE, unix.SYS_MREMAP:
		if err := p.unguard(t, a[0], pageUp(a[0]+a[1])); err != nil {
			return err
		}
	}
	switch call.Nr {
	case unix.SYS_MMAP:
		p.mapped(ev.Maps)
		for _, m := range ev.Maps {
			if err := p.mapIn(t, m, false); err != nil {
				return err
			}
		}
		return nil
	case unix.SYS_MUNMAP:
		p.unmapped(a[0], pageUp(a[0]+a[1]))
		return same(p.call(t, uint64(call.Nr), a[0], a[1]))
	case unix.SYS_MPROTECT, unix.SYS_PKEY_MPROTECT:
		return same(p.call(t, unix.SYS_MPROTECT, a[0], a[1], a[2]))
	case unix.SYS_MADVISE:
		switch a[2] {
		case unix.MADV_DONTNEED, unix.MADV_REMOVE, unix.MADV_DONTFORK, unix.MADV_DOFORK, unix.MADV_WIPEONFORK, unix.MADV_KEEPONFORK:
			return same(p.call(t, uint64(call.Nr), a[0], a[1], a[2]))
		}
		return nil // a hint
	case unix.SYS_MREMAP:
		flags := a[3] &^ unix.MREMAP_FIXED
		to := uint64(ev.Ret)
		if to != a[0] {
			flags |= unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED
		}
		return same(p.call(t, uint64(call.Nr), a[0], a[1], a[2], flags, to))
	case unix.SYS_BRK:
		return p.setBrk(t, uint64(ev.Ret))
	case unix.SYS_ARCH_PRCTL:
		return p.setSegment(t, a)
	}
	return p.damaged("system call %s changes memory in a way that this version of pyrr does not know", name(call.Nr))
}

// setBrk moves the program break by plain mappings: the stub's own break is
// elsewhere.
func (p *Process) setBrk(t *Thread, to uint64) error {
	from, now := pageUp(p.brk), pageUp(to)
	p.brk = to
	switch {
	case now > from:
		return p.mapIn(t, recording.Mapping{Start: from, End: now, Prot: unix.PROT_READ | unix.PROT_WRITE, Name: "[heap]"}, false)
	case now < from:
		if err := p.unguard(t, now, from); err != nil {
			return err
		}
		ret, err := p.call(t, unix.SYS_MUNMAP, now, from-now)
		if err == nil && ret != 0 {
			err = p.damaged("shrink the heap to %#x: %v", to, unix.Errno(-ret))
		}
		return err
	}
	return nil
}

// born makes the thread or process that a call made. The new one stands
// where the call returns, with result 0.
func (p *Process) born(t *Thread, call, ev *recording.Event) error {
	flags := uint64(0)
	if call.Nr == unix.SYS_CLONE {
		flags = call.Args[0]
	}
	shares := call.Nr == unix.SYS_VFORK || flags&unix.CLONE_VM != 0
	key := forkKey{p.Info.ID, p.Number}
	if !shares && !slices.ContainsFunc(p.s.procs, func(c recording.Process) bool { return c.Fork && key == forkKey{c.Parent, c.ParentEvent} }) {
		return nil // nobody goes on from it
	}
	if err := p.flush(t); err != nil {
		return err
	}
	saved := t.regs
	if t.dirty {
		if err := ptrace.SetRegs(t.tid, &t.regs); err != nil {
			return fmt.Errorf("set registers: %w", err)
		}
	}
	real := uint64(ptrace.CloneFork)
	if shares {
		real = ptrace.CloneThread
	}
	tid, err := p.clone(t, real)
	if err != nil {
		return fmt.Errorf("make a thread for %s: %w", name(call.Nr), err)
	}
	regs := saved
	regs.SetResult(0)
	regs.NoCall()
	if call.Nr == unix.SYS_CLONE {
		if call.Args[1] != 0 {
			regs.SetSP(call.Args[1])
		}
		if flags&unix.CLONE_SETTLS != 0 {
			regs.SetTLS(call.Args[4])
		}
	}
	if shares {
		if p.threads[ev.Child] != nil {
			return p.damaged("thread %d exists already", ev.Child)
		}
		p.threads[ev.Child] = &Thread{TID: ev.Child, tid: tid, regs: regs, dirty: true}
		return nil
	}
	c := &stubChild{pid: tid, regs: regs}
	c.of.inherit(p)
	if old := p.s.forks[key]; old != nil {
		killStub(old.pid)
	}
	p.s.forks[key] = c
	return nil
}

// maxThreads bounds the threads of a process: each takes memory of the kernel's,
// whether it ever runs or not.
var maxThreads = 8192

// clone makes the stub's thread t make another, which is stopped.
func (p *Process) clone(t *Thread, flags uint64) (int, error) {
	if len(p.threads) >= maxThreads {
		return 0, p.damaged("more than %d threads at a time", maxThreads)
	}
	var tid uint64
	err := p.guarded(t, func() error {
		ret, err := ptrace.Inject(t.tid, gadgetBase, unix.SYS_CLONE, [6]uint64{flags}, func(st unix.WaitStatus) error {
			if ptrace.Event(st) == 0 {
				return fmt.Errorf("the thread %s", ptrace.Describe(st))
			}
			var err error
			tid, err = ptrace.EventMsg(t.tid)
			return err
		})
		if err != nil {
			return err
		}
		if ret < 0 || tid == 0 {
			return unix.Errno(-ret)
		}
		if _, st, err := ptrace.WaitFor(int(tid)); err != nil || !st.Stopped() {
			return fmt.Errorf("the new one %s: %w", ptrace.Describe(st), err)
		}
		return nil
	})
	return int(tid), err
}

// thread makes a thread that existed when the recording began.
func (p *Process) thread(ev *recording.Event) error {
	if p.threads[ev.TID] != nil {
		return p.damaged("thread %d exists already", ev.TID)
	}
	if p.Number >= uint64(len(p.threads))+1 {
		return p.damaged("a thread that existed from the start, after other events")
	}
	var lead *Thread
	for _, t := range p.threads {
		if t.tid == p.pid {
			lead = t
		}
	}
	if lead == nil || ev.Regs == nil {
		return p.damaged("a thread without registers, or without a process")
	}
	tid, err := p.clone(lead, ptrace.CloneThread)
	if err != nil {
		return fmt.Errorf("make thread %d: %w", ev.TID, err)
	}
	t := &Thread{TID: ev.TID, tid: tid}
	p.threads[ev.TID] = t
	if err := p.setState(t, ev); err != nil {
		return err
	}
	if ev.Why == recording.InCall {
		t.enter = *ev
		t.enter.Kind, t.enter.Why = recording.KindEnter, ""
	}
	return p.show(t, ev)
}

func name(nr int32) string {
	if c, ok := linux.Lookup(int(nr)); ok {
		return c.Name
	}
	return fmt.Sprintf("system call %d", nr)
}
