package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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

// TestProfileAgainstMonitoring holds the counts of a profile against those that the
// interpreter itself makes of the same program, and their sum against the clock.
func TestProfileAgainstMonitoring(t *testing.T) {
	probe.Require(t)
	program, err := filepath.Abs("testdata/profile/program.py")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, python := range testInterpreters() {
		version := pythonVersion(python)
		if version == "" || !strings.HasPrefix(version, "3.1") || version < "3.12" {
			continue // no sys.monitoring
		}
		tried++
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			out := filepath.Join(dir, "counts.json")
			if text, err := exec.Command(python, "testdata/profile/monitor.py", program, out).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			var want monitored
			b, err := os.ReadFile(out)
			if err == nil {
				err = json.Unmarshal(b, &want)
			}
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "program"+recording.PackedSuffix)
			cmd := exec.Command(os.Args[0], "record", "-o", path, python, program)
			cmd.Args[0] = "pyrr" // TestMain runs main for that name
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			rec, err := recording.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer rec.Close()
			p, err := ask.NewProfile(rec, ask.ProfileOptions{Counts: true})
			if err != nil {
				t.Fatal(err)
			}
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
		})
	}
	if tried == 0 {
		t.Skip("there is no Python 3.12 or later")
	}
}
