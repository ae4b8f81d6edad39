//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"

	"pyrr/internal/cli"
)

// become runs another program in place of this one, as far as that goes where a process
// can't be replaced: it has this one's files, and its exit status becomes this one's.
func become(path string, args []string) error {
	cmd := exec.Command(path, args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return cli.Status(ended.ExitCode())
	}
	return err
}
