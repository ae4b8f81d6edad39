package assert

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Load reads a spec file, or all *.yaml and *.yml files of a folder and the
// folders below it, and returns a spec for each case. The mistakes of a file
// come together, as Errors; those of several files are joined.
func Load(path string) ([]*Spec, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load specs: %w", err)
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = specFiles(path); err != nil {
			return nil, fmt.Errorf("load specs: %w", err)
		}
	}
	var specs []*Spec
	var errs []error
	for _, file := range files {
		s, err := loadFile(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		specs = append(specs, s...)
	}
	return specs, errors.Join(errs...)
}

// specFiles lists the spec files below a folder, sorted. Folders whose name
// begins with a dot are left out.
func specFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && isSpecFile(path):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

func isSpecFile(path string) bool {
	ext := filepath.Ext(path)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(filepath.Base(path), ".")
}

func loadFile(file string) ([]*Spec, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("load spec: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSpecSize+1))
	if err != nil {
		return nil, fmt.Errorf("load spec: %w", err)
	}
	return Parse(file, text)
}

// Parse reads the text of a spec file; file is its name.
func Parse(file string, text []byte) ([]*Spec, error) {
	d := parseDocument(file, text)
	if len(d.errs) > 0 {
		return nil, d.errs
	}
	l := &loader{document: d}
	cases := l.cases()
	var specs []*Spec
	for _, c := range cases {
		l.params = c
		specs = append(specs, l.spec())
	}
	if len(d.errs) > 0 {
		slices.SortStableFunc(d.errs, func(a, b *SyntaxError) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Col - b.Col
		})
		return nil, d.errs
	}
	return specs, nil
}

// loader turns a document into specs, once for each case.
type loader struct {
	*document
	params []Param
	// lost are the ids of expectations with mistakes.
	lost []string
}

var specKeys = []string{"version", "name", "recording", "record", "params", "tags", "requires", "test", "xfail", "expect", "golden"}

// fields calls f for each key of a map, after checking that it is known and
// stands there once.
func (l *loader) fields(n *node, what string, known []string, f func(key string, k, v *node)) bool {
	if n.kind != mapNode {
		l.fail(l.place(n), "", "%s is a map, not %s", what, n.kind)
		return false
	}
	seen := map[string]bool{}
	for i, k := range n.keys {
		switch {
		case seen[k.value]:
			l.fail(l.place(k), "", "%q stands here twice", k.value)
		case !slices.Contains(known, k.value):
			hint := didYouMean(k.value, known)
			if hint == "" {
				hint = "known: " + strings.Join(known, ", ")
			}
			if strings.ContainsAny(k.value, " ") {
				hint = "a sentence that holds a colon and a blank must be quoted"
			}
			l.fail(l.place(k), hint, "unknown key %q in %s", k.value, what)
		default:
			seen[k.value] = true
			f(k.value, k, n.items[i])
		}
	}
	return true
}

// text reads a scalar, with the parameters put in. Where is set, it receives
// the place of each piece of the result.
func (l *loader) text(n *node, what string) (string, func(start, end int) Place) {
	place := func(int, int) Place { return l.place(n) }
	if n.kind != scalarNode {
		l.fail(l.place(n), "", "%s is a text, not %s", what, n.kind)
		return "", place
	}
	if n.tag == "!!null" || strings.TrimSpace(n.value) == "" {
		l.fail(l.place(n), "", "%s is empty", what)
		return "", place
	}
	s, at, ok := l.substitute(n)
	if !ok {
		return "", place
	}
	return s, func(start, end int) Place {
		at := func(i int) int {
			if i < len(at) {
				return at[i]
			}
			return len(n.value) + i - len(s)
		}
		if start >= len(s) {
			p := l.locate(n, len(n.value))
			p.Len = 1
			return p
		}
		return l.span(n, at(start), max(at(start)+1, at(end)))
	}
}

// substitute puts the parameters in for ${NAME}. It returns where each byte
// of the result comes from, and false where a parameter is unknown.
func (l *loader) substitute(n *node) (string, []int, bool) {
	var b strings.Builder
	var at []int
	ok := true
	for i := 0; i < len(n.value); {
		rest := n.value[i:]
		end := strings.IndexByte(rest, '}')
		if !strings.HasPrefix(rest, "${") || end < 0 {
			b.WriteByte(rest[0])
			at = append(at, i)
			i++
			continue
		}
		name, found := rest[2:end], false
		var names []string
		for _, p := range l.params {
			names = append(names, p.Name)
			if p.Name == name {
				found = true
				b.WriteString(p.Value)
				for range len(p.Value) {
					at = append(at, i)
				}
			}
		}
		if !found {
			ok = false
			hint := didYouMean(name, names)
			if hint == "" {
				hint = "name it under params"
			}
			l.fail(l.span(n, i, i+end+1), hint, "unknown parameter %q", name)
		}
		i += end + 1
	}
	return b.String(), at, ok
}

// list reads a list, or one value in its place.
func (l *loader) list(n *node) []*node {
	if n.kind == listNode {
		return n.items
	}
	return []*node{n}
}

func (l *loader) boolean(n *node, what string) bool {
	v, err := strconv.ParseBool(n.value)
	if n.kind != scalarNode || n.tag != "!!bool" || err != nil {
		l.fail(l.place(n), "", "%s is true or false", what)
	}
	return v
}

// maxCases bounds the combinations of parameters.
const maxCases = 1000

// cases reads the parameters and returns their combinations, the last
// parameter changing fastest.
func (l *loader) cases() [][]Param {
	cases := [][]Param{nil}
	if l.root.kind != mapNode {
		return cases
	}
	for i, k := range l.root.keys {
		if k.value != "params" {
			continue
		}
		params := l.root.items[i]
		if params.kind != mapNode {
			l.fail(l.place(params), "params: {case: [a, b]}", "params is a map, not %s", params.kind)
			return cases
		}
		for i, k := range params.keys {
			if !isIdentifier(k.value, false) {
				l.fail(l.place(k), "", "%q can't be the name of a parameter", k.value)
				continue
			}
			var next [][]Param
			items := l.list(params.items[i])
			if len(items) == 0 {
				l.fail(l.place(k), "", "parameter %q has no values", k.value)
				continue
			}
			if len(items)*len(cases) > maxCases {
				l.fail(l.place(k), "", "more than %d cases", maxCases)
				return cases
			}
			for _, c := range cases {
				for _, v := range items {
					if v.kind != scalarNode {
						l.fail(l.place(v), "", "a parameter's value is a text, not %s", v.kind)
						continue
					}
					next = append(next, append(slices.Clone(c), Param{k.value, v.value}))
				}
			}
			if len(next) > 0 {
				cases = next
			}
		}
	}
	return cases
}

// spec reads the document as one case.
func (l *loader) spec() *Spec {
	s := &Spec{File: l.file, Case: l.params, lines: l.lines}
	base := filepath.Base(l.file)
	s.Name = strings.TrimSuffix(base, filepath.Ext(base))
	version := false
	var goldens *node
	ok := l.fields(l.root, "a spec", specKeys, func(key string, k, v *node) {
		switch key {
		case "version":
			version = true
			if v.kind != scalarNode || v.value != "1" {
				l.fail(l.place(v), "version: 1", "this pyrr knows version 1 of specs only")
			}
		case "name":
			s.Name, _ = l.text(v, "name")
		case "recording":
			s.Recording, _ = l.text(v, "recording")
			s.Place = l.place(k)
		case "record":
			s.Record = l.record(v)
			s.Place = l.place(k)
		case "tags":
			for _, t := range l.list(v) {
				tag, _ := l.text(t, "a tag")
				s.Tags = append(s.Tags, tag)
			}
		case "requires":
			l.requires(s, v)
		case "test":
			s.Test, _ = l.text(v, "test")
		case "xfail":
			l.xfail(s, v)
		case "expect":
			for _, item := range l.list(v) {
				if e := l.expectation(item); e != nil {
					s.Expect = append(s.Expect, e)
				}
			}
		case "golden":
			goldens = v
		}
	})
	if !ok {
		return s
	}
	first := Place{Line: 1, Col: 1, Len: 1}
	if len(l.root.keys) > 0 {
		first = l.place(l.root.keys[0])
	}
	if !version {
		l.fail(first, "version: 1", "the version is missing")
	}
	if goldens != nil {
		for _, item := range l.list(goldens) {
			if g := l.golden(item); g != nil {
				s.Golden = append(s.Golden, g)
			}
		}
	}
	failed := len(l.errs) > 0
	switch {
	case s.Recording == "" && s.Record == nil && !failed:
		l.fail(first, "recording: recordings/NAME.pyrr.zip", "the spec names no recording")
	case s.Recording != "" && s.Record != nil:
		l.fail(s.Place, "", "recording and record exclude each other")
	}
	positive := len(s.Golden) > 0 || slices.ContainsFunc(s.Expect, func(e *Expectation) bool { return e.Quantity.positive() })
	if !positive && !failed {
		l.fail(first, "an empty recording would pass", "nothing in the spec has to happen: it needs a golden or an expectation without \"no\" and \"at most\"")
	}
	l.link(s)
	return s
}

func (l *loader) record(n *node) *RecordCommand {
	r := &RecordCommand{}
	l.fields(n, "record", []string{"run", "timeout"}, func(key string, _, v *node) {
		s, _ := l.text(v, key)
		switch key {
		case "run":
			r.Run = s
		case "timeout":
			d, ok := parseDuration(s)
			if !ok && s != "" {
				l.fail(l.place(v), "timeout: 5s", "%q is not a duration", s)
			}
			r.Timeout = d
		}
	})
	if r.Run == "" && n.kind == mapNode {
		l.fail(l.place(n), `record: {run: "python program.py", timeout: 5s}`, "record has no run")
	}
	return r
}

func (l *loader) requires(s *Spec, n *node) {
	l.fields(n, "requires", []string{"python", "arch"}, func(key string, _, v *node) {
		text, _ := l.text(v, key)
		switch key {
		case "python":
			s.Requires.Python = text
			if _, err := pythonMatches(text, "3.11.0"); err != nil && text != "" {
				l.fail(l.place(v), `python: ">=3.11"`, "%v", err)
			}
		case "arch":
			s.Requires.Arch = text
		}
	})
}

func (l *loader) golden(n *node) *Golden {
	g := &Golden{Python: true, Place: l.place(n)}
	ok := l.fields(n, "golden", []string{"at", "file", "stacks", "threads", "tasks", "lines"}, func(key string, k, v *node) {
		if key == "stacks" {
			g.Python = false
			for _, item := range l.list(v) {
				switch s, _ := l.text(item, "stacks"); s {
				case "python":
					g.Python = true
				case "c":
					g.C = true
				default:
					l.fail(l.place(item), didYouMean(s, []string{"python", "c"}), "stacks are python or c, not %q", s)
				}
			}
			return
		}
		s, _ := l.text(v, key)
		switch key {
		case "at":
			g.At = s
			g.Place = l.place(v)
		case "file":
			g.File = s
		case "threads":
			g.Threads = s
		case "tasks":
			g.Tasks = s
		case "lines":
			if g.Exact = s == "exact"; !g.Exact && s != "" {
				l.fail(l.place(v), "lines: exact", "lines is exact or left out, not %q", s)
			}
		}
	})
	if !ok {
		return nil
	}
	has := func(key string) bool {
		return slices.ContainsFunc(n.keys, func(k *node) bool { return k.value == key })
	}
	switch {
	case !has("at"):
		l.fail(l.place(n), "at: an id, or end", "the golden doesn't say at which point")
	case !has("file"):
		l.fail(l.place(n), "file: golden/NAME.stack", "the golden names no file")
	}
	switch {
	case g.Tasks != "" && g.At != "end":
		l.fail(g.Place, "", "tasks is for goldens at the end")
	case g.Tasks != "" && g.Threads != "":
		l.fail(g.Place, "write two goldens", "tasks and threads exclude each other")
	case g.Tasks != "" && g.C:
		l.fail(g.Place, "", "a task has no C stack")
	}
	if g.Threads != "" && g.At != "end" {
		l.fail(g.Place, "", "threads is for goldens at the end: an event has one thread")
	}
	return g
}
