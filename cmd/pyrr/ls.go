package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pyrr/internal/cli"
	"pyrr/internal/contents"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

func lsCommand() *cli.Command {
	return &cli.Command{
		Name:     "ls",
		Synopsis: "[--group] [--json] [DIR|RECORDING]…",
		Short:    "list recordings: what ran, how it ended, the size",
		Long: `Lists the recordings in folders, the newest last, one a line: when it was made,
its size, whether a replay verified it, how it ended, and its test or command.
Without an argument the folder is recordings, or the dir of the project's
settings. Recordings that are still being
written, or were left by a recorder that was killed, are listed too.
--group puts together those of one fault, by the fingerprints of pyrr explain.`,
		Examples: []cli.Example{
			{"pyrr ls", "what is in recordings"},
			{"pyrr ls --group artifacts", "how many faults there are, and how often each"},
			{"pyrr ls --json artifacts | jq -r '.[] | select(.outcome == \"timeout\").path'", "for a script"},
		},
		Exits: []cli.Exit{
			{"0", "they were listed"},
			{"2", "usage error"},
			{"3", "a folder is missing, or a recording damaged"},
			{"5", "there is none"},
		},
		Operand:  "recording",
		Fits:     true,
		Settings: map[string]string{"dir": "default-dir"},
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			asJSON := fs.Bool("json", false, "print JSON")
			byFault := fs.Bool("group", false, "put together the recordings of one fault")
			dir := fs.String("default-dir", "", "the folder that is listed when none is named")
			if err := fs.MarkHidden("default-dir"); err != nil {
				panic(err) // declared above
			}
			return func(_ context.Context, u *screen.UI, args []string) error {
				if len(args) == 0 && *dir != "" {
					args = []string{*dir}
				}
				return list(u, args, *asJSON, *byFault)
			}
		},
	}
}

func list(u *screen.UI, args []string, asJSON, byFault bool) error {
	if len(args) == 0 {
		args = []string{find.DefaultDir}
	}
	all := []contents.Line{}
	var failed error
	for _, arg := range args {
		paths, err := recordingsIn(arg)
		if errors.Is(err, fs.ErrNotExist) {
			err = hint.With(fmt.Errorf("there is no recording and no folder %s", arg), "pyrr record -- python app.py")
		}
		failed = cmp.Or(failed, err)
		for _, path := range paths {
			l, err := contents.LineOf(path)
			if err != nil {
				failed = cmp.Or(failed, fmt.Errorf("%s: %w", path, err))
				l.Error = err.Error()
			}
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(a, b contents.Line) int { return a.Started.Compare(b.Started) })
	switch {
	case byFault && asJSON:
		if err := u.PrintJSON(groupsOf(u, all)); err != nil {
			return err
		}
	case byFault && len(all) > 0:
		printGroups(u, groupsOf(u, all))
	case asJSON:
		if err := u.PrintJSON(all); err != nil {
			return err
		}
	case len(all) > 0:
		printList(u, all)
	}
	if failed == nil && len(all) == 0 {
		u.Note("there is no recording in %s", strings.Join(args, ", "))
		return cli.Status(cli.ExitNothing)
	}
	return failed
}

// recordingsIn lists the recordings in a folder, or the one that path is.
func recordingsIn(path string) ([]string, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	} else if err != nil {
		return nil, find.NotRecording("info", path)
	}
	if !st.IsDir() || strings.HasSuffix(filepath.Clean(path), recording.PartSuffix) {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, recording.PackedSuffix) || e.IsDir() && strings.HasSuffix(name, recording.PartSuffix) {
			out = append(out, filepath.Join(path, name))
		}
	}
	return out, nil
}

func printList(u *screen.UI, all []contents.Line) {
	rows := [][]string{{"made", "size", "verified", "ended", "recording", "of"}}
	for _, l := range all {
		verified, _, _ := strings.Cut(l.Verified, ":")
		of := l.Test
		if of == "" {
			of = printable.Shorten(printable.ShellJoin(l.Command), 100)
		}
		made := l.Started.Local().Format("2006-01-02 15:04")
		if l.Error != "" {
			made, verified, l.Outcome, of = "-", "-", "unreadable", l.Error
		}
		rows = append(rows, []string{made, printable.ByteSize(l.Size), cmp.Or(map[string]string{"exact": "yes"}[verified], verified),
			printable.Line(l.Outcome), printable.Line(l.Path), printable.Line(of)})
	}
	printable.Table(u.Out, map[int]bool{1: true}, rows)
}
