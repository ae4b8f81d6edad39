package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/console"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/replay"
)

func replayCommand() *cli.Command {
	return &cli.Command{
		Name:        "replay",
		Synopsis:    "[--batch|--gdb|--gdbserver ADDR] [-ex CMD]… [-x FILE] RECORDING",
		Short:       "travel through a recording, forwards and backwards",
		Interactive: true,
		Rewrite:     gdbFlags,
		Long: `Executes the recorded program again, from the recording alone: no file, server
or clock of the first run is needed, and nothing outside is touched. Every event
is held against the recording: thread, system call, arguments, instruction
count, program counter. Waiting takes no time.

Without flags it is a debugger, with commands like gdb's, that goes backwards as
well; "help" in it lists them. The prompt says where it is: how much of the
instructions lies before, and how many. Breakpoints are in Python (FILE:LINE,
FILE::FUNCTION, FUNCTION) or in C (FUNCTION, *ADDRESS), also in code that is not
loaded yet. What takes no commands from a terminal takes them from standard
input. --json answers each command with a line of JSON: what it printed, its data
(stacks, variables, why it stopped), and where the session stands.

--batch replays to the end. The recorded output appears on standard output and
standard error. On the first difference it stops, and prints what was recorded,
what came instead, and the events before.

--gdb starts gdb on the recording, --gdbserver waits for one: gdb's commands,
its reverse ones and its Python scripts work as on a live process.`,
		Examples: []cli.Example{
			{"pyrr replay app.pyrr.zip", "look around"},
			{`pyrr replay -ex "break connect" -ex c -ex bt app.pyrr.zip </dev/null`, "from a script"},
			{"pyrr replay --at 185730 app.pyrr.zip", "begin at a position"},
			{"pyrr replay --batch app.pyrr.zip", "replay, and see that it is exact"},
			{"pyrr replay --gdb app.pyrr.zip", "with gdb"},
		},
		Exits: []cli.Exit{
			{"0", "the replay was exact"},
			{"2", "usage error"},
			{"3", "it diverged, or the recording is damaged or missing"},
			{"4", "this machine can't replay it; the reason was printed"},
			{"130", "interrupted"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f replayFlags
			fs.BoolVar(&f.batch, "batch", false, "replay to the end without asking anything")
			fs.StringArrayVar(&f.commands, "ex", nil, "run `CMD` first (-ex will do, as with gdb)")
			fs.StringVarP(&f.file, "command", "x", "", "run the commands of `FILE` first")
			fs.StringVar(&f.at, "at", "", "begin at `POS`: a position, N%, eN, start or end")
			fs.IntVar(&f.process, "process", 0, "begin with process `P`: its number in the recording")
			fs.BoolVar(&f.asJSON, "json", false, "answer each command with a line of JSON, for scripts")
			fs.BoolVar(&f.debuginfod, "debuginfod", false, "fetch missing debug files from the servers in DEBUGINFOD_URLS")
			fs.BoolVar(&f.gdb, "gdb", false, "start gdb on the recording, with -ex and -x as its own")
			fs.StringVar(&f.server, "gdbserver", "", "wait for gdb at `ADDR`: HOST:PORT, or :PORT for this machine alone")
			return func(_ context.Context, u *screen.UI, args []string) error { return f.run(u, args) }
		},
	}
}

// replayFlags are the flags of pyrr replay.
type replayFlags struct {
	batch, gdb, asJSON, debuginfod bool
	commands                       []string
	file, at, server               string
	process                        int
}

func (f *replayFlags) run(u *screen.UI, args []string) error {
	switch gdb := f.gdb || f.server != ""; {
	case f.batch && (gdb || len(f.commands) > 0 || f.file != ""):
		return hint.Usagef("replay: --batch takes no commands and no gdb")
	case f.asJSON && (f.batch || gdb):
		return hint.Usagef("replay: --json is for the console's commands, not for --batch and gdb")
	case f.batch && (f.at != "" || f.process != 0):
		return hint.Usagef("replay: --batch replays all, from the start; --at and --process are for travelling")
	}
	called := "replay"
	if f.batch {
		called = "replay --batch"
	}
	rec, path, err := find.One(called, args)
	if err != nil {
		return err
	}
	defer rec.Close()
	switch {
	case f.batch:
		defer screen.OnInterrupt(func() {
			u.ClearStatus()
			u.Cleanups.Run()
			os.Exit(cli.ExitInterrupted)
		})()
		return replayBatch(u, rec, path)
	case f.gdb || f.server != "":
		return replayGDB(u, rec, path, f.server, f.at, f.process, f.commands, f.file)
	}
	list := f.commands
	if f.file != "" {
		list = append([]string{"source " + f.file}, list...)
	}
	if f.at != "" {
		list = append([]string{"goto " + f.at}, list...)
	}
	if f.process != 0 {
		list = append([]string{fmt.Sprintf("process %d", f.process)}, list...)
	}
	return runConsole(u, rec, path, console.Options{JSON: f.asJSON, Debuginfod: f.debuginfod}, list, os.Stdin)
}

// gdbFlags lets -ex stand for --ex, as with gdb.
func gdbFlags(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if a == "--" {
			break
		}
		if a == "-ex" || strings.HasPrefix(a, "-ex=") {
			out[i] = "-" + a
		}
	}
	return out
}

func replayBatch(u *screen.UI, rec *recording.Recording, path string) error {
	if err := replay.Able(rec); err != nil {
		return err
	}
	if u.Slow != nil { // a status line would stand in the program's output
		u.Status("replaying %s", path)
		defer u.ClearStatus()
	}
	out, errs := screen.ForTerminal(u.Out), screen.ForTerminal(u.Err)
	res, err := replay.Batch(rec, replay.Options{Stdout: out, Stderr: errs})
	screen.FinishCleaning(out)
	screen.FinishCleaning(errs)
	if err != nil {
		return show.ReplayFailed(err, path)
	}
	cut, err := show.Truncations(rec)
	if err != nil {
		return err
	}
	switch {
	case len(cut) > 0:
		u.Warn("the replay was exact as far as the recording goes: " + strings.Join(cut, "; "))
	case u.Live:
		u.Note("exact: %s, %s", printable.Plural(res.Events, "event", "events"), printable.Plural(res.Instructions, "instruction", "instructions"))
	}
	return nil
}
