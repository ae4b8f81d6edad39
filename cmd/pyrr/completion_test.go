package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// script writes the completion script for a shell into a file.
func script(t *testing.T, shell string) string {
	t.Helper()
	status, out, errs := capturePyrr("completion", shell)
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	path := filepath.Join(t.TempDir(), "pyrr."+shell)
	if err := os.WriteFile(path, []byte(out), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBashCompletion loads the script into bash and completes with it.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	path := script(t, "bash")
	dir := t.TempDir()
	for _, name := range []string{"app.pyrr.zip", "app.py"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name  string
		words []string // the last one is being completed
		want  []string // among the answers
		not   []string
	}{
		{"commands", []string{"pyrr", "re"}, []string{"record", "replay"}, []string{"info"}},
		{"all commands", []string{"pyrr", ""}, commands().Names(), nil},
		{"flags", []string{"pyrr", "record", "--ti"}, []string{"--timeout"}, []string{"--keep"}},
		{"hidden flags", []string{"pyrr", "record", "--"}, []string{"--keep"}, []string{"--slice"}},
		{"choices", []string{"pyrr", "record", "--keep", ""}, []string{"always", "timeout", "failure", "never"}, nil},
		{"choices after =", []string{"pyrr", "record", "--keep", "=", "al"}, []string{"always"}, []string{"never"}},
		{"choices right after =", []string{"pyrr", "record", "--keep", "="}, []string{"always"}, nil},
		{"recordings", []string{"pyrr", "info", "app"}, []string{"app.pyrr.zip"}, nil},
		{"the program", []string{"pyrr", "record", "--timeout", "3", "bas"}, []string{"bash"}, nil},
		{"the program after --", []string{"pyrr", "record", "--", "bas"}, []string{"bash"}, nil},
		{"the program's arguments", []string{"pyrr", "record", "python3", "app"}, []string{"app.py"}, []string{"--keep"}},
		{"the program's flags are its own", []string{"pyrr", "record", "python3", "--ke"}, nil, []string{"--keep"}},
		{"topics", []string{"pyrr", "help", "do"}, []string{"doctor"}, nil},
		{"shells", []string{"pyrr", "completion", ""}, []string{"bash", "zsh", "fish"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _pyrr; printf '%s\n' "${COMPREPLY[@]}"`
			cmd := exec.Command(bash, append([]string{"--norc", "-c", code, "bash", path}, tt.words...)...)
			cmd.Dir = dir
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Fields(string(out))
			for _, w := range tt.want {
				if !slices.Contains(got, w) {
					t.Errorf("%q is not among %q", w, got)
				}
			}
			for _, w := range tt.not {
				if slices.Contains(got, w) {
					t.Errorf("%q is among %q", w, got)
				}
			}
		})
	}
}

// TestShellSyntax has the other shells parse their scripts, where they are
// installed.
func TestShellSyntax(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(shell + " is not installed")
			}
			if out, err := exec.Command(path, "-n", script(t, shell)).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestCompletionIsWhole holds that each script names every command and flag.
func TestCompletionIsWhole(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		b, err := os.ReadFile(script(t, shell))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands() {
			if !strings.Contains(string(b), c.Name) {
				t.Errorf("%s: no %s", shell, c.Name)
			}
			for _, f := range c.FlagInfos() {
				if !strings.Contains(string(b), f.Name) {
					t.Errorf("%s: no --%s of %s", shell, f.Name, c.Name)
				}
			}
		}
	}
}
