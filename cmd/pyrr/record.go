package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"pyrr/internal/cli"
	"pyrr/internal/hint"
	"pyrr/internal/keeping"
	"pyrr/internal/printable"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

const recordLong = `Runs CMD and records it: standard input, output, error and the terminal are
CMD's own, and so are Ctrl-C and the exit status. What follows CMD belongs to
CMD; where CMD itself begins with a dash, write -- before it.

The recording is written to NAME-ID.pyrr.part while CMD runs, which the other
commands open as well. Afterwards it is replayed once, to be sure that it is
exact, and packed into NAME-ID.pyrr.zip; a line on standard error names it.
Without -o it goes to the folder recordings.

The time-out is pyrr's own: it fires wherever the program hangs, in a blocked
C call too. The recording ends there; CMD then gets SIGINT, and SIGKILL five
seconds later.

With --keep timeout or failure, where CMD runs pytest (itself, or by tox, nox,
coverage, a script), each test has a recording of its own, which begins at the
test; only those of tests that took too long, or failed, are kept. --timeout is
then for each test (in all modes: with always, the first that takes longer ends CMD),
not for the start of the session; pytest.mark.timeout overrides it.
A test that takes too long is interrupted, fails with "Timeout: recorded by pyrr
in …", and pytest goes on with the next; one that does not let itself be
interrupted, in several ways, is ended with its process after five seconds, and
the tests behind it run in a fresh session, which reports all. Of memory, such a
recording holds what the test touched.

--from-mark records parts of a program that are not tests, such as what a service does
for a request: those that it names itself. Which are kept is decided by --keep, and
--timeout is then how long one may take until it is kept; none is interrupted.

--pid records a process that already runs, in place of a command, for as long as
--for says, or until Ctrl-C; it goes on as if nothing had been.

What a project sets in [tool.pyrr] of pyproject.toml, or in pyrr.toml, is the
default of --timeout, --keep, -o (dir), --secret (secrets) and --follow.`

func recordCommand() *cli.Command {
	return &cli.Command{
		Name: "record",
		Synopsis: `[-o DIR|FILE.pyrr.zip] [--keep always|timeout|failure|never]
[--keep-max N] [--keep-same N] [--verify-time D] [--max-size SIZE] [--max-time D]
[--timeout D] [--on-timeout interrupt|kill] [--no-resume] [--follow python|all] [--cpus N]
[--chaos[=SEED]] [--until-fail N] [--verify replay|full|none]
[--redact auto|always|never] [--secret NAME]… [--pid PID [--for D] [--children]] [--from-mark NAME]
[--] CMD [ARG…]`,
		Short: "run a command and keep a recording of it",
		Long:  recordLong,
		Examples: []cli.Example{
			{"pyrr record -- python app.py --port 80", "record a run"},
			{"pyrr record --timeout 30s pytest tests", "end what hangs after 30 s, and keep it"},
			{"pyrr record --keep timeout --timeout 60s pytest", "keep the tests that take longer than 60 s"},
			{"pyrr record --keep failure -o out pytest", "keep only what fails"},
			{"pyrr record --pid 4711 --for 10s", "record what runs already"},
			{"pyrr record --from-mark request -- python app.py", "regions of a service"},
			{"pyrr record --chaos=7 -- python race.py", "vary the schedule of threads, to find races"},
			{"pyrr record --until-fail 100 --chaos -- pytest test_race.py", "run what fails now and then until it does"},
		},
		Exits: []cli.Exit{
			{"N", "CMD's own exit status, 128+n if signal n ended it"},
			{"124", "the time-out ended it"},
			{"125", "pyrr itself failed: usage, no place to write, no right to trace"},
			{"126", "CMD can't be executed"},
			{"127", "CMD does not exist"},
		},
		Operand:     "command",
		Settings:    map[string]string{"timeout": "timeout", "keep": "keep", "dir": "output", "secrets": "secret", "follow": "follow"},
		UsageStatus: cli.ExitOwn,
		RunsProgram: true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			f := keeping.NewFlags()
			f.Declare(fs)
			return func(ctx context.Context, u *screen.UI, args []string) error {
				if f.DefaultKeep != "" && !fs.Changed("keep") {
					if err := fs.Set("keep", f.DefaultKeep); err != nil {
						return hint.Usagef("record: %v", err)
					}
				}
				if f.TellTimeout { // where nothing can be recorded, too
					fmt.Fprintln(u.Out, f.Timeout.Seconds())
					return nil
				}
				if f.Finisher {
					return keeping.ServeFinisher(f, args)
				}
				err := keeping.Record(ctx, u, f, fs, args)
				if _, status := errors.AsType[cli.Status](err); err != nil && !status && f.OrElse && len(args) > 0 && (!f.Began || hint.IsMachine(err)) {
					return runUnrecorded(u, args, err)
				}
				return err
			}
		},
	}
}

// runUnrecorded becomes the command, after an error that came before it ran.
func runUnrecorded(u *screen.UI, args []string, why error) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return why
	}
	u.Warn("not recorded: " + why.Error())
	for _, h := range hint.Of(why) {
		u.Hint(h)
	}
	// For the plugin of pytest, which keeps the time limits then.
	if err := os.Setenv("PYRR_UNRECORDED", printable.Line(why.Error())); err != nil {
		return fmt.Errorf("tell why nothing is recorded: %w", err)
	}
	if err := become(path, args); err != nil {
		return fmt.Errorf("run %s: %w", args[0], err)
	}
	return nil
}
