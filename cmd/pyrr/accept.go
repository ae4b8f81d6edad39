package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/checking"
	"pyrr/internal/cli"
	"pyrr/internal/screen"
)

func acceptCommand() *cli.Command {
	return &cli.Command{
		Name:     "accept",
		Synopsis: "[--review] [-k TEXT] [-m TAG,…] [-n N] [--in-ci] [SPEC…]",
		Short:    "make the stacks that are seen the goldens",
		Long: `Checks the specs (by default those of the folder specs), and rewrites the
goldens that are missing or differ: the stacks that are seen become what has
to be seen. Lines of a golden that still fit stay as they are, wildcards and
all. Look at what changes, with --review or with git diff.

Where the variable CI is set nothing is written, unless --in-ci is given.`,
		Examples: []cli.Example{
			{"pyrr accept specs/pool_read.yaml", "all goldens of one spec"},
			{"pyrr accept --review", "one key for each stack: y, n, q"},
		},
		Exits: []cli.Exit{
			{"0", "the goldens are what was seen"},
			{"2", "usage error, a mistake in a spec or golden, or CI is set"},
			{"3", "a stack could not be seen: its event was not found, or not judged"},
			{"5", "there was no golden"},
			{"130", "interrupted"},
		},
		Operand: "spec",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			var f checking.Flags
			review := fs.Bool("review", false, "show each stack and ask: y, n, or q to stop")
			fs.StringVarP(&f.Keyword, "keyword", "k", "", "only specs whose file, name or case holds `TEXT`")
			fs.StringSliceVarP(&f.Tags, "tag", "m", nil, "only specs with one of these `tags`")
			fs.IntVarP(&f.Workers, "jobs", "n", 1, "judge `N` recordings at once")
			fs.BoolVar(&f.InCI, "in-ci", false, "write even where CI is set")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				return checking.Accept(ctx, u, &f, *review, args)
			}
		},
	}
}
