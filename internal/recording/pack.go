package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pyrr/internal/outfile"
)

// Pack makes the recording in the folder dir one zip file, which appears
// under zipPath when it is complete. Mapped files that the recorder did not
// get to copy are completed from the originals first, where they are still
// the same.
func Pack(dir, zipPath string) error {
	r, err := Open(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	fail := func(err error) error { return fmt.Errorf("pack %s: %w", dir, err) }
	if r.root == nil {
		return fail(errors.New("it is packed already"))
	}
	if err := r.completeFiles(); err != nil {
		return fail(err)
	}
	names, size, err := r.memberNames()
	if err != nil {
		return fail(err)
	}
	out, err := os.CreateTemp(filepath.Dir(zipPath), "."+filepath.Base(zipPath)+".*.tmp") // mode 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(out.Name()) // does nothing once it is renamed
	z := newZipWriter(out, r.header.Started, len(names), size)
	for _, name := range names {
		if err = r.packMember(z, name); err != nil {
			break
		}
	}
	if err == nil {
		err = z.close()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fail(err)
	}
	if err := outfile.Place(out.Name(), zipPath); err != nil {
		return fail(err)
	}
	return nil
}

func (r *Recording) packMember(z *zipWriter, name string) error {
	c, err := r.lookup(name)
	if err != nil {
		return err
	}
	defer c.Close()
	if strings.HasPrefix(name, eventsDir+"/") {
		return r.packEvents(z, name, c)
	}
	return z.add(name, io.NewSectionReader(c, 0, c.size))
}

// memberNames lists the folder's files, what a reader needs first in front,
// and the sum of their sizes. Files that are no part of the format, but have
// a name that may be packed, come along: later versions have more of them.
func (r *Recording) memberNames() (names []string, size int64, err error) {
	err = fs.WalkDir(r.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() || !safeName(name) || strings.HasSuffix(name, ".tmp") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if len(names) >= maxMembers {
			return fmt.Errorf("more than %d files", maxMembers)
		}
		names = append(names, name)
		size += info.Size()
		return nil
	})
	slices.SortStableFunc(names, byPlace)
	return names, size, err
}

// byPlace orders members by their places in an archive.
func byPlace(a, b string) int {
	rank := func(name string) int {
		if i := slices.Index([]string{headerName, summaryName, indexName}, name); i >= 0 {
			return i
		}
		return 3
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// completeFiles copies what is missing of the mapped files. A file of which
// the original is gone or changed stays as it is; reading it is an error.
func (r *Recording) completeFiles() error {
	if r.finished() {
		return nil
	}
	for i, f := range r.files {
		if f.Unstable != "" || f.Same != 0 {
			continue
		}
		src, err := r.original(f)
		if err != nil {
			continue
		}
		done, err := r.completeFile(f, src)
		src.Close()
		if err != nil {
			return err
		}
		r.files[i] = done
	}
	return nil
}

// completeFile appends the blocks that are missing, as the writer would have.
func (r *Recording) completeFile(f File, src *os.File) (File, error) {
	b, err := r.openBlob(f)
	if err != nil {
		return f, err
	}
	defer b.Close()
	if b.size >= f.Want {
		return f, nil
	}
	enc, err := newEncoder()
	if err != nil {
		return f, err
	}
	defer enc.Close()
	// Behind the last whole block there may be the beginning of another.
	if err := r.truncate(b.name, b.end); err != nil {
		return f, err
	}
	if err := r.truncate(indexName, r.index); err != nil {
		return f, err
	}
	w := &Writer{root: r.root, enc: enc}
	w.store.init(w)
	e := &entry{File: f, src: src, seq: uint32(len(b.blocks)), sum: newHash()}
	e.Kept = b.size
	if _, err := io.Copy(e.sum, io.NewSectionReader(b, 0, int64(b.size))); err != nil {
		return f, err
	}
	var unstable *unstableError
	for e.Kept < e.Want {
		if err := w.store.copyBlock(e, e.Want); errors.As(err, &unstable) {
			break // it changes just now
		} else if err != nil {
			return f, err
		}
	}
	if e.Kept == e.Want {
		e.SHA256 = sumOf(e.sum)
	}
	line := indexLine(&e.File)
	r.index += int64(len(line))
	return e.File, w.appendFile(indexName, line)
}

func (r *Recording) truncate(name string, size int64) error {
	f, err := r.root.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}
