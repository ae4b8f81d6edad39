package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/assert"
	"pyrr/internal/checking"
	"pyrr/internal/cli"
	"pyrr/internal/digest"
	"pyrr/internal/find"
	"pyrr/internal/printable"
	"pyrr/internal/screen"
)

func summaryCommand() *cli.Command {
	return &cli.Command{
		Name:     "summary",
		Synopsis: "[--markdown FILE] [--annotate] [--code-quality FILE] [--json] [--values] [RECORDING|FOLDER]…",
		Short:    "say for a CI why each recorded test hung or failed",
		Long: `Prints of each recording what hung or failed, why, and where; those with the same
fault are told together. Without an argument the recordings are those in the
folder recordings. The forms of CI systems are written beside it.

Text that comes from recordings is made harmless for where it goes: it mentions
nobody, links nowhere, and commands no runner. Values of variables, and the
messages of exceptions, are left out unless --values is given.`,
		Examples: []cli.Example{
			{"pyrr summary", "of all in recordings"},
			{"pyrr summary --code-quality gl.json", "for GitLab's merge requests"},
			{"pyrr summary --json | jq -r '.[].sentence'", "for a script"},
		},
		Exits: []cli.Exit{
			{"0", "all was told"},
			{"2", "usage error"},
			{"3", "a recording is missing or damaged; the others were told"},
			{"5", "there is no recording"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			f := digest.Flags{MaxSize: 900 << 10}
			fs.BoolVar(&f.JSON, "json", false, "print JSON")
			fs.StringVar(&f.Markdown, "markdown", "", "write it to `FILE` as Markdown, too; - is standard output alone")
			fs.Var(&f.MaxSize, "max-size", "the `size` that the Markdown may have (default 900 KiB); what exceeds it is named only")
			fs.BoolVar(&f.Annotate, "annotate", false, "print workflow commands that make GitHub Actions show it beside the code; 10 at most")
			fs.StringVar(&f.Quality, "code-quality", "", "write it to `FILE` as a Code Quality report of GitLab, too")
			fs.BoolVar(&f.Values, "values", false, "with values of variables and messages of exceptions")
			fs.StringVar(&f.Specs, "specs", checking.DefaultSpecs, "the `folder` of specs that may be about such recordings")
			fs.StringVar(&f.Artifact, "artifact", "", "the `NAME` of the artifact with the recordings, in GitHub Actions")
			fs.StringVar(&f.URL, "artifact-url", "", "its `URL`")
			return func(_ context.Context, u *screen.UI, args []string) error {
				return summary(u, &f, args)
			}
		},
	}
}

func summary(u *screen.UI, f *digest.Flags, args []string) error {
	if len(args) == 0 {
		args = []string{find.DefaultDir}
	}
	for _, arg := range args {
		paths, err := recordingsIn(arg)
		if err != nil {
			return find.NotRecording("summary", arg)
		}
		f.Recordings = append(f.Recordings, paths...)
	}
	specs, err := assert.Load(f.Specs)
	if err != nil {
		specs = nil // pyrr check says what is wrong with them
	}
	var all []*digest.Told
	var failed error
	for i, path := range f.Recordings {
		u.Status("reading %s, %d of %d", path, i+1, len(f.Recordings))
		one, err := digest.TellOne(u, path, f.Values)
		if err != nil {
			failed = cmp.Or(failed, fmt.Errorf("%s: %w", path, err))
			one.Error = printable.Line(err.Error())
		}
		one.Spec = digest.SpecFor(specs, one)
		all = append(all, one)
	}
	u.ClearStatus()
	groups := digest.ByFault(all)
	if err := digest.Write(u, f, all, groups); err != nil {
		return err
	}
	if failed == nil && len(all) == 0 {
		u.Note("there is no recording in %s", strings.Join(args, ", "))
		return cli.Status(cli.ExitNothing)
	}
	return failed
}
