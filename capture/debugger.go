package capture

import (
	"debug/elf"
	"os"
	"slices"

	"golang.org/x/sys/unix"
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
