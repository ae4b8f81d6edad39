//go:build linux

package ptrace

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start runs a program that is seized with opts and stopped at the exit of
// its execve(2), before its first instruction. Its standard files, limits,
// signal mask and dispositions are those that pyrr was started with.
//
// The kernel offers no seizing across exec from the outside, so the child
// asks to be traced, is let go into a group stop at the exec, and is seized
// there; a seized thread can be interrupted later, a traced one can't.
func Start(path string, argv, env []string, dir string, files []uintptr, opts uintptr) (pid int, err error) {
	pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Dir: dir, Env: env, Files: files,
		Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, err
	}
	fail := func(what string, err error) (int, error) {
		Kill(pid)
		WaitFor(pid)
		return 0, fmt.Errorf("%s process %d: %w", what, pid, err)
	}
	if _, st, err := WaitFor(pid); err != nil || !st.Stopped() {
		return fail("wait for the exec of", err)
	}
	if err := Detach(pid, int(unix.SIGSTOP)); err != nil {
		return fail("let go of", err)
	}
	var st unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &st, unix.WUNTRACED|unix.WALL, nil); err != unix.EINTR {
			break
		}
	}
	if err != nil || !st.Stopped() {
		return fail("wait for the stop of", err)
	}
	if err := Seize(pid, opts); err != nil {
		return fail("seize", err)
	}
	if _, st, err = WaitFor(pid); err != nil || Event(st) != unix.PTRACE_EVENT_STOP {
		return fail("wait for the seized", err)
	}
	// End the group stop and take the SIGCONT away: the program sees neither.
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		return fail("continue", err)
	}
	if err := Listen(pid); err != nil {
		return fail("listen to", err)
	}
	for {
		if _, st, err = WaitFor(pid); err != nil || !st.Stopped() {
			return fail("wait for the continued", err)
		}
		if Event(st) == 0 && st.StopSignal() == unix.SIGCONT {
			return pid, nil
		}
		if err := Cont(pid, 0); err != nil {
			return fail("resume", err)
		}
	}
}

// NotOpen has a bit for each standard file that was closed when pyrr began: it is closed
// for the program, too, and what Go's runtime opened in its place is pyrr's alone.
var NotOpen uint32

// StdFiles are the descriptors that a started program inherits.
func StdFiles() []uintptr {
	files := []uintptr{os.Stdin.Fd(), os.Stdout.Fd(), os.Stderr.Fd()}
	for fd := range files {
		if NotOpen>>fd&1 != 0 {
			files[fd] = ^uintptr(0) // closed, says syscall.ForkExec
		}
	}
	return files
}
