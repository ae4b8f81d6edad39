// Package usercache is pyrr's folder in the user's cache: what can be made
// again, and is not worth an error where it can't be kept.
// It never holds what can't be made again. Begin with Dir.
package usercache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// WriteFile replaces a file of the cache at once, so that no reader sees half
// of it, and makes the folder for it. Only the user can read it.
func WriteFile(name string, data []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*")
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
