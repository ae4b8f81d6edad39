package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/ulikunitz/xz"
)

// Finder finds what is known of a file elsewhere on this machine.
type Finder struct {
	// DebugDirs hold separate debug files, by build ID and by path.
	DebugDirs []string
	// Originals allows to look for a file's file under the path that the
	// process had it at. It is taken only if it is the same file.
	Originals bool
	// Fetch, when set, is asked for the debug file of a build ID that is
	// nowhere else; it returns a path.
	Fetch func(buildID string) (string, error)
}

// SystemDebugDir is where distributions install debug files.
const SystemDebugDir = "/usr/lib/debug"

// debugFiles are the ELF files that add to a file.
type debugFiles struct {
	wholeOnce, debugOnce, miniOnce sync.Once
	whole, debug, mini             *elf.File
}

// wholeFile returns the file's file with its sections; nil when it is not at
// hand.
func (im *File) wholeFile() *elf.File {
	d := &im.debug
	d.wholeOnce.Do(func() {
		if d.whole = im.full; d.whole != nil || im.find == nil || !im.find.Originals {
			return
		}
		f, size, err := openRegular(im.Name)
		if err != nil {
			return
		}
		if im.sameFile(f, size) {
			if e, err := newFile(f); err == nil {
				d.whole = e
				return
			}
		}
		f.Close()
	})
	return d.whole
}

// sameFile says whether a file has the file's build ID or, where it has
// none, begins with the bytes at hand.
func (im *File) sameFile(f *os.File, size int64) bool {
	if id := im.BuildID(); id != "" {
		other, err := NewFile(im.Name, f, size, nil)
		return err == nil && other.BuildID() == id
	}
	if size < im.size {
		return false
	}
	var a, b [1 << 16]byte
	for at := int64(0); at < im.size; at += int64(len(a)) {
		n := min(int64(len(a)), im.size-at)
		if _, err := im.file.ReadAt(a[:n], at); err != nil {
			return false
		}
		if _, err := f.ReadAt(b[:n], at); err != nil || !bytes.Equal(a[:n], b[:n]) {
			return false
		}
	}
	return true
}

// newFile reads an ELF file with its sections.
func newFile(r io.ReaderAt) (f *elf.File, err error) {
	err = guard(func() error { f, err = elf.NewFile(r); return err })
	if err == nil && (f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB) {
		err = errors.New("not for x86-64")
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// openRegular opens a file that is one, and no device or pipe.
func openRegular(path string) (*os.File, int64, error) {
	if !filepath.IsAbs(path) {
		return nil, 0, fmt.Errorf("%s: not an absolute path", path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// debugFile returns the file's separate debug file, nil for none.
func (im *File) debugFile() *elf.File {
	d := &im.debug
	d.debugOnce.Do(func() {
		if im.find == nil {
			return
		}
		id := im.BuildID()
		for _, dir := range im.find.DebugDirs {
			if id == "" {
				break
			}
			if d.debug = openDebug(filepath.Join(dir, ".build-id", id[:2], id[2:]+".debug"), id, 0); d.debug != nil {
				return
			}
		}
		if d.debug = im.linkedDebug(); d.debug != nil || id == "" || im.find.Fetch == nil {
			return
		}
		if path, err := im.find.Fetch(id); err == nil {
			d.debug = openDebug(path, id, 0)
		}
	})
	return d.debug
}

// linkedDebug follows .gnu_debuglink: a file name, padded, and the CRC-32 of
// the file (GDB manual, "Debugging Information in Separate Files").
func (im *File) linkedDebug() *elf.File {
	whole := im.wholeFile()
	if whole == nil {
		return nil
	}
	_, b, err := sectionOf(whole, ".gnu_debuglink")
	if err != nil || len(b) < 8 {
		return nil
	}
	n := bytes.IndexByte(b, 0)
	at := (n + 4) &^ 3
	if n <= 0 || at+4 > len(b) {
		return nil
	}
	name, crc := filepath.Base(string(b[:n])), binary.LittleEndian.Uint32(b[at:])
	dir := filepath.Dir(im.Name)
	tries := []string{filepath.Join(dir, ".debug", name)}
	if name != filepath.Base(im.Name) {
		tries = append([]string{filepath.Join(dir, name)}, tries...)
	}
	for _, d := range im.find.DebugDirs {
		tries = append(tries, filepath.Join(d, dir, name))
	}
	for _, path := range tries {
		if f := openDebug(path, "", crc); f != nil {
			return f
		}
	}
	return nil
}

// openDebug opens a debug file if it has the build ID, or the checksum where
// none is given.
func openDebug(path, id string, crc uint32) *elf.File {
	f, size, err := openRegular(path)
	if err != nil {
		return nil
	}
	ok := false
	if id != "" {
		im, err := NewFile(path, f, size, nil)
		ok = err == nil && im.buildIDInSections() == id
	} else {
		h := crc32.NewIEEE()
		_, err := io.Copy(h, io.NewSectionReader(f, 0, size))
		ok = err == nil && h.Sum32() == crc
	}
	if ok {
		if e, err := newFile(f); err == nil {
			return e
		}
	}
	f.Close()
	return nil
}

// buildIDInSections is BuildID for debug files, the segments of which are
// empty.
func (im *File) buildIDInSections() string {
	if _, b, err := im.section(".note.gnu.build-id"); err == nil && b != nil {
		return buildIDOf(b)
	}
	return im.BuildID()
}

// maxMini bounds the symbols that a file carries compressed.
const maxMini = 64 << 20

// miniDebug returns what is in .gnu_debugdata, an ELF file with more symbols
// than .dynsym, compressed by xz.
func (im *File) miniDebug() *elf.File {
	d := &im.debug
	d.miniOnce.Do(func() {
		whole := im.wholeFile()
		if whole == nil {
			return
		}
		_, b, err := sectionOf(whole, ".gnu_debugdata")
		if err != nil || b == nil {
			return
		}
		_ = guard(func() error {
			r, err := xz.ReaderConfig{DictCap: 1 << 23}.NewReader(bytes.NewReader(b))
			if err != nil {
				return err
			}
			raw, err := io.ReadAll(io.LimitReader(r, maxMini))
			if err != nil {
				return err
			}
			d.mini, err = newFile(bytes.NewReader(raw))
			return err
		})
	})
	return d.mini
}
