package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"pyrr/internal/cli"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

// recordFlags are the flags of pyrr record.
type recordFlags struct {
	out       string
	keep      string
	timeout   time.Duration
	onTimeout string
	follow    string
	runs
	verify  string
	avx512  bool
	cpus    int
	redact  string
	secrets secretFlags
	// pid is a process to record that runs already, and span for how long.
	pid  int
	span time.Duration
	// leashed: another process of pyrr's says when to let go of it.
	leashed  bool
	instant  bool
	children bool // with pid: what runs Python below it too
	// region: only regions of this name are recorded.
	region string
	// Hidden, for tests.
	slice      uint64
	disable    []string
	from       uint64
	keepMax    int
	keepSame   int
	verifyTime time.Duration
	maxSize    flagvalue.Size
	maxTime    time.Duration
	images     bool
	orElse     bool
	began      bool // the command may have been started
	// finisher: this process finishes recordings.
	finisher bool
}

// The values of --keep.
const (
	keepAlways  = "always"
	keepTimeout = "timeout"
	keepFailure = "failure"
	keepNever   = "never"
)

// The values of --verify.
const (
	verifyReplay = "replay"
	verifyFull   = "full"
	verifyNone   = "none"
)

// checksumEvery is how many events lie between two checksums of all writable
// memory under --verify=full.
const checksumEvery = 500

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
then for each test, and pytest.mark.timeout overrides it. A test that takes too
long is interrupted, fails with "Timeout: recorded by pyrr in …", and pytest
goes on with the next; one that does not let itself be interrupted, in several
ways, is ended with its process after five seconds, and the tests behind it run
in a fresh session, which reports all. Of memory, such a recording holds what the
test touched.

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
			f := recordFlags{verifyTime: time.Minute}
			fs.StringVarP(&f.out, "output", "o", "", "folder, or `FILE.pyrr.zip`, to keep the recording in\n(default recordings/NAME-ID.pyrr.zip)")
			flagvalue.ChoiceVar(fs, &f.keep, "keep", "`when` to keep the recording: always (default), timeout, failure\n(any exit status but 0, or a time-out), never; under pytest,\nof each test",
				keepAlways, keepTimeout, keepFailure, keepNever)
			fs.IntVar(&f.keepMax, "keep-max", 20, "keep the recordings of at most so many tests; 0 is all\n(default 20)")
			fs.IntVar(&f.keepSame, "keep-same", 3, "of tests that failed by the same exception at the same line,\nkeep at most so many; 0 is all (default 3)")
			fs.Var(flagvalue.NewDuration(&f.verifyTime), "verify-time", "after CMD has ended, check recordings of tests no longer than\nthis `time` (default 1m); before, it takes a quarter of one\nprocessor")
			fs.Var(&f.maxSize, "max-size", "stop recording, not CMD, when the events take more than this `size`")
			fs.Var(flagvalue.NewDuration(&f.maxTime), "max-time", "stop recording, not CMD, after this `time`")
			fs.Var(flagvalue.NewDuration(&f.timeout), "timeout", "end CMD, or a test, after this `time`: 30, 2.5s, 5m")
			flagvalue.ChoiceVar(fs, &f.onTimeout, "on-timeout", "`how` to end it: interrupt (SIGINT, after 5 s SIGKILL; default)\nor kill (SIGKILL)",
				"interrupt", "kill")
			flagvalue.ChoiceVar(fs, &f.follow, "follow", "`which` child processes to record: python (default) or all",
				"python", "all")
			f.declareRuns(fs)
			flagvalue.ChoiceVar(fs, &f.verify, "verify", "`how` to check the recording afterwards: by a replay (default),\nfull: with checksums of memory too, or none",
				verifyReplay, verifyFull, verifyNone)
			flagvalue.ChoiceVar(fs, &f.redact, "redact", "`when` to replace known secrets before packing: auto (default:\nwhere CI is set, or a secret is named), always, never",
				redactAuto, redactAlways, redactNever)
			f.secrets.declare(fs)
			f.declareProcess(fs)
			fs.IntVar(&f.cpus, "cpus", 0, "show native libraries `N` processors, which decides how many\nthreads they start; 0 is all (default). Python sees what there is")
			fs.BoolVar(&f.avx512, "avx512", false, "let the program use AVX-512, where there is some; the recording\nreplays only where there is some too")
			fs.Uint64Var(&f.slice, "slice", 0, "instructions that a thread runs before others may")
			fs.StringSliceVar(&f.disable, "disable-syscall", nil, "treat these system calls as unknown")
			fs.BoolVar(&f.images, "image-times", false, "say how long the program stood still for images")
			fs.Uint64Var(&f.from, "from-event", 0, "begin after so many events of the first process")
			fs.BoolVar(&f.finisher, "finisher", false, "finish recordings, and answer at an inherited socket")
			fs.BoolVar(&f.leashed, "leashed", false, "let go of the process when an inherited pipe is closed")
			defaultKeep := ""
			fs.StringVar(&defaultKeep, "default-keep", "", "--keep where neither it nor a setting is given")
			fs.BoolVar(&f.orElse, "or-else-run", false, "run CMD unrecorded where it can't be recorded")
			fs.String(cli.SettingsFrom, ".", "the folder whose settings count")
			for _, name := range []string{"or-else-run", cli.SettingsFrom, "default-keep", "finisher", "leashed", "instant", "slice", "disable-syscall", "from-event", "image-times"} {
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
				if f.finisher {
					return serveFinisher(&f, args)
				}
				err := record(ctx, u, &f, fs, args)
				if _, status := errors.AsType[cli.Status](err); err != nil && !status && f.orElse && len(args) > 0 && (!f.began || hint.IsMachine(err)) {
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

// kept says whether a recording is wanted.
func kept(keep string, status int, timedOut bool) bool {
	switch keep {
	case keepAlways:
		return true
	case keepTimeout:
		return timedOut
	case keepFailure:
		return timedOut || status != 0
	default:
		return false
	}
}

// processID is the value of a flag that names a process.
type processID struct{ pid *int }

func (p processID) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		return errors.New("it takes the id of a process")
	}
	*p.pid = n
	return nil
}

func (p processID) String() string {
	if p.pid == nil || *p.pid == 0 {
		return ""
	}
	return strconv.Itoa(*p.pid)
}

func (p processID) Type() string { return "pid" }

// declareProcess declares the flags of recording what runs already, or a part of a
// program.
func (f *recordFlags) declareProcess(fs *pflag.FlagSet) {
	fs.StringVar(&f.region, "from-mark", "", "record only what runs in regions of this `NAME`, each by itself\n(with pyrr_replay.region(NAME): in the program)")
	fs.Var(processID{&f.pid}, "pid", "record the process `PID`, which runs already, in place of CMD")
	fs.Var(flagvalue.NewDuration(&f.span), "for", "with --pid: for this `time`; the process goes on (default:\nuntil Ctrl-C, or its end)")
	fs.BoolVar(&f.children, "children", false, "with --pid: the Python processes below it too, each by itself\n(FILE.PID.pyrr.zip)")
	fs.BoolVar(&f.instant, "instant", false, "with --pid: where the process stands, and nothing of what it does then")
}
