package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/mcp"
	"pyrr/internal/screen"
)

func mcpCommand() *cli.Command {
	return &cli.Command{
		Name:     "mcp",
		Synopsis: "[--limit D] [RECORDING|FOLDER]",
		Short:    "answer the questions of an agent about recordings (stdio)",
		Long: `Serves a recording, or a folder of them (by default recordings), to a program that
speaks the Model Context Protocol on standard input and output. It reads only.

The tools: list, explain, timeline (events in a window), stacks, values and source
at a place, print, last, search, travel (to the next or previous line, call, return
or exception), diff, check (a sentence of the spec language) and draft (a spec).
Each answer has 4,000 bytes at most unless more is asked for, says what it left out,
has positions to go on from, and ends with the calls that suggest themselves next.
The resources: the page about a recording, the schema of specs, and a text on how
to find a reason in few calls.

A recording may be a stranger's: what its program wrote stands between marks and is
data, names lead nowhere outside the folder, and a tool ends after --limit.`,
		Examples: []cli.Example{
			{"pyrr mcp recordings", "as an agent starts it"},
			{"claude mcp add pyrr -- pyrr mcp recordings", "tell an agent of it, once"},
		},
		Exits: []cli.Exit{
			{"0", "the client has gone"},
			{"2", "usage error"},
			{"3", "there is no such recording or folder"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			limit := fs.Duration("limit", time.Minute, "end a tool after `D`")
			return func(ctx context.Context, _ *screen.UI, args []string) error {
				root := find.DefaultDir
				switch {
				case len(args) > 1:
					return hint.Usagef("mcp: one recording or folder")
				case *limit <= 0:
					return hint.Usagef("mcp: --limit is longer than 0")
				case len(args) == 1:
					root = args[0]
				}
				if err := find.NotServed("mcp", root); err != nil {
					return err
				}
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("find pyrr's own program: %w", err)
				}
				err = mcp.Serve(ctx, mcp.Options{Root: root, Version: currentVersion().Version, Program: self, Limit: *limit})
				if errors.Is(err, os.ErrNotExist) {
					err = hint.With(err, "pyrr record -- python app.py")
				}
				return err
			}
		},
	}
}
