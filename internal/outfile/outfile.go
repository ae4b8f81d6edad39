// Package outfile writes the files that a user names. A regular file is
// replaced in one step: who reads it meanwhile finds the old one or the new
// one, whole. What is not a regular file (a terminal, a pipe, /dev/null) is never
// replaced: the output goes into it.
// It never follows a name out of the folder that the user named. Begin with Write.
package outfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Write writes the file called name. A new one gets the permission bits perm,
// less the umask; an old one keeps its own, and links stay links.
func Write(name string, perm fs.FileMode, write func(io.Writer) error) error {
	at, mode, err := target(name)
	if err != nil {
		return err
	}
	if mode != nil && !mode.IsRegular() {
		return into(at, write)
	}
	f, err := os.CreateTemp(filepath.Dir(at), "."+filepath.Base(at)+"-*")
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write", Path: name, Err: e.Err} // the name that the user gave
	}
	if err != nil {
		return err
	}
	err = write(f)
	if mode != nil {
		perm = mode.Perm()
	} else {
		perm &^= umask()
	}
	err = errors.Join(err, f.Chmod(perm), f.Close())
	if err == nil {
		err = replace(f.Name(), at)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Place gives a finished file, which lies on the same file system, the name
// name, by the rules of Write.
func Place(file, name string) error {
	at, mode, err := target(name)
	if err != nil {
		return err
	}
	if mode == nil || mode.IsRegular() {
		return replace(file, at)
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := into(at, func(w io.Writer) error { _, err := io.Copy(w, in); return err }); err != nil {
		return err
	}
	return os.Remove(file)
}

// Append adds to the end of the file called name, which is made where there is none.
// write gets how many bytes are there already: 0 in what is not a regular file.
func Append(name string, perm fs.FileMode, write func(w io.Writer, size int64) error) error {
	at, mode, err := target(name)
	if err != nil {
		return err
	}
	if mode != nil && !mode.IsRegular() {
		return into(at, func(w io.Writer) error { return write(w, 0) })
	}
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_APPEND|os.O_CREATE, perm)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		err = write(f, size)
	}
	return errors.Join(err, f.Close())
}

// writable says why nothing can be written to the file at, which the user called name:
// who may not write to a file may not replace it, although the folder would let him.
func writable(name, at string, mode *fs.FileMode) error {
	switch {
	case mode == nil:
		return nil
	case *mode&fs.ModeSocket != 0:
		return fmt.Errorf("%s is a socket, which has no place for a file's text", name)
	case !mode.IsRegular():
		return nil // opening it tells
	}
	f, err := os.OpenFile(at, os.O_WRONLY, 0)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write", Path: name, Err: e.Err}
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Replaceable says why the file called name can't become a regular one: there
// is something else of that name.
func Replaceable(name string) error {
	at, mode, err := resolve(name)
	if err == nil && mode != nil && !mode.IsRegular() {
		return fmt.Errorf("%s is not a regular file (%s)", name, kind(*mode))
	}
	if err == nil {
		err = writable(name, at, mode)
	}
	return err
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "a folder"
}

// target is where the file called name is, or will be, and can be written.
func target(name string) (at string, mode *fs.FileMode, err error) {
	at, mode, err = resolve(name)
	if err == nil {
		err = writable(name, at, mode)
	}
	return at, mode, err
}

// resolve follows links to where the file is, or will be. mode is nil where
// there is none.
func resolve(name string) (at string, mode *fs.FileMode, err error) {
	at = name
	const most = 40 // MAXSYMLINKS of the kernel
	for range most {
		st, err := os.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return at, nil, nil
		case err != nil:
			return "", nil, err
		case st.IsDir():
			return "", nil, fmt.Errorf("%s is a folder", name)
		case st.Mode()&fs.ModeSymlink == 0:
			m := st.Mode()
			return at, &m, nil
		}
		to, err := os.Readlink(at)
		if err != nil {
			return "", nil, err
		}
		// A name below /proc/PID/fd can lead to what has no name of its own.
		if st, err := os.Stat(at); err == nil && !st.IsDir() && !st.Mode().IsRegular() {
			m := st.Mode()
			return at, &m, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(at), to)
		}
		at = to
	}
	return "", nil, fmt.Errorf("%s: too many links", name)
}

func into(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// replace renames a file over another, unless that became something else.
func replace(file, name string) error {
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file any more", name)
	}
	return os.Rename(file, name)
}

// umask is read from status of proc(5): asking the kernel for it would change it
// for the whole process.
func umask() fs.FileMode {
	const usual = 0o022
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return usual
	}
	_, rest, found := strings.Cut(string(b), "\nUmask:")
	line, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseUint(strings.TrimSpace(line), 8, 9)
	if !found || err != nil {
		return usual
	}
	return fs.FileMode(v)
}
