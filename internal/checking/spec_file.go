package checking

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
)

// notSpec says what is wrong with a path that was given as a spec, nil where it may
// be one.
func notSpec(command, path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		out := hint.Usagef("%s: there is no spec %s", command, path)
		out.Next = []string{"pyrr new RECORDING"}
		if near, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.y*ml")); len(near) > 0 {
			out.Next = []string{"pyrr " + command + " " + printable.ShellQuote(near[0])}
		}
		return out
	case err != nil:
		return notRead(command, path, err)
	case st.IsDir():
		if _, err := os.Lstat(filepath.Join(path, "pyrr.json")); err != nil {
			return nil
		}
	case !st.Mode().IsRegular():
		return hint.Usagef("%s: %s is not a regular file, so it is not a spec", command, path)
	default:
		f, err := os.Open(path)
		if err != nil {
			return notRead(command, path, err)
		}
		defer f.Close()
		head := make([]byte, 4)
		if _, _ = io.ReadFull(f, head); !bytes.Equal(head, []byte("PK\x03\x04")) && !strings.HasSuffix(path, recording.PackedSuffix) {
			return nil
		}
	}
	out := hint.Usagef("%s: %s is a recording, not a spec", command, path)
	out.Next = []string{"pyrr new " + printable.ShellQuote(path), "pyrr explain " + printable.ShellQuote(path)}
	return out
}

// notRead says that a path could not be looked at, and how to see why.
func notRead(command, path string, err error) error {
	out := hint.Usagef("%s: %s: %v", command, path, errors.Unwrap(err))
	out.Next = []string{"ls -l " + printable.ShellQuote(path)}
	return out
}
