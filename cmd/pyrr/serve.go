package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/screen"
	"pyrr/internal/serve"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:     "serve",
		Synopsis: "[--port N] [--limit D] [--memory MIB] [RECORDING|FOLDER]",
		Short:    "show recordings in a browser, live: variables of any moment",
		Long: `Serves the page of pyrr report to a browser on this machine, until Ctrl-C, and prints
its address. The variables and stacks of any moment come by a replay when they are
looked at, and a box asks what pyrr print and pyrr last do. A folder (by default
recordings) is a list: a sentence for each recording, and a link.

It listens at 127.0.0.1 alone and writes nothing. The address ends with a token,
without which nothing is answered; who has the address, on this machine, can read the
recordings that are served. A question is a process of its own: two run at once, each
for --limit at most and with --memory at most, and it ends when its page is closed.
docs/page.md has more.`,
		Examples: []cli.Example{
			{"pyrr serve recordings/test_pool-k3x9fa.pyrr.zip", "one recording"},
			{"pyrr serve artifacts", "a list of all in a folder"},
			{"pyrr serve --port 8765 artifacts", "at a port of your own, for a tunnel: ssh -L 8765:127.0.0.1:8765 HOST"},
		},
		Exits: []cli.Exit{
			{"0", "Ctrl-C ended it"},
			{"2", "usage error"},
			{"3", "there is no such recording or folder, or the port is taken"},
		},
		Operand:     "recording",
		Interactive: true,
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			port := fs.Int("port", 0, "listen at port `N` of 127.0.0.1; 0 is any that is free")
			limit := fs.Duration("limit", time.Minute, "end a question after `D`")
			memory := fs.Int("memory", 2048, "end a question that takes more than so many `MIB` of memory")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				root := find.DefaultDir
				switch {
				case len(args) > 1:
					return hint.Usagef("serve: one recording or folder")
				case *limit <= 0:
					return hint.Usagef("serve: --limit is longer than 0")
				case *memory <= 0:
					return hint.Usagef("serve: --memory is more than 0")
				case *port < 0 || *port > 65535:
					return hint.Usagef("serve: --port is a number up to 65535")
				case len(args) == 1:
					root = args[0]
				}
				if err := find.NotServed("serve", root); err != nil {
					return err
				}
				return serveRoot(ctx, u, root, *port, serve.Options{Root: root, Limit: *limit, Memory: int64(*memory) << 20})
			}
		},
	}
}

func serveRoot(ctx context.Context, u *screen.UI, root string, port int, o serve.Options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var err error
	if o.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find pyrr's own program: %w", err)
	}
	s, err := serve.New(o, port)
	if errors.Is(err, fs.ErrNotExist) {
		return hint.With(err, "pyrr record -- python app.py")
	} else if err != nil {
		return err
	}
	fmt.Fprintln(u.Out, s.URL())
	u.Note("serves %s at that address, to this machine alone, until Ctrl-C", printable.Line(root))
	return s.Run(ctx)
}
