package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ofMinor says whether an expression is a minor version, by its name.
func ofMinor(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return strings.EqualFold(e.Name, "minor")
	case *ast.SelectorExpr:
		return ofMinor(e.Sel)
	case *ast.CallExpr:
		return ofMinor(e.Fun)
	case *ast.ParenExpr:
		return ofMinor(e.X)
	}
	return false
}

// ofNumber says whether an expression is a number that a version has. 0 and -1 only ask
// whether the version is known.
func ofNumber(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Kind == token.INT && lit.Value != "0"
}

// versioned lists where a file compares a minor version with a number.
func versioned(f *ast.File) []token.Pos {
	var out []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			compares := slices.Contains([]token.Token{token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ}, n.Op)
			if compares && (ofMinor(n.X) && ofNumber(n.Y) || ofNumber(n.X) && ofMinor(n.Y)) {
				out = append(out, n.Pos())
			}
		case *ast.SwitchStmt:
			if n.Tag == nil || !ofMinor(n.Tag) {
				break
			}
			for _, clause := range n.Body.List {
				if c := clause.(*ast.CaseClause); slices.ContainsFunc(c.List, ofNumber) {
					out = append(out, c.Pos())
				}
			}
		}
		return true
	})
	return out
}

// TestVersionsAreFacts holds that only the files of the rules say what a version of CPython
// has: the others ask for the fact, by its name, and a new version is one file.
func TestVersionsAreFacts(t *testing.T) {
	reader := module + "/cpython"
	for _, p := range listPackages(t) {
		if p.ImportPath != reader && !slices.Contains(p.Imports, reader) {
			continue
		}
		for _, file := range p.GoFiles {
			if p.ImportPath == reader && strings.HasPrefix(file, "rules") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, pos := range versioned(f) {
				t.Errorf("%s compares a version with a number: make it a fact of cpython.Rules (cpython/rules_facts.go)", fset.Position(pos))
			}
		}
	}
}

// TestVersionsAreFactsFails holds that it finds what it is for.
func TestVersionsAreFactsFails(t *testing.T) {
	for _, tt := range []struct {
		stmt string
		want int
	}{
		{"_ = v.Minor >= 11", 1},
		{"_ = r.l.minor == 8 || 13 <= minor", 2},
		{"_ = i.Minor() < 12", 1},
		{"switch v.Minor { case 8, 9: case 10: default: }", 2},
		{"switch minor := v.Minor; { case minor <= 9: }", 1},
		{"_ = v.Minor < 0 || v.Minor == -1", 0},
		{"_ = v.Minor < minMinor || v.Major != 3 || m == minor", 0},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() {\n"+tt.stmt+"\n}", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(versioned(f)); got != tt.want {
			t.Errorf("%s: %d found, want %d", tt.stmt, got, tt.want)
		}
	}
}
