package recording

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pyrr/internal/outfile"
)

// Recordings in one folder can share the mapped files that they have in common: each
// content lies once in the folder SharedDir beside them, and they are thin.

// leastShared is the size in packed bytes from which on a content is worth a file of
// its own.
const leastShared = 4 << 10

// PackShared makes the recording in the folder dir one zip file, as Pack does, except for
// the contents that go into the folder SharedDir beside it, where they are not yet.
func PackShared(dir, zipPath string) error {
	fail := func(err error) error { return fmt.Errorf("pack %s: %w", dir, err) }
	to := filepath.Dir(zipPath)
	tmp, err := os.MkdirTemp(to, ".pyrr-pack-*")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(tmp)
	whole := filepath.Join(tmp, "whole"+PackedSuffix)
	if err := Pack(dir, whole); err != nil {
		return err
	}
	r, err := Open(whole)
	if err != nil {
		return fail(err)
	}
	defer r.Close()
	shared := filepath.Join(to, SharedDir)
	if err := os.MkdirAll(shared, 0o777); err != nil {
		return fail(err)
	}
	root, err := os.OpenRoot(shared)
	if err != nil {
		return fail(err)
	}
	defer root.Close()
	there := map[FileID]bool{}
	for _, f := range r.files {
		if m, ok := r.members[blobName(f.ID)]; ok && f.shareable() && m.size >= leastShared {
			// What can't be shared stays in the recording.
			there[f.ID] = r.share(root, shared, f) == nil
		}
	}
	thin := filepath.Join(tmp, "thin"+PackedSuffix)
	out, err := os.OpenFile(thin, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fail(err)
	}
	_, err = Thin(whole, out, func(f File) bool { return there[f.ID] })
	if err = errors.Join(err, out.Close()); err != nil {
		return fail(err)
	}
	if err := outfile.Place(thin, zipPath); err != nil {
		return fail(err)
	}
	return nil
}

// share sees to it that the folder has what f is made of: of a file that was cut the
// file as it is on this machine, which other recordings have cut in another way.
func (r *Recording) share(root *os.Root, dir string, f File) error {
	name, zeros := f.SHA256, []span(nil)
	if f.Of != "" {
		name, zeros = f.Of, f.zeroSpans()
	}
	if b, err := r.sharedFile(f, filepath.Join(dir, name), zeros); err == nil {
		return b.Close()
	}
	uncut := f
	uncut.SHA256, uncut.Of, uncut.Zeros = name, "", nil
	var b *blob
	var err error
	if f.Of != "" {
		b, err = r.machineFile(uncut)
	} else {
		b, err = r.openBlob(f)
	}
	if err != nil {
		return err
	}
	defer b.Close()
	enc, err := newEncoder()
	if err != nil {
		return err
	}
	defer enc.Close()
	w := &Writer{root: root, enc: enc, blocks: openBlockCache()}
	tmp := fmt.Sprintf(".new-%d-%s", os.Getpid(), name)
	defer root.Remove(tmp) // does nothing once it is renamed
	sum := newHash()
	for i := range b.blocks {
		raw, err := b.load(i)
		if err != nil {
			return err
		}
		sum.Write(raw)
		head := chunkHeader{magic: magicFile, seq: uint32(i), first: b.blocks[i].first}
		if err := w.writeBlock(tmp, head, raw, w.blocks.path(sum, raw)); err != nil {
			return err
		}
	}
	if sumOf(sum) != name {
		return io.ErrUnexpectedEOF // it changed
	}
	return root.Rename(tmp, name)
}
