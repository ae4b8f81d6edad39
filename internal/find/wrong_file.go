package find

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
)

// NotServed is NotRecording for a command that takes folders of recordings, too, and
// says itself what is missing.
func NotServed(command, path string) error {
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.IsDir() {
		return nil
	}
	return NotRecording(command, path)
}

// NotRecording says what a path is that is not a recording, with what one may have
// meant to do with it; nil where it looks like a recording, damaged or not. The
// command is the one that it was given to.
func NotRecording(command, path string) error {
	st, err := os.Stat(path)
	switch {
	case err != nil && (strings.HasPrefix(path, "https://") || strings.HasPrefix(path, "http://")):
		return hint.With(fmt.Errorf("%s is an address, and no file", path), "pyrr open "+printable.ShellQuote(path))
	case errors.Is(err, fs.ErrNotExist):
		if to, err := os.Readlink(path); err == nil {
			return hint.With(fmt.Errorf("%s is a link to %s, which is not there", path, to), "ls -ld "+printable.ShellQuote(path))
		}
		remedy := "pyrr record -- python app.py"
		if near := similarRecording(path); near != "" {
			remedy = "pyrr " + command + " " + printable.ShellQuote(near)
		}
		return hint.With(fmt.Errorf("there is no recording %s", path), remedy)
	case err != nil:
		return hint.With(fmt.Errorf("open recording %s: %w", path, errors.Unwrap(err)), "ls -ld "+printable.ShellQuote(path))
	case st.IsDir():
		if _, err := os.Lstat(filepath.Join(path, "pyrr.json")); err == nil || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		remedy := "pyrr ls"
		if latest := latestRecording(path); latest != "" {
			remedy = "pyrr " + command + " " + printable.ShellQuote(latest)
		}
		return hint.With(fmt.Errorf("%s is a folder, not a recording", path), remedy)
	case !st.Mode().IsRegular():
		return hint.With(fmt.Errorf("%s is not a regular file, so it is not a recording", path), "pyrr ls")
	}
	f, err := os.Open(path)
	if err != nil {
		return hint.With(fmt.Errorf("open recording %s: %w", path, errors.Unwrap(err)), "ls -l "+printable.ShellQuote(path))
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	quoted := printable.ShellQuote(path)
	switch {
	case n == 0 && err == io.EOF:
		return hint.With(fmt.Errorf("%s is empty, so it is not a recording", path), "pyrr ls")
	case bytes.Equal(head, []byte("PK\x03\x04")):
		if r, err := zip.NewReader(f, st.Size()); err == nil && !slices.ContainsFunc(r.File, func(f *zip.File) bool { return f.Name == "pyrr.json" }) {
			return hint.With(fmt.Errorf("%s is a zip file, but not a recording", path), "unzip -l "+quoted)
		}
		return nil
	case strings.HasSuffix(path, recording.PackedSuffix):
		return nil // it was one
	}
	remedy := "pyrr ls"
	switch filepath.Ext(path) {
	case ".py":
		remedy = "pyrr record -- python3 " + quoted
	case ".yaml", ".yml":
		remedy = "pyrr check " + quoted
	}
	return hint.With(fmt.Errorf("%s is not a recording: a recording is a zip file", path), remedy)
}
