package checking

import (
	"context"
	"fmt"
	"path"
	"slices"

	"pyrr/assert"
	"pyrr/internal/find"
	"pyrr/internal/registry"
	"pyrr/internal/screen"
)

// fromRegistry is recordings that are checked where they are in a registry.
type fromRegistry struct {
	cache *registry.Cache
	names []string // sorted
	where map[string]remoteRecording
}

// remoteRecording is one of them.
type remoteRecording struct {
	ctx    context.Context
	client *registry.Client
	entry  registry.Entry
}

// listFrom asks the registries what --from stands for.
func (f *Flags) listFrom(ctx context.Context, u *screen.UI) error {
	if len(f.From) == 0 {
		return nil
	}
	out := &fromRegistry{where: map[string]remoteRecording{}}
	for _, arg := range f.From {
		u.Status("listing %s", arg)
		client, all, cache, err := find.ListRegistry(ctx, "check", arg, registry.Options{PlainHTTP: f.PlainHTTP})
		u.ClearStatus()
		if err != nil {
			return err
		}
		out.cache = cache
		for _, e := range all {
			id := client.Name().With(e.Name).String()
			if _, twice := out.where[id]; !twice {
				out.names = append(out.names, id)
			}
			out.where[id] = remoteRecording{ctx, client, e}
		}
	}
	slices.Sort(out.names)
	f.remote = out
	return nil
}

// find lists the recordings that a spec names: in the registries of --from those
// whose file name fits.
func (f *Flags) find(s *assert.Spec) ([]string, error) {
	if f.remote == nil {
		return assert.Recordings(s)
	}
	var out []string
	pattern := path.Base(s.Recording)
	for _, id := range f.remote.names {
		ok, err := path.Match(pattern, path.Base(id))
		if err != nil {
			return nil, fmt.Errorf("recording %s: %w", s.Recording, err)
		}
		if ok {
			out = append(out, id)
		}
	}
	return out, nil
}

// open opens a recording for the checks; of one in a registry its own part.
func (f *Flags) open(path string) (assert.Source, error) {
	if f.remote != nil {
		if r, ok := f.remote.where[path]; ok {
			file, err := f.remote.cache.Own(r.ctx, r.client, r.entry)
			if err != nil {
				return nil, err
			}
			path = file
		}
	}
	return OpenSource(path)
}
