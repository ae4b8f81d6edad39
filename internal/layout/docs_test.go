package layout

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link   = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	quoted = regexp.MustCompile("`((?:cmd|internal|fixtures|scripts|cpython|capture|replay|assert|docs|packaging)/[A-Za-z0-9_./*-]*)`")
)

// TestDocsLinks holds that what README and docs/ link to is there, and so is what
// CONTRIBUTING and docs/porting.md name.
func TestDocsLinks(t *testing.T) {
	const root = "../.."
	files, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} {
		files = append(files, filepath.Join(root, name))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(m[1], "http") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			}
		}
		if base := filepath.Base(file); base != "CONTRIBUTING.md" && base != "porting.md" {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			if found, _ := filepath.Glob(filepath.Join(root, m[1])); len(found) == 0 {
				t.Errorf("%s names %s, which is not there", file, m[1])
			}
		}
	}
	index, err := os.ReadFile(filepath.Join(root, "docs/index.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := filepath.Base(file); filepath.Base(filepath.Dir(file)) == "docs" && name != "index.md" && !strings.Contains(string(index), "]("+name+")") {
			t.Errorf("docs/index.md does not list %s", name)
		}
	}
}
