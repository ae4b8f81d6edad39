//go:build linux

package checking

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pyrr/assert"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// recordForSpec runs the command of a spec and records it in a folder of its
// own, which is removed after the check. A pyrr of its own does that, because
// a recorder waits for all children of its process.
func recordForSpec(u *screen.UI) func(context.Context, string, assert.RecordCommand) (string, func(), error) {
	return func(ctx context.Context, dir string, c assert.RecordCommand) (string, func(), error) {
		if probe.Elsewhere {
			return "", nil, probe.Cannot("record")
		}
		tmp, err := os.MkdirTemp("", "pyrr-check-")
		if err != nil {
			return "", nil, err
		}
		remove := u.Cleanups.Add(func() {
			if err := os.RemoveAll(tmp); err != nil {
				u.Warn(err.Error())
			}
		})
		path, err := recordCommandOf(ctx, u, tmp, c)
		if err != nil {
			remove()
			return "", nil, err
		}
		return path, remove, nil
	}
}

// recordGrace is how long a recorder may take to verify and pack.
const recordGrace = 2 * time.Minute

func recordCommandOf(ctx context.Context, u *screen.UI, tmp string, c assert.RecordCommand) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find pyrr itself: %w", err)
	}
	// The program's output goes to a file: what a process that is left over
	// holds open must not keep the check waiting.
	output, err := os.Create(filepath.Join(tmp, "output"))
	if err != nil {
		return "", err
	}
	defer output.Close()
	path := filepath.Join(tmp, "spec"+recording.PackedSuffix)
	args := []string{"record", "-o", path, "--on-timeout=kill"}
	if c.Timeout > 0 {
		args = append(args, "--timeout", c.Timeout.String())
	}
	args = append(append(args, "--"), shellWords(c.Run)...)
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout+recordGrace)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = "pyrr"
	cmd.Stdout, cmd.Stderr = output, output
	// Ended together with what it started, where the check is.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	u.Status("recording %s", c.Run)
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return "", fmt.Errorf("run the recorder: %w", err)
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	why := lastLines(output, 4)
	switch status := cmd.ProcessState.ExitCode(); {
	case why == "":
		return "", fmt.Errorf("no recording was made; %s ended with %d", c.Run, status)
	default:
		return "", fmt.Errorf("no recording was made; %s ended with %d and said: %s", c.Run, status, why)
	}
}

// shellWords splits a command, or gives it to the shell where it holds more
// than words: a shell in between would be recorded and signalled, too.
func shellWords(command string) []string {
	if strings.ContainsAny(command, "\\\"'`$&|;<>()*?[]{}#~!=\n") {
		return []string{"/bin/sh", "-c", command}
	}
	return strings.Fields(command)
}

// lastLines returns the last lines of a file as one.
func lastLines(f *os.File, n int) string {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return ""
	}
	const most = 4096
	buf := make([]byte, min(size, most))
	if _, err := f.ReadAt(buf, size-int64(len(buf))); err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(buf)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
