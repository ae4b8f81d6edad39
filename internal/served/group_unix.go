//go:build unix

package served

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a command the first of a group of processes, and ends all of them
// where it is cancelled: a replay has processes of its own.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
