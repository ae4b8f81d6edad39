package main

import (
	"context"

	"pyrr/internal/cli"
	"pyrr/internal/contents"
	"pyrr/internal/find"
	"pyrr/internal/printable"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

func infoCommand() *cli.Command {
	return &cli.Command{
		Name:     "info",
		Synopsis: "[--json] RECORDING",
		Short:    "say what a recording holds",
		Long: `Prints what was recorded where: the command, the versions of Python, the
processes and threads, the length in instructions and seconds, the sizes,
whether a replay verified it, and what it needs of a processor. An instruction
is one CPython bytecode instruction.`,
		Examples: []cli.Example{
			{"pyrr info recordings/app-k3x9fa.pyrr.zip", ""},
			{"pyrr info --json app.pyrr.zip | jq .verified", "for a script"},
		},
		Exits: []cli.Exit{
			{"0", "it was printed"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			asJSON := fs.Bool("json", false, "print JSON")
			return func(_ context.Context, u *screen.UI, args []string) error {
				rec, path, err := find.One("info", args)
				if err != nil {
					return err
				}
				defer rec.Close()
				info, err := contents.Of(rec, path, func(n uint64) { u.Status("reading %s: %s events", path, printable.Grouped(n)) })
				u.ClearStatus()
				// What could be read is printed even where the rest is damaged.
				if *asJSON {
					if jerr := u.PrintJSON(info); jerr != nil {
						return jerr
					}
				} else {
					info.Print(u)
				}
				return err
			}
		},
	}
}
