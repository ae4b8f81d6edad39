package assert

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bySchema holds a YAML document against the schema.
func bySchema(s *jsonschema.Schema, text []byte) error {
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	return s.Validate(plain(doc))
}

// plain makes JSON's types of YAML's.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case map[any]any:
		out := map[string]any{}
		for k := range v {
			out[fmt.Sprint(k)] = plain(v[k])
		}
		return out
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

// goodSpecs are all specs that there are: the examples of specs/ and of the
// documentation.
func goodSpecs(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	paths, err := filepath.Glob("../specs/*.yaml")
	if err != nil || len(paths) < 12 {
		t.Fatal(len(paths), err)
	}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all[p] = string(text)
	}
	for _, b := range docBlocks(t) {
		switch b.kind {
		case "yaml":
			all[fmt.Sprintf("docs/specs.md:%d", b.line)] = b.text
		case "expect":
			spec := "version: 1\nrecording: a\nexpect:\n  - connect as conn\n  - socket as sock\n"
			if strings.Contains(b.text, "as conn") || strings.Contains(b.text, "as sock") {
				spec = "version: 1\nrecording: a\nexpect:\n  - end\n"
			}
			for line := range strings.Lines(b.text) {
				spec += "  - " + line
			}
			all[fmt.Sprintf("docs/specs.md:%d", b.line)] = spec
		}
	}
	all["all keys"] = everyKey
	return all
}

// everyKey has each key of the language, some in several forms.
const everyKey = `version: 1
name: all
recording: a/${case}-${n}.zip
params: {case: [plain, tls], n: 3}
tags: [net, slow]
requires: {python: ">=3.8,<3.15", arch: amd64}
test: t.py::test_a[1]
xfail: {reason: because, strict: true}
expect:
  - id: conn
    event: connect
    quantity: {at least: 1, at most: 3}
    at: [a.py:1, b.py:2]
    in: f
    under: a.py::f
    directly at: a.py:1
    through: connect
    by: main
    on: /tmp/x
    fd: 3
    to: 127.0.0.1:80
    with: {fd: 3}
    returning: 0
    taking: < 2s
    blocked: true
    within: 5 s of start
    after: start
    before: end
    between: [start, end]
  - event: recv
    quantity: no
    failing: EAGAIN
  - event: recv
    quantity: 2nd
    failing: true
    fd: same
    after: conn
    with: len=3, flags=0
    between: start and end
golden:
  - {at: conn, file: a.stack, stacks: [python, c], lines: exact}
  - {at: end, file: b.stack, threads: all, stacks: c}
`

// TestSchemaAgreesOnGood holds that schema and loader accept all examples.
func TestSchemaAgreesOnGood(t *testing.T) {
	schema := compileSchema(t)
	for name, text := range goodSpecs(t) {
		if _, err := Parse("spec.yaml", []byte(text)); err != nil {
			t.Errorf("%s: loader: %v", name, err)
		}
		if err := bySchema(schema, []byte(text)); err != nil {
			t.Errorf("%s: schema: %v", name, err)
		}
	}
}

// TestSchemaAgreesOnBad breaks good specs in their structure, in every place,
// and holds that the schema refuses what the loader refuses, and only that.
// Mistakes within sentences and between checks are the loader's alone; none
// are made here.
func TestSchemaAgreesOnBad(t *testing.T) {
	schema := compileSchema(t)
	rng := rand.New(rand.NewPCG(1, 2))
	bad, good := 0, 0
	for name, text := range goodSpecs(t) {
		for range 60 {
			var doc yaml.Node
			if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
				t.Fatal(err)
			}
			what := breakNode(rng, &doc)
			if what == "" {
				continue
			}
			out, err := yaml.Marshal(&doc)
			if err != nil {
				t.Fatal(err)
			}
			_, byLoader := Parse("spec.yaml", out)
			bySchema := bySchema(schema, out)
			if byLoader == nil {
				good++
			} else {
				bad++
			}
			if (byLoader == nil) != (bySchema == nil) && !loadersAlone(byLoader) {
				t.Fatalf("%s, %s:\n%s\nloader: %v\nschema: %v", name, what, out, byLoader, bySchema)
			}
		}
	}
	t.Logf("%d bad specs, %d good ones", bad, good)
	if bad < 300 {
		t.Errorf("only %d bad specs were made", bad)
	}
}

// loadersAlone tells the mistakes that need more than the form of a value:
// references, and a spec in which nothing has to happen.
func loadersAlone(err error) bool {
	if err == nil {
		return false
	}
	for _, e := range err.(Errors) {
		alone := false
		for _, s := range []string{"no expectation has the id", "is the id of two", "nothing in the spec has to happen", "must not happen", "same fd",
			"unknown event", "unknown parameter", "is not a place", "depends on itself", "needs a system call", "is missing", "a file needs", "unknown error",
			"is not the name of", "is not a file descriptor", "is not a number", "unknown unit", "unknown word", "nothing is expected here", "is neither an id",
			"is not a duration", "is not ARG=VALUE", "needs a function", "needs a line", "has no argument", "at needs a line", "names no field"} {
			alone = alone || strings.Contains(e.Msg, s)
		}
		if !alone {
			return false
		}
	}
	return true
}

// breakNode changes one place of a document and says how.
func breakNode(rng *rand.Rand, doc *yaml.Node) string {
	var maps, lists, scalars []*yaml.Node
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		switch n.Kind {
		case yaml.MappingNode:
			maps = append(maps, n)
			for i := 1; i < len(n.Content); i += 2 {
				visit(n.Content[i])
			}
			return
		case yaml.SequenceNode:
			lists = append(lists, n)
		case yaml.ScalarNode:
			scalars = append(scalars, n)
		}
		for _, c := range n.Content {
			visit(c)
		}
	}
	visit(doc)
	scalar := func(v string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: v} }
	switch rng.IntN(7) {
	case 0:
		m := maps[rng.IntN(len(maps))]
		m.Content = append(m.Content, scalar("nonesuch"), scalar("x"))
		return "an unknown key"
	case 1:
		m := maps[rng.IntN(len(maps))]
		if len(m.Content) < 2 {
			return ""
		}
		k := rng.IntN(len(m.Content)/2) * 2
		name := m.Content[k].Value
		m.Content = append(m.Content[:k:k], m.Content[k+2:]...)
		return "without " + name
	case 2:
		s := scalars[rng.IntN(len(scalars))]
		was := s.Value
		*s = yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("a"), scalar("b")}}
		return "a map for " + was
	case 3:
		s := scalars[rng.IntN(len(scalars))]
		was := s.Value
		*s = yaml.Node{Kind: yaml.ScalarNode, Value: "", Style: yaml.DoubleQuotedStyle}
		return "nothing for " + was
	case 4:
		m := maps[rng.IntN(len(maps))]
		if len(m.Content) < 2 {
			return ""
		}
		k := rng.IntN(len(m.Content)/2) * 2
		m.Content[k].Value += "x"
		return "misspelt " + m.Content[k].Value
	case 5:
		if len(lists) == 0 {
			return ""
		}
		l := lists[rng.IntN(len(lists))]
		l.Content = append(l.Content, &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{scalar("a")}})
		return "a list in a list"
	default:
		s := scalars[rng.IntN(len(scalars))]
		was := s.Value
		*s = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		return "null for " + was
	}
}
