package main

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
)

// notRecording says what a path is that is no recording, with what one may have
// meant to do with it; nil where it looks like a recording, damaged or not. The
// command is the one that it was given to.
func notRecording(command, path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := "pyrr record -- python app.py"
		if near := similarRecording(path); near != "" {
			hint = "pyrr " + command + " " + shellQuote(near)
		}
		return withHint(fmt.Errorf("there is no recording %s", path), hint)
	case err != nil:
		return withHint(fmt.Errorf("open recording %s: %w", path, errors.Unwrap(err)), "ls -ld "+shellQuote(path))
	case st.IsDir():
		if _, err := os.Lstat(filepath.Join(path, "pyrr.json")); err == nil || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		hint := "pyrr ls"
		if latest := latestRecording(path); latest != "" {
			hint = "pyrr " + command + " " + shellQuote(latest)
		}
		return withHint(fmt.Errorf("%s is a folder, and no recording", path), hint)
	case !st.Mode().IsRegular():
		return withHint(fmt.Errorf("%s is no regular file, and no recording", path), "pyrr ls")
	}
	f, err := os.Open(path)
	if err != nil {
		return withHint(fmt.Errorf("open recording %s: %w", path, errors.Unwrap(err)), "ls -l "+shellQuote(path))
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	quoted := shellQuote(path)
	switch {
	case n == 0 && err == io.EOF:
		return withHint(fmt.Errorf("%s is empty, and no recording", path), "pyrr ls")
	case bytes.Equal(head, []byte("PK\x03\x04")):
		if r, err := zip.NewReader(f, st.Size()); err == nil && !slices.ContainsFunc(r.File, func(f *zip.File) bool { return f.Name == "pyrr.json" }) {
			return withHint(fmt.Errorf("%s is a zip file, but no recording", path), "unzip -l "+quoted)
		}
		return nil
	case strings.HasSuffix(path, packedSuffix):
		return nil // it was one
	}
	hint := "pyrr ls"
	switch filepath.Ext(path) {
	case ".py":
		hint = "pyrr record -- python3 " + quoted
	case ".yaml", ".yml":
		hint = "pyrr check " + quoted
	}
	return withHint(fmt.Errorf("%s is no recording, which is a zip file", path), hint)
}

// notSpec says what is wrong with a path that was given as a spec, nil where it may
// be one.
func notSpec(command, path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		out := usagef("%s: there is no spec %s", command, path)
		out.Next = []string{"pyrr new RECORDING"}
		if near, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.y*ml")); len(near) > 0 {
			out.Next = []string{"pyrr " + command + " " + shellQuote(near[0])}
		}
		return out
	case err != nil:
		return usagef("%s: %s: %v", command, path, errors.Unwrap(err))
	case st.IsDir():
		if _, err := os.Lstat(filepath.Join(path, "pyrr.json")); err != nil {
			return nil
		}
	case !st.Mode().IsRegular():
		return usagef("%s: %s is no regular file, and no spec", command, path)
	default:
		f, err := os.Open(path)
		if err != nil {
			return usagef("%s: %s: %v", command, path, errors.Unwrap(err))
		}
		defer f.Close()
		head := make([]byte, 4)
		if _, _ = io.ReadFull(f, head); !bytes.Equal(head, []byte("PK\x03\x04")) && !strings.HasSuffix(path, packedSuffix) {
			return nil
		}
	}
	out := usagef("%s: %s is a recording, not a spec", command, path)
	out.Next = []string{"pyrr new " + shellQuote(path), "pyrr explain " + shellQuote(path)}
	return out
}
