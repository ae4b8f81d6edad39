package capture

import (
	"context"
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
	"pyrr/internal/sys"
)

// A process that already runs is recorded from an image of it, as a test in the
// middle of a session is. Before that it gets what a program that pyrr starts has
// from its beginning: the engine area, traps in the place of instructions whose
// results differ, counting stubs, readings of the time that can be replayed. All its threads
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
	r.rootPID, r.root = pid, ptrace.OpenProcess(pid)
	defer r.root.Close()
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
	r.settle(t, t.proc, r.startAttached(t))
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
	for _, p := range r.processes {
		if p.mode == modeRecord {
			r.leaveAs(p, recording.EndDetached, why)
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
	p := r.newProcess(t, modeRecord)
	for _, o := range r.tasks {
		o.proc, o.state = p, stateReady
		p.tasks[o.tid] = o
	}
	if p.filtered = filters(strconv.Itoa(pid)) > filters("self"); p.filtered && !maySuspend(t.tid) {
		return nil, errors.New("it has seccomp filters, which may end it for a call of pyrr's: what pyrr explain --pid says takes none")
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, fmt.Errorf("find its program: %w", err)
	}
	p.exe = strings.TrimSuffix(exe, " (deleted)")
	p.argv, p.env = procStrings(pid, "cmdline"), procStrings(pid, "environ")
	for _, o := range p.tasks {
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
	for _, o := range p.tasks {
		if err := r.adopt(o); err != nil {
			return nil, fmt.Errorf("thread %d: %w", o.tid, err)
		}
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
			t := &task{tid: tid, pid: pid, beforeAttach: beforeAttach{waited: -1}}
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
	child := &task{tid: tid, pid: tid, beforeAttach: beforeAttach{waited: -1}}
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
		if t.proc != nil && !restored {
			restored = r.restore(t.proc, t.tid) == nil
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
	if !regs.InCall() {
		return nil
	}
	nr, args := regs.Number(), regs.Args()
	if isRestart(regs.Result()) {
		t.waited = nr
	}
	switch ret := regs.Result(); {
	case ret == eRestartBlock:
		switch {
		case nr == sys.SYS_NANOSLEEP && args[1] != 0:
			args[0] = args[1]
			regs.CallAgain()
			regs.SetArgs(args)
		case nr == sys.SYS_CLOCK_NANOSLEEP && args[3] != 0:
			args[2] = args[3]
			regs.CallAgain()
			regs.SetArgs(args)
		case nr == sys.SYS_NANOSLEEP, nr == sys.SYS_CLOCK_NANOSLEEP, nr == sys.SYS_FUTEX:
			regs.CallAgain()
		default:
			regs.SetResult(-int64(unix.EINTR))
		}
	case isRestart(ret):
		regs.CallAgain()
	}
	regs.NoCall()
	return ptrace.SetRegs(t.tid, &regs)
}

// startAttached begins the recording: t has the slot, the others wait for it.
func (r *recorder) startAttached(t *task) error {
	p := t.proc
	p.cur, t.state = t, stateReady
	if r.o.Tests == nil { // tests have recordings of their own
		if err := r.beginAttached(t); err != nil {
			return err
		}
	}
	for _, o := range p.tasks {
		if o.waited >= 0 {
			r.noteMark(o, recording.NoteAttached, fmt.Sprintf("thread %d waited in %s when pyrr attached", o.tid, linux.Name(o.waited)))
		}
	}
	t.state = stateRun
	for _, o := range p.tasks {
		if o != t {
			p.ready = append(p.ready, o)
		}
	}
	slices.SortFunc(p.ready, func(a, b *task) int { return a.tid - b.tid })
	return r.grant(t)
}

// beginAttached begins the recording of a process that has one from now on.
func (r *recorder) beginAttached(t *task) error {
	ep, err := r.beginEpoch(t, r.o.Dir, "")
	if err != nil {
		return err
	}
	ep.writeImage(ep.frozen)
	if ep.frozen.itself {
		<-ep.image.done
		ep.frozen = nil
	}
	r.late = ep
	return nil
}

// nameOfProcess is what a process is called in messages.
func nameOfProcess(pid int) string {
	if argv := procStrings(pid, "cmdline"); len(argv) > 0 {
		return filepath.Base(argv[0])
	}
	return strconv.Itoa(pid)
}
