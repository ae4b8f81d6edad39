package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"pyrr/internal/recording"
)

// Pushed says what a push did.
type Pushed struct {
	Digest string // of what the tag names now
	// Recordings were sent, AlreadyThere had been before.
	Recordings, AlreadyThere int
	// Blobs were sent, with so many bytes; Shared were there already.
	Blobs, Shared int
	Bytes         int64
}

// blobState is a blob that this client pushes, or has pushed.
type blobState struct {
	once sync.Once
	err  error
	sent bool
}

// atOnce is how many recordings are pushed or pulled at a time.
const atOnce = 4

// Item is a recording to push and the file name that it gets.
type Item struct{ Path, Name string }

// Push sends recordings, and then lets the tag name them: one by itself, several by
// an index. What the registry has already is not sent again, so that a push that was
// interrupted goes on where it was.
func (c *Client) Push(ctx context.Context, items []Item, done func(n int)) (*Pushed, error) {
	var out Pushed
	var mu sync.Mutex
	all := make([]*Artifact, len(items))
	finished := 0
	err := each(ctx, len(items), func(ctx context.Context, i int) error {
		a, there, err := c.pushOne(ctx, items[i])
		if err != nil {
			return fmt.Errorf("push %s: %w", items[i].Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		all[i] = a
		if there {
			out.AlreadyThere++
		} else {
			out.Recordings++
		}
		finished++
		if done != nil {
			done(finished)
		}
		return nil
	})
	c.mu.Lock()
	for _, b := range c.known {
		if b.sent {
			out.Blobs++
		} else if b.err == nil {
			out.Shared++
		}
	}
	c.mu.Unlock()
	out.Bytes = c.stats.Sent.Load()
	if err != nil {
		return &out, err
	}
	if len(all) == 1 {
		out.Digest = all[0].Digest()
		return &out, c.explain(c.repo.PushReference(ctx, all[0].desc, bytes.NewReader(all[0].raw), c.name.ref.Reference))
	}
	out.Digest, err = c.pushIndex(ctx, all)
	return &out, c.explain(err)
}

// each calls do for 0 to n-1, several at a time, until one fails.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	todo := make(chan int)
	for range min(atOnce, n) {
		wg.Go(func() {
			for i := range todo {
				if ctx.Err() == nil {
					if err := do(ctx, i); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	for i := range n {
		todo <- i
	}
	close(todo)
	wg.Wait()
	return context.Cause(ctx)
}

// pushIndex pushes the index of several recordings under the tag.
func (c *Client) pushIndex(ctx context.Context, all []*Artifact) (string, error) {
	var lines []ocispec.Descriptor
	for _, a := range all {
		lines = append(lines, a.entry())
	}
	for len(lines) > perIndex {
		var above []ocispec.Descriptor
		for at := 0; at < len(lines); at += perIndex {
			raw, d, err := indexOf(lines[at:min(at+perIndex, len(lines))])
			if err != nil {
				return "", err
			}
			if there, err := c.repo.Exists(ctx, d); err != nil {
				return "", err
			} else if !there {
				if err := c.repo.Push(ctx, d, bytes.NewReader(raw)); err != nil {
					return "", err
				}
			}
			above = append(above, d)
		}
		lines = above
	}
	raw, d, err := indexOf(lines)
	if err != nil {
		return "", err
	}
	return d.Digest.String(), c.repo.PushReference(ctx, d, bytes.NewReader(raw), c.name.ref.Reference)
}

func indexOf(lines []ocispec.Descriptor) ([]byte, ocispec.Descriptor, error) {
	raw, err := json.Marshal(ocispec.Index{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageIndex,
		ArtifactType: SetType,
		Manifests:    lines,
	})
	return raw, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, ArtifactType: SetType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, err
}

// thinError says that a recording can't be sent as it is.
type thinError struct {
	path  string
	lacks int
}

func (e *thinError) Error() string {
	return fmt.Sprintf("it is thin, without %d of its mapped files: who pulls it could not have them", e.lacks)
}

// Hints says what to do about it.
func (e *thinError) Hints() []string {
	return []string{"pyrr pack " + e.path + " makes one with all files in it"}
}

// pushOne sends the blobs and the manifest of a recording, without a tag.
func (c *Client) pushOne(ctx context.Context, item Item) (a *Artifact, there bool, err error) {
	apart, err := recording.TakeApart(item.Path, leastFile, mostFiles)
	if err != nil {
		return nil, false, err
	}
	defer apart.Close()
	if n := len(apart.Lacks); n > 0 {
		return nil, false, &thinError{item.Path, n}
	}
	a = &Artifact{}
	a.Name = item.Name
	if a.SHA256, a.Size, err = sumOfFile(item.Path); err != nil {
		return nil, false, err
	}
	var own bytes.Buffer // most are small; a large one is written twice
	sum := sha256.New()
	size := apart.OwnSize()
	const buffered = 32 << 20
	to := io.Writer(sum)
	if size <= buffered {
		to = io.MultiWriter(sum, &own)
	}
	if err := apart.WriteOwn(to); err != nil {
		return nil, false, err
	}
	a.own = ocispec.Descriptor{MediaType: ownType, Digest: digestOf(sum), Size: size, Annotations: map[string]string{ocispec.AnnotationTitle: a.Name}}
	var files []ocispec.Descriptor
	for i := range apart.Files {
		p := &apart.Files[i]
		sum := sha256.New()
		if _, err := io.Copy(sum, p.Reader()); err != nil {
			return nil, false, err
		}
		files = append(files, ocispec.Descriptor{MediaType: fileType, Digest: digestOf(sum), Size: p.Size,
			Annotations: map[string]string{ocispec.AnnotationTitle: blobTitle(p.File.ID), fileKey: p.File.SHA256}})
	}
	if a.raw, err = a.manifest(files); err != nil {
		return nil, false, err
	}
	a.desc = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: RecordingType, Digest: digest.FromBytes(a.raw), Size: int64(len(a.raw))}
	if there, err := c.repo.Exists(ctx, a.desc); err != nil || there {
		return a, there, c.explain(err)
	}
	if err := c.pushBlob(ctx, ocispec.DescriptorEmptyJSON, func() io.Reader { return bytes.NewReader(ocispec.DescriptorEmptyJSON.Data) }); err != nil {
		return nil, false, err
	}
	for i, d := range files {
		if err := c.pushBlob(ctx, d, func() io.Reader { return apart.Files[i].Reader() }); err != nil {
			return nil, false, err
		}
	}
	if err := c.pushBlob(ctx, a.own, func() io.Reader {
		if size <= buffered {
			return bytes.NewReader(own.Bytes())
		}
		r, w := io.Pipe()
		go func() { w.CloseWithError(apart.WriteOwn(w)) }()
		return r
	}); err != nil {
		return nil, false, err
	}
	return a, false, c.explain(c.repo.Push(ctx, a.desc, bytes.NewReader(a.raw)))
}

// pushBlob sends a blob, unless it is there, and once for all recordings.
func (c *Client) pushBlob(ctx context.Context, d ocispec.Descriptor, open func() io.Reader) error {
	c.mu.Lock()
	state := c.known[d.Digest]
	if state == nil {
		state = &blobState{}
		c.known[d.Digest] = state
	}
	c.mu.Unlock()
	state.once.Do(func() {
		blobs := c.repo.Blobs()
		plain := ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		there, err := blobs.Exists(ctx, plain)
		if err == nil && !there {
			err = blobs.Push(ctx, plain, open())
			state.sent = err == nil
		}
		state.err = c.explain(err)
	})
	return state.err
}

// sumOfFile is the SHA-256 of a file and its size.
func sumOfFile(path string) (string, int64, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
