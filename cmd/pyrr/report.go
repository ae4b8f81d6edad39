package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/page"
	"pyrr/internal/paging"
	"pyrr/internal/screen"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:     "report",
		Synopsis: "[-o FILE] [--events N] [--variables WHEN] [--unlike RECORDING] [--specs PATH] RECORDING",
		Short:    "make one HTML page that shows a recording",
		Long: `Writes a page that needs nothing else, to be opened in any browser: why the
program hung or failed, with the evidence, each line a link to its moment; a
timeline of all threads; of each event the stack, the source that ran and the
variables where they are known; what the program printed. It is made from the index of
stacks, on any machine, and makes no request. docs/page.md shows it. pyrr check
--html makes one about a check.

The page shows values of variables, lines of the program's files and arguments of
its system calls. --variables never leaves the values out; make it from what pyrr
pack wrote where these may hold secrets.`,
		Examples: []cli.Example{
			{"pyrr report recordings/test_pool-k3x9fa.pyrr.zip", "writes test_pool-k3x9fa.html beside it"},
			{"pyrr report -o - hung.pyrr.zip > hung.html", ""},
			{"pyrr report --specs specs hung.pyrr.zip", "with what the specs that name it say, on the timeline, and goldens that differ"},
			{"pyrr report --unlike passed.pyrr.zip failed.pyrr.zip", "and what it got that the run that passed did not"},
		},
		Exits: []cli.Exit{
			{"0", "the page was written"},
			{"1", "it could not be written"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay it, and it has no index"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f paging.Flags
			fs.StringVarP(&f.Out, "output", "o", "", "write it to `FILE`; - is standard output (default: beside the recording)")
			fs.IntVar(&f.Events, "events", page.DefaultEvents, "how many events it holds, the last ones")
			fs.StringVar(&f.Variables, "variables", "auto", "read variables by a replay: `WHEN` is auto (where that takes a few\nseconds), always, or never, which leaves all values out")
			fs.StringVar(&f.Unlike, "unlike", "", "a `recording` of a run that passed: show what this one got that that one did not")
			fs.StringVar(&f.Specs, "specs", "", "hold it against the specs in `PATH` that name it; none leaves them out\n(default: the folder specs, where there is one)")
			return func(_ context.Context, u *screen.UI, args []string) error { return paging.Write(u, &f, args) }
		},
	}
}
