package layout

import (
	"slices"
	"strings"
	"testing"
)

// layers are the floors of the house, from the ground up. A package imports
// those of its own floor and of the floors below, never upward. What is of no floor
// (free, and what holds tests alone) may look at all of them.
var layers = []struct {
	name     string
	packages []string
}{
	{"ground: the kernel, memory, processes", []string{
		"internal/sys", "internal/mem", "internal/linux", "internal/ptrace", "internal/inject", "internal/headroom", "internal/outfile",
		"internal/usercache", "internal/probe", "internal/settings", "internal/flagvalue", "internal/printable", "internal/lazyregexp", "internal/hint", "internal/screen", "internal/progress", "internal/stack"}},
	{"record: the format, and what events mean", []string{"internal/recording", "internal/logview"}},
	{"Python: its clock, frames and objects, and C stacks", []string{"internal/unwind", "cpython"}},
	{"engines: the recorder and the replayer", []string{"capture", "capture/pytest", "replay"}},
	{"reason: what recordings are held against, and why programs hang", []string{
		"assert", "internal/compare", "internal/hang", "internal/pystate"}},
	{"stacks: the index of a recording", []string{"internal/stackwalk"}},
	{"answers: the reason, what specs hold against", []string{"internal/draft", "internal/facts", "internal/listing", "internal/reason"}},
	{"share: recordings found, passed on and cleaned of secrets", []string{
		"internal/redact", "internal/hiding", "internal/registry", "internal/find", "internal/naming", "internal/artifact", "internal/contents"}},
	{"report: forms of output", []string{
		"internal/report", "internal/page", "internal/moments", "internal/backtrace", "internal/show", "internal/traces", "internal/digest"}},
	{"fronts: sessions of people, editors and programs", []string{
		"internal/ask", "internal/console", "internal/dap", "internal/gdbserver", "internal/served", "internal/mcp", "internal/serve"}},
	{"commands: what cmd/pyrr calls with its flags", []string{
		"internal/cli", "internal/doctor", "internal/answer", "internal/checking", "internal/keeping", "internal/packing", "internal/paging"}},
}

// floor returns the number of a package's floor, -1 if it has none.
func floor(name string) int {
	for i, l := range layers {
		if slices.Contains(l.packages, name) {
			return i
		}
	}
	return -1
}

// upward lists the imports of a package that lie above it.
func upward(p pkg) []string {
	var out []string
	name := strings.TrimPrefix(p.ImportPath, module+"/")
	at := floor(name)
	for _, imp := range p.Imports {
		if ours, ok := strings.CutPrefix(imp, module+"/"); ok && at >= 0 && floor(ours) > at {
			out = append(out, name+" ("+layers[at].name+") imports "+ours+" ("+layers[floor(ours)].name+")")
		}
	}
	return out
}

func TestNothingIsImportedUpward(t *testing.T) {
	tests := []string{"internal/action", "internal/release", "internal/layout", "internal/recording/rectest", "internal/goldentest", "internal/registry/registrytest", "internal/setup", "internal/unwind/gdbtest"}
	seen := map[string]bool{}
	for _, p := range listPackages(t) {
		for _, v := range upward(p) {
			t.Error(v)
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		seen[name] = true
		if floor(name) < 0 && !within(name, free) && !slices.Contains(tests, name) {
			t.Errorf("%s is of no floor", name)
		}
	}
	for _, l := range layers {
		for _, name := range l.packages {
			if !seen[name] {
				t.Errorf("there is no package %s", name)
			}
		}
	}
	if got := upward(pkg{ImportPath: module + "/internal/mem", Imports: []string{"fmt", module + "/replay", module + "/internal/mem"}}); len(got) != 1 {
		t.Errorf("an import upward is not noticed: %v", got)
	}
}
