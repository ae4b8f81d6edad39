package layout

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ofProcessor says whether a file is x86-64's by its name: X_amd64.go is built there alone,
// X_x86.go also where recordings from there are read only.
func ofProcessor(file string) bool {
	base, _, _ := strings.Cut(strings.TrimSuffix(file, ".go"), "_test")
	return strings.HasSuffix(base, "_amd64") || strings.HasSuffix(base, "_x86")
}

// processorPackages are of x86-64 as a whole: another processor is another package.
var processorPackages = map[string]string{
	"internal/inject": "the machine code that is put into a process, and what finds places for it in machine code",
}

// processorFiles may name x86-64's in spite of their names.
var processorFiles = map[string]string{
	"internal/ptrace/regs_other.go":         "what is there where nothing is traced",
	"internal/probe/child.go":               "the trial of this machine, each call by itself",
	"internal/probe/local.go":               "the same",
	"internal/probe/machine.go":             "the same",
	"internal/probe/machine_other.go":       "what is there where nothing is tried",
	"internal/probe/trace.go":               "the trial of this machine, each call by itself",
	"internal/probe/userdispatch.go":        "the same",
	"internal/recording/rectest/rectest.go": "a recording for tests, of x86-64",
}

// registers are the fields of linux.Regs and the constants of unwind, by their names.
var registers = strings.Fields("Rax Rbx Rcx Rdx Rsi Rdi Rbp Rsp Rip R8 R9 R10 R11 R12 R13 R14 R15 OrigRax Orig_rax Eflags FsBase GsBase Fs_base Gs_base " +
	"RAX RBX RCX RDX RSI RDI RBP RSP RIP")

// ofX86 lists what a file has of x86-64: registers by name, decoders, build lines.
func ofX86(f *ast.File) []string {
	var out []string
	for _, imp := range f.Imports {
		if strings.HasPrefix(imp.Path.Value, `"golang.org/x/arch/`) {
			out = append(out, "imports "+imp.Path.Value)
		}
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if constraint.IsGoBuild(c.Text) && strings.Contains(c.Text, "amd64") {
				out = append(out, c.Text)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && slices.Contains(registers, id.Name) {
			out = append(out, "names "+id.Name)
		}
		return true
	})
	return out
}

// TestProcessor holds that what is x86-64's lies in files that say so: a port to another
// processor writes such files of its own (docs/porting.md).
func TestProcessor(t *testing.T) {
	used := map[string]bool{}
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if processorPackages[name] != "" || strings.HasPrefix(name, "scripts/") {
			continue
		}
		for _, file := range p.GoFiles {
			if ofProcessor(file) {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			switch found := ofX86(f); {
			case len(found) == 0:
			case processorFiles[name+"/"+file] != "":
				used[name+"/"+file] = true
			default:
				t.Errorf("%s/%s, which is of no processor by its name, %s", name, file, strings.Join(found, ", "))
			}
		}
	}
	for file := range processorFiles {
		if !used[file] && !strings.HasSuffix(file, "_other.go") { // those are not built here
			t.Errorf("%s needs no exception", file)
		}
	}
}

// TestProcessorFails holds that the rule finds what it is for.
func TestProcessorFails(t *testing.T) {
	for _, tt := range []struct {
		src  string
		want int
	}{
		{"//go:build linux && amd64\n\npackage x\n", 1},
		{"//go:build linux\n\npackage x\n", 0},
		{"package x\n\nimport \"golang.org/x/arch/x86/x86asm\"\n\nvar _ = x86asm.Decode\n", 1},
		{"package x\n\nfunc pc(r *linux.Regs) uint64 { return r.Rip }\n", 1},
		{"package x\n\nvar r = linux.Regs{Rsp: 1, Rax: 2}\n", 2},
		{"package x\n\nfunc pc(r *linux.Regs) uint64 { return r.PC() }\n", 0},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", tt.src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := ofX86(f); len(got) != tt.want {
			t.Errorf("%q: %q, want %d", tt.src, got, tt.want)
		}
	}
	for file, want := range map[string]bool{"regs_x86.go": true, "regs_linux_amd64.go": true, "stub_x86_test.go": true, "regs.go": false, "x86.go": false} {
		if ofProcessor(file) != want {
			t.Errorf("%s: not %v", file, want)
		}
	}
}
