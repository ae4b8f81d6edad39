package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Corpus is the set of CPython's regression tests that an interpreter has.
type Corpus struct {
	// Python is the interpreter; Debian's has the tests in a package of its own.
	Python string
	// Root is the folder that is the interpreter's root, "" for the machine's own.
	Root string
	// Limit bounds a file's native run.
	Limit time.Duration
}

// command runs the interpreter in its root.
func (c Corpus) command(args ...string) []string {
	argv := append([]string{c.Python}, args...)
	if c.Root != "" {
		argv = append([]string{"chroot", c.Root}, argv...)
	}
	return argv
}

// Version is the interpreter's version, or an error that says that it can't
// run the regression tests.
func (c Corpus) Version(ctx context.Context) (string, error) {
	argv := c.command("-c", "import platform, test.libregrtest, test.test_queue; print(platform.python_version())")
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s has no regression tests: %s", c.Python, lastLine(Output{Stderr: string(out)}))
	}
	return strings.TrimSpace(string(out)), nil
}

// Files lists the tests.
func (c Corpus) Files(ctx context.Context) ([]string, error) {
	argv := c.command("-m", "test", "--list-tests")
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	if err != nil {
		return nil, fmt.Errorf("list the regression tests of %s: %w", c.Python, err)
	}
	return strings.Fields(string(out)), nil
}

// Case is the trial of one file.
func (c Corpus) Case(file string) Case {
	return Case{
		Name:        file,
		Argv:        c.command("-m", "test", "-v", file),
		Root:        c.Root,
		NativeLimit: c.Limit,
		Native:      func(out Output) Verdict { return ParseOutcome(out).Verdict() },
		Judge: func(native, recorded Output) string {
			return ParseOutcome(native).Diff(ParseOutcome(recorded))
		},
	}
}

// Short lists the files that the tests run: quick ones, of every kind.
func Short(repo string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(repo, Data, "short.txt"))
	if err != nil {
		return nil, fmt.Errorf("read the short list: %w", err)
	}
	return strings.Fields(string(data)), nil
}
