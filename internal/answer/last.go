package answer

import (
	"fmt"
	"io"
	"strings"

	"pyrr/internal/ask"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/internal/traces"
)

// LastFlags are the flags of pyrr last.
type LastFlags struct {
	ask.LastOptions
	History bool
	JSON    bool
}

func PrintLast(u *screen.UI, f *LastFlags, args []string) error {
	if len(args) != 2 {
		return hint.With(hint.Usagef("last: name a recording and an expression"), "pyrr last RECORDING --at POSITION NAME.ATTRIBUTE")
	}
	if f.Most < 1 {
		return hint.Usagef("last: --most is a number from 1 on")
	}
	if !f.History {
		f.Most = 1
	}
	rec, path, err := openReplayable("last", args[0])
	if err != nil {
		return err
	}
	defer rec.Close()
	a := NewAnswers(u, rec)
	f.Replaying, f.Progress = func() { a.Replaying(rec, path) }, a.Progress
	n, more := 0, false
	err = ask.Last(rec, args[1], f.LastOptions, func(c *ask.Change) error {
		n++
		more = n == f.Most && f.History && !c.Made && !c.Ever
		return a.put(func(w io.Writer) error {
			if f.JSON {
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
