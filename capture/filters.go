package capture

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
)

// A process may have seccomp filters, which end it, or refuse, for calls that its program
// does not make. Calls of pyrr's are not the program's: where pyrr may (with CAP_SYS_ADMIN,
// and without filters of its own) it asks the kernel to pass the filters by for them.

// mayCall says whether pyrr can make a call in the process without ending it. Nobody
// knows what seccomp filters do to such a call, unless pyrr's own process has the
// same. They are passed by from then on, for this thread and what it makes.
func (in *instant) mayCall(t *still) bool {
	if filters(strconv.Itoa(in.pid)) <= filters("self") {
		return true
	}
	if ptrace.SetOptions(t.tid, instantOptions|unix.PTRACE_O_SUSPEND_SECCOMP) != nil {
		return false
	}
	in.extra = unix.PTRACE_O_SUSPEND_SECCOMP
	return true
}

// maySuspend says whether filters of a stopped thread that is to be recorded can be
// passed by.
func maySuspend(tid int) bool {
	return ptrace.SetOptions(tid, attachOptions|unix.PTRACE_O_SUSPEND_SECCOMP) == nil && ptrace.SetOptions(tid, attachOptions) == nil
}

// unfiltered has the filters of a stopped thread passed by, for calls of pyrr's, until
// undo is called: those of the program are filtered as ever.
func (r *recorder) unfiltered(p *process, tid int) (undo func()) {
	if p == nil || !p.filtered || ptrace.SetOptions(tid, attachOptions|unix.PTRACE_O_SUSPEND_SECCOMP) != nil {
		return func() {}
	}
	return func() { _ = ptrace.SetOptions(tid, attachOptions) } // an error means that it is gone
}

// filters is the number of seccomp filters of a process (proc(5)); many where it is not
// known, as before Linux 5.9.
func filters(pid string) int {
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	number := func(key string) (int, bool) {
		_, rest, ok := strings.Cut(string(status), "\n"+key+":")
		line, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.Atoi(strings.TrimSpace(line))
		return n, ok && err == nil
	}
	if n, ok := number("Seccomp_filters"); ok {
		return n
	}
	if mode, ok := number("Seccomp"); ok && mode == 0 {
		return 0
	}
	return 1 << 20
}
