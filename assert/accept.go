package assert

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

// Accepted is a golden that Accept wrote.
type Accepted struct {
	File    string
	Check   string // id of the check
	Created bool   // there was none before
}

// AcceptOptions says what Accept may do.
type AcceptOptions struct {
	// InCI allows writing where the environment says that this is CI.
	InCI bool
	// Moved rewrites also goldens that hold except for moved lines.
	Moved bool
	// Create makes goldens that are missing.
	Create bool
	// Want chooses among the goldens; nil means all.
	Want func(s *SpecResult, r *Result) bool
}

// ErrInCI is the error of Accept under CI: there nobody looks at what it
// writes.
var ErrInCI = errors.New("goldens are not written in CI (the variable CI is set)")

// InCI reports whether the environment says that this is CI.
func InCI() bool {
	v := os.Getenv("CI")
	return v != "" && v != "0" && !strings.EqualFold(v, "false")
}

// Accept makes the stacks that a run saw the goldens, where those differ or
// are missing. What still holds of a golden stays as it was written, "…" and
// stars included.
func Accept(run *Run, opts AcceptOptions) ([]Accepted, error) {
	if InCI() && !opts.InCI {
		return nil, ErrInCI
	}
	type write struct {
		Accepted
		text, recording string
		spec            *Spec
	}
	var writes []write
	for _, s := range run.Specs {
		for _, r := range s.Checks {
			g := r.Golden
			if g == nil || g.Text == "" || g.Missing && !opts.Create {
				continue
			}
			moved := opts.Moved && r.Verdict == Pass && slices.ContainsFunc(g.Threads, func(t ThreadDiff) bool { return t.Diff.Moved > 0 })
			if r.Verdict != Fail && r.Verdict != Broken && !moved {
				continue
			}
			if opts.Want != nil && !opts.Want(s, r) {
				continue
			}
			w := write{Accepted{File: g.File, Check: r.ID, Created: g.Missing}, g.Text, s.Recording, s.Spec}
			i := slices.IndexFunc(writes, func(have write) bool { return have.File == w.File })
			if i < 0 {
				writes = append(writes, w)
			} else if writes[i].text != w.text {
				return nil, fmt.Errorf("accept %s: %s and %s have different stacks; give each a golden of its own by a parameter",
					w.File, writes[i].recording, w.recording)
			}
		}
	}
	var out []Accepted
	for _, w := range writes {
		if err := writeGolden(w.spec, w.File, w.text); err != nil {
			return out, fmt.Errorf("accept: %w", err)
		}
		out = append(out, w.Accepted)
	}
	return out, nil
}

// writeGolden writes a golden, which lies in the spec's own folder or below it:
// a spec may come from anywhere, and names what is written. Links do not lead
// out of the folder either.
func writeGolden(s *Spec, name, text string) error {
	dir, err := filepath.EvalSymlinks(filepath.Dir(s.File))
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	outside := func(at string) error {
		return fmt.Errorf("%s: the golden %s lies outside of the spec's folder, %s, so it is not written; name a file below it", s.File, at, dir)
	}
	if name, err = filepath.Abs(name); err != nil {
		return err
	}
	// As far as its folders are there, they are looked at for links.
	have, rest := filepath.Dir(name), ""
	for {
		real, err := filepath.EvalSymlinks(have)
		if err == nil {
			have = real
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || have == filepath.Dir(have) {
			return err
		}
		have, rest = filepath.Dir(have), filepath.Join(filepath.Base(have), rest)
	}
	at := filepath.Join(have, rest, filepath.Base(name))
	if rel, err := filepath.Rel(dir, at); err != nil || !filepath.IsLocal(rel) {
		return outside(name)
	}
	if st, err := os.Lstat(at); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s: the golden %s is not a regular file, so it is not written", s.File, name)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	return outfile.Write(at, 0o644, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
}

// UnusedGoldens lists the *.stack files in the folders of the specs' goldens
// that neither they nor any spec file beside them names. Where a spec file
// beside them can't be read, nothing is called unused.
func UnusedGoldens(specs []*Spec) []string {
	used := map[string]bool{}
	dirs := map[string]bool{}
	specDirs := map[string]bool{}
	note := func(s *Spec, folder bool) {
		for _, g := range s.Golden {
			f := s.Path(g.File)
			used[f] = true
			if folder {
				dirs[filepath.Dir(f)] = true
			}
		}
	}
	for _, s := range specs {
		note(s, true)
		specDirs[filepath.Dir(s.File)] = true
	}
	for dir := range specDirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil
		}
		for _, e := range entries {
			file := filepath.Join(dir, e.Name())
			if e.IsDir() || !isSpecFile(file) || slices.ContainsFunc(specs, func(s *Spec) bool { return filepath.Clean(s.File) == file }) {
				continue
			}
			more, err := loadFile(file)
			if err != nil {
				return nil
			}
			for _, s := range more {
				note(s, false)
			}
		}
	}
	var out []string
	for dir := range dirs {
		found, _ := filepath.Glob(filepath.Join(globEscape(dir), "*.stack"))
		for _, f := range found {
			if !used[f] {
				out = append(out, f)
			}
		}
	}
	slices.Sort(out)
	return out
}

func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}
