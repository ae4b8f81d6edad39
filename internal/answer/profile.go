package answer

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"pyrr/internal/ask"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/outfile"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// ProfileFlags are the flags of pyrr profile.
type ProfileFlags struct {
	Format, By, Output string
	Top                int
	Slow               bool
}

func PrintProfile(u *screen.UI, f *ProfileFlags, args []string) error {
	text := f.Format == "text"
	switch {
	case f.Top < 0:
		return hint.Usagef("profile: --top is 0 or more")
	case f.Slow && !text:
		return hint.Usagef("profile: --slow is a text")
	case !text && (f.By == "thread" || f.By == "test"):
		return hint.Usagef("profile: --by %s is a text", f.By)
	}
	rec, path, err := find.One("profile", args)
	if err != nil {
		return err
	}
	defer rec.Close()
	counts := f.Format == "pprof" || text && !f.Slow && (f.By == "function" || f.By == "line")
	if sum, ok := rec.Summary(); ok && sum.Instructions == 0 {
		counts = false // there are none
	}
	if counts {
		if err := replay.Able(rec); err != nil {
			return err
		}
	}
	a := NewAnswers(u, rec)
	o := ask.ProfileOptions{Counts: counts, Describe: describeCall, Replaying: func() { a.Replaying(rec, path) }, Progress: a.Progress}
	if f.Slow {
		if o.Gaps = f.Top; f.Top == 0 {
			o.Gaps = 1 << 20
		}
	}
	p, err := ask.NewProfile(rec, o)
	a.Stop()
	if err == nil && p.Compiled {
		u.Warn(compiled)
	}
	if err == nil && p.Missing > 0 {
		u.Note("the times by stack leave out the last %s of the run: there were too many", printable.Plural(p.Missing, "stretch", "stretches"))
	}
	if err == nil {
		err = writeProfile(a, rec, path, f, p)
	}
	if err != nil {
		return askFailed("profile", err, path)
	}
	return nil
}

// writeProfile writes the profile in its form, to standard output or the file.
func writeProfile(a *answers, rec *recording.Recording, path string, f *ProfileFlags, p *ask.Profile) error {
	write := func(w io.Writer) error {
		st := &ask.Stacks{Profile: p, Name: filepath.Base(path), Began: rec.Header().Started.UnixNano(), Lines: f.By == "line",
			Short: func(file string) string { s, _ := a.paths.Short(file); return s }}
		switch f.Format {
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
	if f.Output != "" && f.Output != "-" {
		err := outfile.Write(f.Output, 0o666, write)
		a.Stop()
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
func profileText(w io.Writer, paths stack.Paths, f *ProfileFlags, p *ask.Profile) {
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
			if f.Top > 0 && i >= f.Top {
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
	case f.Slow:
		profileSlow(w, paths, p)
		return
	case f.By == "line":
		print(map[int]bool{0: true, 1: true, 2: true}, []string{"instructions", "", "begun", "line", "function"}, len(p.Lines), func(i int) []string {
			l := &p.Lines[i]
			return []string{printable.Grouped(l.Instrs), share(l.Instrs, p.Instrs), printable.Grouped(l.Begun), place(l.File, l.Line), printable.Line(l.Func)}
		})
	case f.By == "thread":
		print(map[int]bool{0: true, 1: true, 2: true, 3: true}, []string{"instructions", "", "run s", "wait s", "thread"}, len(p.Threads), func(i int) []string {
			t := &p.Threads[i]
			name := fmt.Sprintf("%d %s", t.TID, t.Name)
			if t.Process != 1 {
				name = fmt.Sprintf("process %d, %s", t.Process, name)
			}
			return []string{printable.Grouped(t.Instrs), share(t.Instrs, p.Instrs), spent(t.Run), spent(t.Wait), printable.Line(name)}
		})
	case f.By == "test":
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
	if p.Unknown > 0 && (f.By == "function" || f.By == "line") {
		fmt.Fprintf(w, "%s of code that was gone before it was read\n", printable.Plural(p.Unknown, "instruction", "instructions"))
	}
	if len(p.Waits) > 0 && f.By != "test" {
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
