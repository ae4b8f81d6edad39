package capture

import (
	"debug/elf"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// A process has one tracer. What pyrr watches just for the Pythons that it may
// start is therefore let go altogether where it is a debugger, strace, or
// another pyrr: what these trace must not be traced already.

// tracersByName are those of which the file does not tell: they make the
// system call themselves.
var tracersByName = []string{"pyrr", "rr", "dlv"}

// tracesOthers says whether a program is one that traces others: one that imports
// ptrace(3).
func (r *recorder) tracesOthers(exe string) bool {
	if name, err := os.Readlink(exe); err == nil && slices.Contains(tracersByName, shortName(name)) {
		return true
	}
	f, err := os.Open(exe)
	if err != nil {
		return false
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	var self unix.Stat_t
	if unix.Stat("/proc/self/exe", &self) == nil && self.Dev == st.Dev && self.Ino == st.Ino {
		return true
	}
	key := programKey(&st)
	traces, known := r.tracers[key]
	if !known {
		traces = importsPtrace(f)
		if r.tracers == nil {
			r.tracers = map[[3]uint64]bool{}
		}
		r.tracers[key] = traces
	}
	return traces
}

// programKey tells one version of a program from another.
func programKey(st *unix.Stat_t) [3]uint64 {
	return [3]uint64{st.Dev, st.Ino, uint64(st.Mtim.Nano())}
}

func importsPtrace(f *os.File) bool {
	im, err := elf.NewFile(f)
	if err != nil {
		return false
	}
	symbols, err := im.ImportedSymbols()
	return err == nil && slices.ContainsFunc(symbols, func(s elf.ImportedSymbol) bool { return s.Name == "ptrace" })
}

// letTrace lets a program go that traces others.
func (r *recorder) letTrace(t *task, exe string) {
	name := exe
	if to, err := os.Readlink(exe); err == nil {
		name = shortName(to)
	}
	r.warnf("process %d (%s) traces others, so it and what it starts are not recorded", t.pid, name)
	t.leaving = true
	r.release1(t, 0)
}

// enterPtrace handles a recorded thread that stands before ptrace(2). Who it is going
// to trace is let go first; what it then asks the kernel for is recorded like the
// results of any call.
func (r *recorder) enterPtrace(t *task) error {
	pid, begins := linux.PtraceTarget(t.ev.Args)
	switch {
	case !begins:
	case pid == 0:
		return r.traceMe(t)
	case isOwnThread(pid):
		return r.answer(t, -int64(unix.EPERM)) // it would stop its own tracer
	default:
		if o := r.tasks[pid]; o != nil && o.pid != t.pid && o.proc != t.proc {
			r.giveUpTo(o, fmt.Sprintf("process %d traces it from here on (ptrace)", t.pid))
		}
	}
	return r.resume(t, 0)
}

// traceMe handles PTRACE_TRACEME: from then on the process that made it stops this one.
// Where that is pyrr, or none that pyrr knows, nobody would, so it is just told so.
func (r *recorder) traceMe(t *task) error {
	if t.proc.traced {
		return r.answer(t, -int64(unix.EPERM))
	}
	parent := parentOf(t.pid)
	if r.tasks[parent] == nil {
		t.proc.traced = true
		return r.answer(t, 0)
	}
	r.leave(t.proc, fmt.Sprintf("process %d, which made it, traces it from here on (PTRACE_TRACEME)", parent))
	return nil
}

// handOver is how long at most a thread waits for a process to be let go that it is
// going to trace.
const handOver = 2 * time.Second

// giveUpTo lets the process of o go, and waits until that is done.
func (r *recorder) giveUpTo(o *task, why string) {
	pid := o.pid
	if o.proc != nil && o.proc.mode == modeRecord {
		r.leave(o.proc, why)
	}
	of := func(tid int) bool { u := r.tasks[tid]; return u != nil && u.pid == pid }
	for until := time.Now().Add(handOver); time.Now().Before(until); time.Sleep(50 * time.Microsecond) {
		left := false
		for _, u := range r.tasks {
			if u.pid != pid || u.dead || u.helper {
				continue
			}
			left = true
			if !u.leaving {
				u.leaving = true // it was only watched
				ptrace.Interrupt(u.tid)
			}
		}
		if !left {
			return
		}
		r.waits.Collect()
		for s, ok := r.waits.Take(of); ok; s, ok = r.waits.Take(of) {
			r.handle(s.TID, s.Status)
		}
	}
}

// isOwnThread reports whether a number is that of one of pyrr's threads.
func isOwnThread(tid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
	return err == nil
}
