package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"pyrr/internal/artifact"
	"pyrr/internal/checking"
	"pyrr/internal/cli"
	"pyrr/internal/console"
	"pyrr/internal/contents"
	"pyrr/internal/digest"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/page"
	"pyrr/internal/paging"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/registry"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/replay"
)

func openCommand() *cli.Command {
	return &cli.Command{
		Name:     "open",
		Synopsis: "[--page|--console] [-o DIR] [--max-size SIZE] RECORDING|FOLDER|ZIP|URL|oci://NAME [TEST]",
		Short:    "say why, of whatever a CI left, and look around in it",
		Long: `Takes a recording, a folder that holds some, a zip of artifacts, or the URL of
one: finds the recordings, and says why the test hung or failed. Of several, all
are told in short, and TEST, a part of a test's name, chooses one.

On a terminal the console of pyrr replay follows, where this machine can replay.

What is downloaded or unpacked goes to the folder that -o names, by default the
working directory. A URL is fetched without credentials, neither those in it nor any of
this machine, and no more of it than --max-size. A name oci://REGISTRY/REPO:TAG is
fetched from the registry, with Docker's credentials for it.`,
		Examples: []cli.Example{
			{"pyrr open pyrr-recordings-test-0-1.zip", "what gh run download, or a browser, brought"},
			{"pyrr open artifacts test_pool", "the one of test_pool, in a folder"},
			{"pyrr open --page test_pool-k3x9fa.pyrr.zip", "an HTML page about it"},
		},
		Exits: []cli.Exit{
			{"0", "it was opened"},
			{"2", "usage error"},
			{"3", "there is nothing, or it is damaged, or larger than --max-size"},
			{"4", "this machine can't replay it, and it has no index"},
			{"5", "there is no recording in it"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			f := artifact.Flags{MaxSize: 1 << 30}
			fs.BoolVar(&f.Page, "page", false, "write an HTML page about it, and name that")
			fs.BoolVar(&f.Console, "console", false, "go on in the console of pyrr replay (the default on a terminal)")
			fs.StringVarP(&f.Dir, "output", "o", ".", "the `DIR` for what is downloaded and unpacked")
			fs.Var(&f.MaxSize, "max-size", "download or unpack no more than this `size` (default 1 GiB)")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				switch len(args) {
				case 1:
					args = append(args, "")
				case 2:
				default:
					return hint.With(hint.Usagef("open: name a recording, a folder, a zip of artifacts, a URL or a name in a registry"), "pyrr open recordings")
				}
				return open(ctx, u, &f, args[0], args[1])
			}
		},
	}
}

func open(ctx context.Context, u *screen.UI, f *artifact.Flags, what, test string) error {
	where := what
	var found []string
	var err error
	switch {
	case registry.IsName(what):
		found, err = find.FetchOwn(ctx, u, "open", what)
	case strings.Contains(what, "://"):
		if where, err = artifact.Download(ctx, u, f, what); err == nil {
			found, err = artifact.FindRecordings(u, f, where)
		}
	default:
		found, err = artifact.FindRecordings(u, f, where)
	}
	if err != nil {
		return err
	}
	if test != "" {
		found = slices.DeleteFunc(found, func(path string) bool {
			l, err := contents.LineOf(path)
			return err != nil || !strings.Contains(l.Test, test) && !strings.Contains(filepath.Base(path), test)
		})
	}
	switch {
	case len(found) == 0 && test != "":
		u.Note("no recording of %s in %s", test, where)
		u.Hint("pyrr open " + printable.ShellQuote(where))
		return cli.Status(cli.ExitNothing)
	case len(found) == 0:
		u.Note("there is no recording in %s", where)
		return cli.Status(cli.ExitNothing)
	case len(found) > 1:
		if err := summary(u, &digest.Flags{Specs: checking.DefaultSpecs}, found); err != nil {
			return err
		}
		u.Hint("pyrr open " + printable.ShellQuote(found[0]))
		return nil
	}
	return openOne(u, f, found[0])
}

// openOne says why, and goes on as the flags say.
func openOne(u *screen.UI, f *artifact.Flags, path string) error {
	rec, err := find.Open("open", path)
	if err != nil {
		return err
	}
	defer rec.Close()
	u.Status("reading %s", path)
	r, err := reason.Of(rec, false)
	u.ClearStatus()
	if err != nil {
		return show.ReplayFailed(err, path)
	}
	if len(r.Ends) > 0 || r.Why.Raised != nil {
		show.Explain(u, rec, r, false)
	} else {
		u.Note("every process ended by itself, so nothing hung")
	}
	if f.Page {
		return paging.WritePage(u, rec, path, &paging.Flags{Events: page.DefaultEvents})
	}
	terminal := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	if !f.Console && (!terminal || replay.Able(rec) != nil) {
		u.Hint("pyrr replay " + printable.ShellQuote(path))
		return nil
	}
	if err := replay.Able(rec); err != nil {
		return err
	}
	fmt.Fprintln(u.Out)
	return runConsole(u, rec, path, console.Options{}, nil, os.Stdin)
}
