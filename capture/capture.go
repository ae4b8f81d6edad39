// Package capture is the recorder: it runs a command under ptrace(2), lets
// one thread of an address space run at a time, and writes down everything
// that reaches the program from outside, so that replay can do without it.
//
// It never judges, reads no Python object but the clock, and changes nothing that the
// program can see. Begin with Record, then recorder.step (dispatch.go), which takes
// one stop, and slot (slot.go), which says who runs.
package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/headroom"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// Options say what to run and how.
type Options struct {
	// Command is the program and its arguments; the program is looked up in
	// PATH as a shell does.
	Command []string
	Running
	// Dir is the folder to make and write the recording to (NAME.pyrr.part).
	Dir string
	// Timeout ends the recording, and then the command, after this time;
	// 0 means never.
	Timeout time.Duration
	// Kill ends a timed-out command with SIGKILL at once; else SIGINT comes
	// first, and SIGKILL after Grace.
	Kill  bool
	Grace time.Duration
	// FollowAll records every program that the command starts, not only
	// Python.
	FollowAll bool
	Schedule
	// Checksums makes the recorder log checksums of memory every so many
	// events; 0 is never.
	Checksums uint64
	// AVX512 shows the program what the processor has beyond x86-64-v3.
	AVX512 bool
	// CPUs is how many processors native libraries are shown, which decides how
	// many threads they start; 0 is all. What Python itself asks for is real.
	CPUs int
	// DisableSyscall names system calls that the recorder is to treat as
	// unknown; tests of failing open use it.
	DisableSyscall []string
	// Keep says whether a recording with this outcome is wanted; nil keeps
	// all. What is not wanted is not written to its end, and Dir is left as
	// it is.
	Keep func(*Info) bool
	// From makes the recording begin after so many events of the first
	// process, from an image of it; 0 is its start.
	From uint64
	Bounds
	// Tests records each test by itself; nil records the command as a whole.
	Tests *Tests
	// Plugin, where Tests is nil, is the folder of the runner's plugin: Timeout is
	// each test's too then, and ends the command where one takes longer.
	Plugin string
	// NoBuffer stops at every system call, also at those that could be noted
	// in a buffer of the process.
	NoBuffer bool
	// Dispatch is how system calls that are not buffered are found.
	Dispatch Dispatch
	// Warn takes one line for the user.
	Warn func(string)
}

// Running is a process to record that runs already, in place of a command.
type Running struct {
	// PID is the process, 0 for none. It is recorded for so long as For says, 0 for
	// as long as it runs. Attached is called when its recording begins, with how long
	// it stood still for that.
	PID      int
	For      time.Duration
	Attached func(stood time.Duration)
	// Instant records of PID where it stands, and nothing of what it does then.
	Instant bool
}

// Schedule says in which order threads run.
type Schedule struct {
	// Chaos varies it from Seed, to find races.
	Chaos bool
	Seed  uint64
	// Slice is the number of instructions that a thread may run while others
	// wait; 0 is the default.
	Slice uint64
}

// Bounds end a recording: MaxSize is of its events on the disk, in bytes, MaxTime how
// long it goes on. The program goes on without it. 0 is no bound.
type Bounds struct {
	MaxSize int64
	MaxTime time.Duration
}

// Info is the outcome of a recorded command.
type Info struct {
	// Status is the exit status as a shell gives it: 128+n for signal n.
	Status   int
	TimedOut bool
	// After is what was too long, where TimedOut.
	After  time.Duration
	Dir    string
	Procs  int
	Events uint64
	// Instructions is the sum over all processes.
	Instructions uint64
	// Unwritten says why the recording could not be written to its end; nil where it was.
	Unwritten error
	// Kept are the recordings of tests. Where there are some, and Procs is 0,
	// there is none of the whole command in Dir.
	Kept []Kept
	// Surplus counts what was not kept.
	Surplus Surplus
	// Stuck are the tests whose processes were ended.
	Stuck []Stuck
	// Runner is set where the command ran a test runner that marks its tests.
	Runner bool
	// Clients names the programs that had others run elsewhere: docker, kubectl, …
	Clients []string
	// PyPy is set where a PyPy was executed, by a script, say.
	PyPy bool
	// Images says how long the program stood still for each image that was
	// taken of it.
	Images []time.Duration
}

// StartError says that the command could not be started.
type StartError struct {
	Path string
	// Status is what a shell exits with: 127 not found, 126 not executable.
	Status int
	Err    error
}

func (e *StartError) Error() string { return fmt.Sprintf("start %s: %v", e.Path, e.Err) }

func (e *StartError) Unwrap() error { return e.Err }

// defaultSlice is 2 to 5 ms of Python: CPython's own switch interval is 5 ms.
const defaultSlice = 200_000

// Record runs the command to its end and records it. An error means that the
// command was not run, or that its outcome is unknown; trouble with recording alone
// goes to Options.Warn and lets the command run on.
func Record(ctx context.Context, o Options) (*Info, error) {
	if len(o.Command) == 0 {
		return nil, errors.New("no command to record")
	}
	path, err := lookPath(o.Command[0])
	if err != nil {
		return nil, err
	}
	cwd, err := os.Getwd()
	if err != nil { // it was removed, and the program will find it so, too
		cwd, _ = os.Readlink("/proc/self/cwd")
	}
	return recordBy(&o, cwd, func(r *recorder) (*Info, error) { return r.run(ctx, path) })
}

// Attach records the process o.PID, which runs already, until it ends, until o.For
// is over or until ctx is done. It goes on as if nothing had been. An error means
// that nothing was recorded.
func Attach(ctx context.Context, o Options) (*Info, error) {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", o.PID))
	if err != nil {
		return nil, fmt.Errorf("find the folder of process %d: %w", o.PID, err)
	}
	o.Command = procStrings(o.PID, "cmdline")
	if o.Instant {
		return recordBy(&o, cwd, func(r *recorder) (*Info, error) { return r.takeInstant(ctx, o.PID) })
	}
	return recordBy(&o, cwd, func(r *recorder) (*Info, error) { return r.follow(ctx, o.PID) })
}

// recordBy makes a recorder and lets it work on a thread of its own.
func recordBy(o *Options, cwd string, work func(*recorder) (*Info, error)) (*Info, error) {
	if err := headroom.KeepThreads(); err != nil {
		return nil, err
	}
	if err := canTrace(); err != nil {
		return nil, err
	}
	if o.Slice == 0 {
		o.Slice = defaultSlice
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	cpu := inject.Host().With(inject.Options{AVX512: o.AVX512})
	h := header(*o, cwd, cpu)
	var w *recording.Writer
	var err error
	switch {
	case o.PID != 0 || o.Tests != nil && o.Tests.Region != "": // recordings begin later
	case o.Tests != nil:
		w = recording.Hold(o.Dir, h) // most often the tests' own recordings are what is wanted
	case o.Keep != nil:
		w = recording.Await(o.Dir, h)
	default:
		if w, err = recording.Create(o.Dir, h); err != nil {
			return nil, err
		}
	}
	if w != nil {
		w.PackLater(o.packLater(o.Dir))
	}
	type result struct {
		info *Info
		err  error
	}
	const garbage = 800 // percent: a collection interrupts the tracer
	const room = 8 << 20
	memory, undo := headroom.BoundHeap(garbage, room)
	defer undo()
	done := make(chan result, 1)
	ptrace.Go(func() { // the thread ends with it: it has a changed affinity
		r := newRecorder(*o, w, h, cpu)
		r.heap = memory
		info, err := work(r)
		r.stats.close()
		done <- result{info, err}
	})
	res := <-done
	return res.info, res.err
}

// packLater is how much of a recording in the folder dir is compressed only when it is
// known that it is kept. It is nothing where all are, and where there is a bound of its
// size, which is of what is compressed; and little where the disk is nearly full.
func (o *Options) packLater(dir string) int64 {
	if o.Keep == nil && o.Tests == nil || o.MaxSize > 0 {
		return 0
	}
	var st unix.Statfs_t
	for dir = filepath.Dir(dir); unix.Statfs(dir, &st) != nil; dir = filepath.Dir(dir) {
		if dir == filepath.Dir(dir) {
			return 0
		}
	}
	return min(recording.MaxLater, int64(st.Bavail)*st.Bsize/16)
}

func header(o Options, cwd string, cpu *inject.CPU) recording.Header {
	h := recording.Header{
		Tool: "pyrr", Command: o.Command, Cwd: cwd, Started: time.Now(),
		Host:    recording.Host{Arch: linux.Arch, Features: cpu.Features(), XCR0: cpu.XCR0, XSaveSize: cpu.HostXSaveSize, Cores: runtime.NumCPU()},
		Options: map[string]string{"slice": fmt.Sprint(o.Slice)},
	}
	for _, c := range cpu.XSave() {
		h.Host.XSave = append(h.Host.XSave, [3]int{c.Number, c.Offset, c.Size})
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Host.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	h.Host.CPU = cpuName()
	if o.Chaos {
		h.Options["chaos"] = fmt.Sprint(o.Seed)
	}
	return h
}

// lookPath finds the program as execvp(3) does.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		status := 127
		if errors.Is(err, fs.ErrPermission) {
			status = 126
		}
		var e *exec.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return "", &StartError{Path: name, Status: status, Err: err}
	}
	if !filepath.IsAbs(path) {
		// The program may change folders before it asks for its own path.
		if abs, err := filepath.Abs(path); err == nil && name == filepath.Base(name) {
			path = abs
		}
	}
	return path, nil
}

// holdSignals keeps the terminal's signals from ending pyrr: the program
// gets them too, and pyrr outlives it. told is called for each.
func holdSignals(told func(os.Signal)) func() {
	ch := make(chan os.Signal, 8)
	signal.Notify(ch, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGTERM,
		// Sent to the group of the program, as abort(3)'s kin and timeout -s do:
		// those that pyrr causes itself do not come here (os/signal).
		unix.SIGABRT, unix.SIGSEGV, unix.SIGBUS, unix.SIGTRAP, unix.SIGFPE, unix.SIGILL, unix.SIGSYS)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case s := <-ch:
				told(s)
			}
		}
	}()
	return func() {
		signal.Stop(ch)
		close(stop)
	}
}
