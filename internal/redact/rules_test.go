package redact

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pyrr/internal/goldentest"
)

// Each row of the table takes what it says, by itself, and leaves what only looks
// like it.
func TestShapeRules(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range shapeRules {
		if seen[r.name] || len(r.yes) == 0 || len(r.no) == 0 || r.what == "" {
			t.Errorf("%s: a row needs a name of its own, words, and examples of both kinds", r.name)
		}
		seen[r.name] = true
		for text, want := range r.yes {
			if got := valuesBy(r.name, text); !slices.Contains(got, want) {
				t.Errorf("%s: in %q it finds %q, not %q", r.name, text, got, want)
			}
			for _, more := range []string{"some text before\n" + text, text + "\nand behind"} {
				if got := valuesBy(r.name, more); !slices.Contains(got, want) {
					t.Errorf("%s: in %q it finds %q, not %q", r.name, more, got, want)
				}
			}
		}
		for _, text := range r.no {
			if got := valuesBy(r.name, text); len(got) > 0 {
				t.Errorf("%s: in %q it finds %q", r.name, text, got)
			}
		}
	}
}

// TestRulesDocument compares the table in the documents with that of the code.
func TestRulesDocument(t *testing.T) {
	const path, begin, end = "../../docs/ci.md", "-update -->\n", "<!-- end of rules -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("\n| rule | |\n|---|---|\n")
	for _, r := range shapeRules {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.name, r.what)
	}
	b.WriteString("\n")
	at := strings.Index(string(text), "<!-- rules: generated")
	from := at + strings.Index(string(text[at:]), begin) + len(begin)
	to := from + strings.Index(string(text[from:]), end)
	want := string(text[:from]) + b.String() + string(text[to:])
	if goldentest.Updating(t) {
		if err := os.WriteFile(path, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Error("docs/ci.md has another table of rules: go test ./internal/redact -run TestRulesDocument -update")
	}
}

func valuesBy(rule, text string) (values []string) {
	Shapes([]byte(text), false, false, func(s Shape) {
		if s.Rule == rule {
			values = append(values, s.Value)
		}
	})
	return values
}

func TestNameRules(t *testing.T) {
	for _, r := range nameRules {
		for _, name := range r.yes {
			if !SecretName(name) || r.text && !secretInText(name) {
				t.Errorf("%s: %s is not taken", r.name, name)
			}
		}
		for _, name := range r.no {
			if SecretName(name) {
				t.Errorf("%s: %s is taken", r.name, name)
			}
		}
		if len(r.yes) == 0 || len(r.no) == 0 {
			t.Errorf("%s: a row needs examples of both kinds", r.name)
		}
	}
}

// What comes in pieces is found wherever it is cut.
func TestShapesInPieces(t *testing.T) {
	text := strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n", 20) + "Authorization: Bearer a1b2c3d4e5f6g7h8\r\n\r\n" + `{"refresh_token": "r1e2f3r4e5s6h"}`
	for n := 1; n < 100; n += 7 {
		got := map[string]bool{}
		s := shapeStream{found: func(s Shape) { got[s.Value] = true }}
		for i := 0; i < len(text); i += n {
			s.add([]byte(text[i:min(len(text), i+n)]))
		}
		s.end()
		if !got["a1b2c3d4e5f6g7h8"] || !got["r1e2f3r4e5s6h"] || len(got) != 2 {
			t.Errorf("in pieces of %d: %v", n, got)
		}
	}
}

// Ordinary text has no secrets: nothing in the sources of the standard library is
// taken for one, neither as the source of a program nor as data.
func TestStandardLibraryHasNoSecrets(t *testing.T) {
	out, err := exec.Command("python3", "-c", "import os; print(os.path.dirname(os.__file__))").Output()
	if err != nil {
		t.Skip("there is no Python here")
	}
	root := strings.TrimSpace(string(out))
	bytes, files := 0, 0
	taken := map[string]int{}
	filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if d.IsDir() {
			if slices.Contains([]string{"test", "tests", "site-packages", "dist-packages", "idle_test"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(path, ".py") {
			files++
			bytes += len(text)
			Shapes(text, false, false, func(s Shape) { taken[fmt.Sprintf("%s: %s %q", filepath.Base(path), s.Rule, s.Value)]++ })
		}
		return nil
	})
	for what, n := range taken {
		t.Errorf("%s, %d times", what, n)
	}
	t.Logf("%d files, %d MB", files, bytes>>20)
	if files < 100 {
		t.Skip("its sources are not here")
	}
}
