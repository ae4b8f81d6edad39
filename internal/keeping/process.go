//go:build linux

package keeping

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"pyrr/capture"
	"pyrr/cpython"
	"pyrr/internal/hint"
	"pyrr/internal/naming"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// recordProcess records a process that runs already.
func recordProcess(ctx context.Context, u *screen.UI, f *Flags, fs *pflag.FlagSet, args []string) error {
	switch {
	case len(args) > 0:
		return hint.With(hint.Usagef("record: --pid %d and a command exclude each other", f.pid), fmt.Sprintf("pyrr record --pid %d", f.pid))
	case f.Timeout != 0 && !f.Within:
		return hint.With(hint.Usagef("record: --timeout would end the process, which pyrr did not start; --for ends the recording alone"),
			fmt.Sprintf("pyrr record --pid %d --for %v", f.pid, f.Timeout))
	case f.pid == os.Getpid():
		return hint.Usagef("record: --pid %d is pyrr itself", f.pid)
	}
	argv, err := ProcessArgs("record", f.pid)
	if err != nil {
		return err
	}
	if !f.Leashed {
		pids := []int{f.pid}
		if f.children {
			pids = append(pids, pythonsBelow(f.pid)...)
		}
		var runs [][]string
		for _, pid := range pids {
			runs = append(runs, leashedArgs(f, pid))
			defer capture.Reap(pid)
		}
		return onLeash(runs...)
	}
	ctx = leashed(ctx)
	t, err := naming.Plan(f.Out, argv)
	if err != nil {
		return err
	}
	if err := Prepare(&t); err != nil {
		return err
	}
	o := capture.Options{
		Running: capture.Running{PID: f.pid, For: f.span, Instant: f.instant}, Schedule: f.schedule(), Bounds: f.limits(),
		Dir: t.Part, FollowAll: f.Follow == "all", AVX512: f.AVX512, CPUs: f.CPUs, Warn: u.Warn,
	}
	o.Attached = func(stood time.Duration) {
		how := "Ctrl-C ends the recording, and the process goes on"
		if f.span > 0 {
			how = fmt.Sprintf("for %v", f.span)
		}
		u.Note("recording process %d (%s), which stood still for %v; %s", f.pid, strings.Join(argv[:min(2, len(argv))], " "), stood.Round(100*time.Microsecond), how)
	}
	o.NoBuffer, o.Dispatch = f.CallBuffer == CallBufferOff, f.dispatch()
	if f.Within {
		return recordWithin(ctx, u, f, fs, &t, &o)
	}
	info, err := capture.Attach(ctx, o)
	if err != nil {
		discardEmpty(u, &t)
		return attachFailed("record", f.pid, err)
	}
	if len(info.Kept) == 0 {
		discardEmpty(u, &t)
		return fmt.Errorf("nothing was recorded of process %d", f.pid)
	}
	only := info.Kept[0]
	if only.Err != nil {
		u.Warn(only.Err.Error())
	}
	info.Procs, info.Events, info.Instructions = only.Procs, only.Events, only.Instructions
	Finish(u, &t, f, info)
	return nil
}

// leashedArgs are the arguments of pyrr for the process that traces pid: those of this
// one, with another file for another process.
func leashedArgs(f *Flags, pid int) []string {
	args := append([]string{"record", "--leashed"}, os.Args[2:]...)
	if pid == f.pid {
		return args
	}
	args = append(args, "--pid", strconv.Itoa(pid))
	if name, ok := strings.CutSuffix(f.Out, recording.PackedSuffix); ok {
		args = append(args, "--output", fmt.Sprintf("%s.%d%s", name, pid, recording.PackedSuffix))
	}
	return args
}

// pythonsBelow lists what runs Python among the descendants of a process, in the order
// of their numbers.
func pythonsBelow(pid int) []int {
	out := slices.DeleteFunc(capture.Descendants(pid), func(pid int) bool {
		return !cpython.IsPython(fmt.Sprintf("/proc/%d/exe", pid))
	})
	slices.Sort(out)
	return out
}

// ProcessArgs is the command line of a process that a command can attach to.
func ProcessArgs(command string, pid int) ([]string, error) {
	if probe.Elsewhere {
		return nil, probe.Cannot("look at a living process")
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if of := processOf(pid); err == nil && of != pid {
		return nil, hint.With(fmt.Errorf("%s: %d is a thread of process %d", command, pid, of), fmt.Sprintf("pyrr %s --pid %d", command, of))
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, hint.With(fmt.Errorf("%s: there is no process %d", command, pid), "ps -ef | grep python")
	case err != nil:
		return nil, fmt.Errorf("%s: %w", command, err)
	case len(b) == 0:
		return nil, fmt.Errorf("%s: process %d is the kernel's own, or it or its first thread has ended", command, pid)
	}
	if exe := fmt.Sprintf("/proc/%d/exe", pid); !cpython.IsPython(exe) {
		if _, err := os.Open(exe); errors.Is(err, os.ErrPermission) {
			return nil, attachFailed(command, pid, unix.EPERM)
		}
		return nil, hint.With(fmt.Errorf("%s: process %d (%s) runs no Python that pyrr knows", command, pid, strings.TrimSpace(readComm(pid))), "pyrr doctor")
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"), nil
}

// processOf is the process that a thread is of, by proc(5); the id itself where that is
// not known.
func processOf(id int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", id))
	_, rest, _ := strings.Cut(string(b), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
		return pid
	}
	return id
}

func readComm(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "?"
	}
	return string(b)
}

// attachFailed says what permits it, where the kernel refused.
func attachFailed(command string, pid int, err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%s: %w", command, err)
	}
	owner := os.Geteuid()
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d", pid), &st) == nil {
		owner = int(st.Uid)
	}
	scope, _ := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope") // there is none without Yama
	why, remedy := Refusal(command, pid, owner, os.Geteuid(), strings.TrimSpace(string(scope)))
	return hint.With(hint.Machinef("%s: process %d can't be traced: %s", command, pid, why), remedy)
}

// Refusal guesses why the kernel refuses to let a process be traced (ptrace(2),
// "Ptrace access mode checking"), and what would permit it. The process belongs to
// user owner, pyrr runs as self, and scope is kernel.yama.ptrace_scope, "" without Yama.
func Refusal(command string, pid, owner, self int, scope string) (why, remedy string) {
	if self != 0 && owner != self {
		return fmt.Sprintf("it belongs to user %d, and pyrr runs as %d", owner, self), fmt.Sprintf("sudo pyrr %s --pid %d", command, pid)
	}
	switch scope {
	case "1":
		return "kernel.yama.ptrace_scope is 1: only what pyrr starts may be traced by it", "sudo sysctl kernel.yama.ptrace_scope=0"
	case "2":
		return "kernel.yama.ptrace_scope is 2: it takes CAP_SYS_PTRACE", fmt.Sprintf("sudo pyrr %s --pid %d", command, pid)
	case "3":
		return "kernel.yama.ptrace_scope is 3: no process may be traced until the machine is restarted", ""
	}
	return "the kernel forbids it: in a container it takes CAP_SYS_PTRACE, or a seccomp profile that permits ptrace", "docker run --cap-add SYS_PTRACE …"
}
