package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// TestAgentInPython speaks with pyrr mcp by the protocol's own library for Python.
func TestAgentInPython(t *testing.T) {
	probe.Require(t)
	python := setup.Path("venv-mcp/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no client of the Model Context Protocol for Python: scripts/venv.sh mcp makes it")
	}
	if testPython() == "" {
		t.Skip("there is no Python")
	}
	dir := t.TempDir()
	recordFor(t, dir, "hang", agentHang)
	// The library starts a program by its name, and TestMain looks at that.
	bin := filepath.Join(t.TempDir(), "pyrr")
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, bin)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "testdata/sessions/client.py", bin, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"pyrr, 13 tools", "hang.pyrr.zip  timeout", "hang.py:13", "n = 3", "error: True", "# Finding the reason"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}
