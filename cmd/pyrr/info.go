package main

import (
	"context"
	"fmt"

	"pyrr/internal/cli"
	"pyrr/internal/contents"
	"pyrr/internal/find"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

func infoCommand() *cli.Command {
	return &cli.Command{
		Name:     "info",
		Synopsis: "[--json] [--source FILE[:LINE]] RECORDING",
		Short:    "say what a recording holds",
		Long: `Prints what was recorded where: the command, the versions of Python, the
processes and threads, the length in instructions and seconds, the sizes,
whether a replay verified it, and what it needs of a processor. An instruction
is one CPython bytecode instruction.

--source prints a source file in place of that, as it was when it ran: all of it, or
the lines around one. FILE is its path or the end of it. As JSON it is file, lines
(how many), from (the first one shown), text, others.`,
		Examples: []cli.Example{
			{"pyrr info recordings/app-k3x9fa.pyrr.zip", ""},
			{"pyrr info --json app.pyrr.zip | jq .verified", "for a script"},
			{"pyrr info --source app.py:31 app.pyrr.zip", "the lines that ran there"},
		},
		Exits: []cli.Exit{
			{"0", "it was printed"},
			{"2", "usage error"},
			{"3", "the recording is missing or damaged, or has no such file"},
		},
		Operand: "recording",
		Fits:    true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			asJSON := fs.Bool("json", false, "print JSON")
			source := fs.String("source", "", "print a source file, `FILE[:LINE]`, as it ran")
			return func(_ context.Context, u *screen.UI, args []string) error {
				rec, path, err := find.One("info", args)
				if err != nil {
					return err
				}
				defer rec.Close()
				if fs.Changed("source") {
					return printSource(u, rec, *source, *asJSON)
				}
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

func printSource(u *screen.UI, rec *recording.Recording, place string, asJSON bool) error {
	s, err := contents.SourceOf(rec, place)
	switch {
	case err != nil:
		return fmt.Errorf("info: %w", err)
	case asJSON:
		return u.PrintJSON(s)
	}
	s.Print(u.Out)
	return nil
}
