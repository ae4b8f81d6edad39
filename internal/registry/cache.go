package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"pyrr/internal/recording"
	"pyrr/internal/usercache"
)

// Cache is the folder of what was fetched: own parts of recordings, by the digests of
// their manifests, and blobs, by their digests. It is bounded: what was used longest
// ago goes.
type Cache struct {
	dir   string
	limit int64

	mu     sync.Mutex
	unseen int64 // bytes fetched since the last pruning
}

// CacheLimit bounds what is kept of what was fetched, in bytes.
const CacheLimit = 2 << 30

// spared is how long what was just fetched is not removed.
const spared = 10 * time.Minute

// OpenCache opens the user's cache.
func OpenCache() (*Cache, error) {
	dir, err := usercache.Dir("oci")
	if err != nil {
		return nil, fmt.Errorf("find a folder to keep what is fetched (XDG_CACHE_HOME names one): %w", err)
	}
	return &Cache{dir: dir, limit: CacheLimit, unseen: CacheLimit}, nil
}

// source is what the cache notes beside an own part, to fetch the rest.
type source struct {
	Name      string          `json:"name"`
	PlainHTTP bool            `json:"plainHTTP"`
	Size      int64           `json:"size"`
	Digest    string          `json:"digest"`
	Manifest  json.RawMessage `json:"manifest"`
}

const sourceFile = "source.json"

// Own returns the path of a recording's own part, which is a thin recording, and
// fetches it where it is not there. FilesOf finds the files that it lacks.
func (k *Cache) Own(ctx context.Context, c *Client, e Entry) (string, error) {
	dir := filepath.Join(k.dir, "recordings", e.desc.Digest.Encoded())
	if path := filepath.Join(dir, e.Name); usable(path) && usable(filepath.Join(dir, sourceFile)) {
		return path, nil
	}
	a, err := c.Artifact(ctx, e)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, a.Name)
	if err := k.keep(path, func(w io.Writer) error { return c.fetch(ctx, a.own, w) }); err != nil {
		return "", c.explain(err)
	}
	src, err := json.Marshal(source{c.name.With("").String(), c.opts.PlainHTTP, a.desc.Size, a.Digest(), a.raw})
	if err != nil {
		return "", err
	}
	if err := k.keep(filepath.Join(dir, sourceFile), func(w io.Writer) error { _, err := w.Write(src); return err }); err != nil {
		return "", err
	}
	k.bound(a.own.Size)
	return path, nil
}

// usable says whether a file is there, and notes that it is used.
func usable(path string) bool {
	st, err := os.Lstat(path)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	if time.Since(st.ModTime()) > time.Minute {
		_ = os.Chtimes(path, time.Time{}, time.Now()) // only pruning looks at it
	}
	return true
}

// keep writes a file of the cache, which nobody changes from then on.
func (k *Cache) keep(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // does nothing once it is renamed
	if err := errors.Join(write(tmp), tmp.Chmod(0o400), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// blob returns the path of a blob, and fetches it where it is not there.
func (k *Cache) blob(ctx context.Context, c *Client, d ocispec.Descriptor) (string, error) {
	path := filepath.Join(k.dir, "blobs", d.Digest.Encoded())
	if usable(path) {
		return path, nil
	}
	err := k.keep(path, func(w io.Writer) error { return c.fetch(ctx, d, w) })
	if err == nil {
		k.bound(d.Size)
	}
	return path, c.explain(err)
}

// FilesOf returns what finds the mapped files of a recording whose own part Own
// returned; nil for any other path.
func (k *Cache) FilesOf(path string) func(recording.File) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil || !strings.HasPrefix(abs, filepath.Join(k.dir, "recordings")+string(filepath.Separator)) {
		return nil
	}
	var a *Artifact
	var c *Client
	return func(f recording.File) (string, error) {
		if a == nil {
			var err error
			if c, a, err = sourceOf(filepath.Dir(abs)); err != nil {
				return "", err
			}
		}
		d, ok := a.files[f.ID]
		if !ok {
			return "", errors.New("it has no such file")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		return k.blob(ctx, c, d)
	}
}

// Find finds a mapped file among those that were fetched, for whatever recording, by
// its SHA-256. Nothing is fetched.
func (k *Cache) Find(f recording.File) (string, error) {
	sources, err := filepath.Glob(filepath.Join(k.dir, "recordings", "*", sourceFile))
	if err != nil {
		return "", err
	}
	for _, path := range sources {
		_, a, err := sourceOf(filepath.Dir(path))
		if err != nil {
			continue // removed meanwhile, or of a later version
		}
		for id, sum := range a.sums {
			if sum == f.SHA256 {
				if path := filepath.Join(k.dir, "blobs", a.files[id].Digest.Encoded()); usable(path) {
					return path, nil
				}
			}
		}
	}
	return "", errors.New("it was never fetched from one")
}

// sourceOf reads where an own part came from.
func sourceOf(dir string) (*Client, *Artifact, error) {
	b, err := os.ReadFile(filepath.Join(dir, sourceFile))
	if err != nil {
		return nil, nil, err
	}
	var s source
	var m ocispec.Manifest
	if err := errors.Join(json.Unmarshal(b, &s), json.Unmarshal(s.Manifest, &m)); err != nil {
		return nil, nil, err
	}
	name, err := ParseName(s.Name)
	if err != nil {
		return nil, nil, err
	}
	c, err := Open(name, Options{PlainHTTP: s.PlainHTTP})
	if err != nil {
		return nil, nil, err
	}
	a, err := parseArtifact(s.Manifest, &m, ocispec.Descriptor{MediaType: m.MediaType, Size: s.Size}, DefaultMaxSize)
	return c, a, err
}

// Pull writes the whole recording to w: byte for byte what was pushed, as its SHA-256
// proves at the end. Files that the cache has are not fetched again.
func (k *Cache) Pull(ctx context.Context, c *Client, e Entry, w io.Writer) error {
	own, err := k.Own(ctx, c, e)
	if err != nil {
		return err
	}
	a, err := c.Artifact(ctx, e)
	if err != nil {
		return err
	}
	sum := sha256.New()
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	err = recording.Assemble(&bounded{io.MultiWriter(w, sum), a.Size}, own, func(f recording.File) (io.ReaderAt, int64, error) {
		d, ok := a.files[f.ID]
		if !ok {
			return nil, 0, errors.New("the registry has no such file")
		}
		path, err := k.blob(ctx, c, d)
		if err != nil {
			return nil, 0, err
		}
		in, err := os.Open(path)
		if err != nil {
			return nil, 0, err
		}
		open = append(open, in)
		return in, d.Size, nil
	})
	if err != nil {
		return fmt.Errorf("pull %s: %w", e.Name, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.SHA256 {
		return fmt.Errorf("pull %s: what the registry has of it is another recording than its SHA-256 %.12s… says", e.Name, a.SHA256)
	}
	return nil
}

// PullAll writes recordings to a folder, several at a time.
func (k *Cache) PullAll(ctx context.Context, c *Client, all []Entry, write func(e Entry, pull func(io.Writer) error) error) error {
	return each(ctx, len(all), func(ctx context.Context, i int) error {
		return write(all[i], func(w io.Writer) error { return k.Pull(ctx, c, all[i], w) })
	})
}

// bounded fails above a number of bytes.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errors.New("it is larger than its manifest says")
	}
	return b.w.Write(p)
}

// bound prunes the cache now and then: first, and after each sixteenth of its limit.
func (k *Cache) bound(fetched int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unseen += fetched; k.unseen > k.limit/16 {
		k.unseen = 0
		usercache.Prune(k.dir, k.limit, spared)
	}
}
