package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/answer"
	"pyrr/internal/ask"
	"pyrr/internal/cli"
	"pyrr/internal/screen"
)

func whereCommand() *cli.Command {
	return &cli.Command{
		Name:     "where",
		Synopsis: "[--kind K,…] [--first N] [--json] RECORDING TEXT",
		Short:    "the moments a text was printed, logged, raised, opened, sent",
		Long: `Finds the moments at which a text came up, each with its position and the line of
the program's own code that it comes from:

  print       given to print(); the output may be written much later
  output      written to the command's own output
  written     written to any other descriptor
  sent        sent to a socket
  log         the message of a record of logging that a handler took
  exception   of an exception that is raised, its class and message
  file        the path of a file that is opened
  query       given to a database's library (sqlite3, libpq, MySQL), or sent by
              the protocol of PostgreSQL or MySQL

TEXT is any part of it, as it is written there. The position goes on from there:
pyrr replay --at POSITION, pyrr bt --at POSITION.

--json prints one JSON object per line: kind, text, process, instruction, event,
time, thread, threadName, file, line, function.`,
		Examples: []cli.Example{
			{"pyrr where app.pyrr.zip 'connection lost'", "who said that, and when"},
			{"pyrr where app.pyrr.zip settings.ini --kind file", "where a file was opened"},
			{"pyrr where app.pyrr.zip Timeout --kind exception,log --first 1", "the first of two kinds"},
		},
		Exits: []cli.Exit{
			{"0", "it was found"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay it; the reason was printed"},
			{"5", "it came up nowhere"},
			{"130", "interrupted"},
		},
		Operand: "recording",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var o ask.WhereOptions
			fs.StringSliceVar(&o.Kinds, "kind", nil, "only these `kinds`")
			fs.IntVar(&o.First, "first", 0, "end after the first `N`")
			asJSON := fs.Bool("json", false, "print JSON, one object per line")
			return func(_ context.Context, u *screen.UI, args []string) error {
				return answer.PrintWhere(u, o, *asJSON, args)
			}
		},
	}
}
