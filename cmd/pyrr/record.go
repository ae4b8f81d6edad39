package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"pyrr/internal/cli"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/keeping"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

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
		Long: `Runs CMD and records it: standard input, output, error and the terminal are
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
then for each test (with --keep never too), and pytest.mark.timeout overrides it.
A test that takes too long is interrupted, fails with "Timeout: recorded by pyrr
in …", and pytest goes on with the next; one that does not let itself be
interrupted, in several ways, is ended with its process after five seconds, and
the tests behind it run in a fresh session, which reports all. Of memory, such a
recording holds what the test touched.

--from-mark records parts of a program that are no tests, such as what a service does
for a request: those that it names itself. Which are kept is decided by --keep, and
--timeout is then how long one may take until it is kept; none is interrupted.

--pid records a process that already runs, in place of a command, for as long as
--for says, or until Ctrl-C; it goes on as if nothing had been.

What a project sets in [tool.pyrr] of pyproject.toml, or in pyrr.toml, is the
default of --timeout, --keep, -o (dir), --secret (secrets) and --follow.`,
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
			f := keeping.Flags{VerifyTime: time.Minute}
			fs.StringVarP(&f.Out, "output", "o", "", "folder, or `FILE.pyrr.zip`, to keep the recording in\n(default recordings/NAME-ID.pyrr.zip)")
			flagvalue.ChoiceVar(fs, &f.Keep, "keep", "`when` to keep the recording: always (default), timeout, failure\n(any exit status but 0, or a time-out), never; under pytest,\nof each test",
				keeping.KeepAlways, keeping.KeepTimeout, keeping.KeepFailure, keeping.KeepNever)
			fs.IntVar(&f.KeepMax, "keep-max", 20, "keep the recordings of at most so many tests; 0 is all\n(default 20)")
			fs.IntVar(&f.KeepSame, "keep-same", 3, "of tests that failed by the same exception at the same line,\nkeep at most so many; 0 is all (default 3)")
			fs.Var(flagvalue.NewDuration(&f.VerifyTime), "verify-time", "after CMD has ended, check recordings of tests no longer than\nthis `time` (default 1m); before, it takes a quarter of one\nprocessor")
			fs.Var(&f.MaxSize, "max-size", "stop recording, not CMD, when the events take more than this `size`")
			fs.Var(flagvalue.NewDuration(&f.MaxTime), "max-time", "stop recording, not CMD, after this `time`")
			fs.Var(flagvalue.NewDuration(&f.Timeout), "timeout", "end CMD, or a test, after this `time`: 30, 2.5s, 5m")
			flagvalue.ChoiceVar(fs, &f.OnTimeout, "on-timeout", "`how` to end it: interrupt (SIGINT, after 5 s SIGKILL; default)\nor kill (SIGKILL)",
				"interrupt", "kill")
			flagvalue.ChoiceVar(fs, &f.Follow, "follow", "`which` child processes to record: python (default) or all",
				"python", "all")
			f.DeclareRuns(fs)
			flagvalue.ChoiceVar(fs, &f.Verify, "verify", "`how` to check the recording afterwards: by a replay (default),\nfull: with checksums of memory too, or none",
				keeping.VerifyReplay, keeping.VerifyFull, keeping.VerifyNone)
			flagvalue.ChoiceVar(fs, &f.Redact, "redact", "`when` to replace known secrets before packing: auto (default:\nwhere CI is set, or a secret is named), always, never",
				keeping.RedactAuto, keeping.RedactAlways, keeping.RedactNever)
			f.Secrets.Declare(fs)
			f.DeclareProcess(fs)
			fs.IntVar(&f.CPUs, "cpus", 0, "show native libraries `N` processors, which decides how many\nthreads they start; 0 is all (default). Python sees what there is")
			fs.BoolVar(&f.AVX512, "avx512", false, "let the program use AVX-512, where there is some; the recording\nreplays only where there is some too")
			f.DeclareTrials(fs)
			fs.BoolVar(&f.Images, "image-times", false, "say how long the program stood still for images")
			fs.BoolVar(&f.Finisher, "finisher", false, "finish recordings, and answer at an inherited socket")
			fs.BoolVar(&f.Leashed, "leashed", false, "let go of the process when an inherited pipe is closed")
			defaultKeep := ""
			fs.StringVar(&defaultKeep, "default-keep", "", "--keep where neither it nor a setting is given")
			fs.BoolVar(&f.OrElse, "or-else-run", false, "run CMD unrecorded where it can't be recorded")
			fs.String(cli.SettingsFrom, ".", "the folder whose settings count")
			for _, name := range []string{"or-else-run", cli.SettingsFrom, "default-keep", "finisher", "leashed", "instant", "image-times"} {
				if err := fs.MarkHidden(name); err != nil {
					panic(err) // declared above
				}
			}
			return func(ctx context.Context, u *screen.UI, args []string) error {
				if defaultKeep != "" && !fs.Changed("keep") {
					if err := fs.Set("keep", defaultKeep); err != nil {
						return hint.Usagef("record: %v", err)
					}
				}
				if f.Finisher {
					return keeping.ServeFinisher(&f, args)
				}
				err := keeping.Record(ctx, u, &f, fs, args)
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
	if err := become(path, args); err != nil {
		return fmt.Errorf("run %s: %w", args[0], err)
	}
	return nil
}
