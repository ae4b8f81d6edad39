package capture

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// A process that already runs is recorded from an image of it, as a test in the
// middle of a session is. Before that it gets what a program that pyrr starts has
// from its beginning: the engine area, traps in the place of instructions whose
// results differ, counting stubs, a clock that can be replayed. All its threads
// stand still for that. In the end all is taken back, and it goes on.

// attachOptions are those of PTRACE_SEIZE for a process that is not pyrr's own: it
// goes on if pyrr ends.
const attachOptions = ptrace.Options &^ unix.PTRACE_O_EXITKILL

// stopPatience is how long a thread may take to stop. One that does not waits in
// the kernel where nothing interrupts it.
const stopPatience = time.Second

// follow records a process that runs already, from now until it ends, or o.MaxTime
// is over, or pyrr is told to end.
func (r *recorder) follow(ctx context.Context, pid int) (*Info, error) {
	if err := unix.SchedGetaffinity(pid, &r.cpus); err != nil {
		return nil, fmt.Errorf("read the processor affinity of process %d: %w", pid, err)
	}
	r.pin()
	if err := r.makeTimers(); err != nil {
		return nil, err
	}
	defer r.waits.Close()
	r.start, r.tsc = time.Now(), inject.TSC()
	r.rootPID, r.root = pid, openProcess(pid)
	defer r.root.close()
	defer holdSignals(func(s os.Signal) {
		switch s {
		case unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT:
			r.letGoSoon.Store(true)
		}
	})()
	began := time.Now()
	t, err := r.attach(pid)
	if err != nil {
		r.unattach()
		return nil, fmt.Errorf("attach to process %d: %w", pid, err)
	}
	r.took = []time.Duration{time.Since(began)}
	if o := r.o.Attached; o != nil {
		o(r.took[0])
	}
	r.beat.Set(time.Now().Add(beatEvery))
	r.settle(t, t.sp, r.startAttached(t))
	for !r.over {
		if ctx.Err() != nil {
			r.letGoSoon.Store(true)
		}
		if err := r.step(); err != nil {
			return nil, err
		}
	}
	return r.finish()
}

// endAttached ends the recording of a process that pyrr attached to, when it is
// time.
func (r *recorder) endAttached(now time.Time) {
	why := ""
	switch {
	case r.letGoSoon.Load():
		why = "pyrr was told to end"
	case r.o.For > 0 && now.Sub(r.start) > r.o.For:
		why = fmt.Sprintf("it was to be recorded for %v", r.o.For)
	default:
		return
	}
	if ep := r.late; ep != nil && ep.frozen != nil {
		select {
		case <-ep.image.done:
		default:
			return // its image is being read; this will be asked again soon
		}
		f := ep.frozen
		ep.frozen = nil
		f.end()
		for {
			st, err := r.waits.For(f.pid)
			if err != nil || !st.Stopped() {
				break
			}
		}
		ep.lead.zombies = append(ep.lead.zombies, f.pid)
	}
	for _, sp := range r.spaces {
		if sp.mode == modeRecord {
			r.leaveAs(sp, recording.EndDetached, why)
		}
	}
	r.letGoAll()
}

// letGoAll detaches what is still traced, and ends following.
func (r *recorder) letGoAll() {
	for _, t := range r.tasks {
		if !t.dead && !t.leaving {
			t.leaving = true
			if t.stopped {
				r.release1(t, 0)
			} else {
				ptrace.Interrupt(t.tid)
			}
		}
	}
	r.drain()
	r.over = true
}

// attach stops all threads of a process and prepares it. It returns the thread
// that the recording begins with.
func (r *recorder) attach(pid int) (*task, error) {
	if err := r.seizeAll(pid); err != nil {
		return nil, err
	}
	t := r.tasks[pid]
	if t == nil || t.dead {
		return nil, errors.New("its first thread has ended")
	}
	sp := r.newSpace(t, modeRecord)
	for _, o := range r.tasks {
		o.sp, o.state = sp, stateReady
		sp.tasks[o.tid] = o
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, fmt.Errorf("find its program: %w", err)
	}
	sp.exe = strings.TrimSuffix(exe, " (deleted)")
	sp.argv, sp.env = procStrings(pid, "cmdline"), procStrings(pid, "environ")
	for _, o := range sp.tasks {
		if err := r.leaveCall(o); err != nil {
			return nil, err
		}
	}
	maps, err := linux.ReadMaps(pid)
	if err != nil {
		return nil, err
	}
	if err := r.prepareAttached(t, maps); err != nil {
		return nil, err
	}
	for _, o := range sp.tasks {
		if err := r.adopt(o); err != nil {
			return nil, fmt.Errorf("thread %d: %w", o.tid, err)
		}
		setAffinity(o.tid, sp.cpu)
	}
	return t, nil
}

// seizeAll seizes the threads of a process and stops them, also those that are
// being made meanwhile.
func (r *recorder) seizeAll(pid int) error {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	for {
		list, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("list its threads: %w", err)
		}
		var added []*task
		for _, e := range list {
			tid, err := strconv.Atoi(e.Name())
			if err != nil || r.tasks[tid] != nil {
				continue
			}
			if err := ptrace.Seize(tid, attachOptions); err != nil {
				if ptrace.Gone(err) {
					continue // it has just ended
				}
				if tracer := tracerOf(tid); tracer != os.Getpid() {
					if tracer > 0 {
						return fmt.Errorf("process %d (%s) traces it already: only one can", tracer, nameOfProcess(tracer))
					}
					return err
				}
				// One that was made meanwhile by one that is traced is traced, too.
			} else if err := ptrace.Interrupt(tid); err != nil && !ptrace.Gone(err) {
				return err
			}
			t := &task{tid: tid, pid: pid}
			r.tasks[tid] = t
			added = append(added, t)
		}
		if len(added) == 0 {
			return nil
		}
		for _, t := range added {
			if err := r.halt(t); err != nil {
				return err
			}
		}
	}
}

// tracerOf is the process that traces a thread, 0 for none (proc(5)).
func tracerOf(tid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "TracerPid:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0
	}
	return n
}

// halt waits until a thread that was interrupted stops. A signal that is there
// already is kept for it.
func (r *recorder) halt(t *task) error {
	for until := time.Now().Add(stopPatience); ; {
		st, ok := r.waits.Poll(t.tid)
		switch {
		case !ok && time.Now().After(until):
			return fmt.Errorf("thread %d does not stop: it waits in the kernel for a disk, or for a child that was made by vfork", t.tid)
		case !ok:
			time.Sleep(20 * time.Microsecond)
			continue
		case !st.Stopped():
			t.dead = true
			delete(r.tasks, t.tid)
			return nil
		}
		t.stopped = true
		switch ptrace.Event(st) {
		case unix.PTRACE_EVENT_STOP:
			switch st.StopSignal() {
			case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
				return errors.New("it is stopped by a signal (SIGSTOP or a terminal's): continue it first")
			}
			return nil
		case unix.PTRACE_EVENT_CLONE, unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK:
			if err := r.bornMeanwhile(t); err != nil {
				return err
			}
		case 0:
			if st.StopSignal() != ptrace.SyscallStop {
				t.sigstop = int(st.StopSignal())
				if err := ptrace.GetSigInfo(t.tid, &t.info); err == nil {
					r.deferSignal(t)
				}
			}
		}
		t.stopped = false
		if err := ptrace.Cont(t.tid, 0); err != nil && !ptrace.Gone(err) {
			return err
		}
	}
}

// bornMeanwhile takes in a thread that one made before it stopped, and lets a
// process go that it made.
func (r *recorder) bornMeanwhile(t *task) error {
	msg, err := ptrace.EventMsg(t.tid)
	if err != nil {
		return err
	}
	tid := int(msg)
	child := &task{tid: tid, pid: tid}
	if r.tasks[tid] != nil {
		return nil
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", t.pid, tid)); err == nil {
		child.pid = t.pid
		r.tasks[tid] = child
		return r.halt(child)
	}
	if err := r.halt(child); err != nil || child.dead {
		return err
	}
	return ptrace.Detach(tid, 0)
}

// unattach lets go of what was seized, where attaching failed.
func (r *recorder) unattach() {
	restored := false
	for _, t := range r.tasks {
		if t.dead {
			continue
		}
		if !t.stopped {
			if ptrace.Interrupt(t.tid) != nil || r.halt(t) != nil || t.dead {
				continue
			}
		}
		if t.sp != nil && !restored {
			restored = r.restore(t.sp, t.tid) == nil
		}
		r.release1(t, 0)
	}
}

// leaveCall makes a thread that was interrupted in a system call stand before it
// again. The kernel does the same where no handler runs (signal(7)), except for
// those that go on with what is left of their time: there it is told, as by a
// handler, that it was interrupted, or waits for what is left where the kernel
// says how much that is.
func (r *recorder) leaveCall(t *task) error {
	var regs linux.Regs
	if err := ptrace.GetRegs(t.tid, &regs); err != nil {
		return err
	}
	if int64(regs.OrigRax) < 0 {
		return nil
	}
	again := func() { regs.Rip, regs.Rax = regs.Rip-restartInsnSize, regs.OrigRax }
	switch ret := int64(regs.Rax); {
	case ret == eRestartBlock:
		switch {
		case regs.OrigRax == unix.SYS_NANOSLEEP && regs.Rsi != 0:
			again()
			regs.Rdi = regs.Rsi
		case regs.OrigRax == unix.SYS_CLOCK_NANOSLEEP && regs.R10 != 0:
			again()
			regs.Rdx = regs.R10
		case regs.OrigRax == unix.SYS_NANOSLEEP, regs.OrigRax == unix.SYS_CLOCK_NANOSLEEP, regs.OrigRax == unix.SYS_FUTEX:
			again()
		default:
			interrupted := -int64(unix.EINTR)
			regs.Rax = uint64(interrupted)
		}
	case isRestart(ret):
		again()
	}
	regs.OrigRax = nrNone
	return ptrace.SetRegs(t.tid, &regs)
}

// prepareAttached puts into a process what a program that pyrr starts gets at its
// beginning.
func (r *recorder) prepareAttached(t *task, maps []linux.Mapping) error {
	sp := t.sp
	gate, err := r.codePage(t, maps)
	if err != nil {
		return err
	}
	proc := &recording.Proc{}
	moved, err := r.moveVDSO(t, gate, maps)
	if err != nil {
		return err
	}
	if moved != nil {
		if maps, err = linux.ReadMaps(t.pid); err != nil {
			return err
		}
	}
	if err := r.mapArea(t, gate, maps, proc); err != nil {
		return err
	}
	sp.brk = proc.Brk
	if moved != nil {
		if err := r.divertVDSO(t, moved); err != nil {
			return err
		}
	}
	inArea := func(pc uint64) bool { return pc >= sp.area.Base && pc < sp.area.Base+inject.AreaSize }
	if err := r.stepOut(sp, inArea); err != nil {
		return err
	}
	ev := &recording.Event{} // the image has what is written here
	for i := range maps {
		m := &maps[i]
		if m.Shared {
			if err := r.shareAttached(t, m); err != nil {
				return err
			}
			continue
		}
		if m.Ino == 0 {
			continue
		}
		sp.files = append(sp.files, span{m.Start, m.End})
		if m.Prot&unix.PROT_EXEC != 0 {
			if err := r.codeMapped(t, ev, m.Path, m.Start, m.End, m.Off, openMapped(m, t.pid)); err != nil {
				return err
			}
		}
	}
	if err := r.keepClear(t); err != nil {
		return err
	}
	if err := r.installPauses(t); err != nil {
		return err
	}
	if err := r.installClock(t); err != nil {
		return err
	}
	if sp.find != nil {
		return errors.New("its interpreter is just being loaded; try again")
	}
	if sp.findCalls != nil {
		if err := r.installCalls(t); err != nil {
			return err
		}
		r.learnFDs(t)
	}
	sp.scratch = slices.ContainsFunc(maps, func(m linux.Mapping) bool { return m.Start == scratchBase })
	if len(sp.tasks) > 1 {
		if err := r.mapScratch(t); err != nil {
			return err
		}
	}
	return r.readActions(t)
}

// keepFormer keeps memory that is about to be overwritten in a process that pyrr
// attached to: it may be attached to again, and then has to be as it was.
func (r *recorder) keepFormer(t *task, addr uint64, n int) error {
	if !r.attached {
		return nil
	}
	b := make([]byte, n)
	if err := (ptrace.Mem)(t.tid).ReadAt(b, addr); err != nil {
		return err
	}
	t.sp.former = append(t.sp.former, ptrace.Span{Addr: addr, Data: b})
	return nil
}

// shareAttached takes in shared memory, as far as nobody but the recorded process
// has it.
func (r *recorder) shareAttached(t *task, m *linux.Mapping) error {
	if m.Prot&unix.PROT_WRITE != 0 {
		if other := alsoMaps(t.pid, m); other != 0 {
			return fmt.Errorf("it shares memory (%s) with process %d, which is not recorded", m.Path, other)
		}
	}
	if m.Ino == 0 || m.Prot&unix.PROT_WRITE == 0 && !strings.HasPrefix(m.Path, "/dev/shm/") {
		if f := openMapped(m, t.pid); f != nil {
			f.Close() // a file that is only read
			return nil
		}
	}
	key := objectKey{}
	if m.Ino != 0 {
		key = objectKey{m.Dev, m.Ino}
	}
	s := r.addShared(t.sp, m.Start, m.End, m.Off, uint64(m.Prot), key)
	if f := openMapped(m, t.pid); f != nil {
		s.obj.keepOpen(f)
		f.Close()
	}
	return nil
}

// alsoMaps finds another process that maps the same memory, 0 for none that can be
// looked at.
func alsoMaps(pid int, m *linux.Mapping) int {
	list, err := os.ReadDir("/proc")
	if err != nil || m.Ino == 0 {
		return 0
	}
	for _, e := range list {
		other, err := strconv.Atoi(e.Name())
		if err != nil || other == pid {
			continue
		}
		maps, err := linux.ReadMaps(other)
		if err == nil && slices.ContainsFunc(maps, func(o linux.Mapping) bool { return o.Shared && o.Dev == m.Dev && o.Ino == m.Ino }) {
			return other
		}
	}
	return 0
}

// codePage finds code of the program's that never runs again, to borrow it for
// injected calls: its entry point.
func (r *recorder) codePage(t *task, maps []linux.Mapping) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", t.pid))
	if err != nil {
		return 0, fmt.Errorf("read its auxiliary vector: %w", err)
	}
	const atEntry = 9
	for ; len(b) >= 16; b = b[16:] {
		if binary.LittleEndian.Uint64(b) != atEntry {
			continue
		}
		entry := binary.LittleEndian.Uint64(b[8:])
		if slices.ContainsFunc(maps, func(m linux.Mapping) bool {
			return m.Start <= entry && entry+16 <= m.End && m.Prot&unix.PROT_EXEC != 0
		}) {
			return entry, nil
		}
	}
	return 0, errors.New("its entry point is not mapped any more")
}

// keepClear makes no thread stand inside an instruction that is going to be
// replaced: it steps those out of it that do.
func (r *recorder) keepClear(t *task) error {
	sp := t.sp
	calls := func(pc uint64) (site uint64, num bool, ok bool) {
		if sp.findCalls == nil {
			return 0, false, false
		}
		for _, s := range sp.findCalls.sites {
			if at := sp.findCalls.bias + s.Vaddr; pc > at && pc < at+uint64(s.Len) {
				return at, s.SetsNumber() && pc == at+uint64(s.Len)-restartInsnSize, true
			}
		}
		return 0, false, false
	}
	for _, o := range sp.tasks {
		pc, err := ptrace.PeekUser(o.tid, ptrace.OffRip)
		if err != nil {
			return err
		}
		if at, num, ok := calls(pc); ok && num {
			// It stands before its call, behind the instruction that sets the number: that
			// again.
			if err := ptrace.PokeUser(o.tid, ptrace.OffRip, at); err != nil {
				return err
			}
		}
	}
	inside := func(pc uint64) bool {
		if _, _, ok := calls(pc); ok {
			return true
		}
		for _, p := range sp.pauses.find {
			for _, s := range p.sites {
				if at := p.bias + s.Vaddr; pc > at && pc < at+uint64(s.Len()) {
					return true
				}
			}
		}
		return false
	}
	return r.stepOut(sp, inside)
}

// mostSteps bounds how far a thread is stepped.
const mostSteps = 10_000

// stepOut steps the threads of a process until none is inside something.
func (r *recorder) stepOut(sp *space, inside func(pc uint64) bool) error {
	for _, o := range sp.tasks {
		for n := 0; ; n++ {
			pc, err := ptrace.PeekUser(o.tid, ptrace.OffRip)
			if err != nil {
				return err
			}
			if !inside(pc) {
				break
			}
			if n == mostSteps {
				return fmt.Errorf("thread %d does not leave the code at %#x", o.tid, pc)
			}
			if err := ptrace.Step(o.tid, 0); err != nil {
				return err
			}
			st, err := r.waitSync(o)
			if err != nil {
				return err
			}
			if sig := st.StopSignal(); ptrace.Event(st) == 0 && sig != unix.SIGTRAP {
				o.sigstop = int(sig)
				if ptrace.GetSigInfo(o.tid, &o.info) == nil {
					r.deferSignal(o)
				}
			}
		}
	}
	return nil
}

// readActions reads what the process does about the signals of traps.
func (r *recorder) readActions(t *task) error {
	sp := t.sp
	at := sp.area.Scratch()
	for _, sig := range trapSignals {
		ret, err := r.inject(t, sp.area.Gadget, unix.SYS_RT_SIGACTION, uint64(sig), 0, at, 8, 0, 0)
		if err != nil {
			return err
		}
		var act [sigactionSize]byte
		if ret != 0 || (ptrace.Mem)(t.tid).ReadAt(act[:], at) != nil {
			return fmt.Errorf("read what it does about signal %d: result %d", sig, ret)
		}
		if binary.LittleEndian.Uint64(act[:]) != 0 {
			if sp.actions == nil {
				sp.actions = actions{}
			}
			sp.actions[sig] = act
		}
	}
	return nil
}

// adopt reads what the kernel keeps for a thread, and takes from it what would
// differ in a replay.
func (r *recorder) adopt(t *task) error {
	if err := r.noteMask(t); err != nil {
		return err
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(t.tid, &set); err == nil && set != r.cpus {
		b := make([]byte, len(set)*8)
		for i, w := range set {
			binary.LittleEndian.PutUint64(b[i*8:], uint64(w))
		}
		t.affinity = b
	}
	at := t.sp.area.Scratch()
	if ret, err := r.inject(t, t.sp.area.Gadget, unix.SYS_PRCTL, unix.PR_GET_TID_ADDRESS, at, 0, 0, 0, 0); err != nil {
		return err
	} else if ret == 0 {
		if t.ctid, err = readU64(t.tid, at); err != nil {
			return err
		}
	}
	if ret, err := r.inject(t, t.sp.area.Gadget, unix.SYS_GET_ROBUST_LIST, 0, at, at+8, 0, 0, 0); err != nil {
		return err
	} else if ret == 0 {
		if t.robust, err = readU64(t.tid, at); err != nil {
			return err
		}
	}
	return r.endRseq(t)
}

// noCPU is RSEQ_CPU_ID_REGISTRATION_FAILED (linux/rseq.h), which makes who looks
// for the processor there ask the kernel.
const noCPU = -2

// endRseq ends restartable sequences of a thread: the kernel writes on which
// processor it runs into its memory whenever it likes.
func (r *recorder) endRseq(t *task) error {
	c, ok := ptrace.Rseq(t.tid)
	if !ok || c.Addr == 0 {
		return nil
	}
	const unregister = 1
	ret, err := r.inject(t, t.sp.area.Gadget, unix.SYS_RSEQ, c.Addr, uint64(c.Size), unregister, uint64(c.Signature), 0, 0)
	if err != nil {
		return err
	}
	if ret != 0 {
		return fmt.Errorf("end its restartable sequences: %w", errnoOf(ret))
	}
	t.rseq = c
	var b [8]byte // cpu_id_start and cpu_id
	failed := int32(noCPU)
	binary.LittleEndian.PutUint32(b[4:], uint32(failed))
	return ptrace.Write(t.tid, c.Addr, b[:])
}

// beginRseq gives a thread that is let go its restartable sequences back.
func (r *recorder) beginRseq(t *task) {
	if t.rseq.Addr == 0 || t.sp == nil || t.sp.area == nil {
		return
	}
	c := t.rseq
	t.rseq = ptrace.RseqConfig{}
	// An error leaves it without, which programs have to bear.
	_, _ = ptrace.InjectStops(t.tid, t.sp.area.Gadget, unix.SYS_RSEQ, [6]uint64{c.Addr, uint64(c.Size), 0, uint64(c.Signature)}, func(st unix.WaitStatus) error {
		return r.injectedStop(t, st)
	})
}

// startAttached begins the recording: t has the slot, the others wait for it.
func (r *recorder) startAttached(t *task) error {
	sp := t.sp
	sp.cur, t.state = t, stateReady
	ep, err := r.beginEpoch(t, r.o.Dir, "")
	if err != nil {
		return err
	}
	ep.writeImage(ep.frozen)
	r.late = ep
	t.state = stateRun
	for _, o := range sp.tasks {
		if o != t {
			sp.ready = append(sp.ready, o)
		}
	}
	slices.SortFunc(sp.ready, func(a, b *task) int { return a.tid - b.tid })
	return r.grant(t)
}

// movedVDSO is where the kernel's own vDSO was, and its bytes.
type movedVDSO struct {
	old   span
	bytes []byte
}

// moveVDSO moves the kernel's vDSO, with the pages of data that lie before it, so
// that what the program knows of it leads to a stand-in. The kernel lets it be
// moved (vdso_mremap, arch/x86/entry/vdso/vma.c).
func (r *recorder) moveVDSO(t *task, gate uint64, maps []linux.Mapping) (*movedVDSO, error) {
	var parts []linux.Mapping
	v := &movedVDSO{}
	for _, m := range maps {
		if m.Path == "[vdso]" {
			v.old = span{m.Start, m.End}
			v.bytes = make([]byte, m.End-m.Start)
			if err := (ptrace.Mem)(t.tid).ReadAt(v.bytes, m.Start); err != nil {
				return nil, fmt.Errorf("read the vDSO: %w", err)
			}
			parts = append(parts, m)
		} else if strings.HasPrefix(m.Path, "[vvar") {
			parts = append(parts, m)
		}
	}
	if v.bytes == nil || v.old.start >= vdsoBase && v.old.start < vdsoBase+1<<20 {
		return nil, nil // there is none, or it was moved when pyrr attached before
	}
	if err := r.stepOut(t.sp, func(pc uint64) bool { return pc >= v.old.start && pc < v.old.end }); err != nil {
		return nil, err
	}
	to := uint64(vdsoBase)
	first := parts[0].Start
	orig := make([]byte, len(ptrace.Gadget))
	if err := (ptrace.Mem)(t.tid).ReadAt(orig, gate); err != nil {
		return nil, err
	}
	if err := ptrace.Write(t.tid, gate, ptrace.Gadget); err != nil {
		return nil, err
	}
	var failed error
	call := func(what string, nr, want uint64, args ...uint64) {
		if failed != nil {
			return
		}
		args = append(args, 0, 0, 0, 0, 0, 0)
		ret, err := r.inject(t, gate, nr, args[0], args[1], args[2], args[3], args[4], args[5])
		if err == nil && uint64(ret) != want {
			err = errnoOf(ret)
		}
		if err != nil {
			failed = fmt.Errorf("%s: %w", what, err)
		}
	}
	for _, m := range parts {
		at := to + m.Start - first
		call("move the vDSO", unix.SYS_MREMAP, at, m.Start, m.End-m.Start, m.End-m.Start, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, at)
	}
	size := v.old.end - v.old.start
	call("stand in for the vDSO", unix.SYS_MMAP, v.old.start, v.old.start, size, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uint64(0))
	if err := ptrace.Write(t.tid, gate, orig); failed == nil {
		failed = err
	}
	return v, failed
}

// vdsoBase is where the kernel's vDSO is moved to.
const vdsoBase = scratchBase + scratchSize + 1<<20

// divertVDSO makes the functions at the vDSO's former place lead to the engine's
// clock, or be system calls, which all of them stand for.
func (r *recorder) divertVDSO(t *task, v *movedVDSO) error {
	b := slices.Clone(v.bytes)
	f, err := elf.NewFile(strings.NewReader(string(b)))
	if err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("read the vDSO's symbols: %w", err)
	}
	calls := map[string]uint32{
		"gettimeofday": unix.SYS_GETTIMEOFDAY, "time": unix.SYS_TIME, "getcpu": unix.SYS_GETCPU,
		"clock_getres": unix.SYS_CLOCK_GETRES, "getrandom": unix.SYS_GETRANDOM,
	}
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Value >= uint64(len(b)) {
			continue
		}
		name := strings.TrimPrefix(s.Name, "__vdso_")
		var code []byte
		if nr, ok := calls[name]; ok {
			code = append(binary.LittleEndian.AppendUint32([]byte{0xb8}, nr), 0x0f, 0x05, 0xc3) // mov eax, nr; syscall; ret
		} else if name == "clock_gettime" {
			code = append(binary.LittleEndian.AppendUint64([]byte{0x48, 0xb8}, t.sp.area.Clock.Stub), 0xff, 0xe0) // mov rax, stub; jmp rax
		} else {
			continue // none that libraries call
		}
		copy(b[s.Value:], code)
	}
	return ptrace.Write(t.tid, v.old.start, b)
}

// nameOfProcess is what a process is called in messages.
func nameOfProcess(pid int) string {
	if argv := procStrings(pid, "cmdline"); len(argv) > 0 {
		return filepath.Base(argv[0])
	}
	return strconv.Itoa(pid)
}
