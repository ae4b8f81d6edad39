package capture

import (
	"fmt"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// protect changes the protection of a part of an address space whose threads
// may all be waiting in the kernel.
func (r *recorder) protect(p *process, start, end, prot uint64) error {
	if p.helper == nil {
		return fmt.Errorf("process %d shares memory and has no helper", p.pid)
	}
	ret, err := ptrace.Inject(p.helper.tid, p.area.Gadget, sys.SYS_MPROTECT, [6]uint64{start, end - start, prot}, ignoreStops)
	if err != nil {
		return fmt.Errorf("protect shared memory of process %d: %w", p.pid, err)
	}
	if ret != 0 {
		return fmt.Errorf("protect shared memory of process %d: %w", p.pid, errnoOf(ret))
	}
	return nil
}

// take makes m the holder of a unit. The thread t, of m's process, is
// stopped. It returns what changed for that process, or errBusy.
func (r *recorder) take(t *task, m *sharedMap, unit uint64) (recording.Mapping, []recording.Write, error) {
	start, end := m.span(unit)
	if h := m.obj.other(m, unit); h != nil {
		if h.busy(r.kernel, unit, t) {
			return recording.Mapping{}, nil, errBusy
		}
		if err := r.revoke(h, unit); err != nil {
			return recording.Mapping{}, nil, err
		}
	}
	m.obj.holder[unit] = m
	if err := r.protect(m.proc, start, end, m.prot); err != nil {
		return recording.Mapping{}, nil, err
	}
	return recording.Mapping{Start: start, End: end, Prot: uint32(m.prot)}, m.changed(t.tid, start, end), nil
}

// revoke takes a unit from its holder, which runs no user code.
func (r *recorder) revoke(h *sharedMap, unit uint64) error {
	p := h.proc
	delete(h.obj.holder, unit)
	if p.mode != modeRecord || len(p.tasks) == 0 || p.helper == nil {
		return nil
	}
	start, end := h.span(unit)
	if start == end {
		return nil
	}
	h.changed(p.helper.tid, start, end) // its own writes are seen
	if err := r.protect(p, start, end, unix.PROT_NONE); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindFault, Instr: p.base, Memory: recording.Memory{Maps: []recording.Mapping{{Start: start, End: end}}}}
	if p.at != nil && !p.at.logged {
		return r.logAt(p.at, &ev)
	}
	r.logOpenOn(p)
	for _, t := range p.tasks {
		if !t.dead && !t.leadExit && t.state != stateNew {
			ev.TID = int32(t.tid)
			break
		}
	}
	r.log(p, &ev)
	return nil
}

// findShared finds the shared mapping that holds addr, if others show the
// same object and the unit is not m's.
func (p *process) findShared(addr uint64) *sharedMap {
	for _, m := range p.shared {
		if addr >= m.start && addr < m.end {
			if m.obj.multi {
				return m
			}
			return nil
		}
	}
	return nil
}

// makeHelper adds a thread of pyrr's own to an address space that shares
// memory: a process that never runs, through which protections can be
// changed while all of the program's threads wait in the kernel. t must be
// stopped in user mode or at a system call exit.
func (r *recorder) makeHelper(t *task) error {
	p := t.proc
	if p.helper != nil {
		return nil
	}
	if err := r.endDispatch(t); err != nil {
		return err
	}
	defer r.unfiltered(p, t.tid)()
	var child uint64
	ret, err := ptrace.InjectStops(t.tid, p.area.Gadget, sys.SYS_CLONE, [6]uint64{unix.CLONE_VM}, func(st unix.WaitStatus) error {
		if ptrace.Event(st) == unix.PTRACE_EVENT_CLONE {
			var err error
			child, err = ptrace.EventMsg(t.tid)
			return err
		}
		return r.injectedStop(t, st)
	})
	if err == nil && (ret < 0 || child == 0) {
		err = errnoOf(ret)
	}
	if err != nil {
		return fmt.Errorf("make a helper thread: %w", err)
	}
	h := &task{tid: int(child), pid: int(child), helper: true}
	if st, err := r.waits.For(h.tid); err != nil || !st.Stopped() {
		return fmt.Errorf("make a helper thread: it is %s: %w", ptrace.Describe(st), err)
	}
	h.stopped = true
	r.tasks[h.tid] = h
	p.helper = h
	var regs linux.Regs
	if err := ptrace.GetRegs(h.tid, &regs); err != nil {
		return err
	}
	// It must hold none of the program's pipes and sockets open, and the
	// terminal's signals are not for it.
	if _, err := ptrace.Inject(h.tid, p.area.Gadget, closeRange, [6]uint64{0, uint64(^uint32(0)), 0}, ignoreStops); err != nil {
		return fmt.Errorf("prepare the helper thread: %w", err)
	}
	_, err = ptrace.Inject(h.tid, p.area.Gadget, sys.SYS_SETSID, [6]uint64{}, ignoreStops)
	return err
}

// dropHelper ends the helper thread of a process.
func (r *recorder) dropHelper(p *process) {
	h := p.helper
	if h == nil {
		return
	}
	p.helper = nil
	h.dead = true
	ptrace.Kill(h.tid)
}

const closeRange = 436

func ignoreStops(unix.WaitStatus) error { return nil }
