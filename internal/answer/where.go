package answer

import (
	"fmt"
	"io"
	"strings"

	"pyrr/internal/ask"
	"pyrr/internal/cli"
	"pyrr/internal/hint"
	"pyrr/internal/screen"
)

func PrintWhere(u *screen.UI, o ask.WhereOptions, asJSON bool, args []string) error {
	if len(args) != 2 {
		return hint.With(hint.Usagef("where: name a recording and a text"), "pyrr where RECORDING 'a part of a line'")
	}
	rec, path, err := openReplayable("where", args[0])
	if err != nil {
		return err
	}
	defer rec.Close()
	a := NewAnswers(u, rec)
	o.Replaying, o.Progress = func() { a.Replaying(rec, path) }, a.Progress
	n, err := ask.Where(rec, args[1], o, func(f *ask.Found) error {
		return a.put(func(w io.Writer) error {
			if asJSON {
				return a.enc.Encode(jsonFound{f.Kind, f.Text, newJSONMoment(&f.Moment)})
			}
			return a.line(w, &f.Moment, fmt.Sprintf("%-9s %s", f.Kind, f.Text))
		})
	})
	if ferr := a.end(); err == nil {
		err = ferr
	}
	if err != nil {
		return askFailed("where", err, path)
	}
	if n == 0 {
		in := "as " + strings.Join(o.Kinds, " or ")
		if len(o.Kinds) == 0 {
			in = "in what was printed, written, sent, logged, raised, opened or queried"
		}
		u.Note("%q does not come up in %s %s", args[1], path, in)
		return cli.Status(cli.ExitNothing)
	}
	return nil
}

// jsonFound is what was found in the JSON form of pyrr where.
type jsonFound struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
	jsonMoment
}
