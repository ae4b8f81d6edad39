package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/ask"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
)

// monitored is what sys.monitoring tells of a program.
type monitored struct{ Calls, Lines map[string]uint64 }

// monitorable lists the interpreters that have sys.monitoring, by name, as commands: of
// those in a root of their own one of each version that is not here.
func monitorable(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	here := map[string]bool{}
	has := func(version string) bool { return strings.HasPrefix(version, "3.1") && version >= "3.12" }
	minor := func(version string) string { return strings.Join(strings.Split(version, ".")[:2], ".") }
	for _, python := range testInterpreters() {
		if version := pythonVersion(python); has(version) {
			out[version], here[minor(version)] = []string{python}, true
		}
	}
	list, err := exec.Command("../../scripts/interpreters.sh", "list").Output()
	if err != nil {
		t.Fatalf("list the interpreters: %v", err)
	}
	for l := range strings.Lines(string(list)) {
		if f := strings.Fields(l); len(f) > 4 && f[2] == "chroot" && has(f[1]) && !here[minor(f[1])] && os.Geteuid() == 0 {
			out[f[1]], here[minor(f[1])] = f[2:], true
		}
	}
	return out
}

// TestProfileAgainstMonitoring compares the counts of a profile with those that the
// interpreter itself makes of the same program, and their sum with the clock.
func TestProfileAgainstMonitoring(t *testing.T) {
	probe.Require(t)
	all := monitorable(t)
	if len(all) == 0 {
		t.Skip("there is no Python 3.12 or later")
	}
	for version, command := range all {
		t.Run(version, func(t *testing.T) { againstMonitoring(t, command) })
	}
}

func againstMonitoring(t *testing.T, command []string) {
	dir, inside := t.TempDir(), "" // inside is the interpreter's name for dir
	if inside = dir; command[0] == "chroot" {
		root := command[1]
		var err error
		if dir, err = os.MkdirTemp(filepath.Join(root, "tmp"), "pyrr-profile-"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		inside = strings.TrimPrefix(dir, root)
	}
	for _, name := range []string{"program.py", "monitor.py"} {
		b, err := os.ReadFile("testdata/profile/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	program := inside + "/program.py"
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		if args[0] == "pyrr" { // TestMain runs main for that name
			cmd = exec.Command(os.Args[0], args[1:]...)
			cmd.Args[0] = "pyrr"
		}
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	run(append(slices.Clone(command), inside+"/monitor.py", program, inside+"/counts.json")...)
	var want monitored
	b, err := os.ReadFile(filepath.Join(dir, "counts.json"))
	if err == nil {
		err = json.Unmarshal(b, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program"+recording.PackedSuffix)
	run(append(append([]string{"pyrr", "record", "-o", path, "--"}, command...), program)...)
	_, p := profileOf(t, path)
	got := monitored{map[string]uint64{}, map[string]uint64{}}
	sum := p.Unknown
	for i := range p.Funcs {
		f := &p.Funcs[i]
		sum += f.Instrs
		if f.File == program && f.Calls > 0 {
			got.Calls[f.Func] += f.Calls
		}
	}
	for i := range p.Lines {
		l := &p.Lines[i]
		if l.File == program && l.Begun > 0 {
			got.Lines[l.Func+":"+strconv.Itoa(l.Line)] += l.Begun
		}
	}
	if len(want.Calls) < 20 || len(want.Lines) < 90 {
		t.Errorf("sys.monitoring tells of %d functions and %d lines only", len(want.Calls), len(want.Lines))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("calls and lines (-sys.monitoring +profile):\n%s", d)
	}
	if sum != p.Instrs || p.Unknown > 20 {
		t.Errorf("%d instructions, of which %d are counted by function, %d of those of no known code", p.Instrs, sum, p.Unknown)
	}
}

// profileOf opens a recording, and counts by functions and lines.
func profileOf(t *testing.T, path string) (*recording.Recording, *ask.Profile) {
	t.Helper()
	rec, err := recording.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rec.Close() })
	p, err := ask.NewProfile(rec, ask.ProfileOptions{Counts: true})
	if err != nil {
		t.Fatal(err)
	}
	return rec, p
}
