package keeping

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"pyrr/internal/cli"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

// runs are the flags of how often and by which schedule a command runs.
type runs struct {
	chaos     bool
	seed      uint64
	untilFail int
	noResume  bool
}

// DeclareRuns declares them, and how the recordings of a run share their files.
func (f *Flags) DeclareRuns(fs *pflag.FlagSet) {
	fs.Var(flagvalue.NewChaos(&f.chaos, &f.seed), "chaos", "vary the order in which threads run, to find races; the same\n`SEED` makes the same choices")
	fs.Lookup("chaos").NoOptDefVal = flagvalue.ChaosRandom
	fs.IntVar(&f.untilFail, "until-fail", 0, "run CMD until it fails, at most `N` times, and keep that run;\nwith --chaos each run has the next seed")
	fs.BoolVar(&f.Share, "share-files", false, "keep the mapped files that recordings have in common once, in\nthe folder files beside them, and not in each")
	fs.BoolVar(&f.noResume, "no-resume", false, "where a test has to be ended with its process, leave out the\ntests behind it; else they run in a fresh session of pytest")
}

// untilFails records a command again and again, each time by a pyrr of its own, until
// it fails: until its status is not 0, or the time-out ends it. The recording of that
// run is kept, the others are not. With --chaos each run has the next seed.
func untilFails(ctx context.Context, u *screen.UI, f *Flags, args []string) error {
	if f.untilFail < 1 || f.pid != 0 || len(args) == 0 {
		return hint.Usagef("record: --until-fail N: a number of runs from 1 on, of a command")
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find pyrr itself: %w", err)
	}
	own := os.Args[:len(os.Args)-len(args)]
	// Ctrl-C is the command's own, and ends the runs with it.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT)
	defer signal.Stop(stop)
	for i := range f.untilFail {
		argv := append(runFlags(own, f.chaos, f.seed+uint64(i)), args...)
		cmd := exec.CommandContext(ctx, self, argv...)
		cmd.Args[0] = os.Args[0]
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		err := cmd.Run()
		ended, ran := errors.AsType[*exec.ExitError](err)
		switch {
		case err != nil && !ran:
			return fmt.Errorf("run %d: %w", i+1, err)
		case err != nil:
			if ended.ExitCode() != cli.ExitOwn {
				u.Note("run %d of %d failed", i+1, f.untilFail)
			}
			return cli.Status(max(ended.ExitCode(), 1))
		}
		select {
		case <-stop:
			u.Note("interrupted after run %d of %d, and none has failed", i+1, f.untilFail)
			return cli.Status(128 + int(syscall.SIGINT))
		default:
		}
	}
	u.Note("none of %d runs failed", f.untilFail)
	return nil
}

// runFlags are the words of one run: those of the whole without --until-fail, and with
// a seed of its own.
func runFlags(own []string, chaos bool, seed uint64) []string {
	var out []string
	for i := 1; i < len(own); i++ {
		switch w := own[i]; {
		case w == "--until-fail":
			i++
		case strings.HasPrefix(w, "--until-fail="):
		case chaos && (w == "--chaos" || strings.HasPrefix(w, "--chaos=")):
			out = append(out, fmt.Sprintf("--chaos=%d", seed))
		default:
			out = append(out, w)
		}
		if len(out) == 1 && i == 1 {
			out = append(out, "--keep="+KeepFailure) // one that is given comes later, and counts
		}
	}
	return out
}
