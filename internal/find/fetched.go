// Package find finds the recording that a command was given: by its path, part of its
// name, or none at all, and says what was meant where there is none.
//
// It replays and judges nothing. Begin with One.
package find

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/registry"
	"pyrr/internal/screen"
)

// RegistryTimeout bounds one command's talk with a registry.
const RegistryTimeout = 2 * time.Hour

// RegistryName parses the name of recordings in a registry.
func RegistryName(command, arg string) (registry.Name, error) {
	name, err := registry.ParseName(arg)
	if err != nil {
		return name, hint.With(hint.Usagef("%s: %v", command, err), "pyrr "+command+" oci://registry.example/team/app:tag")
	}
	return name, nil
}

// ListRegistry asks a registry what a name stands for.
func ListRegistry(ctx context.Context, command, arg string, o registry.Options) (*registry.Client, []registry.Entry, *registry.Cache, error) {
	name, err := RegistryName(command, arg)
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

// FetchNamed puts the path of a file in the place of each argument that names a
// recording in a registry: its own part, in the user's cache. What that lacks is
// fetched when it is read. It is the one place where a name becomes a file.
func FetchNamed(ctx context.Context, u *screen.UI, command string, args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		if !registry.IsName(arg) {
			out = append(out, arg)
			continue
		}
		paths, err := FetchOwn(ctx, u, command, arg)
		if err != nil {
			return nil, err
		}
		out = append(out, paths...)
	}
	return out, nil
}

func FetchOwn(ctx context.Context, u *screen.UI, command, arg string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, RegistryTimeout)
	defer cancel()
	u.Status("fetching %s", arg)
	defer u.ClearStatus()
	client, all, cache, err := ListRegistry(ctx, command, arg, registry.Options{})
	if err != nil {
		return nil, err
	}
	if len(all) > 1 && !takesSeveral[command] {
		return nil, hint.With(hint.Usagef("%s: %s names %d recordings, and %s takes one", command, arg, len(all), command),
			"pyrr "+command+" "+printable.ShellQuote(client.Name().With(all[0].Name).String()), "pyrr ls "+printable.ShellQuote(arg))
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
// rest. What another lacks may have been fetched for one of these.
func openFetched(path string) (*recording.Recording, error) {
	rec, err := recording.Open(path)
	if err != nil {
		return nil, err
	}
	if cache, err := registry.OpenCache(); err == nil {
		if find := cache.FilesOf(path); find != nil {
			rec.FindFiles(find)
		} else {
			rec.FindFiles(cache.Find)
		}
	}
	return rec, nil
}

// Beside is the name of a file that a command writes beside a recording by default:
// in the working directory, where the recording lies in the cache.
func Beside(path string) string {
	if cache, err := registry.OpenCache(); err == nil && cache.FilesOf(path) != nil {
		return filepath.Base(path)
	}
	return path
}
