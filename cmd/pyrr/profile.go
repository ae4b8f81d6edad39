package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"pyrr/internal/ask"
	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/outfile"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// profileFlags are the flags of pyrr profile.
type profileFlags struct {
	format, by, output string
	top                int
	slow               bool
}

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
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f profileFlags
			flagvalue.ChoiceVar(fs, &f.format, "format", "`form`: text, speedscope, pprof, perfetto or collapsed", "text", "speedscope", "pprof", "perfetto", "collapsed")
			flagvalue.ChoiceVar(fs, &f.by, "by", "`what` has a row: function, line, thread or test", "function", "line", "thread", "test")
			fs.BoolVar(&f.slow, "slow", false, "the longest gaps, with their reasons")
			fs.IntVar(&f.top, "top", 30, "print `N` rows, 0 for all")
			fs.StringVarP(&f.output, "output", "o", "", "write it to this `FILE`")
			return func(_ context.Context, u *screen.UI, args []string) error { return printProfile(u, &f, args) }
		},
	}
}

func printProfile(u *screen.UI, f *profileFlags, args []string) error {
	text := f.format == "text"
	switch {
	case f.top < 0:
		return hint.Usagef("profile: --top is 0 or more")
	case f.slow && !text:
		return hint.Usagef("profile: --slow is a text")
	case !text && (f.by == "thread" || f.by == "test"):
		return hint.Usagef("profile: --by %s is a text", f.by)
	}
	rec, path, err := find.One("profile", args)
	if err != nil {
		return err
	}
	defer rec.Close()
	counts := f.format == "pprof" || text && !f.slow && (f.by == "function" || f.by == "line")
	if sum, ok := rec.Summary(); ok && sum.Instructions == 0 {
		counts = false // there are none
	}
	if counts {
		if err := replay.Able(rec); err != nil {
			return err
		}
	}
	a := newAnswers(u, rec)
	o := ask.ProfileOptions{Counts: counts, Describe: describeCall, Replaying: func() { a.replaying(rec, path) }, Progress: a.progress}
	if f.slow {
		if o.Gaps = f.top; f.top == 0 {
			o.Gaps = 1 << 20
		}
	}
	p, err := ask.NewProfile(rec, o)
	a.stop()
	if err == nil {
		err = writeProfile(a, rec, path, f, p)
	}
	if err != nil {
		return askFailed("profile", err, path)
	}
	return nil
}

// writeProfile writes the profile in its form, to standard output or the file.
func writeProfile(a *answers, rec *recording.Recording, path string, f *profileFlags, p *ask.Profile) error {
	write := func(w io.Writer) error {
		st := &ask.Stacks{Profile: p, Name: filepath.Base(path), Began: rec.Header().Started.UnixNano(), Lines: f.by == "line",
			Short: func(file string) string { s, _ := a.paths.Short(file); return s }}
		switch f.format {
		case "speedscope":
			return st.Speedscope(w)
		case "collapsed":
			return st.Collapsed(w)
		case "perfetto":
			return st.Perfetto(w)
		case "pprof":
			return st.Pprof(w)
		}
		profileText(w, a.paths, f, p)
		return nil
	}
	if f.output != "" && f.output != "-" {
		err := outfile.Write(f.output, 0o666, write)
		a.stop()
		return err
	}
	if err := a.put(write); err != nil {
		return err
	}
	return a.end()
}

// spent prints a time in the columns of a profile.
func spent(ns int64) string { return fmt.Sprintf("%.6f", time.Duration(ns).Seconds()) }

func share(n, of uint64) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(of))
}

// profileText prints the tables of a profile.
func profileText(w io.Writer, paths stack.Paths, f *profileFlags, p *ask.Profile) {
	place := func(file string, line int) string {
		short, _ := paths.Short(file)
		if line > 0 {
			short = fmt.Sprintf("%s:%d", short, line)
		}
		return printable.Line(short)
	}
	n := 0
	print := func(right map[int]bool, head []string, count int, row func(i int) []string) {
		rows := [][]string{head}
		for i := range count {
			if f.top > 0 && i >= f.top {
				n = count - i
				break
			}
			rows = append(rows, row(i))
		}
		printable.Table(w, right, rows)
		if n > 0 {
			fmt.Fprintf(w, "… %s more, with --top 0\n", printable.Grouped(uint64(n)))
			n = 0
		}
	}
	fmt.Fprintf(w, "%s, %s s\n\n", printable.Plural(p.Instrs, "instruction", "instructions"), spent(p.End))
	numbers := map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true}
	switch {
	case f.slow:
		profileSlow(w, paths, p)
		return
	case f.by == "line":
		print(map[int]bool{0: true, 1: true, 2: true}, []string{"instructions", "", "begun", "line", "function"}, len(p.Lines), func(i int) []string {
			l := &p.Lines[i]
			return []string{printable.Grouped(l.Instrs), share(l.Instrs, p.Instrs), printable.Grouped(l.Begun), place(l.File, l.Line), printable.Line(l.Func)}
		})
	case f.by == "thread":
		print(map[int]bool{0: true, 1: true, 2: true, 3: true}, []string{"instructions", "", "run s", "wait s", "thread"}, len(p.Threads), func(i int) []string {
			t := &p.Threads[i]
			name := fmt.Sprintf("%d %s", t.TID, t.Name)
			if t.Process != 1 {
				name = fmt.Sprintf("process %d, %s", t.Process, name)
			}
			return []string{printable.Grouped(t.Instrs), share(t.Instrs, p.Instrs), spent(t.Run), spent(t.Wait), printable.Line(name)}
		})
	case f.by == "test":
		print(map[int]bool{0: true, 1: true, 2: true}, []string{"instructions", "", "wall s", "outcome", "test"}, len(p.Tests), func(i int) []string {
			t := &p.Tests[i]
			return []string{printable.Grouped(t.Instrs), share(t.Instrs, p.Instrs), spent(t.Wall), printable.Line(t.Outcome), printable.Line(t.ID)}
		})
	default:
		print(numbers, []string{"instructions", "", "calls", "run s", "wait s", "function", "defined"}, len(p.Funcs), func(i int) []string {
			c := &p.Funcs[i]
			return []string{printable.Grouped(c.Instrs), share(c.Instrs, p.Instrs), printable.Grouped(c.Calls), spent(c.Run), spent(c.Wait), printable.Line(c.Func), place(c.File, c.Line)}
		})
	}
	if p.Unknown > 0 && (f.by == "function" || f.by == "line") {
		fmt.Fprintf(w, "%s of code that was gone before it was read\n", printable.Plural(p.Unknown, "instruction", "instructions"))
	}
	if len(p.Waits) > 0 && f.by != "test" {
		fmt.Fprintln(w)
		print(map[int]bool{0: true, 1: true}, []string{"wait s", "calls", "system call"}, len(p.Waits), func(i int) []string {
			c := &p.Waits[i]
			return []string{spent(c.Time), printable.Grouped(c.Calls), c.Call}
		})
	}
}

// profileSlow prints the longest gaps.
func profileSlow(w io.Writer, paths stack.Paths, p *ask.Profile) {
	rows := [][]string{{"took s", "at", "from s", "thread", "line", "what"}}
	for i := range p.Slow {
		g := &p.Slow[i]
		what := "runs native code"
		if g.Instrs > 0 {
			what = "computes " + printable.Plural(g.Instrs, "instruction", "instructions")
		}
		if g.Wait {
			what = "waits in " + g.Text
		}
		line := ""
		if g.File != "" {
			short, _ := paths.Short(g.File)
			line = fmt.Sprintf("%s:%d", short, g.Line)
		}
		name := g.Thread
		if name == "" {
			name = fmt.Sprint(g.TID)
		}
		rows = append(rows, []string{spent(g.Took), fmt.Sprintf("e%d", g.Pos.Event), spent(g.Time), printable.Line(name), printable.Line(line), printable.Shorten(printable.Line(what), 120)})
	}
	printable.Table(w, map[int]bool{0: true, 1: true, 2: true}, rows)
}
