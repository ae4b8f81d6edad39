package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/internal/traces"
)

func btCommand() *cli.Command {
	return &cli.Command{
		Name:     "bt",
		Synopsis: "[--at WHERE] [--thread T|all] [--tasks|--python|--c] [--locals] [--json] RECORDING | --pid PID",
		Short:    "print C and Python stacks at a point of a recording",
		Long: `Prints call stacks, innermost frame first. Python frames stand where the C
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
		Examples: []cli.Example{
			{"pyrr bt app.pyrr.zip", "where every thread was at the end"},
			{"pyrr bt app.pyrr.zip --at connect", "the first connect"},
			{"pyrr bt app.pyrr.zip --at 185730 --python --locals", "Python alone, with variables"},
			{"pyrr bt app.pyrr.zip --tasks", "what every asyncio task waited for"},
			{"pyrr bt app.pyrr.zip --at recv:2 --c --args", "C alone, with arguments"},
			{"pyrr bt --pid 4711 --python", "where a program is that runs now"},
		},
		Exits: []cli.Exit{
			{"0", "the stacks were printed"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "it takes a replay, and this machine can't; the reason was printed"},
			{"5", "there is no such event, position or thread"},
			{"130", "interrupted"},
		},
		Operand: "recording",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f traces.Flags
			fs.StringVar(&f.At, "at", "end", "`where`: end, a position, eN, or NAME[:N]")
			fs.StringVar(&f.Thread, "thread", "", "the `thread`: its id, its name, or all")
			fs.Var(flagvalue.NewProcess(&f.Pid), "pid", "of the living process `PID`, in place of a recording")
			fs.IntVar(&f.Process, "process", 0, "only process `P`: its number in the recording, or its pid")
			fs.BoolVar(&f.Python, "python", false, "Python frames only")
			fs.BoolVar(&f.C, "c", false, "C frames only")
			fs.BoolVar(&f.Tasks, "tasks", false, "asyncio tasks and greenlets instead of threads")
			fs.BoolVar(&f.Args, "args", false, "C arguments and source lines, from debug files")
			fs.BoolVar(&f.Locals, "locals", false, "the variables of Python frames, exceptions, and who has the GIL")
			fs.BoolVar(&f.Debuginfod, "debuginfod", false, "fetch missing debug files from the servers in DEBUGINFOD_URLS")
			fs.BoolVar(&f.AsJSON, "json", false, "print JSON")
			flagvalue.ChoiceVar(fs, &f.Format, "format", "`form` of the output: text, openresty or gdb", "text", "openresty", "gdb")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				return printStacks(ctx, u, &f, args)
			}
		},
	}
}

func printStacks(_ context.Context, u *screen.UI, f *traces.Flags, args []string) error {
	if f.Python && f.C {
		return hint.Usagef("bt: --python and --c exclude each other")
	}
	if f.Tasks && (f.C || f.Args || f.Thread != "" || f.Format != "text") {
		return hint.Usagef("bt: --tasks excludes --c, --args, --thread and --format")
	}
	if f.AsJSON && f.Format != "text" {
		return hint.Usagef("bt: --json and --format exclude each other")
	}
	at, err := traces.ParsePlace(f.At)
	if err != nil {
		return err
	}
	rec, path, done, err := recordingOrProcess(u, "bt", glance{pid: f.Pid}, args)
	if err != nil {
		return err
	}
	defer done()
	places, err := at.Find(rec, f.Process)
	if err != nil {
		return err
	}
	if len(places) == 0 {
		u.Note("nothing in %s matches --at %s", path, f.At)
		u.Hint(placesThere(rec, path))
		return cli.Status(cli.ExitNothing)
	}
	stacks, err := traces.Read(u, rec, f, places)
	if err != nil {
		return show.ReplayFailed(err, path)
	}
	if len(stacks) == 0 && f.Tasks {
		u.Note("no asyncio task and no greenlet there")
		return cli.Status(cli.ExitNothing)
	}
	if len(stacks) == 0 {
		u.Note("no thread %s there", f.Thread)
		index, err := rec.StackIndex()
		if err != nil {
			index = nil // names are not worth an error
		}
		procs, _ := rec.Procs()
		u.Hint(traces.ThreadHint(f.Thread, traces.ThreadsThere(rec, procs, index)))
		u.Hint("pyrr bt --thread all " + printable.ShellQuote(path))
		return cli.Status(cli.ExitNothing)
	}
	return traces.Show(u, rec, f, stacks)
}

// placesThere says which places a recording has.
func placesThere(rec *recording.Recording, path string) string {
	if sum, ok := rec.Summary(); ok && sum.Events > 0 {
		return fmt.Sprintf("it has %s, the last is e%d, and %s instructions", printable.Plural(sum.Events, "event", "events"), sum.Events-1, printable.Grouped(sum.Instructions))
	}
	return "pyrr events " + printable.ShellQuote(path)
}
