package capture

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// frozen is a fork of a process that never runs: it keeps the bytes that the
// process's memory had.
type frozen struct {
	pid  int
	proc ptrace.Process
	// parent is the process that has to wait for it in the end; nil where
	// that is pyrr itself.
	parent *process
	// copies hold what a fork shares with the process instead of copying it.
	copies []recording.Write
	quiet  []quietSpan // mapped from files that did not change since
	skip   []span      // memory that nothing is to be taken of
	engine []engineSpan
	// ahead, where not nil, is what it holds: pid is the process itself then, and runs.
	ahead *ahead
	// itself: the kernel makes no fork, so it is the process, which stands still until it
	// is read.
	itself bool
}

// mappings are those that it has.
func (f *frozen) mappings() ([]linux.Mapping, error) {
	if f.ahead != nil {
		return f.ahead.maps, nil
	}
	return linux.ReadMaps(f.pid)
}

// memory is what it holds.
func (f *frozen) memory() mem.PartReader {
	if f.ahead != nil {
		return f.ahead
	}
	return ptrace.Mem(f.pid)
}

// engineSpan is memory of pyrr's own, and what a recording calls it.
type engineSpan struct {
	span
	name string
}

// engineSpans lists what pyrr has mapped into a process.
func (p *process) engineSpans() []engineSpan {
	list := []engineSpan{{span{p.area.Base, p.area.Base + inject.AreaSize}, nameArea}}
	if p.clock != nil {
		list = append(list, engineSpan{span{p.clockArea, p.clockArea + cpython.AreaCodeSize + cpython.AreaDataSize}, nameClock})
	}
	if p.calls != nil {
		list = append(list, engineSpan{span{p.calls.img.Base, p.calls.img.Base + p.calls.img.Size}, nameCalls})
	}
	for _, s := range p.pauses.areas {
		list = append(list, engineSpan{s, namePauses})
	}
	return list
}

// Names of pyrr's own mappings in a recording.
const (
	nameArea   = "[pyrr]"
	nameClock  = "[pyrr clock]"
	nameCalls  = "[pyrr calls]"
	namePauses = "[pyrr pauses]"
)

// maxShared bounds the shared memory that is copied while a process waits.
const maxShared = 64 << 20

// canFreeze says why no image can be taken of t's process just now.
func (r *recorder) canFreeze(t *task) error {
	p := t.proc
	if p.area == nil {
		return fmt.Errorf("process %d has not begun", p.pid)
	}
	if len(t.deferred) > 0 && p.clock == nil {
		return fmt.Errorf("a signal waits for thread %d", t.tid)
	}
	for _, o := range p.tasks {
		switch {
		case o.vfork || o.pid != p.pid:
			return fmt.Errorf("process %d is being started in its memory", o.pid)
		case o.execing:
			return fmt.Errorf("thread %d is executing another program", o.tid)
		case o.leadExit:
			return fmt.Errorf("its first thread has ended")
		case o.strange && o.sys.open():
			return fmt.Errorf("thread %d makes a call that can't be recorded", o.tid)
		case o.state == stateNew:
			return fmt.Errorf("thread %d has not begun", o.tid)
		}
	}
	for _, w := range r.waiters {
		if w.t.proc == p {
			return fmt.Errorf("thread %d waits for memory of another process", w.t.tid)
		}
	}
	size := uint64(0)
	for _, m := range p.shared {
		size += m.end - m.start
	}
	if size > maxShared {
		return fmt.Errorf("it shares %d MB of memory", size>>20)
	}
	return nil
}

// describeThreads notes the state of all threads of t's process.
func (r *recorder) describeThreads(t *task, ep *epoch) error {
	p := t.proc
	cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", t.pid))
	var regs linux.Regs
	if err := ptrace.GetRegs(t.tid, &regs); err != nil {
		return err
	}
	x, err := r.xstateOf(t.tid)
	if err != nil {
		return err
	}
	regs.NoCall()
	c := &p.area.Time
	ep.first = recording.Event{
		Kind: recording.KindStart, TID: int32(t.tid), Regs: &regs, XState: x, Time: r.since(), Open: openFDs(t.pid),
		Args: recording.Area{Base: p.area.Base, FnCell: c.FnCell, Count: c.Count, Buf: c.Buf, Cap: uint64(c.Cap), Replay: c.Replay}.Words(),
		Proc: &recording.Process{
			PID: p.pid, Exe: p.exe, Argv: p.argv, Env: p.env, Cwd: cwd, Python: p.python,
			Start: r.start.UnixNano() + r.since(), Brk: p.brk, StackLimit: stackLimit(p.pid),
		},
	}
	for _, o := range p.tasks {
		if o == t {
			continue
		}
		ev := recording.Event{Kind: recording.KindThread, TID: int32(o.tid), Time: r.since()}
		regs := new(linux.Regs)
		switch {
		case o.sys.open() || o.state == stateDying:
			// Inside a call: it is where it entered, and its result is still
			// to come.
			*regs = o.regs
			ev.Why, ev.Nr, ev.Args = recording.InCall, o.ev.Nr, o.ev.Args
			ev.In = append([]byte(nil), o.ev.In...)
			ev.XState = append([]byte(nil), o.xstate...)
		case o.stopped && o.state == stateReady:
			if err := ptrace.GetRegs(o.tid, regs); err != nil {
				return err
			}
			x, err := r.xstateOf(o.tid)
			if err != nil {
				return err
			}
			ev.XState = x
			regs.NoCall()
		default:
			return fmt.Errorf("thread %d is in state %d", o.tid, o.state)
		}
		ev.Regs = regs
		ep.rest = append(ep.rest, ev)
	}
	if p.calls != nil {
		ep.rest = append(ep.rest, recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Time: r.since(),
			Args: recording.Clock{Calls: p.calls.img.Data}.Words()})
	}
	if p.pauses.on {
		ep.rest = append(ep.rest, recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Time: r.since(),
			Args: recording.Clock{Pauses: p.pauseCell()}.Words()})
	}
	if p.clock != nil {
		ep.rest = append(ep.rest, recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Time: r.since(),
			Args: recording.Clock{Budget: p.clock.Budget, Stubs: p.clockArea, Bias: p.clockBias, Next: p.clockReg}.Words(), Text: p.python})
	}
	return nil
}

// freeze forks t's process. The child is closed to everything outside at
// once: it must hold none of the program's pipes and sockets open.
func (r *recorder) freeze(t *task) (*frozen, error) {
	p := t.proc
	r.reapFrozen(t)
	f := &frozen{engine: p.engineSpans()}
	// The program must not find the child by waiting for its children. That
	// of the command itself is made pyrr's own; another has no exit signal,
	// so that only who asks for such children finds it (wait(2), __WCLONE),
	// and pyrr makes its parent do so.
	flags := uint64(0)
	if p.pid == r.rootPID && !r.attached {
		flags = unix.CLONE_PARENT | uint64(unix.SIGCHLD)
	} else {
		f.parent = p
	}
	defer r.unfiltered(p, t.tid)()
	child, ret, err := r.injectFork(t, flags)
	if err == nil && (ret < 0 || child == 0) {
		err = errnoOf(ret)
	}
	if err != nil {
		return nil, fmt.Errorf("fork it: %w", err)
	}
	f.pid = int(child)
	f.proc = ptrace.OpenProcess(f.pid)
	fail := func(err error) (*frozen, error) {
		r.thaw(f)
		return nil, fmt.Errorf("prepare its image: %w", err)
	}
	if st, err := r.waits.For(f.pid); err != nil || !st.Stopped() {
		return fail(fmt.Errorf("it %s: %v", ptrace.Describe(st), err))
	}
	ret, err = ptrace.Inject(f.pid, p.area.Gadget, closeRange, [6]uint64{0, uint64(^uint32(0)), 0}, ignoreStops)
	if err != nil {
		return fail(err)
	}
	if ret != 0 {
		if err := r.closeAll(f.pid, p.area.Gadget); err != nil {
			return fail(err)
		}
	}
	if r.attached {
		nameCopy(f.pid, p.area.Gadget, p.area.Scratch())
	}
	unix.SchedSetaffinity(f.pid, &r.cpus) // it ends beside the program
	if err := f.copyShared(r, t); err != nil {
		return fail(err)
	}
	return f, nil
}

// freezeItself is for a process that can't be forked: it must not run before what freezes
// is read.
func (r *recorder) freezeItself(t *task) (*frozen, error) {
	f := &frozen{pid: t.proc.pid, itself: true, engine: t.proc.engineSpans()}
	if err := f.copyShared(r, t); err != nil {
		return nil, fmt.Errorf("prepare its image: %w", err)
	}
	return f, nil
}

// injectFork makes a stopped thread fork by clone(2), and returns the child and the
// call's result. The kernel does not fork while a signal is on its way (copy_process,
// kernel/fork.c): that is taken in then, and the call made again.
func (r *recorder) injectFork(t *task, flags uint64) (child uint64, ret int64, err error) {
	const most = 100
	for range most {
		ret, err = ptrace.InjectStops(t.tid, t.proc.area.Gadget, sys.SYS_CLONE, [6]uint64{flags}, func(st unix.WaitStatus) error {
			switch ptrace.Event(st) {
			case unix.PTRACE_EVENT_CLONE, unix.PTRACE_EVENT_FORK:
				var err error
				child, err = ptrace.EventMsg(t.tid)
				return err
			}
			return r.injectedStop(t, st)
		})
		if err != nil || ret != eRestartNoIntr {
			break
		}
	}
	return child, ret, err
}

// closeAll closes the descriptors of a stopped process one by one, for
// kernels before 5.9.
func (r *recorder) closeAll(pid int, gadget uint64) error {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return err
	}
	for _, e := range list {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, err := ptrace.Inject(pid, gadget, sys.SYS_CLOSE, [6]uint64{uint64(fd)}, ignoreStops); err != nil {
			return err
		}
	}
	return nil
}

// copyShared takes what a fork does not freeze: shared memory, and what the
// program keeps from forks.
func (f *frozen) copyShared(r *recorder, t *task) error {
	proc := t.proc
	if proc.calls != nil {
		img := proc.calls.img
		f.skip = append(f.skip, span{img.Data, img.Base + img.Size}) // a replay begins with zeros there
	}
	f.freezeQuiet(proc, t.tid)
	for _, m := range proc.shared {
		f.skip = append(f.skip, span{m.start, m.end})
		m.noFile = 0 // the image has all of it accessible
		for u := m.off / unitSize; u*unitSize < m.off+m.end-m.start; u++ {
			start, end := m.span(u)
			if start == end {
				continue
			}
			if m.obj.multi && m.obj.holder[u] != m {
				// Held by another process: replay begins with zeros, and gets
				// all of it with the first touch.
				for p := (m.off + start - m.start) / pageSize; p*pageSize < m.off+end-m.start; p++ {
					delete(m.seen, p)
				}
				continue
			}
			b := make([]byte, end-start)
			if err := (ptrace.Mem)(t.tid).ReadAt(b, start); err != nil {
				b = readPages(t.tid, start, end)
			}
			f.copies = append(f.copies, recording.Write{Addr: start, Data: b})
		}
	}
	for _, s := range proc.noFork {
		f.skip = append(f.skip, s)
		b := make([]byte, s.end-s.start)
		if err := (ptrace.Mem)(t.tid).ReadAt(b, s.start); err != nil {
			b = readPages(t.tid, s.start, s.end)
		}
		f.copies = append(f.copies, recording.Write{Addr: s.start, Data: b})
	}
	return nil
}

// readPages reads what can be read of a span; the rest is zeros, as beyond
// the end of a mapped file.
func readPages(tid int, start, end uint64) []byte {
	b := make([]byte, end-start)
	for at := start; at < end; at += pageSize {
		page := b[at-start:][:pageSize]
		if (ptrace.Mem)(tid).ReadAt(page, at) != nil {
			clear(page)
		}
	}
	return b
}

// thaw ends a frozen process that is not needed any more.
func (r *recorder) thaw(f *frozen) {
	if f == nil {
		return
	}
	f.end()
	if f.parent != nil {
		f.parent.zombies = append(f.parent.zombies, f.pid)
	}
}

// end ends a frozen process. It is called once, from any goroutine.
func (f *frozen) end() {
	if f == nil || f.itself {
		return
	}
	f.proc.Send(unix.SIGKILL)
	f.proc.Close()
}

// reapFrozen makes a process wait for the frozen ones that were its
// children: they would stay as zombies until it ends.
func (r *recorder) reapFrozen(t *task) {
	p := t.proc
	if len(p.zombies) == 0 {
		return
	}
	left := p.zombies[:0]
	for _, pid := range p.zombies {
		ret, err := r.inject(t, p.area.Gadget, sys.SYS_WAIT4, uint64(pid), 0, unix.WALL|unix.WNOHANG, 0, 0, 0)
		if err == nil && ret == 0 {
			left = append(left, pid) // it has not ended yet
		}
	}
	p.zombies = left
}
