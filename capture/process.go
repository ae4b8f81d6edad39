package capture

import (
	"encoding/binary"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// enterProcess prepares a call that makes or ends threads and processes.
func (r *recorder) enterProcess(t *task, nr int, args [6]uint64) error {
	t.blocks = false
	switch nr {
	case sys.SYS_CLONE:
		if args[0]&unix.CLONE_UNTRACED != 0 {
			if err := ptrace.SetArg(t.tid, 0, args[0]&^unix.CLONE_UNTRACED); err != nil {
				return err
			}
		}
	case sys.SYS_EXECVE, sys.SYS_EXECVEAT:
		t.execing = true
		r.lastWrites(t, false)
	case sys.SYS_EXIT:
		t.died = t.robustWords()
		r.logEnter(t)
		t.state = stateDying
		t.stopped = false
		t.sys.move(moveResume)
		if err := ptrace.Syscall(t.tid, 0); err != nil {
			return err
		}
		if t.tid == t.pid && r.livingThreads(t.pid) > 1 {
			// The leader stays a zombie that can't be waited for until its
			// last thread ends.
			return r.leaderExit(t)
		}
		return nil
	case sys.SYS_EXIT_GROUP:
		if t.pid == t.proc.pid { // not of a child that borrows its memory
			t.proc.exitTID = t.tid
		}
		r.logEnter(t)
		r.lastWrites(t, true)
		t.state = stateDying
	}
	t.stopped = false
	t.sys.move(moveResume)
	return ptrace.Syscall(t.tid, 0)
}

// event handles a PTRACE_EVENT stop.
func (r *recorder) event(t *task, ev int, st unix.WaitStatus) error {
	switch ev {
	case unix.PTRACE_EVENT_CLONE, unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK:
		msg, err := ptrace.EventMsg(t.tid)
		if err != nil {
			return err
		}
		return r.born(t, int(msg), ev)
	case unix.PTRACE_EVENT_EXEC:
		return r.execed(t)
	case unix.PTRACE_EVENT_STOP:
		return r.eventStop(t, st)
	}
	return r.goOn(t)
}

// goOn resumes a thread after a stop that means nothing to the recording.
func (r *recorder) goOn(t *task) error {
	if t.proc != nil && t.proc.mode == modeRecord {
		return r.resume(t, 0)
	}
	return r.cont(t, 0)
}

// eventStop handles the first stop of a new thread and group stops.
func (r *recorder) eventStop(t *task, st unix.WaitStatus) error {
	switch st.StopSignal() {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		t.stopped = false
		return ptrace.Listen(t.tid)
	}
	if t.probed {
		t.probed = false
		if t.proc != nil && t.proc.mode == modeRecord && t.proc.cur == t && t.computing() {
			return r.probe(t)
		}
	}
	if t.state == stateNew && t.proc != nil && t.proc.mode == modeRecord {
		return nil // it waits until its maker's call is in the log
	}
	return r.goOn(t)
}

// born takes in a thread or process that t made.
func (r *recorder) born(t *task, tid, event int) error {
	flags := uint64(0)
	nr := int(t.ev.Nr)
	if nr == sys.SYS_CLONE {
		flags = t.ev.Args[0]
	}
	child := &task{tid: tid, pid: tid, signalState: signalState{blocked: t.blocked}}
	if flags&unix.CLONE_THREAD != 0 {
		child.pid = t.pid
	}
	r.tasks[tid] = child
	if st, err := r.waits.For(tid); err == nil {
		if child.stopped = st.Stopped(); !child.stopped {
			r.waits.Later(ptrace.Stop{TID: tid, Status: st})
		}
	}
	if t.proc == nil || t.proc.mode != modeRecord {
		child.proc = t.proc
		if t.proc != nil {
			t.proc.tasks[tid] = child
		}
		if child.stopped {
			if err := r.cont(child, 0); err != nil && !ptrace.Gone(err) {
				return err
			}
		}
		return r.cont(t, 0)
	}
	t.child = child
	t.ev.Child = int32(tid)
	borrows := nr == sys.SYS_VFORK || nr == sys.SYS_CLONE && flags&unix.CLONE_VM != 0
	if !borrows && event == unix.PTRACE_EVENT_VFORK {
		return r.waitedFor(t, child)
	}
	if !borrows {
		return r.resume(t, 0) // the exit of the call starts the child's own log
	}
	child.proc = t.proc
	t.proc.tasks[tid] = child
	if flags&unix.CLONE_CHILD_CLEARTID != 0 {
		child.ctid = t.ev.Args[3]
	}
	if event != unix.PTRACE_EVENT_VFORK {
		return r.resume(t, 0)
	}
	// The maker now waits in the kernel for the child to exec or to end, so
	// the child gets the slot.
	child.vfork = true
	r.logEnter(t)
	t.child, t.ev.Child = nil, 0
	if err := r.resume(t, 0); err != nil {
		return err
	}
	if t.proc.cur == t {
		r.release(t.proc)
	}
	return r.enqueue(child)
}

// waitedFor starts a process with memory of its own for which its maker waits
// in the kernel, until it executes a program or ends (CLONE_VFORK without
// CLONE_VM).
func (r *recorder) waitedFor(t, child *task) error {
	child.vfork = true // so that the log has the child where the call begins
	r.logEnter(t)
	child.vfork = false
	t.child, t.ev.Child = nil, 0
	if err := r.forked(t, child); err != nil {
		return err
	}
	if err := r.resume(t, 0); err != nil {
		return err
	}
	if t.proc.cur == t {
		r.release(t.proc)
	}
	return r.schedule(t.proc)
}

// processEffects handles the exit of a call of class Process.
func (r *recorder) processEffects(t *task, ev *recording.Event) error {
	nr, args := int(t.ev.Nr), t.ev.Args
	switch nr {
	case sys.SYS_CLONE, sys.SYS_FORK, sys.SYS_VFORK:
		if ev.Ret == -int64(unix.EAGAIN) {
			r.sayFull(t.proc)
		}
		if ev.Ret < 0 || nr != sys.SYS_CLONE {
			return nil
		}
		var words []uint64
		if args[0]&unix.CLONE_PARENT_SETTID != 0 {
			words = append(words, args[2])
		}
		if args[0]&unix.CLONE_CHILD_SETTID != 0 && args[0]&unix.CLONE_VM != 0 {
			words = append(words, args[3])
		}
		for _, a := range words {
			b := make([]byte, 4)
			if err := (ptrace.Mem)(t.tid).ReadAt(b, a); err == nil {
				ev.Mem = append(ev.Mem, recording.Write{Addr: a, Data: b})
			}
		}
	case sys.SYS_EXECVE, sys.SYS_EXECVEAT:
		t.execing = false
	}
	return nil
}

// afterCall starts what a call made, once the call is in the log.
func (r *recorder) afterCall(t *task, ev *recording.Event) error {
	child := t.child
	t.child = nil
	if child == nil {
		return r.afterSpaceCall(t, ev)
	}
	if child.dead {
		return nil
	}
	if child.proc != nil {
		if err := r.mapScratch(t); err != nil {
			return err
		}
		return r.enqueue(child)
	}
	return r.forked(t, child)
}

// forked opens the log of a process that began as a copy of t's.
func (r *recorder) forked(t, child *task) error {
	from := t.proc
	proc := r.newProcess(child, modeRecord)
	r.join(proc, from.ep)
	proc.within = from.inTest()
	if from.runner != nil && proc.within == nil {
		proc.runner = &runner{handles: from.runner.handles, worker: true} // of a test in a process of its own
	}
	proc.remote = from.remote
	proc.clockArea, proc.clockBias, proc.clockReg, proc.env = from.clockArea, from.clockBias, from.clockReg, from.env
	proc.noFork = append([]span(nil), from.noFork...)
	proc.deadStacks = slices.Clone(from.deadStacks)
	for _, o := range from.tasks {
		if o != t {
			proc.leaveStack(o) // the copy has it, and no thread there
		}
	}
	proc.made = append([]madeCode(nil), from.made...)
	proc.area, proc.clock, proc.find, proc.python = from.area, from.clock, from.find, from.python
	proc.calls, proc.fast, proc.callPos, proc.devs = from.calls, from.fast, from.callPos, from.devs
	proc.permits, proc.permitted, proc.saysReady, proc.masks = from.permits, from.permitted, from.saysReady, from.masks
	proc.base, proc.budget = 0, 0
	proc.pauses = from.pauses.clone()
	proc.verified = from.verified
	proc.scratch = from.scratch
	proc.brk, proc.exe, proc.argv = from.brk, from.exe, from.argv
	proc.files = append([]span(nil), from.files...)
	r.forkQuiet(from, proc)
	proc.patches = make(map[uint64]patch, len(from.patches))
	for a, p := range from.patches {
		proc.patches[a] = p
	}
	proc.former, proc.filtered, proc.sifts = from.former, from.filtered, from.sifts
	proc.cpu = from.cpu
	if t.ev.Nr == sys.SYS_CLONE && t.ev.Args[0]&unix.CLONE_CHILD_CLEARTID != 0 {
		child.ctid = t.ev.Args[3]
	}
	child.affinity = t.affinity
	if from.actions != nil {
		proc.actions = maps.Clone(from.actions)
	}
	proc.undumpable, proc.device = from.undumpable, from.device
	ev := recording.Event{Kind: recording.KindStart, TID: int32(child.tid), Proc: &recording.Process{
		ID: proc.id, PID: child.pid, Parent: from.id, ParentEvent: from.events - 1, Fork: true,
		Exe: from.exe, Argv: from.argv, Python: from.python, Start: r.start.UnixNano() + r.since(),
	}}
	if t.ev.Nr == sys.SYS_CLONE && t.ev.Args[0]&unix.CLONE_CHILD_SETTID != 0 {
		b := make([]byte, 4)
		if err := (ptrace.Mem)(child.tid).ReadAt(b, t.ev.Args[3]); err == nil {
			ev.Mem = append(ev.Mem, recording.Write{Addr: t.ev.Args[3], Data: b})
		}
	}
	r.inherited(t, child, &ev)
	r.openStream(proc)
	r.log(proc, &ev)
	if proc.clock != nil {
		if err := r.arm(child, r.o.Slice); err != nil {
			r.settle(child, proc, err)
			return nil
		}
	}
	if err := r.forkShared(t, child); err != nil {
		r.settle(child, proc, err)
		return nil
	}
	child.state = stateReady
	r.settle(child, proc, r.enqueue(child))
	return nil
}

// inherited adds what calls of the parent's other threads had written into
// the copied memory already, although they have not returned yet.
func (r *recorder) inherited(t, child *task, ev *recording.Event) {
	const most = 1 << 20
	for _, o := range t.proc.tasks {
		if o == t || !o.sys.open() || o.diverted != 0 || o.class != linux.Plain {
			continue
		}
		ret := o.lastRet
		if o.sys != callReturning {
			switch o.ev.Nr {
			case sys.SYS_READ, sys.SYS_RECVFROM, sys.SYS_PREAD64:
				ret = int64(min(o.ev.Args[2], most))
			default:
				continue
			}
		}
		ranges, err := linux.Outputs(int(o.ev.Nr), o.ev.Args, ret, ptrace.Mem(child.tid), nil)
		if err != nil {
			continue
		}
		for _, g := range ranges {
			b := make([]byte, min(g.Len, most))
			if (ptrace.Mem)(child.tid).ReadAt(b, g.Addr) == nil {
				ev.Mem = append(ev.Mem, recording.Write{Addr: g.Addr, Data: b})
			}
		}
	}
}

func (r *recorder) newProcess(leader *task, m mode) *process {
	p := &process{
		mode: m, pid: leader.pid, tasks: map[int]*task{leader.tid: leader},
		ownMemory: ownMemory{patches: map[uint64]patch{}}, fds: map[fdKey]string{}, pace: pace{cpu: r.home},
	}
	if m == modeRecord {
		r.processes = append(r.processes, p)
	}
	leader.proc = p
	return p
}

// enterFaked answers calls about processor affinity, as pyrr pins the threads,
// which the program should not see; and prctl(PR_SET_DUMPABLE), which could keep
// the recorder out.
func (r *recorder) enterFaked(t *task, nr int, args [6]uint64, errno int) error {
	target := r.tasks[int(int32(args[0]))]
	if int32(args[0]) == 0 {
		target = t
	}
	if target == nil && (nr == sys.SYS_SCHED_SETAFFINITY || nr == sys.SYS_SCHED_GETAFFINITY) {
		return r.resume(t, 0) // not one of those that are pinned
	}
	switch nr {
	case sys.SYS_PRCTL:
		if args[0] == unix.PR_SET_DUMPABLE {
			if args[1] > 1 {
				return r.answer(t, -int64(unix.EINVAL))
			}
			t.proc.undumpable = args[1] == 0
		}
	case sys.SYS_SCHED_SETAFFINITY:
		n := min(int(args[1]), len(r.cpus)*8)
		b := make([]byte, n)
		if err := (ptrace.Mem)(t.tid).ReadAt(b, args[2]); err != nil {
			return r.answer(t, -int64(unix.EFAULT))
		}
		allowed := r.affinityBytes()
		any := byte(0)
		for i := range b {
			if i < len(allowed) {
				b[i] &= allowed[i]
			} else {
				b[i] = 0
			}
			any |= b[i]
		}
		if any == 0 {
			return r.answer(t, -int64(unix.EINVAL))
		}
		target.affinity = b
		return r.answer(t, 0)
	case sys.SYS_SCHED_GETAFFINITY:
		mask := r.affinityBytes()
		if target.affinity != nil {
			mask = target.affinity
		}
		if r.o.CPUs > 0 && !r.asksForPython(t) {
			mask = firstCPUs(mask, r.o.CPUs)
		}
		size := affinitySize(mask)
		if args[1] < uint64(size) || args[1]%8 != 0 {
			return r.answer(t, -int64(unix.EINVAL))
		}
		out := make([]byte, size)
		copy(out, mask)
		if err := ptrace.Write(t.tid, args[2], out); err != nil {
			return r.answer(t, -int64(unix.EFAULT))
		}
		return r.answer(t, int64(size))
	}
	return r.answer(t, -int64(errno))
}

func (r *recorder) affinityBytes() []byte {
	b := make([]byte, len(r.cpus)*8)
	for i, w := range r.cpus {
		binary.LittleEndian.PutUint64(b[i*8:], uint64(w))
	}
	return b
}

// affinitySize is the size of the kernel's own mask, which is what
// sched_getaffinity returns: a word for each 64 possible processors.
func affinitySize(mask []byte) int {
	n := 8
	for i := 8; i < len(mask); i += 8 {
		if binary.LittleEndian.Uint64(mask[i:]) != 0 {
			n = i + 8
		}
	}
	return n
}
