// Package layout holds the tests of how the code is divided: which package
// may import which, and that files stay of a size that can be read.
package layout

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// module is the module's path, as go.mod has it: its one place.
var module = func() string {
	text, _ := os.ReadFile("../../go.mod")
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimPrefix(line, "module ")
}()

// allowed lists what each package may import of this module. Data flows one
// way: capture writes recordings, replay runs them, cpython and unwind read
// stacks out of the memory, assert judges, report prints. Who judges or
// prints needs no engine, so that it runs where nothing can be traced.
var allowed = map[string][]string{
	"internal/sys":       {},
	"internal/stack":     {"internal/lazyregexp", "internal/printable"},
	"internal/usercache": {},
	"internal/headroom":  {"internal/hint"},
	"internal/outfile":   {},
	"internal/linux":     {"internal/mem", "internal/sys"},
	"internal/mem":       {"internal/sys"},
	"internal/probe":     {"internal/hint"},
	"internal/layout":    {},
	"internal/recording": {"internal/linux", "internal/outfile", "internal/stack", "internal/sys", "internal/usercache"},
	"internal/ptrace":    {"internal/linux", "internal/mem", "internal/sys"},
	"internal/inject":    {"internal/linux", "internal/mem", "internal/sys", "internal/usercache"},
	"internal/unwind":    {"internal/lazyregexp", "internal/mem", "internal/stack", "internal/usercache"},
	// For tests alone.
	"internal/goldentest":        {},
	"internal/setup":             {},
	"internal/recording/rectest": {"internal/inject", "internal/linux", "internal/recording", "internal/sys"},
	"internal/unwind/gdbtest":    {"internal/linux", "internal/mem", "internal/unwind"},
	// cpython needs the names of the registers, for what a dispatch keeps there.
	"cpython":                        {"internal/lazyregexp", "internal/linux", "internal/mem", "internal/stack", "internal/sys", "internal/unwind", "internal/usercache"},
	"capture":                        {"cpython", "internal/headroom", "internal/inject", "internal/linux", "internal/mem", "internal/probe", "internal/ptrace", "internal/recording", "internal/sys"},
	"capture/pytest":                 {},
	"replay":                         {"cpython", "internal/headroom", "internal/hint", "internal/inject", "internal/linux", "internal/mem", "internal/probe", "internal/ptrace", "internal/recording", "internal/sys", "internal/unwind"},
	"internal/gdbserver":             {"internal/linux", "internal/mem", "internal/recording", "internal/sys", "internal/unwind", "replay"},
	"internal/screen":                {"internal/hint", "internal/printable"},
	"internal/lazyregexp":            {},
	"internal/hint":                  {},
	"internal/listing":               {"internal/inject", "internal/linux", "internal/logview", "internal/printable", "internal/recording", "internal/sys"},
	"internal/printable":             {},
	"internal/registry/registrytest": {},
	"internal/registry":              {"internal/lazyregexp", "internal/recording", "internal/usercache"},
	"internal/backtrace":             {"cpython", "internal/mem", "internal/printable", "internal/recording", "internal/stack", "internal/stackwalk", "internal/unwind", "replay"},
	"internal/console":               {"cpython", "internal/backtrace", "internal/lazyregexp", "internal/linux", "internal/mem", "internal/outfile", "internal/printable", "internal/recording", "internal/stack", "internal/stackwalk", "internal/unwind", "internal/usercache", "replay"},
	"internal/dap":                   {"cpython", "internal/hint", "internal/lazyregexp", "internal/recording", "internal/stack", "replay"},
	"assert":                         {"internal/lazyregexp", "internal/linux", "internal/outfile", "internal/recording", "internal/stack"},
	"internal/report":                {"assert", "internal/printable", "internal/stack"},
	"internal/moments":               {"cpython", "internal/hang", "internal/mem", "internal/recording", "replay"},
	"internal/page":                  {"internal/hang", "internal/linux", "internal/logview", "internal/recording", "internal/report", "internal/stack", "internal/sys"},
	"internal/compare":               {"assert", "internal/lazyregexp", "internal/stack"},
	"internal/hang":                  {"internal/lazyregexp", "internal/stack"},
	"internal/hiding":                {"internal/linux", "internal/recording", "internal/redact", "internal/stackwalk", "replay"},
	"internal/draft":                 {"assert", "internal/hang", "internal/hint", "internal/lazyregexp", "internal/linux", "internal/printable", "internal/reason", "internal/stack"},
	"internal/facts":                 {"assert", "cpython", "internal/hang", "internal/lazyregexp", "internal/linux", "internal/listing", "internal/logview", "internal/printable", "internal/pystate", "internal/reason", "internal/recording", "internal/stack", "internal/stackwalk", "internal/sys", "replay"},
	"internal/reason":                {"internal/compare", "internal/hang", "internal/lazyregexp", "internal/linux", "internal/listing", "internal/logview", "internal/printable", "internal/recording", "internal/stack", "internal/stackwalk", "internal/sys", "replay"},
	"internal/pystate":               {"cpython", "internal/hang", "internal/lazyregexp", "internal/linux", "internal/mem"},
	"internal/action":                {},
	"internal/release":               {}, // its tests are everything's
	"internal/progress":              {},
	"internal/settings":              {},
	"internal/redact":                {"internal/lazyregexp", "internal/linux", "internal/logview", "internal/recording"},
	"internal/logview":               {"internal/linux", "internal/recording", "internal/sys"},
	"internal/served":                {},
	"internal/mcp":                   {"internal/lazyregexp", "internal/served"},
	"internal/serve":                 {"internal/page", "internal/served"},
	"internal/ask":                   {"cpython", "internal/backtrace", "internal/lazyregexp", "internal/linux", "internal/logview", "internal/mem", "internal/pystate", "internal/recording", "internal/stack", "internal/stackwalk", "internal/unwind", "replay"},
	"internal/stackwalk":             {"cpython", "internal/hang", "internal/inject", "internal/linux", "internal/mem", "internal/pystate", "internal/recording", "internal/stack", "internal/sys", "internal/unwind", "replay"},
	"internal/contents":              {"internal/find", "internal/inject", "internal/listing", "internal/printable", "internal/probe", "internal/recording", "internal/screen"},
	"internal/show":                  {"assert", "internal/compare", "internal/contents", "internal/hang", "internal/headroom", "internal/hint", "internal/linux", "internal/listing", "internal/logview", "internal/printable", "internal/probe", "internal/reason", "internal/recording", "internal/screen", "internal/stack", "replay"},
	"internal/find":                  {"internal/hint", "internal/printable", "internal/recording", "internal/registry", "internal/screen"},
	"internal/traces":                {"assert", "cpython", "internal/backtrace", "internal/hint", "internal/listing", "internal/logview", "internal/printable", "internal/recording", "internal/screen", "internal/show", "internal/stack", "internal/stackwalk", "internal/unwind", "replay"},
	"internal/flagvalue":             {"internal/printable"},
	"internal/digest":                {"assert", "internal/contents", "internal/find", "internal/flagvalue", "internal/hang", "internal/outfile", "internal/printable", "internal/reason", "internal/recording", "internal/screen", "internal/show", "internal/stack"},
	"internal/naming":                {"internal/find", "internal/flagvalue", "internal/hint", "internal/outfile", "internal/printable", "internal/recording"},
	"internal/doctor":                {"cpython", "internal/hint", "internal/printable", "internal/probe", "internal/screen"},
	"internal/cli":                   {"assert", "internal/find", "internal/flagvalue", "internal/hint", "internal/printable", "internal/probe", "internal/recording", "internal/screen", "internal/settings", "internal/sys", "replay"},
	"internal/keeping":               {"capture", "capture/pytest", "cpython", "internal/cli", "internal/doctor", "internal/flagvalue", "internal/headroom", "internal/hiding", "internal/hint", "internal/inject", "internal/logview", "internal/naming", "internal/printable", "internal/probe", "internal/reason", "internal/recording", "internal/redact", "internal/screen", "internal/show", "internal/stackwalk", "replay"},
	"internal/checking":              {"assert", "internal/cli", "internal/digest", "internal/facts", "internal/find", "internal/hint", "internal/outfile", "internal/printable", "internal/probe", "internal/recording", "internal/registry", "internal/report", "internal/screen", "internal/usercache"},
	"internal/artifact":              {"internal/find", "internal/flagvalue", "internal/hint", "internal/naming", "internal/outfile", "internal/printable", "internal/recording", "internal/screen"},
	"internal/packing":               {"internal/contents", "internal/find", "internal/flagvalue", "internal/hiding", "internal/hint", "internal/keeping", "internal/outfile", "internal/printable", "internal/reason", "internal/recording", "internal/redact", "internal/screen", "internal/show", "replay"},
	"internal/paging":                {"assert", "internal/checking", "internal/compare", "internal/contents", "internal/digest", "internal/facts", "internal/find", "internal/hang", "internal/hint", "internal/listing", "internal/logview", "internal/moments", "internal/page", "internal/printable", "internal/probe", "internal/reason", "internal/recording", "internal/report", "internal/screen", "internal/show", "internal/stack", "replay"},
	"internal/answer":                {"internal/ask", "internal/cli", "internal/find", "internal/hint", "internal/lazyregexp", "internal/listing", "internal/outfile", "internal/printable", "internal/recording", "internal/screen", "internal/show", "internal/stack", "internal/traces", "replay"},
}

// free lists the packages that tie the others together and may import all:
// the program, and the tests, measurements and trials of the whole.
var free = []string{"cmd", "bench", "fixtures", "internal/conformance", "scripts"}

// owners lists outside packages that only some packages import, so that each
// has one place where it can be replaced.
var owners = map[string][]string{
	"gopkg.in/yaml.v3":                {"assert"},
	"github.com/pelletier/go-toml":    {"internal/settings"},
	"github.com/spf13/pflag":          {"cmd", "internal/cli", "internal/keeping", "internal/checking", "internal/flagvalue", "bench", "internal/conformance"},
	"golang.org/x/term":               {"cmd", "internal/checking", "internal/console", "internal/screen"},
	"github.com/go-delve/delve":       {"internal/unwind"},
	"github.com/ulikunitz/xz":         {"internal/unwind"},
	"github.com/klauspost/compress":   {"internal/recording"},
	"github.com/sergi/go-diff":        {"internal/stack"},
	"github.com/google/go-dap":        {"internal/dap"},
	"github.com/modelcontextprotocol": {"internal/mcp"},
	"oras.land/oras-go":               {"internal/registry"},
	"github.com/opencontainers":       {"internal/registry"},
	"github.com/google/pprof":         {"internal/ask"},
	"github.com/rogpeppe/go-internal": {},
	"github.com/google/go-cmp":        {"internal/goldentest"},
	"C":                               {},
}

// pkg is the part of go list's output that the rules look at.
type pkg struct {
	ImportPath   string
	Dir          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
	CgoFiles     []string
	TestGoFiles  []string
	XTestGoFiles []string
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles", module+"/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("go list found %d packages", len(all))
	}
	return all
}

// within says whether a package lies in one of the given folders.
func within(name string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool {
		return name == d || strings.HasPrefix(name, d+"/")
	})
}

// violations returns the imports of a package that the rules forbid.
func violations(p pkg) []string {
	var out []string
	name := strings.TrimPrefix(p.ImportPath, module+"/")
	rules, known := allowed[name]
	if !known && !within(name, free) {
		return []string{name + " has no row in the table of imports"}
	}
	for _, imp := range p.Imports {
		if ours, ok := strings.CutPrefix(imp, module+"/"); ok {
			if known && !slices.Contains(rules, ours) {
				out = append(out, name+" must not import "+ours)
			}
			continue
		}
		for path, dirs := range owners {
			if (imp == path || strings.HasPrefix(imp, path+"/")) && !within(name, dirs) {
				out = append(out, name+" must not import "+imp)
			}
		}
	}
	return out
}

// TestOwnersAreExact holds that each owner of an outside package uses it.
func TestOwnersAreExact(t *testing.T) {
	all := listPackages(t)
	for path, dirs := range owners {
		for _, dir := range dirs {
			if !slices.ContainsFunc(all, func(p pkg) bool {
				return within(strings.TrimPrefix(p.ImportPath, module+"/"), []string{dir}) && slices.ContainsFunc(p.Imports, func(imp string) bool {
					return imp == path || strings.HasPrefix(imp, path+"/")
				})
			}) {
				t.Errorf("%s may import %s and does not: take it off the table", dir, path)
			}
		}
	}
}

func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, v := range violations(p) {
			t.Error(v)
		}
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo: %v", p.ImportPath, p.CgoFiles)
		}
	}
}

// TestViolations holds that the rules catch what they are for.
func TestViolations(t *testing.T) {
	tests := []struct {
		name string
		pkg  pkg
		want int
	}{
		{"allowed", pkg{ImportPath: module + "/replay", Imports: []string{"fmt", module + "/internal/mem"}}, 0},
		{"against the flow", pkg{ImportPath: module + "/internal/recording", Imports: []string{module + "/replay"}}, 1},
		{"judging with an engine", pkg{ImportPath: module + "/assert", Imports: []string{module + "/replay", module + "/internal/ptrace"}}, 2},
		{"the program", pkg{ImportPath: module + "/cmd/pyrr", Imports: []string{module + "/assert", module + "/replay", "github.com/spf13/pflag"}}, 0},
		{"flags in a library", pkg{ImportPath: module + "/capture", Imports: []string{"github.com/spf13/pflag"}}, 1},
		{"part of an owned module", pkg{ImportPath: module + "/cpython", Imports: []string{"github.com/go-delve/delve/pkg/dwarf/frame"}}, 1},
		{"test library in the program", pkg{ImportPath: module + "/assert", Imports: []string{"github.com/google/go-cmp/cmp"}}, 1},
		{"cgo", pkg{ImportPath: module + "/cmd/pyrr", Imports: []string{"C"}}, 1},
		{"a package without a row", pkg{ImportPath: module + "/internal/utils"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := violations(tt.pkg); len(got) != tt.want {
				t.Errorf("%d violations, want %d: %v", len(got), tt.want, got)
			}
		})
	}
}

// tracers are the only packages that make ptrace calls: the layer that is
// for it, and the probe, which tries each call by itself.
var tracers = []string{"internal/ptrace", "internal/probe"}

var ptraceCall = regexp.MustCompile(`Syscall6?\((unix|syscall)\.SYS_PTRACE|(unix|syscall)\.Ptrace[A-Z]\w*\(`)

func TestPtraceCalls(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if within(name, tracers) {
			continue
		}
		for _, file := range p.GoFiles {
			eachLine(t, filepath.Join(p.Dir, file), func(n int, line string) {
				code, _, _ := strings.Cut(line, "//")
				if ptraceCall.MatchString(code) {
					t.Errorf("%s/%s:%d makes a ptrace call: %s", name, file, n, strings.TrimSpace(line))
				}
			})
		}
	}
}

// TestOneCache holds that what looks for what set-up made asks internal/setup: a test that
// knows the folder by itself skips, on a machine as it comes, what was made for it elsewhere.
func TestOneCache(t *testing.T) {
	const folder = "/var/cache" + "/pyrr"
	for _, p := range listPackages(t) {
		if p.ImportPath == module+"/internal/setup" {
			continue
		}
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles) {
			eachLine(t, filepath.Join(p.Dir, file), func(n int, line string) {
				if strings.Contains(line, folder) {
					t.Errorf("%s/%s:%d names the folder of what set-up makes: %s", p.ImportPath, file, n, strings.TrimSpace(line))
				}
			})
		}
	}
}

func eachLine(t *testing.T, path string, f func(n int, line string)) {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	s := bufio.NewScanner(in)
	s.Buffer(nil, 1<<20)
	n := 0
	for s.Scan() {
		n++
		f(n, s.Text())
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
}

// TestArchitecture holds that docs/architecture.md names every package.
func TestArchitecture(t *testing.T) {
	doc, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		// A package below another one needs no row of its own.
		if !bytes.Contains(doc, []byte("`"+name+"`")) && !bytes.Contains(doc, []byte("`"+filepath.Dir(name)+"`")) {
			t.Errorf("docs/architecture.md does not say what %s does", name)
		}
	}
}
