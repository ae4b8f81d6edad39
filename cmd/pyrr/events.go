package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/internal/traces"
)

// eventFlags are the flags of pyrr events.
type eventFlags struct {
	json, raw bool
	stack     bool
	process   int
	thread    string
	kinds     []string
}

func eventsCommand() *cli.Command {
	return &cli.Command{
		Name:     "events",
		Synopsis: "[--json|--raw] [--stack] [--process P] [--thread T] [--kind K,…] RECORDING",
		Short:    "list what a recording holds",
		Long: `Lists the events of each process in the order in which they happened there:

  at      how many instructions the process had executed; an instruction is
          one CPython bytecode instruction
  event   the event's number in its process, from 0
  thread  the thread's id, as the program saw it
  time    seconds since the recording began
  took    how long the system call took
  event   the event, a system call with its arguments and result. A call that
          let other threads run in between makes two: one that ends in …, and
          one that begins with … where its result reached the program

--kind takes names of system calls (recv stands for recvfrom and so on), of
signals, and of kinds of events:
` + printable.Wrap(strings.Join(show.KindNames(), ", "), 76, "  ") + `

--json prints one JSON object per line: process, event, instruction, thread,
kind, name (of the call or signal), text (as in the list), and where there is
one: args (each with name, value, num), result, errno, time, took (seconds),
threadName, and with --stack: stack (frames with kind, func, file, line, col,
module, offset, innermost first).

--stack shows the Python stack of each event's thread, innermost frame first.
The stacks are in the recording: its program is not replayed for them. With
--raw, all that the recording holds of stacks follows the events.`,
		Examples: []cli.Example{
			{"pyrr events app.pyrr.zip | less", ""},
			{"pyrr events app.pyrr.zip --kind connect,recv", "two system calls"},
			{"pyrr events app.pyrr.zip --kind signal,death", "signals and ends of threads"},
			{"pyrr events app.pyrr.zip --kind connect --stack", "and the lines of Python that connected"},
			{"pyrr events app.pyrr.zip --json | jq -s 'max_by(.took)'", "the longest call"},
		},
		Exits: []cli.Exit{
			{"0", "they were listed"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged; what precedes the damage was listed"},
			{"5", "no event matches"},
		},
		Operand: "recording",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f eventFlags
			fs.BoolVar(&f.json, "json", false, "print JSON, one object per line")
			fs.BoolVar(&f.raw, "raw", false, "print everything, in the text form of the format")
			fs.BoolVar(&f.stack, "stack", false, "show the Python stack at each event")
			fs.IntVar(&f.process, "process", 0, "only process `P`: its number in the recording, or its pid")
			fs.StringVar(&f.thread, "thread", "", "only the thread with the id or name `T`")
			fs.StringSliceVar(&f.kinds, "kind", nil, "only these `kinds`, system calls and signals")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				return listEvents(ctx, u, &f, args)
			}
		},
	}
}

func listEvents(ctx context.Context, u *screen.UI, f *eventFlags, args []string) error {
	if f.json && f.raw {
		return hint.Usagef("events: --json and --raw exclude each other")
	}
	filter, err := show.NewFilter(f.kinds)
	if err != nil {
		return err
	}
	rec, path, err := find.One("events", args)
	if err != nil {
		return err
	}
	defer rec.Close()
	procs, procsErr := rec.Procs()
	if f.process != 0 {
		all := procs
		procs = slices.DeleteFunc(slices.Clone(procs), func(p recording.Process) bool { return p.ID != f.process && p.PID != f.process })
		if len(procs) == 0 {
			var ids []string
			for _, p := range all {
				ids = append(ids, fmt.Sprintf("%d (pid %d)", p.ID, p.PID))
			}
			return hint.With(fmt.Errorf("%s has no process %d, it has: %s", path, f.process, strings.Join(ids, ", ")), "pyrr info "+printable.ShellQuote(path))
		}
	}
	x, xerr := rec.StackIndex()
	if xerr != nil {
		x = nil // names are not worth an error
		if f.stack {
			return hint.With(fmt.Errorf("%s: %w", path, xerr), "pyrr bt "+printable.ShellQuote(path)+" --at EVENT")
		}
	}
	if f.thread != "" {
		if filter.Threads, err = traces.ThreadsNamed(f.thread, path, traces.ThreadsThere(rec, procs, x)); err != nil {
			return err
		}
	}
	out := bufio.NewWriterSize(u.Out, 64<<10)
	var l show.List
	switch {
	case f.raw:
		l = &show.Raw{W: out}
	case f.json:
		enc := json.NewEncoder(screen.NewJSONWriter(out))
		enc.SetEscapeHTML(false)
		l = show.NewJSONList(enc, x, f.stack)
	default:
		t := &show.Text{UI: u, W: out, Many: len(procs) > 1}
		if f.stack {
			t.Stacks = x
		}
		l = t
	}
	shown := uint64(0)
	for i := range procs {
		n, perr := show.Process(ctx, rec, &procs[i], filter, l)
		shown += n
		if err = errors.Join(err, perr); perr != nil {
			break
		}
	}
	if err == nil && f.raw && f.stack {
		err = x.WriteText(out)
	}
	if ferr := out.Flush(); ferr != nil {
		return ferr
	}
	if err = errors.Join(err, procsErr); err != nil {
		return err
	}
	if shown == 0 {
		u.Note("no event of %s matches", path)
		return cli.Status(cli.ExitNothing)
	}
	return nil
}
