//go:build linux

package keeping

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"pyrr/internal/cli"

	"golang.org/x/sys/unix"
)

// A process that pyrr attached to holds traps that only its tracer answers: it
// would end by one of them if the tracer was just gone. So the tracer is another
// process than the one that a user sees and kills, and holds one end of a pipe.
// When the other end is closed, by the end of that process however it came, it
// lets go and completes the recording.

// leashFD is the descriptor of the pipe in the tracer's process.
const leashFD = 3

// onLeash runs pyrr once with each of these arguments, as the processes that trace,
// and returns the first exit status that is not 0.
func onLeash(runs ...[]string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find pyrr's own program: %w", err)
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer ours.Close()
	defer theirs.Close()
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(ch)
	var started []*exec.Cmd
	var failed error
	for _, args := range runs {
		cmd := exec.Command(self)
		cmd.Args = append([]string{"pyrr"}, args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.ExtraFiles = []*os.File{theirs}
		cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true} // Ctrl-C is for this process
		if err := cmd.Start(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("start the process that traces: %w", err))
			continue
		}
		started = append(started, cmd)
	}
	go func() {
		<-ch
		ours.Close()
	}()
	for _, cmd := range started {
		err := cmd.Wait()
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			err = cli.Status(e.ExitCode())
			if e.ExitCode() < 0 {
				err = fmt.Errorf("record: the process of pyrr's that traces was ended: %s", e.ProcessState)
			}
		}
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// leashed returns a context that is done when the other process has ended or says
// so.
func leashed(ctx context.Context) context.Context {
	// Who reads what it says may be gone (| head, or a killed pyrr): that must end no
	// tracer, whose end would leave traps in the process.
	signal.Ignore(unix.SIGPIPE)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		var b [1]byte
		// Whatever comes, its end too, is the word to let go.
		os.NewFile(leashFD, "leash").Read(b[:])
		cancel()
	}()
	return ctx
}
