// Package served holds what the servers of recordings share (pyrr mcp, pyrr serve):
// which recordings a root has, so that no name leads out of it, and running commands
// of pyrr about them, each in a process of its own with an end in number, time,
// memory and output. It writes nothing.
//
// Begin with OpenRoot and Runner.
package served

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Root is what is served: a recording, or a folder of recordings.
type Root struct {
	Path string // absolute, after symlinks
	One  bool   // it is a recording
}

// OpenRoot looks at a path.
func OpenRoot(path string) (*Root, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, &noRoot{path, err}
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, err
	}
	r := &Root{Path: real, One: isRecording(real)}
	if st, err := os.Stat(real); err != nil {
		return nil, &noRoot{path, err}
	} else if !r.One && !st.IsDir() {
		return nil, fmt.Errorf("%s is neither a recording nor a folder", path)
	}
	return r, nil
}

// noRoot says that a path can't be served, without the name of the call that failed.
type noRoot struct {
	path string
	err  error
}

func (e *noRoot) Error() string {
	if errors.Is(e.err, fs.ErrNotExist) {
		return "there is no recording and no folder " + e.path
	}
	reason := e.err
	if p, ok := errors.AsType[*fs.PathError](reason); ok {
		reason = p.Err
	}
	return fmt.Sprintf("%s can't be looked at: %v", e.path, reason)
}

func (e *noRoot) Unwrap() error { return e.err }

// isRecording says whether a path is a recording, packed or a folder.
func isRecording(path string) bool {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return false
	case st.IsDir():
		_, err := os.Lstat(filepath.Join(path, "pyrr.json"))
		return err == nil
	}
	return st.Mode().IsRegular() && strings.HasSuffix(path, ".pyrr.zip")
}

// Recording is the path of a recording by its name: within the root, symlinks
// resolved. Without a name it is the only one.
func (r *Root) Recording(name string) (string, error) {
	if r.One {
		if name == "" || name == filepath.Base(r.Path) || name == r.Path {
			return r.Path, nil
		}
		return "", fmt.Errorf("this server has one recording, %s", filepath.Base(r.Path))
	}
	if name == "" {
		return "", fmt.Errorf("name a recording; list has their names")
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.Path, name)
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		rel, rerr := filepath.Rel(r.Path, real)
		if rerr == nil && filepath.IsLocal(rel) && isRecording(real) {
			return real, nil
		}
	}
	return "", fmt.Errorf("there is no recording %q in the folder that is served; list has their names", name)
}

// Name is how a recording of the root is called: Recording leads back.
func (r *Root) Name(path string) string {
	if rel, err := filepath.Rel(r.Path, path); err == nil && !r.One {
		return rel
	}
	return filepath.Base(path)
}
