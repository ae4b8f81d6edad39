package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"pyrr/internal/recording"
)

// btFlags are the flags of pyrr bt.
type btFlags struct {
	at, thread, format   string
	process, pid         int
	python, c            bool
	locals, args, asJSON bool
	debuginfod, tasks    bool
}

func btCommand() *command {
	return &command{
		name:     "bt",
		synopsis: "[--at WHERE] [--thread T|all] [--tasks|--python|--c] [--locals] [--json] RECORDING | --pid PID",
		short:    "print C and Python stacks at a point of a recording",
		long: `Prints call stacks, innermost frame first. Python frames stand where the C
frames are that run them.

--at says where:

  end          the end of each process (default)
  185730       a position: before the next instruction after so many, exactly;
               185,730 will do
  e1234        the event with the number 1234, as pyrr events lists it
  recv         the first event of a system call, signal or kind of event, by
               the names that pyrr events --kind takes
  recv:3       the third one

--thread takes a thread's id or name, or all. By default it is the thread of
the event, and all threads at the end.

--tasks prints the asyncio tasks instead, all that are not done: what each waits
for, and the stack of its coroutine and of those that it awaits. Greenlets that
are suspended (gevent's, say) follow.

What a recording's index has is read from there, in no time and on any machine.
The variables of Python frames, the exceptions that a thread raises and handles,
and which thread has the GIL (--locals), as well as C arguments and source lines
(--args, --format gdb), are read by replaying to the place. C needs the debug files
of the libraries, such as those of Debian's packages libc6-dbg and python3.11-dbg.

--format openresty prints Python frames as OpenResty XRay's python_bt does,
--format gdb prints C frames as gdb's bt does.`,
		examples: []example{
			{"pyrr bt app.pyrr.zip", "where every thread was at the end"},
			{"pyrr bt app.pyrr.zip --at connect", "the first connect"},
			{"pyrr bt app.pyrr.zip --at 185730 --python --locals", "Python alone, with variables"},
			{"pyrr bt app.pyrr.zip --tasks", "what every asyncio task waited for"},
			{"pyrr bt app.pyrr.zip --at recv:2 --c --args", "C alone, with arguments"},
			{"pyrr bt --pid 4711 --python", "where a program is that runs now"},
		},
		exits: []exitDoc{
			{"0", "the stacks were printed"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "it takes a replay, and this machine can't; the reason was printed"},
			{"5", "there is no such event, position or thread"},
			{"130", "interrupted"},
		},
		operand: "recording",
		setup: func(fs *pflag.FlagSet) func(context.Context, *ui, []string) error {
			var f btFlags
			fs.StringVar(&f.at, "at", "end", "`where`: end, a position, eN, or NAME[:N]")
			fs.StringVar(&f.thread, "thread", "", "the `thread`: its id, its name, or all")
			fs.Var(processID{&f.pid}, "pid", "of the living process `PID`, in place of a recording")
			fs.IntVar(&f.process, "process", 0, "only process `P`: its number in the recording, or its pid")
			fs.BoolVar(&f.python, "python", false, "Python frames only")
			fs.BoolVar(&f.c, "c", false, "C frames only")
			fs.BoolVar(&f.tasks, "tasks", false, "asyncio tasks and greenlets instead of threads")
			fs.BoolVar(&f.args, "args", false, "C arguments and source lines, from debug files")
			fs.BoolVar(&f.locals, "locals", false, "the variables of Python frames, exceptions, and who has the GIL")
			fs.BoolVar(&f.debuginfod, "debuginfod", false, "fetch missing debug files from the servers in DEBUGINFOD_URLS")
			fs.BoolVar(&f.asJSON, "json", false, "print JSON")
			choiceVar(fs, &f.format, "format", "`form` of the output: text, openresty or gdb", "text", "openresty", "gdb")
			return func(ctx context.Context, u *ui, args []string) error {
				return printStacks(ctx, u, &f, args)
			}
		},
	}
}

func printStacks(_ context.Context, u *ui, f *btFlags, args []string) error {
	if f.python && f.c {
		return usagef("bt: --python and --c exclude each other")
	}
	if f.tasks && (f.c || f.args || f.thread != "" || f.format != "text") {
		return usagef("bt: --tasks excludes --c, --args, --thread and --format")
	}
	if f.asJSON && f.format != "text" {
		return usagef("bt: --json and --format exclude each other")
	}
	at, err := parsePlace(f.at)
	if err != nil {
		return err
	}
	rec, path, done, err := recordingOrProcess(u, "bt", glance{pid: f.pid}, args)
	if err != nil {
		return err
	}
	defer done()
	places, err := at.find(rec, f.process)
	if err != nil {
		return err
	}
	if len(places) == 0 {
		u.note("nothing in %s matches --at %s", path, f.at)
		u.hint(placesThere(rec, path))
		return exitStatusError(exitNothing)
	}
	stacks, err := readStacks(u, rec, f, places)
	if err != nil {
		return replayFailed(err, path)
	}
	if len(stacks) == 0 && f.tasks {
		u.note("no asyncio task and no greenlet there")
		return exitStatusError(exitNothing)
	}
	if len(stacks) == 0 {
		u.note("no thread %s there", f.thread)
		index, err := rec.StackIndex()
		if err != nil {
			index = nil // names are not worth an error
		}
		procs, _ := rec.Procs()
		u.hint(threadHint(f.thread, threadsThere(rec, procs, index)))
		u.hint("pyrr bt --thread all " + shellQuote(path))
		return exitStatusError(exitNothing)
	}
	return showStacks(u, rec, f, stacks)
}

// placesThere says which places a recording has.
func placesThere(rec *recording.Recording, path string) string {
	if sum, ok := rec.Summary(); ok && sum.Events > 0 {
		return fmt.Sprintf("it has %s, the last is e%d, and %s instructions", plural(sum.Events, "event", "events"), sum.Events-1, grouped(sum.Instructions))
	}
	return "pyrr events " + shellQuote(path)
}

// readStacks takes the stacks from the index where it has all that is asked
// for, else from a replay.
func readStacks(u *ui, rec *recording.Recording, f *btFlags, places []place) ([]btStack, error) {
	if !f.tasks && !f.args && !f.locals && f.format != "gdb" && !between(places) {
		stacks, err := indexedStacks(rec, f, places)
		if err == nil {
			return stacks, nil
		}
		if !errors.Is(err, recording.ErrNoIndex) {
			return nil, err
		}
	}
	if err := canReplay(rec); err != nil {
		return nil, err
	}
	u.status("replaying …")
	defer u.clearStatus()
	stacks, err := readPlaces(rec, f, places)
	if err != nil {
		return nil, fmt.Errorf("replay to the place: %w", err)
	}
	return stacks, nil
}
