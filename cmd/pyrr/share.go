package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pyrr/internal/outfile"
	"pyrr/internal/recording"
	"pyrr/internal/registry"
)

// registryTimeout bounds one command's talk with a registry.
const registryTimeout = 2 * time.Hour

func pushCommand() *command {
	return &command{
		name:     "push",
		synopsis: "[--plain-http] RECORDING… oci://REGISTRY/OWNER/REPO:TAG",
		short:    "keep recordings in the container registry that the team has",
		long: `Sends recordings to an OCI registry and lets the tag name them. Each mapped
file, the interpreter and its libraries, is a blob of its own, which the registry
stores once for all recordings. What it has already is not sent again, so a push
that was interrupted goes on where it was.

The credentials are Docker's (docker login, and its helpers). A registry on this
machine is spoken to in plain HTTP, any other by TLS. What leaves is the recording as
it is; pyrr pack replaces secrets of one that still has them.`,
		examples: []example{
			{"pyrr push recordings/*.pyrr.zip oci://registry.example/team/app:run-81", "all that a run kept"},
			{"pyrr push rec.pyrr.zip oci://localhost:5000/team/app:bug-7", "one, to a registry of this machine"},
			{"pyrr explain oci://registry.example/team/app:bug-7", "every command takes the name"},
		},
		exits: []exitDoc{
			{"0", "the tag names them"},
			{"2", "usage error"},
			{"3", "a recording is damaged, or the registry refused"},
			{"130", "interrupted; the same command goes on"},
		},
		operand: "recording",
		setup: func(fs *pflag.FlagSet) func(context.Context, *ui, []string) error {
			plain := fs.Bool("plain-http", false, "speak HTTP without TLS to a registry elsewhere, too")
			return func(ctx context.Context, u *ui, args []string) error { return push(ctx, u, args, *plain) }
		},
	}
}

func push(ctx context.Context, u *ui, args []string, plain bool) error {
	if len(args) < 2 || !registry.IsName(args[len(args)-1]) {
		return withHint(usagef("push: name recordings, and then where to: oci://REGISTRY/OWNER/REPO:TAG"), "pyrr push rec.pyrr.zip oci://localhost:5000/team/app:tag")
	}
	name, err := registryName("push", args[len(args)-1])
	if err != nil {
		return err
	}
	if name.Recording != "" {
		return usagef("push: %s names one recording of several; leave out /%s", name, name.Recording)
	}
	var items []registry.Item
	seen := map[string]string{}
	for _, path := range args[:len(args)-1] {
		if registry.IsName(path) {
			return withHint(usagef("push: %s is in a registry already", path), "pyrr pull "+shellQuote(path))
		}
		if err := notRecording("push", path); err != nil {
			return err
		}
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			return withHint(fmt.Errorf("push %s: it was not finished", path), "pyrr pack "+shellQuote(path))
		}
		file := filepath.Base(path)
		if !registry.ValidFile(file) {
			file = safeName(strings.TrimSuffix(strings.TrimSuffix(file, ".zip"), ".pyrr")) + packedSuffix
		}
		if other, twice := seen[file]; twice {
			return withHint(usagef("push: %s and %s are both called %s", other, path, file), "mv "+shellQuote(path)+" OTHER"+packedSuffix)
		}
		seen[file] = path
		items = append(items, registry.Item{Path: path, Name: file})
	}
	client, err := registry.Open(name, registry.Options{PlainHTTP: plain})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	u.status("pushing %s", plural(uint64(len(items)), "recording", "recordings"))
	defer u.clearStatus()
	out, err := client.Push(ctx, items, func(n int) { u.status("pushed %d of %d", n, len(items)) })
	u.clearStatus()
	if err != nil {
		return err
	}
	u.note("pushed %s  %s sent, %s there already; %s in %s",
		name, plural(uint64(out.Recordings), "recording", "recordings"), plural(uint64(out.AlreadyThere), "was", "were"), byteSize(out.Bytes), plural(uint64(client.Stats().Requests.Load()), "request", "requests"))
	fmt.Fprintln(u.out, out.Digest)
	return nil
}

func pullCommand() *command {
	return &command{
		name:     "pull",
		synopsis: "[-o DIR] [--plain-http] [--max-size SIZE] oci://REGISTRY/OWNER/REPO:TAG[/RECORDING]…",
		short:    "fetch recordings from a registry, byte for byte as pushed",
		long: `Fetches the recordings that a tag, or a digest (@sha256:…), names, and writes
them to a folder. Each blob is held against its digest, and each recording against
the SHA-256 that it had when it was pushed. Files that are there already stay.

Other commands take such a name without pull: they fetch what they need of it, into
the user's cache, which is kept below 2 GiB.`,
		examples: []example{
			{"pyrr pull oci://registry.example/team/app:run-81 -o recordings", "all of a run"},
			{"pyrr pull oci://registry.example/team/app:run-81/test_pool.pyrr.zip", "one of them"},
		},
		exits: []exitDoc{
			{"0", "they were written"},
			{"2", "usage error"},
			{"3", "there is none of that name, or it is not what its digest says"},
			{"130", "interrupted"},
		},
		operand: "recording",
		setup: func(fs *pflag.FlagSet) func(context.Context, *ui, []string) error {
			plain := fs.Bool("plain-http", false, "speak HTTP without TLS to a registry elsewhere, too")
			dir := fs.StringP("output", "o", ".", "the `DIR` to write them to")
			limit := size(registry.DefaultMaxSize)
			fs.Var(&limit, "max-size", "fetch no recording above this `size` (default 4 GiB)")
			return func(ctx context.Context, u *ui, args []string) error {
				if len(args) == 0 {
					return withHint(usagef("pull: name recordings in a registry"), "pyrr pull oci://localhost:5000/team/app:tag")
				}
				ctx, cancel := context.WithTimeout(ctx, registryTimeout)
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

func pull(ctx context.Context, u *ui, arg, dir string, o registry.Options) error {
	client, all, cache, err := listRegistry(ctx, "pull", arg, o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("make the folder %s: %w", dir, err)
	}
	u.status("pulling %s", plural(uint64(len(all)), "recording", "recordings"))
	defer u.clearStatus()
	err = cache.PullAll(ctx, client, all, func(e registry.Entry, pull func(io.Writer) error) error {
		to := filepath.Join(dir, e.Name)
		if _, err := os.Lstat(to); err == nil {
			return withHint(fmt.Errorf("pull %s: %s is there already", e.Name, to), "pyrr pull -o OTHER "+shellQuote(arg))
		}
		return outfile.Write(to, 0o600, pull)
	})
	u.clearStatus()
	if err != nil {
		return err
	}
	if len(all) == 1 {
		u.note("pulled %s", filepath.Join(dir, all[0].Name))
		return nil
	}
	u.note("pulled %s into %s", plural(uint64(len(all)), "recording", "recordings"), dir)
	return nil
}

// registryName parses the name of recordings in a registry.
func registryName(command, arg string) (registry.Name, error) {
	name, err := registry.ParseName(arg)
	if err != nil {
		return name, withHint(usagef("%s: %v", command, err), "pyrr "+command+" oci://registry.example/team/app:tag")
	}
	return name, nil
}

// listRegistry asks a registry what a name stands for.
func listRegistry(ctx context.Context, command, arg string, o registry.Options) (*registry.Client, []registry.Entry, *registry.Cache, error) {
	name, err := registryName(command, arg)
	if err != nil {
		return nil, nil, nil, err
	}
	cache, err := registry.OpenCache()
	if err != nil {
		return nil, nil, nil, err
	}
	client, err := registry.Open(name, o)
	if err != nil {
		return nil, nil, nil, err
	}
	all, err := client.List(ctx)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s names no recording", name)
	}
	return client, all, cache, err
}

// takesSeveral are the commands to which the name of several recordings is all of
// them.
var takesSeveral = map[string]bool{"ls": true, "summary": true, "open": true}

// fetchNamed puts the path of a file in the place of each argument that names a
// recording in a registry: its own part, in the user's cache. What that lacks is
// fetched when it is read. It is the one place where a name becomes a file.
func fetchNamed(ctx context.Context, u *ui, command string, args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		if !registry.IsName(arg) {
			out = append(out, arg)
			continue
		}
		paths, err := fetchOwn(ctx, u, command, arg)
		if err != nil {
			return nil, err
		}
		out = append(out, paths...)
	}
	return out, nil
}

func fetchOwn(ctx context.Context, u *ui, command, arg string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	u.status("fetching %s", arg)
	defer u.clearStatus()
	client, all, cache, err := listRegistry(ctx, command, arg, registry.Options{})
	if err != nil {
		return nil, err
	}
	if len(all) > 1 && !takesSeveral[command] {
		return nil, withHint(usagef("%s: %s names %d recordings, and %s takes one", command, arg, len(all), command),
			"pyrr "+command+" "+shellQuote(client.Name().With(all[0].Name).String()), "pyrr ls "+shellQuote(arg))
	}
	var out []string
	for _, e := range all {
		path, err := cache.Own(ctx, client, e)
		if err != nil {
			return nil, err
		}
		out = append(out, path)
	}
	return out, nil
}

// openFetched opens a recording, and lets one whose own part is in the cache find the
// rest.
func openFetched(path string) (*recording.Recording, error) {
	rec, err := recording.Open(path)
	if err != nil {
		return nil, err
	}
	if cache, err := registry.OpenCache(); err == nil {
		if find := cache.FilesOf(path); find != nil {
			rec.FindFiles(find)
		}
	}
	return rec, nil
}

// beside is the name of a file that a command writes beside a recording by default:
// in the working directory, where the recording lies in the cache.
func beside(path string) string {
	if cache, err := registry.OpenCache(); err == nil && cache.FilesOf(path) != nil {
		return filepath.Base(path)
	}
	return path
}
