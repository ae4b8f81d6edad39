//go:build linux && amd64

package main

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"pyrr/internal/cli"

	"golang.org/x/sys/unix"
)

// wrongFiles are what a command may be given in place of a recording or a spec,
// made in the working directory. Their names are the rows' names.
func wrongFiles(t *testing.T) []string {
	t.Helper()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("program.py", "print('hello')\n", 0o666)
	write("notes.txt", "not a recording\n", 0o666)
	write("empty.pyrr.zip", "", 0o666)
	write("cut.pyrr.zip", "PK\x03\x04rest", 0o666)
	write("huge.pyrr.zip", "", 0o666)
	if err := os.Truncate("huge.pyrr.zip", 1<<40); err != nil {
		t.Logf("no file of 1 TiB here: %v", err)
	}
	if err := os.Mkdir("folder", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("other.pyrr.part", 0o777); err != nil {
		t.Fatal(err)
	}
	write("other.pyrr.part/pyrr.json", `{"format": 999, "version": 999}`, 0o666)
	f, err := os.Create("other.zip")
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	if _, err := z.Create("a.txt"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := unix.Mkfifo("pipe", 0o666); err != nil {
		t.Fatal(err)
	}
	names := []string{"program.py", "notes.txt", "empty.pyrr.zip", "cut.pyrr.zip", "huge.pyrr.zip", "folder", "other.pyrr.part", "other.zip", "pipe",
		"missing.pyrr.zip", "missing", "program.py/below"}
	if os.Geteuid() != 0 { // who may read everything
		write("unreadable.pyrr.zip", "PK\x03\x04", 0)
		write("unreadable.yaml", "version: 1\n", 0)
		names = append(names, "unreadable.pyrr.zip", "unreadable.yaml")
	}
	return names
}

// TestWrongFiles gives every command that reads a file each kind of wrong one: the
// message names the file, a hint says what to do, and nothing is wider than 80
// columns except for names.
func TestWrongFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("CI", "")
	files := wrongFiles(t)
	// The commands, with their other arguments; FILE is the wrong file.
	lines := []string{
		"info FILE", "events FILE", "bt FILE", "explain FILE", "report FILE", "pack FILE", "new FILE", "replay --batch FILE", "diff FILE FILE", "ls FILE",
		"check FILE", "accept FILE",
		"print FILE a.py:1 x", "last FILE x", "where FILE x", "profile FILE", "open FILE", "summary FILE", "push FILE oci://localhost:1/team/app:tag",
		"pull FILE", "serve FILE", "mcp FILE",
	}
	// For these commands a folder is no mistake, or not a mistake that this test is about.
	takesFolders := []string{"check", "accept", "open", "summary", "serve", "mcp"}
	// Those that take no file are in TestWrongNames. A new command has to be in one of them.
	for _, name := range commands().Names() {
		in := slices.ContainsFunc(lines, func(line string) bool { return strings.Fields(line)[0] == name })
		if !in && !slices.Contains([]string{"record", "dap", "doctor", "completion", "version", "help"}, name) {
			t.Errorf("no wrong file is given to pyrr %s", name)
		}
	}
	damaged := []string{"cut.pyrr.zip", "huge.pyrr.zip", "other.pyrr.part"}
	for _, command := range lines {
		for _, file := range append(files, "") {
			words := strings.Fields(strings.ReplaceAll(command, "FILE", file))
			name := words[0]
			if name == "ls" && (file == "" || file == "folder") || name == "pack" && file == "pipe" || file == "folder" && slices.Contains(takesFolders, name) {
				continue // here the file is no argument at all, or no mistake
			}
			if (name == "serve" || name == "mcp") && (file == "" || slices.Contains(damaged, file)) || name == "print" && file == "" {
				continue // the command lists damaged files as damaged
			}
			t.Run(strings.Join(words, " "), func(t *testing.T) {
				status, out, errs := capturePyrr(words...)
				want := []int{cli.ExitUnjudged}
				if file == "" && name != "summary" || name == "check" || name == "accept" || name == "pull" {
					want = []int{cli.ExitUsage}
				}
				if !slices.Contains(want, status) {
					t.Errorf("exit status %d, want %v\n%s%s", status, want, out, errs)
				}
				if !strings.Contains(errs, "pyrr: error: ") || !strings.Contains(errs, file) {
					t.Errorf("the message does not name %q:\n%s", file, errs)
				}
				// For a file that may be a spec and is none, the message names the line.
				isSpec := (name == "check" || name == "accept") && file != "" && !strings.Contains(file, "pyrr.") && !strings.HasPrefix(file, "unreadable")
				if !strings.Contains(errs, "pyrr: hint: ") && !isSpec {
					t.Errorf("no hint:\n%s", errs)
				}
				if strings.Contains(errs, "changed after it was made") && !slices.Contains(damaged, file) {
					t.Errorf("%s never was a recording:\n%s", file, errs)
				}
				for line := range strings.Lines(errs) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 200 {
						t.Errorf("a line of %d columns: %s", n, line)
					}
				}
			})
		}
	}
	if left, _ := filepath.Glob("*-packed*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestWrongFilesOfNobody is TestWrongFiles as an ordinary user, where this is root, to
// whom no file is unreadable.
func TestWrongFilesOfNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is an ordinary user, as whom TestWrongFiles runs")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "pyrr-nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	// The test program lies in a folder that this user may not look into: a copy is run.
	self, program := filepath.Join(dir, "pyrr.test"), []byte(nil)
	if program, err = os.ReadFile(os.Args[0]); err == nil {
		err = os.WriteFile(self, program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestWrongFiles$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestWrongFiles/check_unreadable.yaml") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestWrongNames holds the answers to mistakes in names and places.
func TestWrongNames(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("CI", "")
	for name, text := range map[string]string{
		"tab.yaml":   "version: 1\nname: x\nrecording: a.pyrr.zip\nexpect:\n\t- write\n",
		"times.yaml": "version: 1\nname: x\nrecording: a.pyrr.zip\nexpect:\n  - write 2 times\n",
		"file":       "",
		"notes.txt":  "not a program\n",
		"script":     "#!/bin/sh\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", "link.pyrr.zip"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("folder.pyrr.zip", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command string
		status  int
		says    []string
	}{
		{"explain https://example.invalid/x.zip", cli.ExitUnjudged, []string{"is an address, and no file", "pyrr open https://example.invalid/x.zip"}},
		{"info link.pyrr.zip", cli.ExitUnjudged, []string{"link.pyrr.zip is a link to nowhere, which is not there"}},
		{"info nope.pyrr.zip", cli.ExitUnjudged, []string{"there is no recording nope.pyrr.zip", "hint: pyrr record "}}, // no folder is proposed
		{"record -- ./notes.txt", 126, []string{"start ./notes.txt: permission denied\n"}},
		{"record -- ./script", 126, []string{"start ./script: permission denied\n", "hint: chmod +x ./script"}},
		{"accept", cli.ExitUsage, []string{"accept: name a spec", "pyrr accept SPEC.yaml"}},
		{"record -o ok.zip -- true", cli.ExitOwn, []string{"-o ok.zip: the name of a recording ends in .pyrr.zip", "pyrr record -o ok.pyrr.zip -- true"}},
		{"record -o file -- true", cli.ExitOwn, []string{"-o file is a file, and no folder"}},
		{"check tab.yaml", cli.ExitUsage, []string{"tab.yaml:5:1: not YAML: a tab in the indentation", "indent by blanks"}},
		{"check times.yaml", cli.ExitUsage, []string{`times.yaml:5:11: unknown word "2"`, "exactly 2"}},
		{"check nope.yaml", cli.ExitUsage, []string{"there is no spec nope.yaml", "hint: pyrr check tab.yaml"}},
		{"events --kind recieve x", cli.ExitUsage, []string{`"recieve" is neither`, "did you mean --kind recv?"}},
		{"events --kind zzz x", cli.ExitUsage, []string{"kinds are "}},
		{"record", cli.ExitOwn, []string{"record: no command to record", "hint: pyrr record -- "}},
		{"record --keep-max -1 -- true", cli.ExitOwn, []string{"--keep-max -1: a number of tests, or 0 for all", "hint: pyrr record --keep-max 0"}},
		{"record --keep-same -2 -- true", cli.ExitOwn, []string{"--keep-same -2: a number of tests"}},
		{"record --output= -- true", cli.ExitOwn, []string{"--output is given, and empty", "hint: pyrr record --help"}},
		{"record --masks= -- true", cli.ExitOwn, []string{"--masks is given, and empty"}},
		{"record --secret= -- true", cli.ExitOwn, []string{"--secret is given, and empty", "pyrr record --secret API_TOKEN"}},
		{"record -- ./missing", 127, []string{"start ./missing: "}},
		{"dap x", cli.ExitUsage, []string{"dap: takes no arguments"}},
		{"completion", cli.ExitUsage, []string{"completion: name one shell", "hint: pyrr completion bash"}},
		{"completion nope", cli.ExitUsage, []string{`no script for "nope"`, "hint: pyrr completion bash"}},
		{"help opem", cli.ExitUsage, []string{`no command "opem"`, "hint: pyrr help open"}},
		{"version x", cli.ExitUsage, []string{"version: takes no arguments"}},
		{"diff a", cli.ExitUsage, []string{"diff: name two recordings, not 1", "pyrr diff "}},
	} {
		t.Run(c.command, func(t *testing.T) {
			status, out, errs := capturePyrr(strings.Fields(c.command)...)
			if status != c.status {
				t.Errorf("exit status %d, want %d\n%s%s", status, c.status, out, errs)
			}
			if strings.Contains(errs, "chmod +x ./notes.txt") {
				t.Errorf("the hint would not help:\n%s", errs)
			}
			for _, want := range c.says {
				if !strings.Contains(errs, want) {
					t.Errorf("the message does not say %q:\n%s", want, errs)
				}
			}
		})
	}
}
