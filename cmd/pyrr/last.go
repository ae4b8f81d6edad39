package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/answer"
	"pyrr/internal/cli"
	"pyrr/internal/screen"
)

func lastCommand() *cli.Command {
	return &cli.Command{
		Name:     "last",
		Synopsis: "[--at POS] [--in FUNCTION] [--thread T] [--history [--most N]] [--json] RECORDING EXPR",
		Short:    "who set a value: where, with which stack, and what it was before",
		Long: `Goes back from a place to where a value was set last, and prints the position right
before that, what the value was there and became, and the stack of the thread that
set it.

EXPR is one of

  NAME              a local variable, else a global
  NAME.ATTR[ITEM]…  an attribute or an item, of any object that a path leads to
  *ADDRESS [N]      N bytes of memory (1, 2, 4 or 8), *SYMBOL a variable of C
  p->count, tab[1]  what C has there, where there is debug information

--at says from where on to look backwards: a position, as pyrr print shows it, N%,
eN for an event, start or end. Names are looked up in the frames there: those of
the program's own functions first, from the thread that runs next on, then in
those of tasks that wait; --in and --thread choose others. A program that has
ended has no frames at its end.

--history goes on to the change before, and so on, to where the value was made.
It counts as a change if another object is put there; what an object holds is asked
for by its own path.

--json prints one JSON object per change: expression, in, before, after, made, ever
(it never changed), process, instruction, event, time, thread, threadName, file,
line, function, and stack, innermost first.`,
		Examples: []cli.Example{
			{"pyrr last app.pyrr.zip self.state", "in a program that hung: who set it last"},
			{"pyrr last app.pyrr.zip --at 185,730 total", "as it was at a position"},
			{"pyrr last app.pyrr.zip --at 185,730 'self.jobs[0]' --history", "each change up to there, latest first"},
			{"pyrr last app.pyrr.zip --at 185,730 '*0x7f3e5c0010 8'", "memory of C"},
		},
		Exits: []cli.Exit{
			{"0", "it was found"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, its replay diverged, or there is no such value"},
			{"4", "this machine can't replay it; the reason was printed"},
			{"130", "interrupted"},
		},
		Operand: "recording",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f answer.LastFlags
			fs.StringVar(&f.At, "at", "end", "look backwards from `POS`: a position, N%, eN, start or end")
			fs.StringVar(&f.In, "in", "", "the variable of the function `FUNCTION`")
			fs.StringVar(&f.Thread, "thread", "", "in the thread with the id or name `T`")
			fs.IntVar(&f.Process, "process", 0, "in process `P`: its number in the recording, or its pid")
			fs.BoolVar(&f.History, "history", false, "each change, latest first")
			fs.IntVar(&f.Most, "most", 100, "with --history, at most `N` changes")
			fs.BoolVar(&f.JSON, "json", false, "print JSON, one object per line")
			return func(_ context.Context, u *screen.UI, args []string) error { return answer.PrintLast(u, &f, args) }
		},
	}
}
