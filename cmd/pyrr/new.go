package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/assert"
	"pyrr/internal/checking"
	"pyrr/internal/cli"
	"pyrr/internal/digest"
	"pyrr/internal/draft"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/naming"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
)

// newFlags are the flags of pyrr new.
type newFlags struct {
	out, at, unlike string
	force           bool
}

func newCommand() *cli.Command {
	return &cli.Command{
		Name:     "new",
		Synopsis: "[--at hang|exit|EVENT] [--unlike RECORDING] [-o SPEC.yaml] [--force]\nRECORDING",
		Short:    "write a spec and its golden from a recording",
		Long: `Drafts a spec that says what happened in the recording, for you to edit: where
the program hangs, since when and after what, or with what it failed, and the
stack there. It holds for the recording; --unlike names one that it must not
hold for, such as one of the same test passing.

--at chooses the moment: hang, a thread that waits at the end (as pyrr explain
picks it); exit, the end of the program and the last failed call before;
EVENT, a number that pyrr events lists, of the first process or as 2:EVENT of
the second. Without it the draft is about the exception or the hang that pyrr
explain names, if there is one.`,
		Examples: []cli.Example{
			{"pyrr new recordings/test_pool.pyrr.zip", "writes specs/test_pool.yaml, and a golden"},
			{"pyrr new --unlike good.pyrr.zip bad.pyrr.zip", "a spec that tells the two apart"},
		},
		Exits: []cli.Exit{
			{"0", "the spec was written, and holds"},
			{"1", "what could be said holds for the --unlike recording too; nothing was written"},
			{"2", "usage error, or the file exists"},
			{"3", "the recording is missing or damaged, or its replay diverged"},
			{"4", "this machine can't replay it, and it has no index"},
			{"5", "there is nothing to say: no hang, no failure"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f newFlags
			fs.StringVarP(&f.out, "output", "o", "", "write to this `FILE` (default specs/NAME.yaml)")
			fs.StringVar(&f.at, "at", "", "the `moment`: hang, exit or the number of an event")
			fs.StringVar(&f.unlike, "unlike", "", "a `recording` that the spec must not hold for")
			fs.BoolVar(&f.force, "force", false, "write over a file")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				return newSpec(ctx, u, &f, args)
			}
		},
	}
}

func newSpec(ctx context.Context, u *screen.UI, f *newFlags, args []string) error {
	rec, path, err := find.One("new", args)
	if err != nil {
		return err
	}
	why, err := reason.Of(rec, false)
	rec.Close()
	if err != nil {
		return show.ReplayFailed(err, path)
	}
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), recording.PackedSuffix), recording.PartSuffix)
	out := f.out
	if out == "" {
		out = filepath.Join(checking.DefaultSpecs, naming.SafeName(name)+".yaml")
	}
	if _, err := os.Stat(out); err == nil && !f.force {
		return hint.With(hint.Usagef("new: %s exists", out), "pyrr new --force "+printable.ShellQuote(path), "pyrr new -o OTHER.yaml "+printable.ShellQuote(path))
	}
	src, err := checking.OpenSource(path)
	if err != nil {
		return err
	}
	defer src.Close()
	d, err := draft.New(src, f.at, why)
	if err != nil {
		return show.ReplayFailed(err, path)
	}
	if d == nil {
		u.Note("the program neither hung nor failed, so there is nothing to say of it")
		u.Hint("pyrr events " + printable.ShellQuote(path))
		u.Hint("pyrr new --at EVENT " + printable.ShellQuote(path))
		return cli.Status(cli.ExitNothing)
	}
	return writeDraft(ctx, u, d, f, path, out)
}

// writeDraft writes the spec, and the golden, and takes both back where the spec
// does not hold as it should.
func writeDraft(ctx context.Context, u *screen.UI, d *draft.Draft, f *newFlags, path, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		return err
	}
	golden := d.GoldenName(out)
	text, run, err := d.Checked(ctx, checkDraft, out, draft.Relative(filepath.Dir(out), path), golden, f.force)
	if err != nil {
		return err
	}
	if f.unlike != "" {
		differs, err := d.Differs(ctx, checkDraft, f.unlike, out, text, run)
		if err != nil {
			return err
		}
		if !differs {
			u.Warn(f.unlike + " is the same in all that the draft says, so nothing was written")
			u.Hint("pyrr new --at EVENT " + printable.ShellQuote(path))
			return cli.Status(cli.ExitFailed)
		}
	}
	if err := digest.WriteWhole(out, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
		return err
	}
	u.Note("created %s", out)
	if golden != "" {
		if _, err := checking.AcceptGoldens(u, run, assert.AcceptOptions{Create: true, InCI: true}); err != nil {
			return err
		}
	}
	u.Hint("pyrr check -v " + printable.ShellQuote(out))
	return nil
}

func checkDraft(ctx context.Context, specs []*assert.Spec) (*assert.Run, error) {
	return assert.Check(ctx, specs, checking.OpenSource, assert.Options{SourceText: checking.NewSourceLines().Line})
}
