package answer

import (
	"fmt"
	"io"
	"strconv"

	"pyrr/internal/ask"
	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/printable"
	"pyrr/internal/screen"
	"pyrr/replay"
)

// PrintFlags are the flags of pyrr print.
type PrintFlags struct {
	ask.PrintOptions
	JSON bool
}

// twoWords are places of two words, which may come as two arguments: nobody wants to
// know what a class is worth each time that something is raised.
func twoWords(args []string) []string {
	if len(args) < 3 || args[1] != "syscall" && (args[1] != "raise" || !className().MatchString(args[2])) {
		return args
	}
	return append([]string{args[0], args[1] + " " + args[2]}, args[3:]...)
}

var className = lazyregexp.New(`^[A-Z]\w*$`)

func PrintValues(u *screen.UI, f *PrintFlags, args []string) error {
	args = twoWords(args)
	if len(args) < 2 || len(args) > 3 {
		return hint.With(hint.Usagef("print: name a recording, a place and expressions"), "pyrr print RECORDING FILE:LINE 'EXPR, EXPR'")
	}
	if f.First < 0 || f.Last < 0 || f.First > 0 && f.Last > 0 {
		return hint.Usagef("print: --first and --last are numbers from 1 on, and exclude each other")
	}
	place, err := ask.ParsePlace(args[1])
	if err != nil {
		return hint.Usagef("print: %v", err)
	}
	rec, path, err := find.One("print", args[:1])
	if err != nil {
		return err
	}
	defer rec.Close()
	if len(args) == 3 {
		f.Exprs = args[2]
	}
	a := NewAnswers(u, rec)
	f.Describe = describeCall
	f.Replaying, f.Progress = func() { a.Replaying(rec, path) }, a.Progress
	if !place.Logged() || f.Exprs != "" || f.If != "" {
		if err := replay.Able(rec); err != nil {
			return err
		}
	}
	done, err := ask.Print(rec, place, f.PrintOptions, func(h *ask.Hit) error {
		return a.put(func(w io.Writer) error {
			if f.JSON {
				return a.enc.Encode(newJSONHit(h))
			}
			return a.line(w, &h.Moment, h.Summary())
		})
	})
	if ferr := a.end(); err == nil {
		err = ferr
	}
	if err != nil {
		return askFailed("print", err, path)
	}
	if done.Failed != "" {
		u.Warn("the condition could not be evaluated everywhere: " + done.Failed)
	}
	if done.Compiled {
		u.Warn(compiled)
	}
	if done.Hits == 0 {
		why := "nothing passed --if, --thread, --test or --process"
		if f.If == "" && f.Thread == "" && f.Test == "" && f.Process == 0 {
			why = ask.WhyNever(rec, place)
		}
		u.Note("%s was not passed in %s: %s", args[1], path, why)
		return cli.Status(cli.ExitNothing)
	}
	return nil
}

// compiled is what is said of a recording in which the JIT ran.
const compiled = "the program's JIT was on: what it compiled was not counted, and passes there are not among these (recorded with PYTHON_JIT=0, all are)"

// line prints a moment and what is to be said of it on one line.
func (a *answers) line(w io.Writer, m *ask.Moment, text string) error {
	thread := m.Thread
	if thread == "" {
		thread = strconv.Itoa(int(m.TID))
	}
	place := ""
	if m.File != "" {
		short, _ := a.paths.Short(m.File)
		place = fmt.Sprintf("%s:%d", short, m.Line)
	}
	at := printable.Grouped(m.Pos.Instr)
	if m.Process != 1 {
		at = fmt.Sprintf("p%d %s", m.Process, at)
	}
	_, err := fmt.Fprintf(w, "%13s %11.6f  %-12s  %-24s  %s\n", at, float64(m.Time)/1e9, printable.Line(thread), printable.Line(place), printable.Line(text))
	return err
}

// jsonHit is a hit in the JSON form of pyrr print.
type jsonHit struct {
	Kind string `json:"kind"`
	jsonMoment
	Values []ask.Value `json:"values,omitempty"`
	Args   []ask.Value `json:"arguments,omitempty"`
	Text   string      `json:"text,omitempty"`
}

func newJSONHit(h *ask.Hit) jsonHit {
	return jsonHit{h.Kind, newJSONMoment(&h.Moment), h.Values, h.Args, h.Text}
}
