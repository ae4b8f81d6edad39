package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             []Value
		err              string
	}{
		{"all", "pyrr.toml", "timeout = \"2.5s\"\nkeep = \"failure\"\ndir = \"out\"\nsecrets = [\"A\", \"B\"]\nfollow = \"all\"\nspecs = \"checks\"\n", []Value{
			{"dir", []string{"out"}, 3}, {"follow", []string{"all"}, 5}, {"keep", []string{"failure"}, 2}, {"secrets", []string{"A", "B"}, 4},
			{"specs", []string{"checks"}, 6}, {"timeout", []string{"2.5s"}, 1},
		}, ""},
		{"numbers", "pyrr.toml", "timeout = 30\n", []Value{{"timeout", []string{"30"}, 1}}, ""},
		{"a fraction", "pyrr.toml", "timeout = 2.5\n", []Value{{"timeout", []string{"2.5"}, 1}}, ""},
		{"table", "pyproject.toml", "[project]\nname = \"pyrr-user\"\n\n[tool.pyrr]\n# why\ntimeout = 30\n", []Value{{"timeout", []string{"30"}, 6}}, ""},
		{"dotted", "pyproject.toml", "tool.pyrr.keep = \"always\"\n", []Value{{"keep", []string{"always"}, 1}}, ""},
		{"inline", "pyproject.toml", "[tool]\npyrr = { keep = \"always\" }\n", []Value{{"keep", []string{"always"}, 0}}, ""},
		{"nothing", "pyproject.toml", "[project]\nname = \"pyrr\"\n", nil, ""},
		{"not ours to judge", "pyproject.toml", "[project\n", nil, ""},
		{"unknown", "pyproject.toml", "[tool.pyrr]\n\ntime-out = 30\n", nil, `pyproject.toml:3: there is no setting "time-out"`},
		{"a table in it", "pyproject.toml", "[tool.pyrr.pytest]\nkeep = \"always\"\n", nil, `pyproject.toml:1: there is no setting "pytest"`},
		{"no table", "pyproject.toml", "[tool]\npyrr = 3\n", nil, "pyproject.toml: tool.pyrr is not a table"},
		{"no list", "pyrr.toml", "secrets = \"A\"\n", nil, `pyrr.toml:1: secrets: must be a list of names of environment variables, such as ["API_TOKEN"]`},
		{"a list", "pyrr.toml", "dir = [\"A\"]\n", nil, "pyrr.toml:1: dir: must be one value, not a list"},
		{"a switch", "pyrr.toml", "\nkeep = true\n", nil, "pyrr.toml:2: keep: must be text in quotes"},
		{"a number for a word", "pyrr.toml", "dir = 3\n", nil, "pyrr.toml:1: dir: must be text in quotes"},
		{"empty", "pyrr.toml", "dir = \"\"\n", nil, "pyrr.toml:1: dir: is empty"},
		{"damaged", "pyrr.toml", "keep = \"always\"\ntimeout =\n", nil, "pyrr.toml:2: "},
		{"twice", "pyrr.toml", "keep = \"always\"\nkeep = \"never\"\n", nil, "pyrr.toml:2: "},
		{"no text", "pyrr.toml", "\x00\xff", nil, "pyrr.toml:1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.file, []byte(c.text))
			var got []Value
			if s != nil {
				got = s.Values
			}
			if diff := cmp.Diff(c.want, got, cmp.FilterPath(func(p cmp.Path) bool { return c.name == "inline" && p.String() == "Line" }, cmp.Ignore())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err)):
				t.Errorf("error %v, want %s", err, c.err)
			}
		})
	}
}

// TestFind holds that the nearest file counts, and none above a repository.
func TestFind(t *testing.T) {
	top := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("pyrr.toml", "keep = \"never\"\n")
	write("repo/.git", "")
	write("repo/a/pyproject.toml", "[tool.pyrr]\nkeep = \"always\"\n")
	write("repo/a/b/pyproject.toml", "[tool.other]\n")
	write("repo/c/pyrr.toml", "")
	write("repo/c/pyproject.toml", "[tool.pyrr]\nkeep = \"always\"\n")
	for dir, want := range map[string]string{
		"": "pyrr.toml", "repo": "", "repo/a": "repo/a/pyproject.toml", "repo/a/b": "repo/a/pyproject.toml", "repo/c": "repo/c/pyrr.toml",
	} {
		s, err := Find(filepath.Join(top, dir))
		if err != nil {
			t.Error(err)
		}
		got := ""
		if s != nil {
			got, _ = filepath.Rel(top, s.File)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
}

// TestSchema holds that the schema and the reader know the same keys, and agree
// on what is right.
func TestSchema(t *testing.T) {
	var doc struct {
		Properties map[string]any
	}
	if err := json.Unmarshal(Schema, &doc); err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys {
		if doc.Properties[k] == nil {
			t.Errorf("the schema has no %s", k)
		}
	}
	if len(doc.Properties) != len(Keys) {
		t.Errorf("the schema has %d keys, the reader %d", len(doc.Properties), len(Keys))
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"": true, "timeout = 3": true, "timeout = \"3m\"": true, "secrets = [\"A\"]\nspecs = \"x\"": true,
		"secrets = \"A\"": false, "dir = 3": false, "other = 1": false, "dir = \"\"": false, "secrets = [3]": false, "timeout = true": false,
	} {
		var v map[string]any
		if err := toml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		plain := map[string]any{}
		for k, x := range v {
			if n, ok := x.(int64); ok {
				x = json.Number(fmt.Sprint(n))
			}
			plain[k] = x
		}
		_, err := Parse("pyrr.toml", []byte(text))
		if bySchema := schema.Validate(plain) == nil; bySchema != want || (err == nil) != want {
			t.Errorf("%q: schema %v, reader %v, want %v", text, bySchema, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[tool.pyrr]\ntimeout = 3\n")
	f.Add("tool.pyrr = { secrets = [\"a\"] }")
	f.Fuzz(func(t *testing.T, text string) {
		for _, file := range []string{"pyproject.toml", "pyrr.toml"} {
			if s, err := Parse(file, []byte(text)); err == nil && s != nil {
				for _, v := range s.Values {
					if len(v.Text) == 0 && v.Key != "secrets" {
						t.Errorf("%s has no value", v.Key)
					}
				}
			}
		}
	})
}
