package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// retired are words that docs/glossary.md has another word for, and the packages
// in which they meant that other thing.
var retired = []struct {
	word     *regexp.Regexp
	packages []string
	say      string
}{
	{regexp.MustCompile(`(?i)image`), []string{"cpython", "internal/unwind", "internal/inject"}, "file, module or area"},
	{regexp.MustCompile(`[cC]locks`), []string{"capture", "replay", "internal/recording", "internal/inject"}, "reading"},
	{regexp.MustCompile(`(?i)slot`), []string{"replay", "internal/inject", "internal/pystate", "internal/serve"}, "entry, part or room"},
	{regexp.MustCompile(`Slot`), []string{"cpython"}, "entry, part or room"},
	{regexp.MustCompile(`^spaces?$`), []string{"capture"}, "process"},
	{regexp.MustCompile(`Space`), []string{"internal/unwind", "internal/stackwalk"}, "modules"},
	{regexp.MustCompile(`(?i)tape`), []string{"capture", "replay", "internal/recording"}, "recording"},
}

// misnamed lists the names that a file declares against the glossary.
func misnamed(pkg string, f *ast.File) []string {
	var out []string
	look := func(ids ...*ast.Ident) {
		for _, id := range ids {
			for _, r := range retired {
				if slices.Contains(r.packages, pkg) && r.word.MatchString(id.Name) {
					out = append(out, pkg+": "+id.Name+": the word is "+r.say)
				}
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch d := n.(type) {
		case *ast.FuncDecl:
			look(d.Name)
		case *ast.TypeSpec:
			look(d.Name)
			if d.Name.Name == "Proc" {
				out = append(out, pkg+": Proc: a type is called Process")
			}
		case *ast.ValueSpec:
			look(d.Names...)
		case *ast.Field:
			look(d.Names...)
		}
		return true
	})
	return out
}

func TestGlossary(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range misnamed(name, f) {
				t.Errorf("%s: %s (docs/glossary.md)", file, m)
			}
		}
	}
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package unwind\n\ntype Image struct{ codeSpace, module int }\n\ntype Proc int\n", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := misnamed("internal/unwind", f); len(got) != 3 {
		t.Errorf("words against the glossary are not noticed: %v", got)
	}
}
