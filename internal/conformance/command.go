package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"pyrr/internal/setup"
)

// maxOutput bounds what is kept of one stream of a program.
const maxOutput = 64 << 20

// Output is what a program did.
type Output struct {
	// Status is the exit status as a shell gives it: 128+n for signal n.
	Status         int
	Stdout, Stderr string
	Seconds        float64
	// TimedOut says that the program was killed for taking too long.
	TimedOut bool
}

// command is a program to run, in a process group of its own.
type command struct {
	argv  []string
	dir   string
	env   []string
	limit time.Duration
}

// run runs a program to its end, or kills it and its group at the limit. An
// error means that it could not be run; how it ended is in the output.
func (c command) run(ctx context.Context) (Output, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	stdout, stderr := &bounded{}, &bounded{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A process that left the group may still hold the pipes.
	cmd.WaitDelay = setup.Patience(5 * time.Second)

	began := time.Now()
	err := cmd.Run()
	out := Output{Stdout: stdout.String(), Stderr: stderr.String(), Seconds: time.Since(began).Seconds()}
	out.TimedOut = errors.Is(ctx.Err(), context.DeadlineExceeded)
	if cmd.ProcessState == nil {
		return out, fmt.Errorf("run %s: %w", strings.Join(c.argv, " "), err)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	out.Status = status.ExitStatus()
	if status.Signaled() {
		out.Status = 128 + int(status.Signal())
	}
	return out, nil
}

// bounded is a buffer that drops what goes beyond maxOutput.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxOutput - b.Len(); len(p) > room {
		b.Buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// environment is what programs under test see: nothing of whoever runs the
// tests except where programs are, and folders that are removed afterwards.
func environment(home, tmp string) []string {
	env := []string{"HOME=" + home, "TMPDIR=" + tmp, "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
	if tz, ok := os.LookupEnv("TZ"); ok {
		env = append(env, "TZ="+tz)
	}
	return env
}
