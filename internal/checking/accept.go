package checking

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"pyrr/assert"
	"pyrr/internal/cli"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/report"
	"pyrr/internal/screen"

	"golang.org/x/term"
)

func Accept(ctx context.Context, u *screen.UI, f *Flags, review bool, args []string) error {
	if err := mayAccept(f); err != nil {
		return err
	}
	var keys *keyReader
	if review {
		var err error
		if keys, err = newKeyReader(os.Stdin); err != nil {
			return err
		}
	}
	specs, err := LoadSpecs("accept", f, args)
	if err != nil {
		return err
	}
	run, err := runChecks(ctx, u, f, specs)
	if err != nil {
		return err
	}
	opts := assert.AcceptOptions{Moved: true, Create: true, InCI: f.InCI}
	if review {
		opts.Want = func(s *assert.SpecResult, r *assert.Result) bool { return askFor(u, keys, s, r) }
	}
	if _, err := AcceptGoldens(u, run, opts); err != nil {
		return err
	}
	goldens, unseen := 0, 0
	for _, s := range run.Specs {
		if len(s.Checks) == 0 && s.Verdict == assert.Unjudged {
			u.Warn(s.Spec.ID() + ": " + s.Reason)
			unseen++
		}
		for _, r := range s.Checks {
			if r.Golden == nil {
				continue
			}
			goldens++
			if r.Golden.Text == "" {
				u.Warn(r.ID + ": " + r.Got)
				unseen++
			}
		}
	}
	switch {
	case unseen > 0:
		return cli.Status(cli.ExitUnjudged)
	case goldens == 0:
		return cli.Status(cli.ExitNothing)
	}
	return nil
}

// mayAccept refuses to write goldens in CI, where nobody looks at them.
func mayAccept(f *Flags) error {
	if assert.InCI() && !f.InCI {
		return hint.With(hint.Usagef("%s", assert.ErrInCI.Error()), "unset CI, and look at what changes: git diff")
	}
	return nil
}

// askFor shows a stack and asks whether it is to be the golden.
func askFor(u *screen.UI, keys *keyReader, s *assert.SpecResult, r *assert.Result) bool {
	if keys.quit {
		return false
	}
	fmt.Fprintf(u.Out, "\n%s\n", screen.Paint(u.ColourOut, screen.Bold, printable.Line(r.ID)))
	if r.Golden.Missing {
		fmt.Fprint(u.Out, printable.Indent(cleanText(r.Golden.Text), "  "))
	} else if err := report.GoldenDiff(u.Out, r, report.Options{Colour: u.ColourOut}); err != nil {
		return false
	}
	for {
		fmt.Fprintf(u.Err, "make it the golden %s? [y, n, q] ", printable.Line(r.Golden.File))
		key, err := keys.next()
		fmt.Fprintln(u.Err)
		switch {
		case err != nil, key == 'q', key == 3: // Ctrl-C
			keys.quit = true
			return false
		case key == 'y':
			return true
		case key == 'n':
			return false
		}
	}
}

// cleanText cleans each line of a text.
func cleanText(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = printable.Line(l)
	}
	return strings.Join(lines, "\n")
}

// keyReader reads single keys from a terminal.
type keyReader struct {
	f    *os.File
	r    *bufio.Reader
	quit bool
}

func newKeyReader(f *os.File) (*keyReader, error) {
	if !term.IsTerminal(int(f.Fd())) {
		return nil, hint.With(hint.Usagef("accept: --review asks, and standard input is not a terminal"), "pyrr accept, then: git diff")
	}
	return &keyReader{f: f, r: bufio.NewReader(f)}, nil
}

func (k *keyReader) next() (byte, error) {
	old, err := term.MakeRaw(int(k.f.Fd()))
	if err != nil {
		return 0, err
	}
	defer term.Restore(int(k.f.Fd()), old)
	var b [1]byte
	if _, err := io.ReadFull(k.r, b[:]); err != nil {
		return 0, err
	}
	return b[0], nil
}
