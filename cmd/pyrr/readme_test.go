package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/probe"
)

// TestReadme runs the first recording of the README as it stands there, with a
// Python that takes 1.6 s to start, as on a small and busy machine.
func TestReadme(t *testing.T) {
	probe.Require(t)
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		python, err = exec.LookPath("python3")
	}
	if err != nil {
		t.Skip("there is no python3")
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), "## A first recording\n")
	part, rest, ok2 := strings.Cut(part, "\nA spec says where it must hang:\n")
	spec, _, ok3 := strings.Cut(rest, "\n    bin/pyrr check hang.yaml\n")
	if !ok || !ok2 || !ok3 {
		t.Fatal("README.md is not divided as it was")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	// TestMain runs main for that name.
	if err := os.MkdirAll(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "pyrr")); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(dir, "path/python3"), "#!/bin/sh\nsleep 1.6\nexec "+python+" \"$@\"\n", 0o777)
	write(filepath.Join(dir, "hang.yaml"), strings.ReplaceAll(spec, "\n    ", "\n"), 0o666)
	var script strings.Builder
	for line := range strings.Lines(part) {
		if command, ok := strings.CutPrefix(line, "    "); ok && !strings.Contains(command, "make build") {
			if strings.Contains(command, " record ") {
				command = strings.TrimSuffix(command, "\n") + " || [ $? = 124 ]\n"
			}
			script.WriteString(command)
		}
	}
	script.WriteString("bin/pyrr check hang.yaml\n")
	cmd := exec.Command("bash", "-ec", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "path")+":"+os.Getenv("PATH"), "CI=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script.String(), out)
	}
	for _, want := range []string{"\nhello\n", "clock_nanosleep", "1 spec: 1 held"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing says %q:\n%s", want, out)
		}
	}
}
