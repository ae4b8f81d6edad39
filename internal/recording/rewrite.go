package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"pyrr/internal/linux"
)

// Changes are what Rewrite does besides copying. A nil function changes
// nothing.
type Changes struct {
	// Event may replace fields of an event; it must not write into their
	// slices.
	Event func(proc int, number uint64, ev *Event)
	// Text replaces a string of the header, the summary, the index of files.
	Text func(string) string
	// Files holds bytes to put over those of stored files, in ascending
	// order.
	Files map[FileID][]Patch
	// Begin replaces the beginnings of streams, and Leave says which streams
	// to leave out.
	Begin map[int]Beginning
	Leave func(proc int) bool
	// Redaction, if not nil, is the manifest to write.
	Redaction *Redaction
	// KeepManifest copies the one that is there.
	KeepManifest bool
	// Drop says which members that are no part of the format to leave out.
	Drop func(name string) bool
	// Small spends more time on compressing.
	Small bool
	// NoMemory leaves out memory, registers and mapped files: what remains
	// can be read, not replayed.
	NoMemory bool
}

// Beginning is events that stand for those before the event From.
type Beginning struct {
	From   uint64
	Events []Event
}

// Patch is bytes that replace others.
type Patch struct {
	Mem  int // the number of the write, in an event
	Off  uint64
	Data []byte
}

func (p Patch) end() uint64 { return p.Off + uint64(len(p.Data)) }

// Rewrite writes the recording once more into the folder dir, which must not
// exist, with changes. What a killed recorder left out stays left out.
func (r *Recording) Rewrite(dir string, c Changes) error {
	if c.Text == nil {
		c.Text = func(s string) string { return s }
	}
	if err := r.rewrite(dir, &c); err != nil {
		os.RemoveAll(dir)
		return fmt.Errorf("rewrite %s: %w", r.path, err)
	}
	return nil
}

func (r *Recording) rewrite(dir string, c *Changes) error {
	if r.root != nil {
		if err := r.completeFiles(); err != nil {
			return err
		}
	}
	h := r.header
	h.Cwd = c.Text(h.Cwd)
	h.Command = slices.Clone(h.Command)
	for i := range h.Command {
		h.Command[i] = c.Text(h.Command[i])
	}
	options := map[string]string{}
	for k, v := range h.Options {
		options[k] = c.Text(v)
	}
	h.Options = options
	if c.NoMemory {
		h.Form = FormIndex
	}
	w, err := Create(dir, h)
	if err != nil {
		return err
	}
	// Of a shortened recording the events are an image of a few megabytes.
	// The best level would save 5 % of them, and take a fifth of the time until they are kept.
	level := zstd.SpeedFastest
	if c.Small {
		level = zstd.SpeedBetterCompression
	}
	enc, err := newEncoderLevel(level)
	if err == nil {
		w.enc.Close()
		w.enc = enc
	}
	var written, instructions uint64
	for _, id := range r.streams {
		if err == nil && (c.Leave == nil || !c.Leave(id)) {
			var n, instr uint64
			n, instr, err = r.rewriteStream(w, id, c)
			written, instructions = written+n, instructions+instr
		}
	}
	sum, ok := r.Summary()
	if len(c.Begin) > 0 {
		sum.Events, sum.Instructions = written, instructions
	}
	if !ok {
		sum.Truncated, sum.Why = true, "the recorder was killed"
	}
	sum.Why = c.Text(sum.Why)
	if c.Event != nil && !c.NoMemory {
		sum.Verified = "" // that was another one
	}
	err = errors.Join(err, w.Close(sum))
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := r.rewriteFiles(root, c, level); err != nil {
		return err
	}
	if err := r.copyOthers(root, c); err != nil {
		return err
	}
	if err := r.rewriteSources(dir, c); err != nil {
		return err
	}
	if c.Redaction != nil {
		return writeJSON(root, redactionName, c.Redaction)
	}
	return nil
}

func (r *Recording) rewriteStream(w *Writer, id int, c *Changes) (events, instructions uint64, err error) {
	it, err := r.Events(id)
	if err != nil {
		return 0, 0, err
	}
	defer it.Close()
	s := w.Stream(id)
	var ev Event
	if b, ok := c.Begin[id]; ok {
		for i := range b.Events {
			if err := s.Append(&b.Events[i]); err != nil {
				return 0, 0, err
			}
		}
		if err := it.Seek(b.From); err != nil {
			return 0, 0, err
		}
	}
	for {
		number := it.Number()
		err := it.Next(&ev)
		if errors.Is(err, io.EOF) {
			return s.next, instructions, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if ev.Kind == KindEnd && ev.Why == EndTruncated {
			return s.next, instructions, nil // made up by the iterator
		}
		if c.Event != nil {
			c.Event(id, number, &ev)
		}
		if c.NoMemory {
			ev.Mem, ev.XState, ev.Readings, ev.RegSum = nil, nil, nil, 0
			if ev.Regs != nil {
				ev.Regs = &linux.Regs{}
			}
		}
		if err := s.Append(&ev); err != nil {
			return 0, 0, err
		}
		instructions = ev.Instr
	}
}

// rewriteSources copies the texts of source files.
func (r *Recording) rewriteSources(dir string, c *Changes) error {
	texts, err := r.Sources()
	if err != nil || len(texts) == 0 {
		return err
	}
	out, err := Open(dir)
	if err != nil {
		return err
	}
	defer out.Close()
	w, err := out.WriteSources()
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		if err := w.Add(c.Text(path), []byte(c.Text(string(texts[path])))); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

// rewriteFiles copies the stored files and their index.
func (r *Recording) rewriteFiles(root *os.Root, c *Changes, level zstd.EncoderLevel) error {
	enc, err := newEncoderLevel(level)
	if err != nil {
		return err
	}
	defer enc.Close()
	w := &Writer{root: root, enc: enc, blocks: openBlockCache()}
	if c.Small && w.blocks.dir != "" {
		w.blocks.dir += "-small"
	}
	for _, f := range r.files {
		if c.NoMemory {
			f.Want, f.Kept, f.Same, f.SHA256, f.Of, f.Zeros = 0, 0, 0, "", "", nil
		}
		if f.Same == 0 && f.Want > 0 {
			if err := r.rewriteFile(w, &f, c); err != nil {
				return fmt.Errorf("file %d (%s): %w", f.ID, f.Path, err)
			}
		} else if f.Same != 0 && len(c.Files[f.Same]) > 0 {
			f.SHA256, f.Of, f.Zeros = "", "", nil // of other bytes
		}
		f.Path, f.Unstable = c.Text(f.Path), c.Text(f.Unstable)
		if err := w.appendFile(indexName, indexLine(&f)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recording) rewriteFile(w *Writer, f *File, c *Changes) error {
	b, err := r.openBlob(*f)
	if err != nil {
		return err
	}
	if b.src.ReaderAt == nil {
		return nil // nothing of it was kept
	}
	defer b.Close()
	patches := c.Files[f.ID]
	if len(patches) == 0 && !c.Small && !b.plain && b.zeros == nil {
		return w.appendFrom(b.name, io.NewSectionReader(&renumbered{b.src, b.blocks, uint32(f.ID)}, 0, b.end))
	}
	sum := newHash()
	for i := range b.blocks {
		first := b.blocks[i].first
		raw, err := patched(first, b.blockLen(i), patches, func() ([]byte, error) { return b.load(i) })
		if err != nil {
			return err
		}
		sum.Write(raw)
		cached := ""
		if len(patches) == 0 { // what was redacted is nobody else's block
			cached = w.blocks.path(sum, raw)
		}
		head := chunkHeader{magic: magicFile, stream: uint32(f.ID), seq: uint32(i), first: first}
		if err := w.writeBlock(b.name, head, raw, cached); err != nil {
			return err
		}
	}
	if f.SHA256 != "" {
		was := f.SHA256
		f.SHA256 = sumOf(sum)
		if (b.plain || b.zeros != nil) && len(patches) == 0 && f.SHA256 != was {
			return errors.New("it changed while it was read")
		}
		f.noteZeros(was, patches)
	}
	return nil
}

// patched returns a block of n bytes that begins at first with the patches, which are in
// ascending order, put over it. What load reads is not written to, and not asked for where
// patches stand for all of it.
func patched(first uint64, n int, patches []Patch, load func() ([]byte, error)) ([]byte, error) {
	end, covered := first+uint64(n), first
	var over []Patch
	for _, p := range patches {
		if p.end() <= first || p.Off >= end {
			continue
		}
		over = append(over, p)
		if p.Off <= covered {
			covered = max(covered, p.end())
		}
	}
	if len(over) == 0 {
		return load()
	}
	raw := make([]byte, n)
	if covered < end {
		was, err := load()
		if err != nil {
			return nil, err
		}
		copy(raw, was)
	}
	for _, p := range over {
		from, to := max(p.Off, first), min(p.end(), end)
		copy(raw[from-first:to-first], p.Data[from-p.Off:])
	}
	return raw, nil
}

// appendFrom copies a member.
func (w *Writer) appendFrom(name string, src io.Reader) error {
	out, err := w.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, src)
	return errors.Join(err, out.Close())
}

// copyOthers copies the members that are no part of the format.
func (r *Recording) copyOthers(root *os.Root, c *Changes) error {
	names, err := r.allNames()
	if err != nil {
		return err
	}
	w := &Writer{root: root}
	for _, name := range names {
		if _, err := root.Lstat(name); err == nil || name == redactionName && !c.KeepManifest || name == sourcesName || strings.HasPrefix(name, filesDir+"/") ||
			strings.HasPrefix(name, eventsDir+"/") || c.Drop != nil && c.Drop(name) {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		src, err := r.lookup(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = w.appendFrom(name, io.NewSectionReader(src, 0, src.size))
		src.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// allNames lists the members of a recording in either form.
func (r *Recording) allNames() ([]string, error) {
	if r.root != nil {
		names, _, err := r.memberNames()
		return names, err
	}
	var names []string
	for name := range r.members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
