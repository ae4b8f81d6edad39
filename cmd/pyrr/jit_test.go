//go:build linux && amd64

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/setup"
)

// TestJITOff holds that CPython's JIT is off in a recorded program also where another one
// sets its environment, and that all of its instructions are counted.
func TestJITOff(t *testing.T) {
	python := setup.Path("pbs314/bin/python3.14")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no interpreter with a JIT (scripts/interpreters.sh pbs314)")
	}
	dir := t.TempDir()
	out, said := filepath.Join(dir, "x.pyrr.zip"), filepath.Join(dir, "said.txt")
	const program = `
import sys
for i in range(300000):
    pass
open(sys.argv[1], "w").write(f"{sys._jit.is_available()} {sys._jit.is_enabled()}")
`
	_, _, errs := capturePyrr("record", "-o", out, "--", "env", "PYTHON_JIT=yes", python, "-c", program, said)
	const line = "warning: PYTHON_JIT=yes: recorded with the JIT off (PYTHON_JIT=0), as what it compiles can't be counted\n"
	if strings.Count(errs, line) != 1 || !strings.Contains(errs, ", verified\n") {
		t.Error(errs)
	}
	if got := readText(t, said); got != "True False" {
		t.Errorf("available and enabled: %q", got)
	}
	_, text, _ := capturePyrr("info", "--json", out)
	var info struct{ Instructions uint64 }
	if err := json.Unmarshal([]byte(text), &info); err != nil || info.Instructions < 600000 {
		t.Errorf("%d instructions were counted (%v): a loop of 300000 has two each", info.Instructions, err)
	}
}
