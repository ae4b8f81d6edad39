package layout

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// maxHops is how many steps a way through the house may have.
const maxHops = 8

var (
	goName = regexp.MustCompile("`([a-z]+(?:\\.[A-Za-z]+){1,2})`")
	hop    = regexp.MustCompile(`(?m)^(\d+)\. `)
)

// declared lists the functions, methods and types of a package, as the document
// names them.
func declared(t *testing.T, p pkg, into map[string]bool) {
	t.Helper()
	base := path.Base(p.ImportPath)
	for _, file := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				into[base+"."+receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok {
						into[base+"."+ts.Name.Name] = true
					}
				}
			}
		}
	}
}

// TestWaysThroughTheHouse holds that docs/architecture.md follows a call and a
// breakpoint by functions that there are, in few steps.
func TestWaysThroughTheHouse(t *testing.T) {
	doc, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := bytes.Cut(doc, []byte("## Two ways through the house\n"))
	section, _, ok2 := bytes.Cut(section, []byte("\n## "))
	if !ok || !ok2 {
		t.Fatal("docs/architecture.md has no ways through the house")
	}
	have := map[string]bool{}
	for _, p := range listPackages(t) {
		declared(t, p, have)
	}
	names := goName.FindAllSubmatch(section, -1)
	if len(names) < 2*maxHops {
		t.Errorf("only %d functions are named", len(names))
	}
	for _, m := range names {
		if name := string(m[1]); !have[name] {
			t.Errorf("there is no %s", name)
		}
	}
	ways := 0
	for _, m := range hop.FindAllSubmatch(section, -1) {
		switch n := string(m[1]); {
		case n == "1":
			ways++
		case len(n) > 1 || strings.Compare(n, "8") > 0:
			t.Errorf("a way has %s hops, more than %d", n, maxHops)
		}
	}
	if ways != 2 {
		t.Errorf("%d ways", ways)
	}
}
