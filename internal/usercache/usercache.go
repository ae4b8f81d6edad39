// Package usercache is pyrr's folder in the user's cache: what can be made
// again, and is not worth an error where it can't be kept.
// It never holds what can't be made again. Begin with Dir.
package usercache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Dir returns a folder of pyrr's cache, below the user's own
// (os.UserCacheDir), and does not make it. It is an error where the user has no
// home: a service or a container often names one that is not there, and it is
// not for pyrr to make.
func Dir(elem ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	if os.Getenv("XDG_CACHE_HOME") == "" {
		home := filepath.Dir(base)
		if st, err := os.Stat(home); err != nil {
			return "", err
		} else if !st.IsDir() {
			return "", fmt.Errorf("%s is not a folder", home)
		}
	}
	return filepath.Join(append([]string{base, "pyrr"}, elem...)...), nil
}

// Private returns a folder of the cache like Dir, for what is believed where it is found:
// it is an error where pyrr's folder, or the first below it, belongs to another user than
// this one and root, or where others may write into it.
func Private(elem ...string) (string, error) {
	dir, err := Dir(elem...)
	if err != nil {
		return "", err
	}
	base, err := Dir()
	if err != nil {
		return "", err
	}
	for _, folder := range []string{base, filepath.Join(base, elem[0])} {
		st, err := os.Stat(folder)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return "", err
		}
		if !ours(st) {
			return "", fmt.Errorf("%s is another user's, or others may write into it", folder)
		}
	}
	return dir, nil
}

// Used notes that a file of the cache was used, for Prune: once a day is enough.
func Used(name string, st fs.FileInfo) {
	if now := time.Now(); now.Sub(st.ModTime()) > 24*time.Hour {
		_ = os.Chtimes(name, now, now)
	}
}

// unfinished begins the names of files that are being written.
const unfinished = ".new-"

// WriteFile replaces a file of the cache at once, so that no reader sees half
// of it, and makes the folder for it. Only the user can read it.
func WriteFile(name string, data []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, unfinished+"*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// Prune removes what was used longest ago from a folder of the cache that has more than
// limit bytes, until it has half of that. What is younger than spared stays. What a writer
// left half done (WriteFile) goes after an hour.
func Prune(dir string, limit int64, spared time.Duration) {
	type file struct {
		path string
		size int64
		used time.Time
	}
	var all []file
	var total int64
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return nil
		}
		if strings.HasPrefix(d.Name(), unfinished) && time.Since(st.ModTime()) > time.Hour {
			os.Remove(path)
			return nil
		}
		all = append(all, file{path, st.Size(), st.ModTime()})
		total += st.Size()
		return nil
	})
	if total <= limit {
		return
	}
	slices.SortFunc(all, func(a, b file) int { return a.used.Compare(b.used) })
	for _, f := range all {
		if total <= limit/2 || time.Since(f.used) < spared {
			break
		}
		if os.Remove(f.path) == nil {
			total -= f.size
			_ = os.Remove(filepath.Dir(f.path)) // once it is empty
		}
	}
}

// FileKey tells one version of a file's contents from another.
type FileKey struct {
	Dev, Ino  uint64
	Size      int64
	Sec, Nsec int64 // modification time
}

// String is the key as part of a file's name.
func (k FileKey) String() string {
	return fmt.Sprintf("%x-%x-%x-%x.%x", k.Dev, k.Ino, k.Size, k.Sec, k.Nsec)
}
