package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"pyrr/internal/recording"
)

// The media types of an artifact: docs/format.md has its form.
const (
	// RecordingType is the artifactType of one recording, SetType that of an index
	// of several.
	RecordingType = "application/vnd.pyrr.recording.v1"
	SetType       = "application/vnd.pyrr.recordings.v1"

	ownType  = "application/vnd.pyrr.recording.own.v1"
	fileType = "application/vnd.pyrr.recording.file.v1"

	sumKey  = "pyrr.recording.sha256" // of the whole recording
	sizeKey = "pyrr.recording.size"   // of that, in bytes
	fileKey = "pyrr.file.sha256"      // of a mapped file, as files/index has it
)

const (
	// maxManifest is the least that registries have to take of a manifest.
	maxManifest = 4 << 20
	// leastFile is the packed size from which on a mapped file is a blob of its own,
	// mostFiles how many of a recording are at most.
	leastFile = 16 << 10
	mostFiles = 2000
	// perIndex is how many recordings an index names at most: 700 kB. More of them
	// are several indexes, and one of these.
	perIndex     = 2000
	maxIndexes   = 500
	maxEntries   = 250_000
	maxIndexSize = 256 << 20 // all indexes of a tag
)

// Entry is a recording in a registry.
type Entry struct {
	Name string // of its file
	Size int64  // of the whole recording, in bytes
	desc ocispec.Descriptor
}

// Digest identifies the recording.
func (e *Entry) Digest() string { return e.desc.Digest.String() }

// Artifact is the manifest of one recording.
type Artifact struct {
	Entry
	SHA256 string // of the whole recording
	own    ocispec.Descriptor
	files  map[recording.FileID]ocispec.Descriptor
	sums   map[recording.FileID]string // SHA-256 of their contents, as the manifest has it
	raw    []byte
}

// blobTitle is what the content of a file is called in a recording.
func blobTitle(id recording.FileID) string { return fmt.Sprintf("files/%04d", id) }

// manifest makes the manifest of a recording: the same for the same recording.
func (a *Artifact) manifest(files []ocispec.Descriptor) ([]byte, error) {
	m := ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: RecordingType,
		Config:       ocispec.DescriptorEmptyJSON,
		Layers:       append([]ocispec.Descriptor{a.own}, files...),
		Annotations: map[string]string{
			ocispec.AnnotationTitle: a.Name,
			sumKey:                  a.SHA256,
			sizeKey:                 strconv.FormatInt(a.Size, 10),
		},
	}
	return json.Marshal(m)
}

// entry is the line of an index about a recording.
func (a *Artifact) entry() ocispec.Descriptor {
	d := a.desc
	d.Annotations = map[string]string{ocispec.AnnotationTitle: a.Name, sizeKey: strconv.FormatInt(a.Size, 10)}
	return d
}

// parseArtifact checks a manifest, which may come from anybody.
func parseArtifact(raw []byte, m *ocispec.Manifest, d ocispec.Descriptor, maxSize int64) (*Artifact, error) {
	if m.ArtifactType != RecordingType {
		kind := m.ArtifactType
		if kind == "" {
			kind = m.Config.MediaType
		}
		return nil, fmt.Errorf("it is not a recording, but %.100q", kind)
	}
	a := &Artifact{SHA256: m.Annotations[sumKey], raw: raw, files: map[recording.FileID]ocispec.Descriptor{}, sums: map[recording.FileID]string{}}
	a.desc = ocispec.Descriptor{MediaType: d.MediaType, ArtifactType: RecordingType, Digest: d.Digest, Size: d.Size}
	a.Name = m.Annotations[ocispec.AnnotationTitle]
	var err error
	if a.Size, err = sizeOf(m.Annotations, maxSize); err != nil {
		return nil, err
	}
	if !ValidFile(a.Name) {
		return nil, fmt.Errorf("a recording is called %.200q, which is not a plain file name", a.Name)
	}
	if digest.NewDigestFromEncoded(digest.SHA256, a.SHA256).Validate() != nil {
		return nil, fmt.Errorf("%s has no SHA-256", a.Name)
	}
	if len(m.Layers) == 0 || len(m.Layers) > 1+mostFiles || m.Layers[0].MediaType != ownType {
		return nil, fmt.Errorf("%s has %d blobs, or none of its own", a.Name, len(m.Layers))
	}
	var total int64
	for i, l := range m.Layers {
		if err := checkDescriptor(l, maxSize); err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		if total += l.Size; total > maxSize {
			return nil, fmt.Errorf("%s has more than %d bytes", a.Name, maxSize)
		}
		plain := ocispec.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size} // no data, no other places
		if i == 0 {
			a.own = plain
			continue
		}
		var id recording.FileID
		title := l.Annotations[ocispec.AnnotationTitle]
		if _, err := fmt.Sscanf(title, "files/%d", &id); err != nil || title != blobTitle(id) || l.MediaType != fileType {
			return nil, fmt.Errorf("%s has a blob called %.200q, which is not a mapped file", a.Name, title)
		}
		if _, twice := a.files[id]; twice {
			return nil, fmt.Errorf("%s has two of %s", a.Name, title)
		}
		a.files[id], a.sums[id] = plain, l.Annotations[fileKey]
	}
	return a, nil
}

func sizeOf(annotations map[string]string, most int64) (int64, error) {
	n, err := strconv.ParseInt(annotations[sizeKey], 10, 64)
	switch {
	case err != nil || n <= 0:
		return 0, fmt.Errorf("a recording's size is %.50q", annotations[sizeKey])
	case n > most:
		return 0, fmt.Errorf("a recording has %d bytes; the limit is %d", n, most)
	}
	return n, nil
}

// List returns the recordings that the name stands for, in the order in which they
// were pushed, with what it takes to tell them apart.
func (c *Client) List(ctx context.Context) ([]Entry, error) {
	d, err := c.repo.Resolve(ctx, c.name.ref.Reference)
	if err != nil {
		return nil, c.explain(err)
	}
	l := lister{c: c, left: maxIndexSize}
	if err := l.walk(ctx, d, 0); err != nil {
		return nil, c.explain(err)
	}
	if c.name.Recording == "" {
		return l.found, nil
	}
	for _, e := range l.found {
		if e.Name == c.name.Recording || e.Name == c.name.Recording+suffix {
			return []Entry{e}, nil
		}
	}
	return nil, fmt.Errorf("%s: %w, of %d there", c.name, ErrNone, len(l.found))
}

// lister goes through the indexes of a name, within bounds.
type lister struct {
	c       *Client
	found   []Entry
	left    int64
	indexes int
}

func (l *lister) walk(ctx context.Context, d ocispec.Descriptor, depth int) error {
	if err := checkDescriptor(d, maxManifest); err != nil {
		return err
	}
	if l.left -= d.Size; l.left < 0 {
		return fmt.Errorf("its indexes have more than %d bytes", maxIndexSize)
	}
	switch d.MediaType {
	case ocispec.MediaTypeImageManifest:
		var m ocispec.Manifest
		raw, err := l.c.fetchJSON(ctx, d, &m)
		if err != nil {
			return err
		}
		a, err := parseArtifact(raw, &m, d, l.c.opts.MaxSize)
		if err == nil {
			l.found = append(l.found, a.Entry)
		}
		return err
	case ocispec.MediaTypeImageIndex:
	default:
		return fmt.Errorf("it is not a recording, but %.100q", d.MediaType)
	}
	if l.indexes++; l.indexes > maxIndexes || depth > 1 {
		return fmt.Errorf("its indexes are nested, or more than %d", maxIndexes)
	}
	var x ocispec.Index
	if _, err := l.c.fetchJSON(ctx, d, &x); err != nil {
		return err
	}
	if x.ArtifactType != SetType {
		return fmt.Errorf("it is not a recording, but an index of %.100q", x.ArtifactType)
	}
	for _, m := range x.Manifests {
		if m.MediaType == ocispec.MediaTypeImageIndex {
			if err := l.walk(ctx, m, depth+1); err != nil {
				return err
			}
			continue
		}
		e := Entry{Name: m.Annotations[ocispec.AnnotationTitle]}
		var err error
		if e.Size, err = sizeOf(m.Annotations, l.c.opts.MaxSize); err != nil {
			return err
		}
		if !ValidFile(e.Name) {
			return fmt.Errorf("a recording is called %.200q, which is not a plain file name", e.Name)
		}
		if err := checkDescriptor(m, maxManifest); err != nil {
			return err
		}
		if m.MediaType != ocispec.MediaTypeImageManifest || len(l.found) >= maxEntries {
			return fmt.Errorf("it names %.100q, or more than %d recordings", m.MediaType, maxEntries)
		}
		e.desc = ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: m.Size}
		l.found = append(l.found, e)
	}
	return nil
}

// Artifact fetches the manifest of a recording.
func (c *Client) Artifact(ctx context.Context, e Entry) (*Artifact, error) {
	var m ocispec.Manifest
	raw, err := c.fetchJSON(ctx, e.desc, &m)
	if err != nil {
		return nil, c.explain(err)
	}
	a, err := parseArtifact(raw, &m, e.desc, c.opts.MaxSize)
	if err != nil {
		return nil, c.explain(err)
	}
	return a, nil
}

func isNotFound(err error) bool { return errors.Is(err, errdef.ErrNotFound) }
