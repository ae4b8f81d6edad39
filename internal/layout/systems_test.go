package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// systems are where recordings are read, other than Linux on x86-64; with tests where
// those of the program have to compile, too.
var systems = []struct {
	os, arch string
	tests    bool
}{
	{"linux", "arm64", true},
	{"darwin", "arm64", true},
	{"darwin", "amd64", false},
	{"windows", "amd64", true},
	{"freebsd", "amd64", false},
}

// program is what has to be there, with all that it consists of.
var program = module + "/cmd/pyrr"

// listed is the part of go list's output that type-checking needs.
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	Module          *struct{ Main bool }
}

func (p *listed) ours() bool { return p.Module != nil && p.Module.Main }

// TestSystems holds that everything compiles for the systems on which recordings are
// read. It checks types alone, of other modules' packages their declarations: a build
// of each, with the standard library, would take a minute of processor time.
func TestSystems(t *testing.T) {
	for _, s := range systems {
		t.Run(s.os+"-"+s.arch, func(t *testing.T) {
			errs := map[string]bool{}
			n := typeCheck(t, s.os, s.arch, s.tests, errs)
			for e := range errs {
				t.Error(e)
			}
			if n < 40 {
				t.Errorf("%d packages were checked", n)
			}
		})
	}
}

// TestSystemsFails holds that a mistake is one: without its build tags the recorder
// compiles nowhere else.
func TestSystemsFails(t *testing.T) {
	errs := map[string]bool{}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", "package x\n\nimport \"syscall\"\n\nvar _ = syscall.SYS_PTRACE\n", 0)
	if err != nil {
		t.Fatal(err)
	}
	empty := types.NewPackage("syscall", "syscall")
	empty.MarkComplete()
	checkTypes(fset, &listed{ImportPath: "x", Module: &struct{ Main bool }{true}}, []*ast.File{f}, "amd64", importMap{"syscall": empty}, errs)
	if len(errs) != 1 {
		t.Errorf("found %v", errs)
	}
}

// typeCheck checks the packages of this module for one system, notes what is wrong in
// errs, and returns how many there are.
func typeCheck(t *testing.T, goos, goarch string, tests bool, errs map[string]bool) int {
	t.Helper()
	args := []string{"list", "-e", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Module", program}
	if tests {
		args = append(args[:3:3], append([]string{"-test"}, args[3:]...)...)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	fset, done, n := token.NewFileSet(), importMap{"unsafe": types.Unsafe}, 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == "unsafe" || strings.HasSuffix(p.ImportPath, ".test") {
			continue
		}
		if p.ours() {
			n++
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				errs[err.Error()] = true
				continue
			}
			files = append(files, f)
		}
		done[p.ImportPath] = checkTypes(fset, &p, files, goarch, done, errs)
	}
}

// importMap holds the packages that are checked.
type importMap map[string]*types.Package

// imports are what one package imports: by its map, in which a package under test
// is another one.
type imports struct {
	done importMap
	of   map[string]string
}

func (i imports) Import(path string) (*types.Package, error) {
	if mapped, ok := i.of[path]; ok {
		path = mapped
	}
	if p := i.done[path]; p != nil {
		return p, nil
	}
	return nil, errors.New("not listed: " + path)
}

func checkTypes(fset *token.FileSet, p *listed, files []*ast.File, goarch string, done importMap, errs map[string]bool) *types.Package {
	conf := types.Config{
		Importer: imports{done, p.ImportMap}, Sizes: types.SizesFor("gc", goarch), IgnoreFuncBodies: !p.ours(), FakeImportC: true,
		Error: func(err error) {
			if p.ours() {
				errs[err.Error()] = true
			}
		},
	}
	path, _, _ := strings.Cut(p.ImportPath, " ")
	checked, err := conf.Check(path, fset, files, nil)
	if checked == nil {
		errs[p.ImportPath+": "+err.Error()] = true
	}
	return checked
}
