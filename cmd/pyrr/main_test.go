package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"pyrr/assert"
	"pyrr/internal/cli"
	"pyrr/internal/goldentest"
	"pyrr/internal/probe"
	"pyrr/internal/registry/registrytest"
	"pyrr/internal/screen"
	"pyrr/internal/setup"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "pyrr" { // which minds what it is started with
		setup.HeedSignals()
	}
	testscript.Main(m, map[string]func(){"pyrr": main})
}

// TestScripts runs testdata/script. Each script first says why it exists.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       goldentest.Updating(t),
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       cmdExits,
			"registry":    cmdRegistry,
			"uncountable": cmdUncountable,
		},
		Condition: scriptCondition,
		Setup: func(env *testscript.Env) error {
			root, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			env.Setenv("REPO", root)
			env.Setenv("PATH", env.Getenv("PATH"))
			env.Setenv("PYTHON", testPython())
			// Packed blocks of the interpreter are kept between tests.
			if cache, err := os.UserCacheDir(); err == nil {
				env.Setenv("XDG_CACHE_HOME", cache)
			}
			env.Setenv("ESC", "\x1b[31mred")
			// A time-out, and a number of seconds in which it is over.
			limit := setup.Patience(2 * time.Second)
			env.Setenv("LIMIT", limit.String())
			env.Setenv("LONGER", fmt.Sprint((limit * 3 / 2).Seconds()))
			// txtar has no modes: what begins with #! is a program.
			return filepath.WalkDir(env.WorkDir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				if b, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(b, []byte("#!")) {
					return err
				}
				return os.Chmod(path, 0o777)
			})
		},
	})
}

// cmdExits runs a command and expects an exit status: exits 3 pyrr info x. Where the time-out
// is to end it (124), that comes later on a busy machine, on which it has to come to its hang, too.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if at := slices.Index(args, "--timeout") + 1; want == cli.ExitTimeout && at > 0 {
		args[at] = setup.Timeout(args[at])
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d\nstdout:\n%s\nstderr:\n%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// cmdRegistry starts a registry until the script ends, and sets REGISTRY.
func cmdRegistry(ts *testscript.TestScript, _ bool, _ []string) {
	dir := ts.MkAbs("registry")
	ts.Check(os.Mkdir(dir, 0o700))
	host, stop, err := registrytest.Start(dir)
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv("REGISTRY", host)
}

// scriptCondition adds [registry]: there is one to start, and [engine]: this machine can record and replay, and
// there is a Python.
func scriptCondition(cond string) (bool, error) {
	switch cond {
	case "registry":
		_, err := exec.LookPath("docker-registry")
		return err == nil, nil
	case "mounts": // in a name space of one's own
		return exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt").Run() == nil, nil
	case "engine":
		r := probe.Machine()
		return r.CanRecord() && r.CanReplay() && testPython() != "", nil
	}
	return false, errors.New("unknown condition")
}

// testPython returns an interpreter that is a binary, not a script that looks for an
// interpreter.
func testPython() string {
	if p, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output(); err == nil {
		return strings.TrimSpace(string(p))
	}
	return ""
}

// tracedPython is an interpreter for a test that traces it, and skips the test where
// there is none or nothing can be traced.
func tracedPython(t testing.TB) string {
	t.Helper()
	probe.Require(t)
	python := testPython()
	if python == "" {
		t.Skip("there is no Python")
	}
	return python
}

// capture runs pyrr in this process.
func capturePyrr(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	u := &screen.UI{Out: &out, Err: &errs, StatusWidth: 80}
	status = commands().Run(context.Background(), u, args)
	return status, out.String(), errs.String()
}

// TestHelp checks the form of every help: synopsis, examples, exit status, lines
// that fit, and nothing that the completion scripts can't quote.
func TestHelp(t *testing.T) {
	for _, c := range commands() {
		t.Run(c.Name, func(t *testing.T) {
			status, out, errs := capturePyrr(c.Name, "--help")
			if status != 0 || errs != "" {
				t.Fatalf("status %d, stderr %q", status, errs)
			}
			at := -1
			for _, section := range []string{"\nUSAGE\n  pyrr " + c.Name, "\nFLAGS\n", "\nEXAMPLES\n  ", "\nEXIT STATUS\n  "} {
				i := strings.Index(out, section)
				if i <= at {
					t.Errorf("%q is missing or out of order", section)
				}
				at = i
			}
			for line := range strings.Lines(out) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 96 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			if _, viaHelp, _ := capturePyrr("help", c.Name); viaHelp != out {
				t.Errorf("pyrr help %s differs (-flag +help):\n%s", c.Name, cmp.Diff(out, viaHelp))
			}
			for _, f := range c.FlagInfos() {
				if strings.ContainsAny(f.Usage+f.Name, `'\`) {
					t.Errorf("--%s: the completion scripts can't quote %q", f.Name, f.Usage)
				}
			}
			if strings.ContainsAny(c.Short, `'\`) {
				t.Errorf("the completion scripts can't quote %q", c.Short)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	tests := []struct{ name, word, want string }{
		{"swapped", "recrod", "record"},
		{"missing letter", "reply", "replay"},
		{"too far", "xyzzy", ""},
		{"one letter", "x", ""},
		{"empty", "", ""},
		{"exact", "info", "info"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := assert.Nearest(tt.word, commands().Names()); got != tt.want {
				t.Errorf("assert.Nearest(%q) = %q, want %q", tt.word, got, tt.want)
			}
		})
	}
}
