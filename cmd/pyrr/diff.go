package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/paging"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
)

func diffCommand() *cli.Command {
	return &cli.Command{
		Name:     "diff",
		Synopsis: "[--all] [--json] RECORDING RECORDING",
		Short:    "say where two recordings part, and why",
		Long: `Compares two recordings, say of a run that passed and of one that hung. First it
says what the second run got that the first did not, before they parted: a result,
a time, a schedule, an environment; what followed, and how the second one ended.
Then, of each thread, the first event that is not the same in both, or was made
from another place in the Python code, with both stacks; the earliest of these
comes first. Of pytest's recordings the test that both hold is compared.

What differs between any two runs is not a difference: addresses, process ids,
ports from 32768 on, names of temporary files, numbers in paths, times, and the
calls that depend on how threads were scheduled (locks, memory, clocks). Calls
that came earlier and returned something else are named beside it. Calls more or
less from which both runs go on alike are passed over. Threads are matched by
name, else by number.`,
		Examples: []cli.Example{
			{"pyrr diff passed.pyrr.zip hung.pyrr.zip", ""},
			{"pyrr diff --all --json passed.pyrr.zip hung.pyrr.zip | jq '.threads[0]'", "for a script"},
		},
		Exits: []cli.Exit{
			{"0", "no thread differs"},
			{"1", "at least one does"},
			{"2", "usage error"},
			{"3", "a recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay one, and it has no index"},
		},
		Operand: "recording",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			all := fs.Bool("all", false, "the stacks of every thread that differs, not of the first alone")
			asJSON := fs.Bool("json", false, "print JSON")
			return func(_ context.Context, u *screen.UI, args []string) error {
				if len(args) != 2 {
					return hint.With(hint.Usagef("diff: name two recordings, not %d", len(args)), "pyrr diff PASSED.pyrr.zip HUNG.pyrr.zip")
				}
				var recs [2]*recording.Recording
				for i, path := range args {
					rec, err := find.Open("diff", path)
					if err != nil {
						return err
					}
					defer rec.Close()
					recs[i] = rec
				}
				r, err := paging.Compared(u, recs, [2]string{args[0], args[1]})
				if err != nil {
					return err
				}
				if *asJSON {
					out := show.NewDiff(r)
					out.Causes, out.Followed = r.Causes(), r.Followed("the first run", "the second run")
					err = u.PrintJSON(out)
				} else {
					show.PrintDiff(u, r, args, *all, func() { show.PrintReasons(u, r, recs[1]) })
				}
				if err == nil && !r.Same() {
					err = cli.Status(cli.ExitFailed)
				}
				return err
			}
		},
	}
}
