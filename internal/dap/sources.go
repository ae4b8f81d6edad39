package dap

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"pyrr/internal/stack"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-dap"
)

// sources are the files of a recording, by the names that Python has for them.
type sources struct {
	texts    map[string][]byte
	names    []string // in order
	mappings []PathMapping
	cwd      string
	shown    map[string]*dap.Source
	lines    map[string]*codeLines
}

func newSources(texts map[string][]byte, mappings []PathMapping, cwd string) *sources {
	s := &sources{texts: texts, mappings: mappings, cwd: cwd, shown: map[string]*dap.Source{}, lines: map[string]*codeLines{}}
	for name := range texts {
		s.names = append(s.names, name)
	}
	slices.Sort(s.names)
	return s
}

// under returns the rest of a path in a folder.
func under(file, dir string) (string, bool) {
	dir = strings.TrimRight(dir, "/")
	rest, ok := strings.CutPrefix(file, dir)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// local is where a recorded file would be on this machine.
func (s *sources) local(file string) string {
	if !path.IsAbs(file) {
		file = path.Join(s.cwd, file)
	}
	for _, m := range s.mappings {
		if rest, ok := under(file, m.RemoteRoot); ok {
			return filepath.Clean(m.LocalRoot + rest)
		}
	}
	return file
}

// of describes a recorded file to the editor: as the one on this machine
// where that is what ran, else with a reference to the text that is recorded.
func (s *sources) of(file string) *dap.Source {
	if src := s.shown[file]; src != nil {
		return src
	}
	src := &dap.Source{Name: path.Base(file)}
	if strings.HasPrefix(file, "<") {
		src.Name, src.PresentationHint = file, "deemphasize"
	} else {
		src.Path = s.local(file)
		if stack.IsLibrary(file) {
			src.PresentationHint = "deemphasize"
		}
	}
	if text, ok := s.texts[file]; ok && (src.Path == "" || !readable(src.Path, text)) {
		i, _ := slices.BinarySearch(s.names, file)
		src.SourceReference, src.Origin = i+1, "as it was recorded"
	} else if _, err := os.Stat(src.Path); !ok && err == nil {
		src.Origin = "this machine's; the recording has no text of it"
	}
	s.shown[file] = src
	return src
}

func (s *sources) all() []dap.Source {
	out := []dap.Source{}
	for _, name := range s.names {
		out = append(out, *s.of(name))
	}
	return out
}

// find returns the recorded file that the editor means. note says what was
// assumed.
func (s *sources) find(src *dap.Source) (file, note string, err error) {
	if n := src.SourceReference; n != 0 {
		if n < 0 || n > len(s.names) {
			return "", "", fmt.Errorf("there is no source %d", n)
		}
		return s.names[n-1], "", nil
	}
	if src.Path == "" {
		return "", "", errors.New("the source has no path")
	}
	want := filepath.Clean(src.Path)
	for _, m := range s.mappings {
		if rest, ok := under(want, m.LocalRoot); ok {
			want = path.Clean(m.RemoteRoot + rest)
			break
		}
	}
	if len(s.names) == 0 {
		return want, "", errors.New("the recording has no sources, so whether this ran can't be told")
	}
	changed := func(file string) string {
		if text := s.texts[file]; !readable(src.Path, text) {
			return "the file on the disk is not the one that ran"
		}
		return ""
	}
	for _, name := range s.names {
		if name == want || !path.IsAbs(name) && path.Join(s.cwd, name) == want {
			return name, changed(name), nil
		}
	}
	// The machine may have its files elsewhere: the same text will do, or the
	// longest common end of the path.
	here, _ := os.ReadFile(src.Path)
	best, n, several := "", 0, false
	for _, name := range s.names {
		k := commonEnd(want, name)
		if k == 0 {
			continue
		}
		if here != nil && bytes.Equal(here, s.texts[name]) {
			k += 1000
		} else if stack.IsLibrary(name) != stack.IsLibrary(want) || k == 1 && path.Base(name) == "__init__.py" {
			continue
		}
		if k == n {
			several = true
		} else if k > n {
			best, n, several = name, k, false
		}
	}
	switch {
	case n == 0:
		return want, "", fmt.Errorf("no file %s ran in this recording", path.Base(want))
	case several:
		return want, "", fmt.Errorf("several files %s ran in this recording; pathMappings in the launch configuration tell which is meant", path.Base(want))
	}
	note = "taken for " + best
	if c := changed(best); c != "" {
		note += "; " + c
	}
	return best, note, nil
}

// commonEnd counts the last components that two paths share.
func commonEnd(a, b string) int {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	n := 0
	for n < len(x) && n < len(y) && x[len(x)-1-n] == y[len(y)-1-n] && x[len(x)-1-n] != "" {
		n++
	}
	return n
}

// defines says whether some recorded file defines a function or class with
// the name, qualified or not.
func (s *sources) defines(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	re := regexp.MustCompile(`(?m)^\s*(async\s+def|def|class)\s+` + regexp.QuoteMeta(last) + `\b`)
	for _, text := range s.texts {
		if re.Match(text) {
			return true
		}
	}
	return false
}

// code returns where statements begin in a recorded file; nil without text.
func (s *sources) code(file string) *codeLines {
	if c := s.lines[file]; c != nil {
		return c
	}
	text, ok := s.texts[file]
	if !ok {
		return nil
	}
	c := findCode(string(text))
	s.lines[file] = c
	return c
}

// source answers with the recorded text of a file.
func (s *Server) source(m *message, args *dap.SourceArguments) error {
	src := args.Source
	if src == nil {
		src = &dap.Source{}
	}
	if args.SourceReference != 0 {
		src.SourceReference = args.SourceReference
	}
	file, _, err := s.src.find(src)
	if err != nil {
		return err
	}
	r := &dap.SourceResponse{Response: m.answer()}
	r.Body.Content, r.Body.MimeType = strings.ToValidUTF8(string(s.src.texts[file]), "\ufffd"), "text/x-python"
	s.send(r)
	return nil
}

// locations answers with the lines that can have a breakpoint.
func (s *Server) locations(m *message, args *dap.BreakpointLocationsArguments) error {
	if args == nil {
		return errors.New("breakpointLocations: of which source?")
	}
	file, _, err := s.src.find(&args.Source)
	if err != nil {
		return err
	}
	r := &dap.BreakpointLocationsResponse{Response: m.answer()}
	r.Body.Breakpoints = []dap.BreakpointLocation{}
	code := s.src.code(file)
	first := args.Line + 1 - s.base
	last := max(first, args.EndLine+1-s.base)
	for n := first; code != nil && n <= last && n <= code.last; n++ {
		if at, ok := code.at(n); ok && at == n {
			r.Body.Breakpoints = append(r.Body.Breakpoints, dap.BreakpointLocation{Line: n - 1 + s.base})
		}
	}
	s.send(r)
	return nil
}
