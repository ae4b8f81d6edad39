// Package settings reads what a project sets for pyrr: [tool.pyrr] in
// pyproject.toml, or a pyrr.toml with the same keys at its top.
// It never changes those files. Begin with Find.
package settings

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Schema is the JSON Schema of a pyrr.toml, for editors.
//
//go:embed schema.json
var Schema []byte

// Keys are what can be set, in the order of the documentation.
var Keys = []string{"timeout", "keep", "dir", "secrets", "follow", "specs"}

// Value is a setting. Text holds one word, or those of a list.
type Value struct {
	Key  string
	Text []string
	Line int // in the file, from 1
}

// Settings are those of a file.
type Settings struct {
	// File is the path of what was read.
	File   string
	Values []Value
}

// Error is a mistake in a file.
type Error struct {
	File string
	Line int // 0 for unknown
	Text string
	// Unknown is the key, where that is the mistake.
	Unknown string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// mostBytes bounds a file: a bigger one is none that a person wrote.
const mostBytes = 1 << 20

// Find reads the settings of the project that a folder is in: those of the first
// folder, from this one upwards, that has some. What lies above the top of a
// repository does not count. It returns nil where there are none.
func Find(dir string) (*Settings, error) {
	dir, err := filepath.Abs(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // the working directory was removed: it is in no project
	case err != nil:
		return nil, err
	}
	for {
		for _, name := range []string{"pyrr.toml", "pyproject.toml"} {
			s, err := read(filepath.Join(dir, name))
			if s != nil || err != nil {
				return s, err
			}
		}
		up := filepath.Dir(dir)
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil || up == dir {
			return nil, nil
		}
		dir = up
	}
}

// read reads one file; nil where it is not there, or sets nothing for pyrr.
func read(path string) (*Settings, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the settings: %w", err)
	case !st.Mode().IsRegular():
		return nil, nil
	case st.Size() > mostBytes:
		return nil, &Error{File: path, Text: "larger than 1 MiB"}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	return Parse(path, text)
}

// Parse reads a file's text; nil where it is a pyproject.toml that sets nothing
// for pyrr.
func Parse(path string, text []byte) (*Settings, error) {
	own := filepath.Base(path) != "pyproject.toml"
	if !own && !strings.Contains(string(text), "pyrr") {
		return nil, nil // whatever else is wrong with it is not ours to say
	}
	var doc map[string]any
	if err := toml.Unmarshal(text, &doc); err != nil {
		e := &Error{File: path, Text: strings.TrimPrefix(err.Error(), "toml: ")}
		if at, ok := errors.AsType[*toml.DecodeError](err); ok {
			e.Line, _ = at.Position()
		}
		return nil, e
	}
	var prefix []string
	if !own {
		prefix = []string{"tool", "pyrr"}
		tool, _ := doc["tool"].(map[string]any)
		mine, ok := tool["pyrr"]
		if !ok {
			return nil, nil
		}
		if doc, ok = mine.(map[string]any); !ok {
			return nil, &Error{File: path, Text: "tool.pyrr is not a table"}
		}
	}
	lines := linesOf(text)
	s := &Settings{File: path}
	for _, key := range slices.Sorted(maps.Keys(doc)) {
		line := lines[strings.Join(append(slices.Clone(prefix), key), "\x00")]
		if !slices.Contains(Keys, key) {
			return nil, &Error{File: path, Line: line, Text: fmt.Sprintf("there is no setting %q", key), Unknown: key}
		}
		words, err := wordsOf(key, doc[key])
		if err != nil {
			return nil, &Error{File: path, Line: line, Text: key + ": " + err.Error()}
		}
		s.Values = append(s.Values, Value{key, words, line})
	}
	return s, nil
}

// wordsOf is a value as words of a command line.
func wordsOf(key string, v any) ([]string, error) {
	list, isList := v.([]any)
	switch {
	case isList && key != "secrets":
		return nil, errors.New("must be one value, not a list")
	case !isList && key == "secrets":
		return nil, errors.New(`must be a list of names of environment variables, such as ["API_TOKEN"]`)
	case !isList:
		list = []any{v}
	}
	var words []string
	for _, v := range list {
		switch v := v.(type) {
		case string:
			words = append(words, v)
		case int64:
			words = append(words, strconv.FormatInt(v, 10))
		case float64:
			words = append(words, strconv.FormatFloat(v, 'f', -1, 64))
		default:
			return nil, errors.New("must be text in quotes")
		}
		if _, ok := v.(string); !ok && key != "timeout" {
			return nil, errors.New("must be text in quotes")
		}
		if words[len(words)-1] == "" {
			return nil, errors.New("is empty")
		}
	}
	return words, nil
}

// linesOf finds the line of each key of a text that was read before: its path,
// joined by zero bytes.
func linesOf(text []byte) map[string]int {
	lines := map[string]int{}
	var p unstable.Parser
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		var path []string
		line := 0
		for it := e.Key(); it.Next(); {
			path = append(path, string(it.Node().Data))
			if line == 0 {
				line = p.Shape(it.Node().Raw).Start.Line
			}
		}
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = path
		case unstable.KeyValue:
			path = append(slices.Clone(table), path...)
		}
		for n := 1; n <= len(path); n++ {
			if key := strings.Join(path[:n], "\x00"); lines[key] == 0 {
				lines[key] = line
			}
		}
	}
	return lines
}
