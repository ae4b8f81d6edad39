package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// An instant of a process that runs is a recording without any time in it: where
// each thread stands, and the memory. The process stands still only for as long as
// it takes to stop its threads, to read their registers and to fork it: the fork,
// which never runs, has the memory from then on, and is read while the process runs.
// Nothing is put into the process that stays. Where it can't be forked, its memory
// is read while it stands still.

// still is a thread of the process, stopped.
type still struct {
	tid     int
	regs    linux.Regs
	stopped bool
	deaf    bool // it waits where nothing interrupts it
	// sig is the signal that it was just about to get, kept are those that came while
	// it made calls of pyrr's.
	sig  unix.Signal
	kept []unix.Signal
}

// instant is a process that is stopped for a moment.
type instant struct {
	r      *recorder
	pid    int
	gate   uint64 // code that never runs again
	all    []*still
	byTID  map[int]*still
	halted time.Time // when the first thread was stopped
	stood  time.Duration
	before time.Duration // for how long it stood still before that
	late   []*still      // those that do not stop when they are told to
	ahead  *ahead        // nil: it is forked, or read while it stands still
	// extra are options of PTRACE_SETOPTIONS for threads that make calls of pyrr's.
	extra uintptr
}

// instantOptions are those of PTRACE_SEIZE. What a thread makes meanwhile is not traced
// with it: stopAll finds it.
const instantOptions = unix.PTRACE_O_TRACESYSGOOD

// takeInstant records where a process stands now.
func (r *recorder) takeInstant(ctx context.Context, pid int) (*Info, error) {
	if err := r.makeTimers(); err != nil {
		return nil, err
	}
	defer r.waits.Close()
	// Ctrl-C must not end pyrr while the process stands still.
	defer holdSignals(func(os.Signal) {})()
	in := &instant{r: r, pid: pid, byTID: map[int]*still{}}
	maps, err := linux.ReadMaps(pid)
	if err != nil {
		return nil, err
	}
	if in.gate, err = r.codePage(&task{tid: pid, pid: pid}, maps); err != nil {
		return nil, err
	}
	if isLarge(pid) {
		if in.ahead = in.copyAhead(); in.ahead != nil {
			defer in.ahead.close()
		}
	}
	collect := noCollection()
	undo := hurry()
	f, err := in.take()
	undo()
	collect()
	if err != nil {
		in.letGo()
		return nil, fmt.Errorf("attach to process %d: %w", pid, err)
	}
	runs := in.stood > 0
	if o := r.o.Attached; o != nil && runs {
		o(in.stood)
	}
	info, err := in.write(ctx, f)
	if o := r.o.Attached; o != nil && err == nil && !runs {
		o(in.stood)
	}
	return info, err
}

// hurry gives the tracer priority over others, as far as it may, and makes it wake up in
// time, until undo is called: while others run in its place the process has to wait.
func hurry() (undo func()) {
	const first = -20
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // ns, else 50 µs
	tid := unix.Gettid()
	was, err := unix.Getpriority(unix.PRIO_PROCESS, tid)
	if err != nil || unix.Setpriority(unix.PRIO_PROCESS, tid, first) != nil {
		return func() {}
	}
	const raw = 20 // what the system call returns is 20 - nice (getpriority(2))
	return func() { _ = unix.Setpriority(unix.PRIO_PROCESS, tid, raw-was) }
}

// noCollection collects pyrr's own garbage now, and none until undo is called: while a
// process stands still, it waits for that, too.
func noCollection() (undo func()) {
	runtime.GC()
	percent := debug.SetGCPercent(-1)
	return func() { debug.SetGCPercent(percent) }
}

// take stops the process and copies it. It goes on already if the copy is not read in
// the process itself.
func (in *instant) take() (*frozen, error) {
	if err := in.stopAll(); err != nil {
		return nil, err
	}
	maker, err := in.readRegs()
	if err != nil {
		return nil, err
	}
	f := &frozen{pid: in.pid}
	if in.ahead != nil {
		done, err := in.ahead.finish()
		if err != nil {
			return nil, err
		}
		if testAhead != nil {
			testAhead(done)
		}
		if f.ahead = in.ahead; done {
			in.letGo()
			in.ahead.settle()
			return f, nil
		}
		f.ahead = nil
	}
	if maker.stopped && in.mayCall(maker) {
		child, err := in.fork(maker)
		if err != nil {
			if child != 0 {
				ptrace.Kill(child)
			}
			return nil, err
		}
		if child != 0 {
			f.pid = child
			in.letGo()
			return f, in.close(f)
		}
	}
	return f, nil
}

// readRegs reads the registers of all threads, and returns the one that is to make
// calls of pyrr's: one that is about to get no signal, the first if need be.
func (in *instant) readRegs() (*still, error) {
	lead := in.byTID[in.pid]
	if lead == nil {
		return nil, errors.New("its first thread has ended")
	}
	for _, t := range in.all {
		if t.deaf {
			in.readWaiting(t)
		} else if err := ptrace.GetRegs(t.tid, &t.regs); err != nil {
			return nil, fmt.Errorf("read the registers of thread %d: %w", t.tid, err)
		}
		if t.stopped && !t.regs.Is64() {
			return nil, errors.New("it is no 64-bit program")
		}
	}
	maker := lead
	for _, t := range in.all {
		if t.stopped && (!maker.stopped || maker.sig != 0 && t.sig == 0) {
			maker = t
		}
	}
	return maker, nil
}

// write makes a recording of what was stopped. The copy has ended when it returns.
func (in *instant) write(ctx context.Context, f *frozen) (*Info, error) {
	r := in.r
	h := r.header
	h.Started = r.start
	w, err := recording.Create(r.o.Dir, h)
	if err != nil {
		in.end(f)
		return nil, err
	}
	first := in.image(f)
	calls := map[*still]recording.Event{}
	for _, t := range in.all {
		if ev, waits := in.callOf(t, f); waits {
			calls[t] = ev
		}
	}
	err = in.readImage(w, f, &first)
	in.end(f)
	if err != nil {
		w.Discard()
		return nil, err
	}
	stayed := in.watch(ctx)
	events := append(in.events(first, calls, stayed),
		recording.Event{Kind: recording.KindEnd, TID: int32(in.pid), Time: r.since(), Why: recording.EndDetached, Text: "where it stood was recorded"})
	for i := range events {
		if err := w.Stream(1).Append(&events[i]); err != nil {
			return nil, err
		}
	}
	k := Kept{Dir: r.o.Dir, Procs: 1, Events: uint64(len(events))}
	if err := w.Close(recording.Summary{Ended: time.Now(), Events: k.Events}); err != nil {
		return nil, err
	}
	return &Info{Dir: r.o.Dir, Kept: []Kept{k}, Images: []time.Duration{in.stood}}, nil
}

// readImage reads the memory of the copy into the first event.
func (in *instant) readImage(w *recording.Writer, f *frozen, first *recording.Event) error {
	done := make(chan error, 1)
	go func() {
		iw := newImageWriter(f.pid, first)
		defer iw.close()
		iw.w, iw.f = w, f
		done <- iw.read()
	}()
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(2 * time.Millisecond):
			in.letGoLate()
		}
	}
}

// image is the event that the recording begins with, except for memory and registers.
func (in *instant) image(f *frozen) recording.Event {
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", f.pid))
	cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", f.pid))
	return recording.Event{Kind: recording.KindStart, TID: int32(in.pid), Open: openFDs(in.pid), Proc: &recording.Process{
		ID: 1, PID: in.pid, Exe: strings.TrimSuffix(exe, " (deleted)"), Argv: procStrings(f.pid, "cmdline"),
		Env: procStrings(f.pid, "environ"), Cwd: cwd, Start: in.r.start.UnixNano(), StackLimit: stackLimit(f.pid)}}
}

// events are those of the recording but the last. stayed are the threads that have
// been waiting ever since; of the others nobody knows for how long.
func (in *instant) events(first recording.Event, calls map[*still]recording.Event, stayed map[*still]bool) []recording.Event {
	var threads, rest []recording.Event
	for _, t := range in.all {
		call, waits := calls[t]
		if waits && !stayed[t] {
			call.Time = in.r.since()
		}
		if waits && stayed[t] {
			rest = append(rest, recording.Event{Kind: recording.KindNote, TID: int32(t.tid), Why: recording.NoteAttached,
				Text: fmt.Sprintf("thread %d waited in %s when pyrr attached", t.tid, linux.Name(int(call.Nr)))})
		}
		if t.tid == in.pid {
			first.Regs = &t.regs
			if waits {
				// An image can't begin inside of a call: right before it.
				regs := t.regs
				regs.BeforeCall(uint64(call.Nr))
				first.Regs = &regs
				rest = append(rest, call)
			}
			continue
		}
		ev := recording.Event{Kind: recording.KindThread, TID: int32(t.tid), Regs: &t.regs}
		if waits {
			ev.Why, ev.Nr, ev.Args, ev.In, ev.Time = recording.InCall, call.Nr, call.Args, call.In, call.Time
		}
		threads = append(threads, ev)
	}
	return slices.Concat([]recording.Event{first}, threads, rest)
}

// callOf returns the system call that a thread is in as the event of entering it,
// and makes its registers those that it entered it with.
func (in *instant) callOf(t *still, f *frozen) (recording.Event, bool) {
	r := &t.regs
	if !r.InCall() {
		return recording.Event{}, false
	}
	if ret := r.Result(); !t.deaf && !isRestart(ret) && ret != -int64(unix.EINTR) {
		r.NoCall()
		return recording.Event{}, false // it comes back from it, or has not begun it
	}
	nr := r.Number()
	if nr == sys.SYS_RESTART_SYSCALL {
		nr = restarted(f.pid, r.PC())
	}
	r.SetNumber(nr)
	r.SetResult(-int64(unix.ENOSYS))
	ev := recording.Event{Kind: recording.KindEnter, TID: int32(t.tid), Nr: int32(nr), Args: r.Args(), Stop: recording.StopSyscall, Reached: recording.Reached{PC: r.PC(), RegSum: recording.RegSum(r)}}
	if at, n, str := linux.InArgs(nr, ev.Args); n > 0 {
		b := make([]byte, n)
		b = b[:f.memory().ReadSome(b, at)]
		if str {
			head, _, _ := strings.Cut(string(b), "\x00")
			b = []byte(head)
		}
		ev.In = b
	}
	return ev, true
}
