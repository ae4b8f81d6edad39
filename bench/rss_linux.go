package main

import (
	"os/exec"
	"syscall"
)

// maxRSS is the largest resident set of a finished command, in KiB. For the
// recorder that is its own: what it records are its children.
func maxRSS(cmd *exec.Cmd) int64 {
	if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return ru.Maxrss
	}
	return 0
}
