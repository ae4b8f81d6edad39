package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/answer"
	"pyrr/internal/cli"
	"pyrr/internal/screen"
)

func printCommand() *cli.Command {
	return &cli.Command{
		Name:     "print",
		Synopsis: "[--if COND] [--thread T] [--test ID] [--first N|--last N] [--json] RECORDING PLACE [EXPR,…]",
		Short:    "what expressions were worth each time a place was passed",
		Long: `Prints, after the fact, what a print statement in the program would have: a line
for each time that a place was passed, with the position, the time, the thread,
the place and the values.

PLACE is one of

  FILE:LINE         before the line runs; FILE may be the end of a path
  FUNCTION          a Python function, CLASS.NAME or NAME: a line when it is
                    called, with its arguments or with the expressions, and one
                    when it returns, with what it returns
  FILE::FUNCTION    the function of that file
  c:FUNCTION        a C function that its library exports: a line when it is
                    called, with its arguments where debug information is there
  raise [CLASS]     where an exception is raised, of the class or a derived one
  syscall NAME      where a thread makes the system call; expressions are
                    evaluated in the program's own innermost frame

Expressions are what needs nothing executed: names, attributes, items, literals,
len(), arithmetic, comparisons, in, is, not, and, or; and those of C, where there
is debug information (p->left, buf[2], *head), whose names come behind Python's
but in a C function. What can't be read is shown in < >. Values are as they were
before the line.

The position goes on from there: pyrr replay --at POSITION, pyrr bt --at POSITION.
System calls without expressions are read from the index; all else takes one
replay.

--json prints one JSON object per line: kind (line, call, return, raise, syscall),
process, instruction, event, time, thread, threadName, file, line, function,
values (each with expr, and value or error), arguments (likewise), and text: what
is returned, raised or called.`,
		Examples: []cli.Example{
			{"pyrr print app.pyrr.zip pool.py:31 'item, len(self.queue)'", "at each pass of a line"},
			{"pyrr print app.pyrr.zip pool.py:31 item --if 'item > 99' --last 3", "the last times that a condition held"},
			{"pyrr print app.pyrr.zip Pool.take --thread worker-2", "a function's arguments and results, in one thread"},
			{"pyrr print app.pyrr.zip c:sqlite3_step 'pStmt'", "a C function, with what C has"},
			{"pyrr print app.pyrr.zip 'raise KeyError' self.state", "where an exception was raised, and with what state"},
			{"pyrr print app.pyrr.zip 'syscall connect'", "each connect, with the line that made it"},
		},
		Exits: []cli.Exit{
			{"0", "the place was passed, and all was printed"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay it; the reason was printed"},
			{"5", "it was never passed; why was printed"},
			{"130", "interrupted"},
		},
		Operand: "recording",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f answer.PrintFlags
			fs.StringVar(&f.If, "if", "", "only where the expression `COND` is true")
			fs.StringVar(&f.Thread, "thread", "", "only the thread with the id or name `T`")
			fs.StringVar(&f.Test, "test", "", "only during the test `ID`, or the one whose id it is a part of")
			fs.IntVar(&f.Process, "process", 0, "only process `P`: its number in the recording, or its pid")
			fs.IntVar(&f.First, "first", 0, "end after the first `N`")
			fs.IntVar(&f.Last, "last", 0, "only the last `N`")
			fs.BoolVar(&f.JSON, "json", false, "print JSON, one object per line")
			return func(_ context.Context, u *screen.UI, args []string) error { return answer.PrintValues(u, &f, args) }
		},
	}
}
