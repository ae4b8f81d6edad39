package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/answer"
	"pyrr/internal/cli"
	"pyrr/internal/flagvalue"
	"pyrr/internal/screen"
)

func profileCommand() *cli.Command {
	return &cli.Command{
		Name:     "profile",
		Synopsis: "[--format F] [--by function|line|thread|test] [--slow] [--top N] [-o FILE] RECORDING",
		Short:    "where instructions and time went, exactly, after the fact",
		Long: `Says where the bytecode instructions and the time of a run went. The counts are
exact: each instruction of each code object, and not samples of some; the times are
those of the recording. Two profiles of one recording are equal to the byte.

--by function    instructions and calls of each function, without what it called;
                 how long threads ran and waited up to events that it made
--by line        instructions of each line, and how often it began (as
                 sys.monitoring counts lines)
--by thread      of each thread, and --by test of each test: from the log alone

--slow lists the longest gaps instead, in which a thread made no system call, with
the reason: the call that it waited in, or how much it computed.

--format makes a file for another program, with times by stack: speedscope,
collapsed (flame graphs), perfetto (also Chrome); pprof has the exact counts of
lines besides. With --by line the lines of a function are apart.

Functions and lines take one replay; all else is read from the index.`,
		Examples: []cli.Example{
			{"pyrr profile app.pyrr.zip", "the functions with the most instructions, and the waits"},
			{"pyrr profile --by line --top 10 app.pyrr.zip", "the ten busiest lines"},
			{"pyrr profile --slow app.pyrr.zip", "which second, which call was slow"},
			{"pyrr profile --format speedscope -o run.json app.pyrr.zip", "as a flame graph over time"},
			{"pyrr profile --format pprof -o run.pb.gz app.pyrr.zip", "with pprof"},
		},
		Exits: []cli.Exit{
			{"0", "it was printed"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "it takes a replay, and this machine can't; the reason was printed"},
			{"130", "interrupted"},
		},
		Operand: "recording",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f answer.ProfileFlags
			flagvalue.ChoiceVar(fs, &f.Format, "format", "`form`: text, speedscope, pprof, perfetto or collapsed", "text", "speedscope", "pprof", "perfetto", "collapsed")
			flagvalue.ChoiceVar(fs, &f.By, "by", "`what` has a row: function, line, thread or test", "function", "line", "thread", "test")
			fs.BoolVar(&f.Slow, "slow", false, "the longest gaps, with their reasons")
			fs.IntVar(&f.Top, "top", 30, "print `N` rows, 0 for all")
			fs.StringVarP(&f.Output, "output", "o", "", "write it to this `FILE`")
			return func(_ context.Context, u *screen.UI, args []string) error { return answer.PrintProfile(u, &f, args) }
		},
	}
}
