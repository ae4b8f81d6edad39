package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A thin recording lacks the content of mapped files, and names it by its SHA-256.
// Where that is found, it proves what it is before a byte of it is used.

// SharedDir is the folder beside recordings that holds the mapped files which they
// share, each by its SHA-256.
const SharedDir = "files"

// FindFiles sets who finds the files that a thin recording lacks, besides the folder
// beside it and this machine: it returns the path of a file in the shared form. It is
// not to be called while others read.
func (r *Recording) FindFiles(find func(File) (path string, err error)) { r.find = find }

// MissingFileError says that a thin recording needs a file that is nowhere.
type MissingFileError struct {
	File  File
	Tried []string
}

func (e *MissingFileError) Error() string {
	return fmt.Sprintf("the recording is thin and has no copy of %.200q; none with its SHA-256 (%.12s…) was found: %s", e.File.Path, e.File.SHA256, strings.Join(e.Tried, "; "))
}

// Hints says what to do about it.
func (e *MissingFileError) Hints() []string {
	return []string{
		"where it was made: pyrr pack RECORDING makes one with all files in it",
		"or put the same file at that path, or beside the recording the folder " + SharedDir + " that lay there",
	}
}

// Elsewhere says whether the content of one of the recording's files is found besides
// in the recording, and where it was looked for if not.
func (r *Recording) Elsewhere(f File) error {
	if !f.shareable() {
		return fmt.Errorf("%.200q has no SHA-256 to be known by", f.Path)
	}
	b, err := r.elsewhere(f)
	if err != nil {
		return err
	}
	return b.Close()
}

// Lacks returns the files whose content the recording does not hold itself: none unless
// it is thin.
func (r *Recording) Lacks() []File {
	if r.zip == nil && !r.finished() || r.header.Form == FormIndex {
		return nil
	}
	var out []File
	for _, f := range r.files {
		if !f.shareable() {
			continue
		}
		c, err := r.lookup(blobName(f.ID))
		if errors.Is(err, fs.ErrNotExist) {
			out = append(out, f)
		} else if err == nil {
			c.Close()
		}
	}
	return out
}

// elsewhere opens the content of a file that the recording itself lacks.
func (r *Recording) elsewhere(f File) (*blob, error) {
	missing := &MissingFileError{File: f}
	note := func(what string, err error) {
		missing.Tried = append(missing.Tried, fmt.Sprintf("%s: %v", what, errors.Join(plainError(err))))
	}
	beside := filepath.Join(filepath.Dir(r.path), SharedDir)
	b, err := r.sharedFile(f, filepath.Join(beside, f.SHA256), nil)
	if err != nil && f.Of != "" {
		b, err = r.sharedFile(f, filepath.Join(beside, f.Of), f.zeroSpans())
	}
	if err == nil {
		return b, nil
	}
	note("the folder files beside it", err)
	if b, err = r.machineFile(f); err == nil {
		return b, nil
	}
	note("this machine", err)
	if r.find != nil {
		path, err := r.find(f)
		if err == nil {
			if b, err = r.sharedFile(f, path, nil); err == nil {
				return b, nil
			}
		}
		note("registries", err)
	}
	return nil, missing
}

// plainError leaves out what an error of the file system says besides its reason.
func plainError(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// sharedFile opens a file in the shared form, if it is what f names once the zeros are
// in it.
func (r *Recording) sharedFile(f File, path string, zeros []span) (*blob, error) {
	src, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	b := &blob{r: r, name: blobName(f.ID), src: content{src, size, src}, zeros: zeros}
	if err = b.scan(); err == nil {
		err = b.prove(f)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// machineFile opens the file at the path that the recording names, if it is what f
// names. Only one that everybody may read is looked at: a recording can name any.
func (r *Recording) machineFile(f File) (*blob, error) {
	if !filepath.IsAbs(f.Path) {
		return nil, errors.New("it has no path")
	}
	src, size, err := openRegular(f.Path)
	if err != nil {
		return nil, err
	}
	b := &blob{r: r, name: blobName(f.ID), src: content{src, size, src}, plain: true, zeros: f.zeroSpans(), size: f.Kept, end: int64(f.Kept)}
	st, err := src.Stat()
	switch {
	case err != nil:
	case st.Mode().Perm()&0o004 == 0:
		err = errors.New("the file there is not for everybody to read")
	case size < int64(f.Kept) || size != int64(f.Size):
		err = errors.New("the file there has another size")
	default:
		for at := uint64(0); at < f.Kept; at += blockSize {
			b.blocks = append(b.blocks, block{at, int64(at)})
		}
		err = b.prove(f)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// prove holds the bytes of a blob against the checksum that the recording has.
func (b *blob) prove(f File) error {
	if b.size != f.Kept {
		return fmt.Errorf("it has %d bytes, not %d", b.size, f.Kept)
	}
	if b.r.proven(f, b) {
		return nil
	}
	sum := newHash()
	if _, err := io.Copy(sum, io.NewSectionReader(b, 0, int64(b.size))); err != nil {
		return err
	}
	if sumOf(sum) != f.SHA256 {
		return errors.New("the file there has another SHA-256")
	}
	b.r.noteProven(f, b)
	return nil
}

// provenFile is a file that was held against its checksum.
type provenFile struct {
	sum  string
	info os.FileInfo
}

// proven says whether this very file was held against the checksum already.
func (r *Recording) proven(f File, b *blob) bool {
	st, err := b.src.file.Stat()
	if err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.provenFiles[f.ID]
	return ok && p.sum == f.SHA256 && os.SameFile(p.info, st) && p.info.ModTime().Equal(st.ModTime()) && p.info.Size() == st.Size()
}

func (r *Recording) noteProven(f File, b *blob) {
	st, err := b.src.file.Stat()
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.provenFiles == nil {
		r.provenFiles = map[FileID]provenFile{}
	}
	r.provenFiles[f.ID] = provenFile{f.SHA256, st}
}

// openRegular opens a regular file, and waits for nothing.
func openRegular(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}
