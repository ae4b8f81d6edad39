package capture

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// A loop without a pause, in which a thread waits for another one, comes back to
// the very same state: it reads a word that nobody else changes meanwhile, since
// nobody else runs. A thread that neither makes an event nor runs bytecode nor
// pauses is stopped while others are ready, and executed instruction by
// instruction. Where its registers and all memory that it touches repeat, it
// would never leave by itself, and any round of it is as good as any other to
// stop it in: the log has the state, and a replay stops where that is first
// reached. Everything else is taken for a computation, which ends.
//
// Round and round the same registers are not enough, since the loop might count
// in memory; the values that it reads are part of the state, since a replay
// passes the same code when they are others.

const (
	// spinLook is how often running threads are looked at while others wait.
	spinLook = 2 * time.Millisecond
	// spinMost is the longest time between two attempts at one that computes.
	spinMost = 128 * time.Millisecond
	// spinGiveUp is how long a thread may wait in a loop that can't be left.
	spinGiveUp = 100 * time.Millisecond
	// spinSteps is the most instructions that a loop may have.
	spinSteps = 64
	// spinIdle is after how many looks at nothing they end.
	spinIdle = 16
)

// spinWatch is what is known of the thread that holds the slot of a process.
type spinWatch struct {
	t        *task
	progress [4]uint64
	since    time.Time
	wait     time.Duration // until the next attempt
	shared   time.Time     // since when it waits for memory that others write to
	given    time.Time     // when it got the slot
	yields   bool          // it was interrupted to give way
	began    time.Duration // its processor time then, or soon after
}

// switchInterval is how much processor time a thread may take while others wait
// for the slot, as CPython's (sys.getswitchinterval): a few instructions of a library
// may take longer than a slice of bytecode.
const switchInterval = 5 * time.Millisecond

// tookLong reports whether the thread that holds the slot has had it for longer than
// that.
func (w *spinWatch) tookLong(p *process) bool {
	used := processTime(p.cur.pid)
	if !w.given.Equal(p.since) {
		w.given, w.began = p.since, used
	}
	return used-w.began >= switchInterval
}

// processTime is the processor time that a process has taken, 0 where it is gone. Of
// a process that is all that of one thread between two switches, or nearly so
// (MAKE_PROCESS_CPUCLOCK of the kernel's posix-timers_types.h, CPUCLOCK_SCHED).
func processTime(pid int) time.Duration {
	const sched = 2
	var ts unix.Timespec
	if unix.ClockGettime(^int32(pid)<<3|sched, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// spinLooks are the looks at all of them.
type spinLooks struct {
	timer *ptrace.Timer
	idle  int
}

// spinLoop is a state that repeats.
type spinLoop struct {
	regs   linux.Regs
	xstate []byte
	memory []recording.Write // what a round touches
}

// expectSpins begins to look at running threads, as some wait for others.
func (r *recorder) expectSpins() {
	r.spins.idle = 0
	if !r.spins.timer.Pending() {
		r.spins.timer.Set(r.waits.Now().Add(spinLook))
	}
}

// lookForSpins interrupts threads that have done nothing that counts for a
// while, although others wait.
func (r *recorder) lookForSpins(now time.Time) {
	if r.spins.idle++; r.spins.idle > spinIdle {
		return
	}
	r.spins.timer.Set(now.Add(spinLook))
	for _, proc := range r.processes {
		t, w := proc.cur, &proc.spin
		if proc.mode != modeRecord || t == nil || !t.computing() || t.stopped || len(proc.ready) == 0 && len(t.deferred) == 0 {
			w.t = nil
			continue
		}
		r.spins.idle = 0
		p, ok := proc.progress(t.tid)
		switch {
		case len(proc.ready) > 0 && proc.clock != nil && w.tookLong(proc):
			w.given = time.Time{}
			t.probed = ptrace.Interrupt(t.tid) == nil
			w.yields = t.probed
		case !ok || w.t != t || w.progress != p:
			*w = spinWatch{t: t, progress: p, since: now, wait: spinLook / 2, given: w.given, began: w.began, yields: w.yields}
		case now.Sub(w.since) >= w.wait:
			w.since, w.wait = now, min(2*max(w.wait, spinLook), spinMost)
			t.probed = ptrace.Interrupt(t.tid) == nil
		}
	}
}

// progress is what changes when a thread, which may be running, does anything
// that counts.
func (proc *process) progress(tid int) (p [4]uint64, ok bool) {
	p[0] = proc.events
	read := func(i int, addr uint64) {
		var err error
		if p[i], err = readU64(tid, addr); err != nil {
			ok = false
		}
	}
	ok = true
	if proc.clock != nil {
		read(1, proc.clock.Budget)
	}
	if proc.pauses.on {
		read(2, proc.pauseCell())
	}
	if proc.calls != nil {
		read(3, proc.calls.img.Pos)
	}
	return p, ok
}

// probe looks whether a thread that was interrupted in the midst of its code is
// in a loop that can't end by itself, and gives its slot to another one then.
func (r *recorder) probe(t *task) error {
	p := t.proc
	var at linux.Regs
	if err := ptrace.GetRegs(t.tid, &at); err != nil {
		return err
	}
	if err := r.backOut(t, &at); err != nil {
		return err
	}
	if len(p.ready) == 0 && len(t.deferred) == 0 {
		return r.resume(t, 0)
	}
	if p.spin.yields {
		p.spin.yields = false
		return r.yield(t)
	}
	if _, _, err := r.counters(t, 0, 0); err != nil {
		return err
	}
	if p.ep == nil && len(p.ready) > 0 {
		var regs linux.Regs
		if err := ptrace.GetRegs(t.tid, &regs); err != nil {
			return err
		}
		if !p.engineAt(regs.PC()) {
			return r.goBehind(t) // nothing is written, so any place is good
		}
	}
	loop, other, err := r.findLoop(t)
	switch {
	case err != nil:
		return err
	case other != nil:
		return r.dispatch(t, *other)
	case loop == nil:
		p.spin.shared = time.Time{}
		return r.resume(t, 0)
	case slices.ContainsFunc(loop.memory, func(w recording.Write) bool { return p.shares(w.Addr, w.Addr+uint64(len(w.Data))) }):
		return r.spinsOnShared(t)
	}
	m, err := r.momentOf(t, recording.StopSpin, &loop.regs)
	if err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindSwitch, Regs: &loop.regs, XState: loop.xstate, Memory: recording.Memory{Mem: loop.memory}}
	if err := r.logAt(m, &ev); err != nil {
		return err
	}
	p.spin.t = nil
	if !r.expireBy.IsZero() {
		r.expire()
		return nil
	}
	if p.runner != nil && p.runner.expiring() {
		r.expireTest(p)
	}
	if i, err := r.deliverable(t); err != nil {
		return err
	} else if i >= 0 {
		info := t.deferred[i]
		t.deferred = append(t.deferred[:i], t.deferred[i+1:]...)
		if err := unix.Tgkill(t.pid, t.tid, unix.Signal(info.Signo())); err != nil {
			return err
		}
		if err := r.raise(t, &info); err != nil {
			return err
		}
		return r.deliver(m, &info)
	}
	if len(p.ready) == 0 {
		return r.resume(t, 0)
	}
	t.spun = loop
	return r.goBehind(t)
}

// spinsOnShared deals with a thread that waits in a loop for memory that other
// processes may write to, at any time: no place in that is found again. If the
// wait does not end soon, the recording does.
func (r *recorder) spinsOnShared(t *task) error {
	w := &t.proc.spin
	now := time.Now()
	switch {
	case w.shared.IsZero():
		w.shared = now
	case now.Sub(w.shared) > spinGiveUp:
		if err := r.resume(t, 0); err != nil {
			return err
		}
		r.giveUp(t.proc, fmt.Errorf("thread %d waits in a loop for memory that it shares with other processes, while other threads wait for it", t.tid))
		return nil
	}
	w.wait = spinLook
	return r.resume(t, 0)
}

// giveUp ends the recording of a process: in a runner of tests that of the test,
// and the next has one again.
func (r *recorder) giveUp(p *process, why error) {
	if r.beginsAnew(p) {
		r.endHere(p, why)
		return
	}
	r.leave(p, why.Error())
}

// findLoop executes a stopped thread step by step. It returns the state that it
// comes back to and stands in, or nil. other is a stop that came instead of a
// step's.
func (r *recorder) findLoop(t *task) (loop *spinLoop, other *unix.WaitStatus, err error) {
	var states [spinSteps + 1]linux.Regs
	if err := ptrace.GetRegs(t.tid, &states[0]); err != nil {
		return nil, nil, err
	}
	var touched []mem.Range
	n := 0
	for again := false; !again; n++ {
		if n == spinSteps {
			return nil, nil, nil
		}
		ops, ok := r.operands(t, &states[n])
		if !ok {
			return nil, nil, nil
		}
		touched = append(touched, ops...)
		if other, err := r.stepOver(t, &states[n+1]); err != nil || other != nil {
			return nil, other, err
		}
		again = sameState(&states[n+1], &states[0])
	}
	loop = &spinLoop{regs: states[0], memory: joined(touched)}
	for i := range loop.memory {
		w := &loop.memory[i]
		if (ptrace.Mem)(t.tid).ReadAt(w.Data, w.Addr) != nil {
			return nil, nil, nil
		}
	}
	x, err := r.xstateOf(t.tid)
	if err != nil {
		return nil, nil, err
	}
	loop.xstate = x
	// Another round, which must be the same to the end and leave all as it was.
	for i := range n {
		var now linux.Regs
		if other, err := r.stepOver(t, &now); err != nil || other != nil {
			return nil, other, err
		}
		if !sameState(&now, &states[i+1]) {
			return nil, nil, nil
		}
	}
	if x, err = ptrace.GetXState(t.tid, r.xstate); err != nil {
		return nil, nil, err
	}
	if !linux.SameVectors(x, loop.xstate) || !unchanged(t.tid, loop.memory) {
		return nil, nil, nil
	}
	loop.regs.NoCall()
	return loop, nil, nil
}

// operands returns what memory a stopped thread's next instruction touches, if
// that is one to step over.
func (r *recorder) operands(t *task, regs *linux.Regs) ([]mem.Range, bool) {
	p := t.proc
	if _, ok := p.patches[regs.PC()]; ok || p.area == nil {
		return nil, false
	}
	if p.engineAt(regs.PC()) {
		return nil, false
	}
	var code [16]byte
	b := code[:]
	if (ptrace.Mem)(t.tid).ReadAt(b, regs.PC()) != nil {
		b = code[:min(len(code), int(pageSize-regs.PC()%pageSize))]
		if (ptrace.Mem)(t.tid).ReadAt(b, regs.PC()) != nil {
			return nil, false
		}
	}
	return inject.Operands(b, regs)
}

// engineAt reports whether an address is in code of pyrr's own.
func (p *process) engineAt(pc uint64) bool {
	return slices.ContainsFunc(p.engineSpans(), func(e engineSpan) bool { return pc >= e.start && pc < e.end })
}

// stepOver executes one instruction of a thread.
func (r *recorder) stepOver(t *task, regs *linux.Regs) (other *unix.WaitStatus, err error) {
	if err := ptrace.Step(t.tid, 0); err != nil {
		return nil, err
	}
	st, err := r.waitSync(t)
	if err != nil {
		return nil, err
	}
	if ptrace.Event(st) != 0 || st.StopSignal() != unix.SIGTRAP {
		return &st, nil
	}
	return nil, ptrace.GetRegs(t.tid, regs)
}

// sameState compares what a program can see of two sets of registers.
func sameState(a, b *linux.Regs) bool {
	return a.Seen() == b.Seen()
}

// joined makes ranges of memory disjoint, in order, with room for their bytes.
func joined(list []mem.Range) []recording.Write {
	slices.SortFunc(list, func(a, b mem.Range) int {
		if a.Addr < b.Addr {
			return -1
		}
		return 1
	})
	var out []recording.Write
	for _, g := range list {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if end := last.Addr + uint64(len(last.Data)); g.Addr <= end {
				last.Data = append(last.Data, make([]byte, g.Addr+g.Len-min(end, g.Addr+g.Len))...)
				continue
			}
		}
		out = append(out, recording.Write{Addr: g.Addr, Data: make([]byte, g.Len)})
	}
	return out
}

// unchanged reports whether memory still holds what it did.
func unchanged(tid int, list []recording.Write) bool {
	for _, w := range list {
		b := make([]byte, len(w.Data))
		if (ptrace.Mem)(tid).ReadAt(b, w.Addr) != nil || !bytes.Equal(b, w.Data) {
			return false
		}
	}
	return true
}

// shares reports whether others may write to memory.
func (p *process) shares(start, end uint64) bool {
	return slices.ContainsFunc(p.shared, func(m *sharedMap) bool { return m.start < end && start < m.end })
}

// firstChanged chooses who gets the slot: the first that does not wait for
// something that has not changed.
func firstChanged(line []*task) int {
	for i, t := range line {
		if t.dead || t.spun == nil || !unchanged(t.tid, t.spun.memory) {
			return i
		}
	}
	return 0
}
