package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/naming"
	"pyrr/internal/outfile"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/registry"
	"pyrr/internal/screen"
)

func pushCommand() *cli.Command {
	return &cli.Command{
		Name:     "push",
		Synopsis: "[--plain-http] RECORDING… oci://REGISTRY/OWNER/REPO:TAG",
		Short:    "keep recordings in the container registry that the team has",
		Long: `Sends recordings to an OCI registry and lets the tag name them. Each mapped
file, the interpreter and its libraries, is a blob of its own, which the registry
stores once for all recordings. What it has already is not sent again, so a push
that was interrupted goes on where it was.

The credentials are Docker's (docker login, and its helpers). A registry on this
machine is spoken to in plain HTTP, any other by TLS. What leaves is the recording as
it is; pyrr pack replaces secrets of one that still has them.`,
		Examples: []cli.Example{
			{"pyrr push recordings/*.pyrr.zip oci://registry.example/team/app:run-81", "all that a run kept"},
			{"pyrr push rec.pyrr.zip oci://localhost:5000/team/app:bug-7", "one, to a registry of this machine"},
			{"pyrr explain oci://registry.example/team/app:bug-7", "every command takes the name"},
		},
		Exits: []cli.Exit{
			{"0", "the tag names them"},
			{"2", "usage error"},
			{"3", "a recording is damaged, or the registry refused"},
			{"130", "interrupted; the same command goes on"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			plain := fs.Bool("plain-http", false, "speak HTTP without TLS to a registry elsewhere, too")
			return func(ctx context.Context, u *screen.UI, args []string) error { return push(ctx, u, args, *plain) }
		},
	}
}

func push(ctx context.Context, u *screen.UI, args []string, plain bool) error {
	if len(args) < 2 || !registry.IsName(args[len(args)-1]) {
		return hint.With(hint.Usagef("push: name recordings, and then where to: oci://REGISTRY/OWNER/REPO:TAG"), "pyrr push rec.pyrr.zip oci://localhost:5000/team/app:tag")
	}
	name, err := find.RegistryName("push", args[len(args)-1])
	if err != nil {
		return err
	}
	if name.Recording != "" {
		return hint.Usagef("push: %s names one recording of several; leave out /%s", name, name.Recording)
	}
	var items []registry.Item
	seen := map[string]string{}
	for _, path := range args[:len(args)-1] {
		if registry.IsName(path) {
			return hint.With(hint.Usagef("push: %s is in a registry already", path), "pyrr pull "+printable.ShellQuote(path))
		}
		if err := find.NotRecording("push", path); err != nil {
			return err
		}
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			return hint.With(fmt.Errorf("push %s: it was not finished", path), "pyrr pack "+printable.ShellQuote(path))
		}
		file := filepath.Base(path)
		if !registry.ValidFile(file) {
			file = naming.SafeName(strings.TrimSuffix(strings.TrimSuffix(file, ".zip"), ".pyrr")) + recording.PackedSuffix
		}
		if other, twice := seen[file]; twice {
			return hint.With(hint.Usagef("push: %s and %s are both called %s", other, path, file), "mv "+printable.ShellQuote(path)+" OTHER"+recording.PackedSuffix)
		}
		seen[file] = path
		items = append(items, registry.Item{Path: path, Name: file})
	}
	client, err := registry.Open(name, registry.Options{PlainHTTP: plain})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, find.RegistryTimeout)
	defer cancel()
	u.Status("pushing %s", printable.Plural(uint64(len(items)), "recording", "recordings"))
	defer u.ClearStatus()
	out, err := client.Push(ctx, items, func(n int) { u.Status("pushed %d of %d", n, len(items)) })
	u.ClearStatus()
	if err != nil {
		return err
	}
	u.Note("pushed %s  %s sent, %s there already; %s in %s",
		name, printable.Plural(uint64(out.Recordings), "recording", "recordings"), printable.Plural(uint64(out.AlreadyThere), "was", "were"), printable.ByteSize(out.Bytes), printable.Plural(uint64(client.Stats().Requests.Load()), "request", "requests"))
	fmt.Fprintln(u.Out, out.Digest)
	return nil
}

func pullCommand() *cli.Command {
	return &cli.Command{
		Name:     "pull",
		Synopsis: "[-o DIR] [--plain-http] [--max-size SIZE] oci://REGISTRY/OWNER/REPO:TAG[/RECORDING]…",
		Short:    "fetch recordings from a registry, byte for byte as pushed",
		Long: `Fetches the recordings that a tag, or a digest (@sha256:…), names, and writes
them to a folder. Each blob is held against its digest, and each recording against
the SHA-256 that it had when it was pushed. Files that are there already stay.

Other commands take such a name without pull: they fetch what they need of it, into
the user's cache, which is kept below 2 GiB.`,
		Examples: []cli.Example{
			{"pyrr pull oci://registry.example/team/app:run-81 -o recordings", "all of a run"},
			{"pyrr pull oci://registry.example/team/app:run-81/test_pool.pyrr.zip", "one of them"},
		},
		Exits: []cli.Exit{
			{"0", "they were written"},
			{"2", "usage error"},
			{"3", "there is none of that name, or it is not what its digest says"},
			{"130", "interrupted"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			plain := fs.Bool("plain-http", false, "speak HTTP without TLS to a registry elsewhere, too")
			dir := fs.StringP("output", "o", ".", "the `DIR` to write them to")
			limit := flagvalue.Size(registry.DefaultMaxSize)
			fs.Var(&limit, "max-size", "fetch no recording above this `size` (default 4 GiB)")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				if len(args) == 0 {
					return hint.With(hint.Usagef("pull: name recordings in a registry"), "pyrr pull oci://localhost:5000/team/app:tag")
				}
				ctx, cancel := context.WithTimeout(ctx, find.RegistryTimeout)
				defer cancel()
				for _, arg := range args {
					if err := pull(ctx, u, arg, *dir, registry.Options{PlainHTTP: *plain, MaxSize: int64(limit)}); err != nil {
						return err
					}
				}
				return nil
			}
		},
	}
}

func pull(ctx context.Context, u *screen.UI, arg, dir string, o registry.Options) error {
	client, all, cache, err := find.ListRegistry(ctx, "pull", arg, o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("make the folder %s: %w", dir, err)
	}
	u.Status("pulling %s", printable.Plural(uint64(len(all)), "recording", "recordings"))
	defer u.ClearStatus()
	err = cache.PullAll(ctx, client, all, func(e registry.Entry, pull func(io.Writer) error) error {
		to := filepath.Join(dir, e.Name)
		if _, err := os.Lstat(to); err == nil {
			return hint.With(fmt.Errorf("pull %s: %s is there already", e.Name, to), "pyrr pull -o OTHER "+printable.ShellQuote(arg))
		}
		return outfile.Write(to, 0o600, pull)
	})
	u.ClearStatus()
	if err != nil {
		return err
	}
	if len(all) == 1 {
		u.Note("pulled %s", filepath.Join(dir, all[0].Name))
		return nil
	}
	u.Note("pulled %s into %s", printable.Plural(uint64(len(all)), "recording", "recordings"), dir)
	return nil
}
