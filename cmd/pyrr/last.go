package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/internal/ask"
	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/internal/traces"
	"pyrr/replay"
)

// lastFlags are the flags of pyrr last.
type lastFlags struct {
	ask.LastOptions
	history bool
	json    bool
}

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
the program's own functions first, from the thread that runs next on; --in and
--thread choose others. A program that has ended has no frames at its end.

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
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f lastFlags
			fs.StringVar(&f.At, "at", "end", "look backwards from `POS`: a position, N%, eN, start or end")
			fs.StringVar(&f.In, "in", "", "the variable of the function `FUNCTION`")
			fs.StringVar(&f.Thread, "thread", "", "in the thread with the id or name `T`")
			fs.IntVar(&f.Process, "process", 0, "in process `P`: its number in the recording, or its pid")
			fs.BoolVar(&f.history, "history", false, "each change, latest first")
			fs.IntVar(&f.Most, "most", 100, "with --history, at most `N` changes")
			fs.BoolVar(&f.json, "json", false, "print JSON, one object per line")
			return func(_ context.Context, u *screen.UI, args []string) error { return printLast(u, &f, args) }
		},
	}
}

func printLast(u *screen.UI, f *lastFlags, args []string) error {
	if len(args) != 2 {
		return hint.With(hint.Usagef("last: name a recording and an expression"), "pyrr last RECORDING --at POSITION NAME.ATTRIBUTE")
	}
	if f.Most < 1 {
		return hint.Usagef("last: --most is a number from 1 on")
	}
	if !f.history {
		f.Most = 1
	}
	rec, path, err := find.One("last", args[:1])
	if err != nil {
		return err
	}
	defer rec.Close()
	if err := replay.Able(rec); err != nil {
		return err
	}
	a := newAnswers(u, rec)
	f.Replaying, f.Progress = func() { a.replaying(rec, path) }, a.progress
	n, more := 0, false
	err = ask.Last(rec, args[1], f.LastOptions, func(c *ask.Change) error {
		n++
		more = n == f.Most && f.history && !c.Made && !c.Ever
		return a.put(func(w io.Writer) error {
			if f.json {
				return a.enc.Encode(newJSONChange(c))
			}
			return a.change(w, rec, c)
		})
	})
	if ferr := a.end(); err == nil {
		err = ferr
	}
	if err != nil {
		return askFailed("last", err, path)
	}
	if more {
		u.Note("there may be earlier changes: --most %d is reached", f.Most)
	}
	return nil
}

// change prints a change: its position and values, and the stack that made it.
func (a *answers) change(w io.Writer, rec *recording.Recording, c *ask.Change) error {
	text := fmt.Sprintf("%s was %s, becomes %s", c.Expr, c.Before, c.After)
	switch {
	case c.Ever:
		text = fmt.Sprintf("%s is %s, since before the recording began", c.Expr, c.After)
	case c.Made:
		text = fmt.Sprintf("%s is made: %s", c.Expr, c.After)
	}
	if err := a.line(w, &c.Moment, text); err != nil {
		return err
	}
	if c.Ever {
		return nil
	}
	if a.text == nil {
		a.text = traces.RecordedLines(rec)
	}
	for _, f := range c.Stack {
		text, _ := a.text(f.File, f.Line)
		short, _ := a.paths.Short(f.File)
		row := fmt.Sprintf("%-24s  %-24s  %s", f.Func, fmt.Sprintf("%s:%d", short, f.Line), strings.TrimSpace(text))
		if _, err := fmt.Fprintf(w, "%42s%s\n", "", printable.Line(strings.TrimRight(row, " "))); err != nil {
			return err
		}
	}
	return nil
}

// jsonChange is a change in the JSON form of pyrr last.
type jsonChange struct {
	Expr   string  `json:"expression"`
	In     string  `json:"in,omitempty"`
	Before *string `json:"before,omitempty"`
	After  string  `json:"after"`
	Made   bool    `json:"made,omitempty"`
	Ever   bool    `json:"ever,omitempty"`
	jsonMoment
	Stack []show.Frame `json:"stack,omitempty"`
}

func newJSONChange(c *ask.Change) jsonChange {
	out := jsonChange{Expr: c.Expr, In: c.In, After: c.After, Made: c.Made, Ever: c.Ever, jsonMoment: newJSONMoment(&c.Moment)}
	if !c.Made && !c.Ever {
		out.Before = &c.Before
	}
	for i := range c.Stack {
		out.Stack = append(out.Stack, show.NewFrame(&c.Stack[i]))
	}
	return out
}
