package capture

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/headroom"
	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// errGone unwinds to the main loop when the thread at hand was killed from
// outside in the middle of something; its wait status is still to come.
var errGone = errors.New("thread is gone")

// run starts the command and follows it to its end.
func (r *recorder) run(ctx context.Context, path string) (*Info, error) {
	if err := unix.SchedGetaffinity(0, &r.cpus); err != nil {
		return nil, fmt.Errorf("read the processor affinity: %w", err)
	}
	r.pin()
	if err := r.makeTimers(); err != nil {
		return nil, err
	}
	defer r.waits.Close()
	env, said := withoutJIT(os.Environ())
	if said != "" {
		r.warnf("%s", said)
	}
	pid, err := ptrace.Start(path, r.o.Command, env, "", ptrace.StdFiles(), ptrace.Options)
	if errors.Is(err, unix.ENOEXEC) && isText(path) {
		pid, err = ptrace.Start(shell, append([]string{shell, path}, r.o.Command[1:]...), env, "", ptrace.StdFiles(), ptrace.Options)
	}
	if err != nil {
		if r.command != nil {
			r.command.w.Close(recording.Summary{Status: 127, Ended: time.Now(), Why: "the command could not be started"})
		}
		return nil, startError(path, err)
	}
	defer headroom.SmallPages()() // the program has been started: it gets what it would without pyrr
	r.rootPID, r.root = pid, ptrace.OpenProcess(pid)
	defer r.root.Close()
	defer holdSignals(func(s os.Signal) {
		if s == unix.SIGTERM {
			r.terminate()
		}
	})()
	r.start, r.tsc = time.Now(), inject.TSC()
	if r.o.Timeout > 0 {
		r.deadline, r.after = r.start.Add(r.o.Timeout), r.o.Timeout
	}
	t := &task{tid: pid, pid: pid, stopped: true}
	r.tasks[pid] = t
	r.beat.Set(r.start.Add(beatEvery))
	r.first(t)
	for !r.over {
		if ctx.Err() != nil {
			r.root.Send(unix.SIGKILL)
			ctx = context.Background()
		}
		if err := r.step(); err != nil {
			return nil, err
		}
	}
	return r.finish()
}

// makeTimers prepares the waits of the calling thread, and what is due by the clock.
func (r *recorder) makeTimers() (err error) {
	if r.waits, err = ptrace.NewWaits(); err != nil {
		return err
	}
	r.waits.Exiting = r.exiting
	r.kernel = liveKernel{r.waits, &r.stats}
	r.beat = r.waits.Timer(r.housekeeping)
	r.again = r.waits.Timer(func(time.Time) { r.lookAgain() })
	r.spins.timer = r.waits.Timer(r.lookForSpins)
	r.hurry = r.waits.Timer(r.hurryOn)
	return nil
}

func startError(path string, err error) error {
	status := 126
	if errors.Is(err, unix.ENOENT) {
		status = 127
		if st, serr := os.Stat(path); serr == nil && !st.IsDir() {
			err = fmt.Errorf("the interpreter or loader that it names: %w", err)
		}
	}
	return &StartError{Path: path, Status: status, Err: err}
}

// first begins with the command itself, which is stopped behind its exec.
func (r *recorder) first(t *task) {
	const stopped = unix.WaitStatus(0x7f | ptrace.SyscallStop<<8)
	defer r.survive(t.tid, stopped)
	if testHook != nil {
		testHook(stopped)
	}
	err := r.begin(t, nil)
	if err != nil && !errors.Is(err, errGone) && (t.proc == nil || t.proc.mode != modeRecord) {
		r.warnf("not recorded: %v", err)
	}
	r.settle(t, nil, err)
}

// canTrace tries what each stop needs, before anything is started.
func canTrace() error {
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		return fmt.Errorf("look at processes: %w", err)
	}
	var b [1]byte
	here := []ptrace.Span{{Addr: uint64(uintptr(unsafe.Pointer(&tried))), Data: b[:]}}
	if _, err := ptrace.ReadV(os.Getpid(), here); err != nil {
		return fmt.Errorf("read memory of a process: %w", err)
	}
	return nil
}

// tried is memory to read.
var tried byte

// shell runs what the kernel takes for no program, as it does from a shell and
// by execvp(3): a script without #!.
const shell = "/bin/sh"

// isText says whether a file may be a script: a shell, too, executes none that
// has a zero byte in its beginning.
func isText(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 80)
	n, err := f.Read(b)
	return (err == nil || err == io.EOF) && !bytes.Contains(b[:n], []byte{0}) && !bytes.HasPrefix(b[:n], []byte(elf.ELFMAG))
}

// pin keeps the tracer and what it starts on one processor: a stop costs a
// tenth there of what it costs across two.
func (r *recorder) pin() {
	for i := 0; i < len(r.cpus)*64; i++ {
		if r.cpus.IsSet(i) {
			r.placement.cpus = append(r.placement.cpus, i)
		}
	}
	if len(r.placement.cpus) == 0 {
		r.placement.cpus = []int{0}
	}
	r.home = r.placement.cpus[0]
	if cpu, ok := currentCPU(); ok && r.cpus.IsSet(cpu) {
		r.home = cpu
	}
	setAffinity(0, r.home)
}

// beatEvery is how often at least the recorder does what is due by the clock.
// What was logged is on the disk, and a time-out noticed, that much later.
const beatEvery = 50 * time.Millisecond

// housekeeping does what is due by the clock.
func (r *recorder) housekeeping(now time.Time) {
	defer func() { r.beat.Set(r.nextBeat()) }()
	for _, p := range r.processes {
		if p.mode != modeRecord {
			continue
		}
		for _, t := range p.tasks {
			if !t.making() {
				r.logEnter(t) // so that a killed recorder leaves them behind
			}
		}
		r.rouse(p)
	}
	r.heap.Check(now)
	r.watchNative(now)
	r.gather()
	if r.runners && r.timesTests() {
		r.watchTests(now)
	}
	if r.runners && r.o.Tests != nil {
		r.spill()
		r.dropImages(now)
	}
	r.cancelTests(now)
	r.flush()
	if r.attached {
		r.endAttached(now)
	}
	if r.o.MaxSize > 0 || r.o.MaxTime > 0 {
		r.bound()
	}
	switch {
	case !r.expireBy.IsZero():
		if now.After(r.expireBy) {
			r.expire()
		}
	case !r.deadline.IsZero() && now.After(r.deadline):
		r.deadline = time.Time{}
		if r.computes() {
			r.expireBy = now.Add(tickPatience)
		} else {
			r.expire()
		}
	}
	if !r.killAt.IsZero() && now.After(r.killAt) {
		r.killAt = time.Time{}
		r.killTree()
	}
}

// nextBeat is when housekeeping has to be done again.
func (r *recorder) nextBeat() time.Time {
	next := r.waits.Now().Add(beatEvery)
	for _, at := range []time.Time{r.deadline, r.expireBy, r.killAt} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// How long a thread may compute in native code, where it can't be stopped exactly.
// What waits there instead is found out (see pauses.go and spin.go), unless it counts
// its rounds: if what it waits for is another thread, it would wait for ever.
const (
	signalPatience = time.Second      // for a signal, where there is no clock
	nativePatience = 10 * time.Minute // for a signal
)

// nativeShare is how much processor time a thread may compute so while other threads wait
// for it. Natively they would have run beside it.
var nativeShare = 30 * time.Second

// watchNative ends the recording of processes in which a thread does not come to
// a point where it could be stopped exactly.
func (r *recorder) watchNative(now time.Time) {
	for _, p := range r.processes {
		if p.mode != modeRecord || p.cur == nil || !p.cur.computing() || p.cur.stopped {
			continue
		}
		t := p.cur
		if len(p.ready) == 0 && len(t.deferred) == 0 {
			p.waited = time.Time{}
			continue
		}
		if p.waited.IsZero() || p.waitedAt != p.events {
			p.waited, p.waitedAt, p.waitedUsed = now, p.events, processTime(p.pid)
			continue
		}
		waited := now.Sub(p.waited)
		switch {
		case p.clock == nil && len(t.deferred) > 0 && waited > signalPatience:
			r.leave(p, fmt.Sprintf("a signal waits for thread %d, which runs code without a bytecode clock", t.tid))
		case p.base != p.nativeTicks:
			p.waited = time.Time{} // it has run bytecode
		case len(p.ready) > 0 && processTime(p.pid)-p.waitedUsed > nativeShare:
			r.giveUp(p, fmt.Errorf("thread %d ran native code without a system call for %v while others waited", t.tid, nativeShare))
		case waited > nativePatience:
			r.giveUp(p, fmt.Errorf("thread %d ran native code without a system call for %v while a signal waited", t.tid, nativePatience))
		}
		p.nativeTicks = p.base
	}
}

// tickPatience is how long the time-out waits for a computing thread to come to
// an exact instruction: until its budget runs out, or its next system call, after
// which its budget is none. That takes a few milliseconds, unless it runs native
// code.
const tickPatience = 100 * time.Millisecond

// computes reports whether a thread is executing bytecode, so that it will
// come to an exact instruction soon.
func (r *recorder) computes() bool {
	for _, p := range r.processes {
		if p.mode == modeRecord && p.clock != nil && p.cur != nil && p.cur.computing() {
			return true
		}
	}
	return false
}

// expireAt lets the time-out take effect where a thread stands before an
// exact instruction, so that a replay gets there too and shows what it was
// computing.
func (r *recorder) expireAt(m *moment) error {
	if err := r.switchLog(m); err != nil {
		return err
	}
	r.expire()
	return nil
}

// expire ends the recording because of the time-out, and then the command.
func (r *recorder) expire() {
	r.timedOut, r.expireBy = true, time.Time{}
	r.expired = r.group()
	for _, p := range r.processes {
		if p.mode != modeRecord {
			continue
		}
		r.logOpen(p)
		ev := recording.Event{Kind: recording.KindTimeout, TID: int32(p.pid), Instr: r.countNow(p)}
		r.log(p, &ev)
		r.leaveAs(p, recording.EndTimeout, fmt.Sprintf("after %v", r.after))
	}
	if r.o.Kill {
		r.killTree()
		r.signalGroup(unix.SIGKILL)
		return
	}
	r.signalGroup(unix.SIGINT)
	r.killAt = time.Now().Add(r.o.Grace)
}

// killTree ends the command and what it started, as far as it was seen.
func (r *recorder) killTree() {
	if r.timedOut {
		r.findOffspring()
	}
	r.root.Send(unix.SIGKILL)
	for _, t := range r.tasks {
		if t.tid == t.pid && !t.dead {
			ptrace.Kill(t.pid)
		}
	}
}

// warnf warns. Where too few files may be open, one thing after the other fails by that,
// and the first line says all: what to do.
func (r *recorder) warnf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if strings.Contains(text, unix.EMFILE.Error()) {
		if r.fewFiles {
			return
		}
		r.fewFiles = true
		var lim unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err == nil {
			text += fmt.Sprintf(": %d may be open at a time, ulimit -n 256 is enough", lim.Cur)
		}
	}
	r.o.Warn(text)
}

// finish closes the recording.
func (r *recorder) finish() (*Info, error) {
	for _, p := range r.processes {
		if p.mode == modeRecord {
			r.leave(p, "the command ended while this process was still running")
		}
	}
	r.drain()
	r.endGroup()
	info := &Info{Status: exitStatus(r.status), TimedOut: r.timedOut, After: r.after, Dir: r.o.Dir, Runner: r.runners, Clients: r.clients, PyPy: r.pypy, Images: r.took}
	r.finishEpochs()
	info.Surplus, info.Stuck = r.surplus, r.stuck
	for _, k := range r.kept {
		info.Kept = append(info.Kept, *k)
	}
	ep := r.command
	if ep == nil {
		return info, nil
	}
	info.Procs, info.Events, info.Instructions = ep.whole, ep.events, ep.instructions
	why := ""
	if r.timedOut {
		why = recording.EndTimeout
	}
	if r.o.Keep != nil && !r.o.Keep(info) {
		return info, ep.w.Discard()
	}
	err := ep.w.Close(recording.Summary{
		Status: info.Status, Ended: time.Now(), Why: why, Events: info.Events, Instructions: info.Instructions, Memory: peak(0),
	})
	if info.Unwritten = err; err != nil && !r.writeErr { // else a line said so before
		r.warnf("the recording is incomplete: %v", err)
	}
	return info, nil
}

// drain waits until every thread that is to be let go has been: those still
// traced would be killed when the tracer ends.
func (r *recorder) drain() {
	const patience = 2 * time.Second
	for until := time.Now().Add(patience); time.Now().Before(until); {
		waiting := false
		for _, t := range r.tasks {
			if !t.dead && !t.helper && (t.leaving || t.proc == nil || t.proc.mode != modeRecord) && (t.tid != r.rootPID || r.attached) {
				waiting = true
				if t.proc != nil && t.proc.mode == modeWatch && !t.leaving {
					t.leaving = true
					ptrace.Interrupt(t.tid)
				}
			}
		}
		if !waiting {
			return
		}
		s, ok, err := r.waits.Next(false)
		if err != nil {
			return
		}
		if !ok {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		r.handle(s.TID, s.Status)
	}
}

func exitStatus(st unix.WaitStatus) int {
	if st.Signaled() {
		return 128 + int(st.Signal())
	}
	return st.ExitStatus()
}
