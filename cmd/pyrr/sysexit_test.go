//go:build linux && amd64

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

// TestSystemExitProven: an interpreter whose functions have lost their names says by what is
// left of them that SystemExit ended it; os._exit is told from that.
func TestSystemExitProven(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	python := setup.Path("pbs314/bin/python3.14")
	if _, err := os.Stat(python); err != nil {
		t.Skip("there is no such interpreter")
	}
	for name, c := range map[string]struct{ code, want string }{
		"sys.exit": {"import sys\ndef f():\n    sys.exit(3)\nf()\n", "Ended with exit status 3 by SystemExit, raised at ends.py:3 in f.\n\n"},
		"os._exit": {"import os\ndef f():\n    os._exit(4)\nf()\n", "Ended with exit status 4 at ends.py:3 in f.\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "ends.py"), []byte(c.code), 0o666); err != nil {
				t.Fatal(err)
			}
			run := func(args ...string) string {
				cmd := pyrrCommand(args...)
				cmd.Dir = dir
				out, err := cmd.CombinedOutput()
				if _, ended := err.(*exec.ExitError); err != nil && !ended {
					t.Fatal(err)
				}
				return string(out)
			}
			run("record", "-o", "ends.pyrr.zip", "--", python, "ends.py")
			if out := run("explain", "ends.pyrr.zip"); !strings.HasPrefix(out, c.want) {
				t.Errorf("%s", out)
			}
		})
	}
}
