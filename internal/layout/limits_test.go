package layout

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Limits of what can be read at a time.
const (
	maxFile   = 450 // lines of a file
	maxFunc   = 80  // lines of a function
	maxFields = 20  // of a struct; an embedded part is one

	maxProgram = 4000 // lines of cmd/pyrr, which parses flags and calls
)

// tables are files that are one table: a row is read by itself.
var tables = []string{
	"internal/linux/flagsets.go", "internal/linux/consts.go",
}

// mirrors are structs that stand for one of somebody else's, field by field.
var mirrors = map[string]string{
	"internal/linux: struct Regs": "the kernel's struct user_regs_struct, which ptrace(2) fills by its bytes",
}

// over lists what is above the limits in a package.
func over(t *testing.T, p pkg) map[string]int {
	t.Helper()
	out := map[string]int{}
	name := strings.TrimPrefix(p.ImportPath, module+"/")
	for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if ast.IsGenerated(f) || slices.Contains(tables, name+"/"+file) {
			continue
		}
		named := map[*ast.StructType]string{}
		lines := func(n ast.Node) int { return fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1 }
		if n := fset.File(f.Pos()).LineCount() - 1; n > maxFile {
			out[name+"/"+file] = n
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch d := n.(type) {
			case *ast.FuncDecl:
				if l := lines(d); l > maxFunc {
					out[fmt.Sprintf("%s: func %s%s", name, receiver(d), d.Name.Name)] = l
				}
			case *ast.TypeSpec:
				if s, ok := d.Type.(*ast.StructType); ok {
					named[s] = d.Name.Name
				}
			case *ast.StructType: // below its TypeSpec, if it has one
				what := named[d]
				if what == "" {
					what = fmt.Sprintf("of %s:%d", file, fset.Position(d.Pos()).Line)
				}
				if what = fmt.Sprintf("%s: struct %s", name, what); fieldCount(d) > maxFields && mirrors[what] == "" {
					out[what] = fieldCount(d)
				}
			}
			return true
		})
	}
	return out
}

// TestProgramIsThin holds the size of the program itself: what a test would want to call
// is in a package.
func TestProgramIsThin(t *testing.T) {
	n := 0
	for _, p := range listPackages(t) {
		if strings.TrimPrefix(p.ImportPath, module+"/") != "cmd/pyrr" {
			continue
		}
		for _, file := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			n += bytes.Count(b, []byte("\n"))
		}
	}
	if n == 0 || n > maxProgram {
		t.Errorf("cmd/pyrr has %d lines: at most %d", n, maxProgram)
	}
}

// receiver is the type of a method and a dot.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	typ := d.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name + "."
	}
	return ""
}

func fieldCount(s *ast.StructType) (n int) {
	for _, f := range s.Fields.List {
		n += max(1, len(f.Names))
	}
	return n
}

// TestScripts holds the size of files in other languages: of the plugin, scripts, the page
// and the editors' extensions.
func TestScripts(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "shared" || name == "built") {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".py", ".sh", ".ts", ".css"}, filepath.Ext(path)) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		if n := bytes.Count(b, []byte("\n")); n > maxFile {
			t.Errorf("%s has %d lines: at most %d; divide it", path, n, maxFile)
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d files: %v", seen, err)
	}
}

func TestLimits(t *testing.T) {
	for _, p := range listPackages(t) {
		for what, n := range over(t, p) {
			t.Errorf("%s has %d: a file may have %d lines, a function %d, a struct %d fields; divide it", what, n, maxFile, maxFunc, maxFields)
		}
	}
}

// denies finds the sentence of a package comment that says what the package leaves to others.
var denies = regexp.MustCompile(`\b([Nn]ever|[Nn]othing|[Nn]either|[Nn]one|[Nn]o|not)\b`)

// TestPackageComments holds that each package says what it is for, what it never does and
// where to begin to read.
func TestPackageComments(t *testing.T) {
	const most = 40
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if floor(name) < 0 || name == "internal/progress" {
			continue
		}
		text := ""
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				text += f.Doc.Text()
			}
		}
		switch {
		case text == "":
			t.Errorf("%s has no comment", name)
		case !strings.Contains(strings.Join(strings.Fields(text), " "), "Begin with") && name != "internal/logview":
			t.Errorf("%s does not say where to begin to read", name)
		case !denies.MatchString(text):
			t.Errorf("%s does not say what it never does", name)
		case strings.Count(text, "\n") > most:
			t.Errorf("%s has a comment of %d lines", name, strings.Count(text, "\n"))
		}
	}
}
